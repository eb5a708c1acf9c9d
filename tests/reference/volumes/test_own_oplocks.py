"""A minifilter's own OPLOCK and notify list: who holds, who waits, who is told, and when."""

from collections.abc import Callable

import pytest

from harness.wire import kernel as wire
from tests.reference.volumes.conftest import Machine

BATCH, ACKNOWLEDGE, LEVEL_2, REQUEST = "0x90008", "0x9000C", "0x90004", "0x90240"


@pytest.fixture
def kept(machine: Callable[..., Machine]) -> Machine:
    made = machine()
    made.load("keeper")
    return made


def told(machine: Machine) -> list[str]:
    return [line.split(" ", 1)[1].strip() for line in machine.kernel.log if line.startswith("keeper ")]


def test_an_open_waits_in_the_filter_until_its_batch_oplock_is_acknowledged(kept: Machine) -> None:
    result = kept.play(
        rf"""
        open a V:\own.bin disposition=create access=rw options=overlapped => SUCCESS
        fsctl a code={BATCH} async=held => PENDING
        spawn second open b V:\own.bin access=read
        wait held => SUCCESS
        sleep 10
        fsctl a code={ACKNOWLEDGE} async=lower => PENDING
        wait second => SUCCESS
        write a offset=0 length=16 => SUCCESS
        wait lower => SUCCESS
        close a => SUCCESS
        """
    )
    held, lower = (step for step in result.all("wait") if step.name in ("held", "lower"))
    assert (held.information, lower.information) == (7, 8)  # FILE_OPLOCK_BROKEN_TO_LEVEL_2, _TO_NONE
    kept.ask(wire.Unload("keeper"))
    assert told(kept) == [
        "shared 0",
        "before 0001",
        "after 1111",
        "pends 0",
        "shared 0",
        "before 1110",
        "break-over 0",
        "after 1000",
        "waits 1",
        "filtered 0",
    ]
    assert kept.findings == []


def test_an_oplock_is_taken_back_by_cancelling_and_refused_to_a_second(kept: Machine) -> None:
    kept.play(
        rf"""
        open a V:\own.bin disposition=create access=rw options=overlapped => SUCCESS
        fsctl a code={BATCH} async=held => PENDING
        cancel a async=held => SUCCESS
        wait held => CANCELLED
        open b V:\own.bin access=rw options=overlapped => SUCCESS
        fsctl b code={BATCH} async=second => OPLOCK_NOT_GRANTED
        fsctl b code={LEVEL_2} async=shared => PENDING
        write a offset=0 length=16 => SUCCESS
        wait shared => SUCCESS
        fsctl a code=0x90018 => INVALID_PARAMETER
        """
    )
    assert "shared 1" in told(kept)
    assert kept.findings == []


def test_a_directory_is_watched_by_the_filters_own_list(kept: Machine) -> None:
    result = kept.play(
        r"""
        open d V:\watched disposition=create access=list options=directory,overlapped => SUCCESS
        notify d filter=0x1 async=one => PENDING
        open f V:\watched\new.txt disposition=create => SUCCESS
        wait one => SUCCESS
        notify d filter=0x1 async=two => PENDING
        cancel d async=two => SUCCESS
        wait two => CANCELLED
        notify d filter=0x1 async=three => PENDING
        close d => SUCCESS
        wait three => NOTIFY_CLEANUP
        """
    )
    record = next(step for step in result.all("wait") if step.name == "one").data
    assert record[4:8] == (1).to_bytes(4, "little")
    assert record[12 : 12 + int.from_bytes(record[8:12], "little")].decode("utf-16-le") == "new.txt"
    kept.ask(wire.Unload("keeper"))
    assert told(kept)[-1] == "filtered 1"
    assert kept.findings == []
