"""What a dispatch or completion routine returns is held against what becomes of its IRP."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.minifilter.build import SUPPORT, BuiltDriver, build_drivers
from harness.reference.process.host import Host
from harness.wire import kernel as wire
from tests.reference.volumes.conftest import Machine

DISPATCH = "IRP_MJ_DEVICE_CONTROL: its dispatch routine "
NOT_MARKED = DISPATCH + "returned STATUS_PENDING for an IRP that it has not marked (IoMarkIrpPending)"
MARKED = DISPATCH + "marked an IRP pending and returned 0x00000000 SUCCESS instead of STATUS_PENDING"
OTHER = DISPATCH + "returned 0xC0000225 NOT_FOUND for an IRP that was completed with 0x00000000 SUCCESS"
KEPT = DISPATCH + "returned 0x00000000 SUCCESS for an IRP that is not completed, instead of STATUS_PENDING"
COMPLETION = (
    "its completion routine returned 0xC0000001 UNSUCCESSFUL: it is STATUS_CONTINUE_COMPLETION or"
    " STATUS_MORE_PROCESSING_REQUIRED"
)


def code(function: int) -> str:
    return f"{0x22 << 16 | function << 2:#x}"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, BuiltDriver]:
    ours = build_drivers(Path(__file__).parent, tmp_path_factory.mktemp("wrong"), ["wrong-answers"])
    return {**ours, **build_drivers(SUPPORT, SUPPORT.parent / "build" / "drivers", ["fltprobe"])}


@pytest.fixture
def machine(tmp_path: Path, built: Mapping[str, BuiltDriver]) -> Machine:
    (tmp_path / "V").mkdir()
    made = Machine(built, volumes={"V:": tmp_path / "V"})
    made.load("wrong-answers")
    return made


@pytest.mark.parametrize(
    ("function", "findings"),
    [
        (0x801, [NOT_MARKED]),
        (0x802, [MARKED]),
        (0x803, [OTHER]),
        (0x804, [KEPT]),
        (0x806, [COMPLETION]),
        (0x807, []),
        (0x810, []),
    ],
)
def test_a_wrong_answer_is_a_finding_that_names_the_driver(machine: Machine, function: int, findings) -> None:
    machine.play(
        rf"""
        open d \Device\Wrong access=rw options=overlapped => SUCCESS
        ioctl d code={code(function)} async=one
        ioctl d code={code(0x805)} => SUCCESS
        wait one => SUCCESS
        close d => SUCCESS
        """
    )
    found = machine.kernel.verifier.findings
    assert sorted({finding.text for finding in found}) == sorted(findings)
    assert {finding.driver for finding in found} <= {"fltlab-wrong-answers"}


@pytest.mark.parametrize(
    ("function", "said"), [(0x808, "IofCompleteRequest"), (0x809, "is freed as an IRP, and is none")]
)
def test_completing_or_freeing_twice_is_a_bug_check_of_the_driver(
    machine: Machine, built: Mapping[str, BuiltDriver], function: int, said: str
) -> None:
    script = rf"open d \Device\Wrong access=rw{chr(10)}ioctl d code={code(function)}".encode()
    answer = Host(machine.kernel).answer(wire.Run(str(built["fltprobe"].sys), (), script))
    assert isinstance(answer, wire.Stopped)
    assert answer.state.stop is not None
    assert (answer.state.stop.name, answer.state.stop.driver) == (
        "MULTIPLE_IRP_COMPLETE_REQUESTS",
        "fltlab-wrong-answers",
    )
    assert said in answer.state.stop.message
