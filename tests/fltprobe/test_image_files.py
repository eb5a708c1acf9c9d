"""Programs that lie on a volume: what its filters see of a start, and what the file cannot suffer while it runs."""

from shutil import copy

import pytest

from harness.nt import IrpMajor, NtStatus
from harness.reference.machine.loader.loader import LoadError
from harness.wire import kernel as wire
from harness.wire import programs
from harness.wire.trace import Phase
from tests.fltprobe.conftest import Bench

IMAGE_OPERATIONS = [
    *(IrpMajor.CREATE, IrpMajor.ACQUIRE_FOR_SECTION_SYNCHRONIZATION, IrpMajor.RELEASE_FOR_SECTION_SYNCHRONIZATION),
    *(IrpMajor.READ, IrpMajor.CLEANUP),
]
"""In this order; the close comes when nothing runs from the file any more."""


def test_a_start_opens_the_image_maps_it_and_reads_it(bench: Bench) -> None:
    tool = bench.volume / "tool.exe"
    copy(bench.built["fltprobe"].sys, tool)
    bench.load("observer")
    bench.ask(wire.Watch(("fltlab-observer",)))

    ended = bench.ask(wire.Run(str(tool), (), b"sleep 1\n"))

    assert ended.exit_code == 0
    seen = [call for call in ended.seen.callbacks if call.phase == Phase.PRE]
    majors = [call.major for call in seen]
    assert [major for at, major in enumerate(majors) if major not in majors[:at]] == IMAGE_OPERATIONS


def test_a_file_that_runs_is_not_written_or_deleted(bench: Bench) -> None:
    tool = bench.volume / "tool.exe"
    copy(bench.built["fltprobe"].sys, tool)
    running = bench.ask(programs.Start(str(tool), (), b"sleep 60000\n"))
    script = r"""
        open w V:\tool.exe access=write
        open d V:\tool.exe access=delete
        set d class=disposition value=1
        close d
    """

    assert bench.run(script).statuses() == [
        *(NtStatus.SHARING_VIOLATION, NtStatus.SUCCESS, NtStatus.CANNOT_DELETE, NtStatus.SUCCESS),
    ]
    bench.ask(programs.End(running.process, 0))
    assert bench.run(script).statuses("set") == [NtStatus.SUCCESS]


def test_what_is_no_image_does_not_start(bench: Bench) -> None:
    text = bench.volume / "text.exe"
    text.write_bytes(b"this is no image")

    with pytest.raises(LoadError) as refused:
        bench.system.programs.start(str(text), b"")

    assert refused.value.status == NtStatus.INVALID_IMAGE_NOT_MZ
