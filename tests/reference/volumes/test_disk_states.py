"""A disk that is told to fail, to be slow or to be full: how transfers on it end, and that it is sound again after."""

from collections.abc import Callable

import pytest

from harness.nt import NtStatus
from harness.reference.guestd.commands import fsutil
from harness.wire import kernel as wire
from tests.reference.volumes.conftest import Machine

OPEN = "open f V:\\a access=rw options=noncached disposition=open-if => SUCCESS\n"
WRITE, READ = "write f offset=0 length=4096", "read f offset=0 length=4096"


@pytest.fixture
def made(machine: Callable[..., Machine]) -> Machine:
    made = machine()
    made.play(f"{OPEN}{WRITE} => SUCCESS")
    return made


def test_transfers_fail_so_many_times_and_those_of_the_other_kind_do_not(made: Machine) -> None:
    made.ask(wire.SetDisk("V:", ("read",), int(NtStatus.CRC_ERROR), count=2))

    made.play(f"{OPEN}{READ} => CRC_ERROR\n{WRITE} => SUCCESS\n{READ} => CRC_ERROR\n{READ} => SUCCESS")


def test_transfers_fail_until_the_disk_is_sound(made: Machine) -> None:
    made.ask(wire.SetDisk("V:", ("read", "write"), int(NtStatus.IO_DEVICE_ERROR)))
    made.play(OPEN + 2 * f"{READ} => IO_DEVICE_ERROR\n{WRITE} => IO_DEVICE_ERROR\n")

    made.ask(wire.SetDisk("V:"))
    made.play(f"{OPEN}{READ} => SUCCESS\n{WRITE} => SUCCESS")


def test_a_slow_disk_takes_that_much_longer(made: Machine) -> None:
    made.ask(wire.SetDisk("V:", milliseconds=50))

    result = made.play(f"{OPEN}{READ} => SUCCESS")
    step = result.step("read", "f")
    assert 0.05 <= (step.end - step.begin) / result.frequency < 0.06


def test_a_full_disk_has_room_for_what_is_there(made: Machine) -> None:
    made.ask(wire.SetDisk("V:", full=True))
    longer = "write f offset=4096 length=4096"
    made.play(f"{OPEN}{WRITE} => SUCCESS\n{longer} => DISK_FULL\nset f class=end-of-file value=8192 => DISK_FULL")

    made.ask(wire.SetDisk("V:"))
    made.play(f"{OPEN}{longer} => SUCCESS")


def test_past_the_cache_of_the_host_files_are_the_same(made: Machine) -> None:
    made.ask(wire.SetDisk("V:", through=True))

    result = made.play(f"{OPEN}{WRITE} fill=0x11 => SUCCESS\n{READ} => SUCCESS")
    assert set(result.step("read", "f").data) == {0x11}


@pytest.mark.parametrize("words", [["failing=seek"], ["count=many"], ["empty"]])
def test_the_command_refuses_what_a_disk_cannot_be(words: list[str]) -> None:
    said: list[str] = []

    class Call:
        words = ("fltlab-volume", "disk", "V:")
        err = staticmethod(said.append)

    Call.words = (*Call.words, *words)
    assert fsutil.volume(Call()) == 87  # type: ignore[arg-type]
    assert said == [fsutil.USAGE]
