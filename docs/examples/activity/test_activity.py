"""The activity monitor, and a client that drains it: the steps of fltprobe are the client."""

import pytest

from fltlab import Lab, NtStatus

pytestmark = pytest.mark.stack("activity")
ROOM = 2048


def lines(data: bytes) -> list[str]:
    """What the driver gave, behind the count of lost lines."""
    return data[4 : len(data) & ~1].decode("utf-16-le").split("\n")[:-1]


def test_the_client_gets_what_happened_once(lab: Lab) -> None:
    io = lab.io(
        rf"""
        open f V:\a.txt access=rw,delete disposition=create
        set f class=disposition value=1
        close f
        connect client \activity
        send-message client room={ROOM}
        send-message client room={ROOM}
        """
    )

    first, second = io.all("send-message")
    assert (first.status, second.status) == (NtStatus.SUCCESS, NtStatus.SUCCESS)
    assert lines(first.data) == ["open a.txt", "delete a.txt"]
    assert second.information == 4, "nothing more, and nothing lost"


def test_who_is_not_asked_forgets_the_oldest_and_says_how_many(lab: Lab) -> None:
    opens = "\n".join(rf"open f{n} V:\{n}.txt access=read disposition=create" for n in range(70))

    io = lab.io(f"{opens}\nconnect client \\activity\nsend-message client room={ROOM}")

    answer = io.step("send-message")
    assert int.from_bytes(answer.data[:4], "little") == 6
    assert lines(answer.data)[0] == "open 6.txt"


def test_a_client_with_no_room_is_told_so(lab: Lab) -> None:
    io = lab.io("connect client \\activity\nsend-message client room=1")

    assert io.step("send-message").status == 0x8007007A
