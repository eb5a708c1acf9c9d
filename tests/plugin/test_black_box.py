"""A minifilter that records nothing itself has its lane in every trace: the reference kernel has seen its callbacks."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.minifilter.events import Phase
from harness.nt import IrpMajor, NtStatus, PreopStatus
from harness.report.picture import picture_of
from harness.wire.trace import Callback, Operation, Trace, read_trace

HERE = Path(__file__).parent / "black_box"
RUN = [sys.executable, "-P", "-m", "harness.cli", "run", "--guest", "reference-local", "-p", "no:cacheprovider"]


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trace]:
    """The traces of the two tests, by their names."""
    directory = tmp_path_factory.mktemp("black-box")
    words = [str(HERE / "veiled_suite.py"), "--drivers", str(HERE / "drivers"), "--out", str(directory / "run")]
    done = subprocess.run([*RUN, *words], cwd=directory, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = [read_trace(path) for path in (directory / "run").rglob("trace.jsonl")]
    return {trace.header.test.rpartition("::")[2]: trace for trace in found}


@pytest.fixture(params=["test_alone", "test_between_observers"])
def trace(request: pytest.FixtureRequest, traces: dict[str, Trace]) -> Trace:
    return traces[request.param]


def of(trace: Trace, major: IrpMajor, phase: Phase, name: str) -> tuple[Operation, Callback]:
    """The callback that the kernel has seen, and its operation."""
    names = {operation.id: operation for operation in trace.operations if operation.name == name}
    (found,) = (
        item
        for item in trace.callbacks
        if item.source == "kernel" and (item.major, item.phase) == (major, phase) and item.operation in names
    )
    return names[found.operation], found


def test_a_completion_is_seen_with_its_status(trace: Trace):
    operation, pre = of(trace, IrpMajor.CREATE, Phase.PRE, "no.denied")

    assert (pre.returned, pre.status) == (PreopStatus.COMPLETE, NtStatus.ACCESS_DENIED)
    assert (pre.filter, operation.prepares) == ("veiled", False)


def test_what_it_changes_is_seen_with_what_it_was(trace: Trace):
    _, pre = of(trace, IrpMajor.READ, Phase.PRE, "yes.txt")
    _, post = of(trace, IrpMajor.READ, Phase.POST, "yes.txt")

    assert (pre.length, pre.changed) == (16, {"length": 4096})
    assert post.thread


def test_what_it_pends_is_a_span(trace: Trace):
    _, pre = of(trace, IrpMajor.WRITE, Phase.PRE, "yes.txt")
    _, resumed = of(trace, IrpMajor.WRITE, Phase.RESUME_PRE, "yes.txt")

    assert pre.returned == PreopStatus.PENDING
    (span,) = (span for span in trace.pended if span.filter == "veiled")
    assert (span.begin, span.end) == (pre.id, resumed.id)
    assert resumed.thread != pre.thread


def test_what_it_prints_is_kept_whether_or_not_another_captures_it(trace: Trace):
    names = {operation.id: operation.name for operation in trace.operations}
    loaded, *denied = [item for item in trace.prints if item.text.startswith("veiled")]

    assert (loaded.text, loaded.before) == ("veiled: loaded\n", True)
    assert {item.text for item in denied} == {"veiled: denied\n"}
    assert not any(item.before for item in denied)
    assert names[denied[-1].operation] == "no.denied"


def test_its_unload_is_seen(trace: Trace):
    unload = [item for item in trace.callbacks if item.filter == "veiled" and item.phase == Phase.UNLOAD]

    assert [(item.returned, item.operation) for item in unload] == [(0, 0)]


def test_the_picture_says_who_has_seen_it(trace: Trace):
    picture = picture_of(trace)

    seen = {lane["label"]: lane.get("seen_by") for lane in picture["lanes"]}
    assert seen.pop("veiled") == "the kernel"
    assert set(seen.values()) <= {None}


def test_what_an_observer_records_is_not_called_a_change_of_its_own(traces: dict[str, Trace]):
    trace = traces["test_between_observers"]
    operation, _ = of(trace, IrpMajor.READ, Phase.PRE, "yes.txt")

    below = [item for item in trace.callbacks if item.operation == operation.id and item.filter == "below"]
    assert below[0].length == 16
    assert below[0].changed == {}
