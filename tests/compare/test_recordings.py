"""Recordings of what a guest did are replayed on the reference kernel, which must do the same."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import ConfigurationError
from harness.fleet.drivers import Drivers
from harness.fleet.replay import replay
from harness.guest import KernelOptions, LocalGuest
from harness.minifilter.recording import KEY, Recording, read_recording
from harness.report.compare import find_sides, recording_of

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
RECORDINGS = sorted((HERE / "recordings").glob("*.json"))
COMPLETED = "completion/test_completion.py::test_a_completed_create_goes_no_further_down"
THREADS = "pending/test_pending.py::test_every_pended_operation_is_resumed_once[thread]"


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recording]:
    """What tests of the suites did on the reference kernel, as their run has kept it."""
    folder = tmp_path_factory.mktemp("run")
    tests = [str(ROOT / "suites" / name) for name in (COMPLETED, THREADS)]
    command = [sys.executable, "-P", "-m", "pytest", *tests, "--guest", "reference-local"]
    subprocess.run(
        [*command, "--out", str(folder / "run"), "-p", "no:cacheprovider", "-q", "-c", str(ROOT / "pyproject.toml")],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    side, _ = find_sides([f"{folder / 'run'}:reference-local"] * 2, folder)
    found = (recording_of(side, record, "made by hand, by this test") for record in side.records.values())
    return {recording.test.removeprefix("suites/"): recording for recording in found}


@pytest.fixture
def recording(recordings: dict[str, Recording]) -> Recording:
    return recordings[COMPLETED]


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_the_reference_kernel_does_what_was_recorded(path: Path, tmp_path: Path):
    with LocalGuest(tmp_path) as guest:
        assert replay(read_recording(path), guest, Drivers([])) == []


def test_a_recording_is_read_as_it_was_written(recording: Recording, tmp_path: Path):
    path = tmp_path / "recording.json"
    path.write_text(recording.to_json())

    assert json.loads(recording.to_json())[KEY] == 1
    assert read_recording(path) == recording
    assert any(".pre CREATE IRP" in line and "COMPLETE" in line for line in recording.io[0].callbacks)


def test_the_same_kernel_replays_it_with_another_seed_and_a_broken_one_does_not(recording: Recording, tmp_path: Path):
    with LocalGuest(tmp_path / "whole", kernel=KernelOptions(seed=7)) as guest:
        assert replay(recording, guest, Drivers([])) == []
    with LocalGuest(tmp_path / "broken", kernel=KernelOptions(mutants=("completed-goes-down",))) as guest:
        different = replay(recording, guest, Drivers([]))

    assert different[0] == "I/O 1"
    assert any(line.startswith("+ below.pre CREATE") for line in different)


def test_what_threads_did_is_replayed_whatever_the_scheduler_chose(recordings: dict[str, Recording], tmp_path: Path):
    with LocalGuest(tmp_path, kernel=KernelOptions(seed=5)) as guest:
        assert replay(recordings[THREADS], guest, Drivers([])) == []


@pytest.mark.parametrize("text", ["", "{}", '{"fltlab-recording": 2}', '{"fltlab-recording": 1, "io": []}'])
def test_a_file_that_is_no_recording_is_wrong_use(text: str, tmp_path: Path):
    path = tmp_path / "x.json"
    path.write_text(text)

    with pytest.raises(ConfigurationError, match="is no recording"):
        read_recording(path)
