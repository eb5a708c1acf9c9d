"""Waits of a minifilter for the break of an oplock that it keeps itself (waiter/waiter.c)."""

from pathlib import Path

from harness.minifilter.probe import parse_probe
from harness.nt import NtStatus
from tests.reference.minifilters import Minifilters

HERE = Path(__file__).parent
CANCELLED = int(NtStatus.CANCELLED)
WAIT = rb"""
open f V:\wait.bin access=rw disposition=create options=overlapped
oplock f level=batch async=held
spawn other open g V:\wait.bin access=rw
wait held
acknowledge-oplock f no-2
wait other
close g
oplock f level=batch async=again
spawn ended open h V:\wait.bin access=rw
wait again
sleep 50
cancel-synchronous ended
wait ended
close f
"""


def test_a_wait_for_an_oplock_tells_how_it_has_ended(tmp_path: Path) -> None:
    waiter = Minifilters(HERE, tmp_path, {"waiter": {"one": "370090"}})
    result = parse_probe(waiter.run(WAIT).stdout.decode())

    assert [line.rstrip() for line in waiter.kernel.log] == [
        "waited 0: 00000000, context 17",
        f"waited 0: {CANCELLED:08x}, context 17",
    ]
    statuses = {step.name: step.status for step in result.steps if step.verb == "wait"}
    assert (statuses["other"], statuses["ended"]) == (0, CANCELLED)
    assert waiter.unload() == []


def test_a_caller_that_waits_itself_is_told_of_the_cancel(tmp_path: Path) -> None:
    waiter = Minifilters(HERE, tmp_path, {"waiter": {"one": "370090"}})
    result = parse_probe(
        waiter.run(rb"""
            open g V:\wait.bin access=rw disposition=create
            open f V:\wait.bin access=rw options=overlapped
            oplock f level=level-1 async=held
            spawn ended write g offset=0 length=4
            wait held
            sleep 50
            cancel-synchronous ended
            wait ended
        """).stdout.decode()
    )

    assert [line.rstrip() for line in waiter.kernel.log] == [f"write: {CANCELLED:08x}"]
    assert result.steps[-1].status == CANCELLED
    assert waiter.unload() == []
