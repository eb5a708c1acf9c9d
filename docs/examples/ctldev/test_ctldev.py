"""The control device from user mode: codes of every method, and calls that wait until something happens."""

from collections.abc import Sequence

import pytest

from fltlab import Lab, NtStatus

pytestmark = pytest.mark.stack("observer@above", "ctldev", "observer@below")
READ, WRITE = 1, 2
DEVICE = r"open d \??\CtlDev access=rw options=overlapped"


def code(function: int, method: int, access: int) -> str:
    return f"{0x8337 << 16 | access << 14 | function << 2 | method:#x}"


ADD, REMOVE = code(0x801, 0, WRITE), code(0x802, 1, WRITE)
LIST, STATISTICS, WAIT = code(0x803, 2, READ), code(0x804, 3, 0), code(0x805, 0, READ)


def text(words: str) -> str:
    return f"hex={words.encode('utf-16-le').hex()}"


def run(lab: Lab, lines: Sequence[str]):
    return lab.io("\n".join((DEVICE, *lines, f"ioctl d code={REMOVE} {text('*.exe')}", "close d")))


def test_rules_are_added_listed_and_removed(lab: Lab) -> None:
    io = run(
        lab,
        [
            f"ioctl d code={ADD} {text('*.exe')}",
            f"ioctl d code={ADD} {text('*.EXE')}",
            f"ioctl d code={ADD} hex=01",
            f"ioctl d code={LIST} out=64",
            f"ioctl d code={LIST} out=4",
            f"ioctl d code={REMOVE} {text('*.com')}",
            f"ioctl d code={STATISTICS} out=12",
            f"ioctl d code={STATISTICS} out=11",
            "ioctl d code=0x83370000",
        ],
    )

    add, again, odd, listed, short, unknown, statistics, small, other = io.all("ioctl")[:-1]
    assert [add.status, again.status, odd.status] == [
        NtStatus.SUCCESS,
        NtStatus.OBJECT_NAME_COLLISION,
        NtStatus.INVALID_PARAMETER,
    ]
    assert listed.data.decode("utf-16-le") == "*.EXE\n"
    assert (short.status, short.information) == (NtStatus.BUFFER_OVERFLOW, 0)
    assert unknown.status == NtStatus.NOT_FOUND
    assert statistics.data[:4] == b"\1\0\0\0"
    assert small.status == NtStatus.BUFFER_TOO_SMALL
    assert other.status == NtStatus.INVALID_DEVICE_REQUEST


def test_who_waits_is_told_what_was_denied(lab: Lab) -> None:
    io = run(
        lab,
        [
            f"ioctl d code={ADD} {text('*.exe')}",
            f"ioctl d code={WAIT} out=64 async=first",
            f"ioctl d code={WAIT} out=64 async=second",
            r"open a V:\game.exe access=read disposition=open-if",
            r"open b V:\game.txt access=read disposition=open-if",
            "wait first",
            "cancel d async=second",
            "wait second",
            f"ioctl d code={WAIT} out=64 async=third",
        ],
    )

    assert (io["a"].status, io["b"].status) == (NtStatus.ACCESS_DENIED, NtStatus.SUCCESS)
    first, second = io.all("wait")
    assert first.data.decode("utf-16-le") == "game.exe"
    assert second.status == NtStatus.CANCELLED
