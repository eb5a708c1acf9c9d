"""Byte-range locks that a minifilter keeps itself, and the routines that it is told by (locker/locker.c)."""

from pathlib import Path

from harness.minifilter.probe import parse_probe
from harness.nt import NtStatus
from tests.reference.minifilters import Minifilters

SCRIPT = rb"""
open f V:\lock.bin access=rw disposition=create options=overlapped
open g V:\lock.bin access=rw options=overlapped
lock f offset=0 length=8 key=3
lock g offset=4 length=8 wait async=l
lock g offset=4 length=8 wait async=c
cancel g async=c
wait c
unlock f offset=0 length=8 key=3
wait l
unlock g offset=4 length=8
lock f offset=60 length=10
lock g offset=66 length=1 wait async=refused
unlock f offset=60 length=10
wait refused
lock f offset=66 length=1
"""
CANCELLED, NO_ROOM = int(NtStatus.CANCELLED), int(NtStatus.INSUFFICIENT_RESOURCES)


def test_a_filter_is_told_what_becomes_of_irps_and_what_is_unlocked(tmp_path: Path) -> None:
    locker = Minifilters(Path(__file__).parent, tmp_path, {"locker": {"one": "370090"}})
    result = parse_probe(locker.run(SCRIPT).stdout.decode())

    assert [line.rstrip() for line in locker.kernel.log] == [
        f"completed 1 at 4: {CANCELLED:08x}, context 4711",
        "unlocked 0 to 7, exclusive 1, key 3, context 4711",
        "completed 1 at 4: 00000000, context 4711",
        "unlocked 4 to 11, exclusive 1, key 0, context 4711",
        "unlocked 60 to 69, exclusive 1, key 0, context 4711",
        "completed 1 at 66: 00000000, context 4711",
    ]
    assert [step.status for step in result.steps if step.verb == "wait"] == [CANCELLED, 0, NO_ROOM]
    assert result.steps[-1].status == 0, "what its completion routine refused is not locked"
    assert locker.unload() == []
