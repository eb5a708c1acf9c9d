"""Exports of the filter manager that no other driver of ours calls, each called from machine code (asker/asker.c)."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from harness.nt import NtStatus
from harness.reference.windows.kernel import Kernel
from harness.wire import kernel as wire
from tests.reference.minifilters import Minifilters

OK = int(NtStatus.SUCCESS)
FILE_LOCK_CONFLICT, LOCK_NOT_GRANTED = int(NtStatus.FILE_LOCK_CONFLICT), int(NtStatus.LOCK_NOT_GRANTED)
ANSWERS = {
    "FltGetEcpListFromCallbackData": (OK, 0),
    "FltEnumerateFilters": (OK, 1),
    "FltEnumerateFilters-small": (NtStatus.BUFFER_TOO_SMALL, 1),
    "FltEnumerateInstances": (OK, 1),
    "FltEnumerateVolumes": (OK, 1),
    "FltGetTopInstance": (OK, 1),
    "FltGetBottomInstance": (OK, 1),
    "FltGetVolumeInstanceFromName": (OK, 1),
    "FltIsFltMgrVolumeDeviceObject": (OK, 1),
    "FltGetVolumeFromDeviceObject": (OK, 1),
    "FltGetFilterInformation": (OK, 1),
    "FltGetInstanceInformation": (OK, 2 * len("asker")),
    "FltGetInstanceInformation-small": (NtStatus.BUFFER_TOO_SMALL, 0),
    "FltEnumerateFilterInformation": (NtStatus.NO_MORE_ENTRIES, 0),
    "FltEnumerateInstanceInformationByFilter": (OK, 1),
    "FltEnumerateInstanceInformationByVolume": (OK, 1),
    "FltGetVolumeInformation": (OK, 1),
    "FltEnumerateVolumeInformation": (OK, 1),
    "FltIsDirectory": (OK, 0),
    "FltGetRequestorSessionId": (OK, 1),
    "FltIs32bitProcess": (OK, 0),
    "FltGetIoPriorityHint": (OK, 2),
    "FltSetIoPriorityHintIntoCallbackData": (OK, 1),
    "FltGetActivityIdCallbackData": (NtStatus.NOT_FOUND, 0),
    "FltSetActivityIdCallbackData": (OK, 1),
    "FltParseFileName": (OK, 2 * 3 * 10000 + 2 * 7 * 100 + 2 * 15),
    "FltCheckAndGrowNameControl": (OK, 64),
    "FltPurgeFileNameInformationCache": (OK, 0),
    "FltQuerySecurityObject": (NtStatus.BUFFER_TOO_SMALL, 1),
    "FltQueryEaFile": (NtStatus.NO_EAS_ON_FILE, 0),
    "FltFlushBuffers2": (OK, 0),
    "FltEnlistInTransaction": (NtStatus.NOT_SUPPORTED, 0),
    "FltAllocateCallbackData": (OK, 1),
    "FltPerformSynchronousIo": (OK, 0),
    "FltReuseCallbackData": (OK, 0),
    "FltAllocateExtraCreateParameterList": (OK, 0),
    "FltAllocateExtraCreateParameter": (OK, 0),
    "FltFindExtraCreateParameter-none": (NtStatus.NOT_FOUND, 0),
    "FltInsertExtraCreateParameter": (OK, 0),
    "FltFindExtraCreateParameter": (OK, 1),
    "FltGetNextExtraCreateParameter": (OK, 1),
    "FltIsEcpAcknowledged": (OK, 1),
    "FltPrepareToReuseEcp": (OK, 0),
    "FltIsEcpFromUserMode": (OK, 0),
    "EcpGone": (OK, 71),
}


SCAN = b"""
open f V:\\scan.bin access=rw disposition=create
lock f offset=0 length=100
open g V:\\scan.bin access=rw
read g offset=0 length=16
lock g offset=0 length=10
unlock f offset=0 length=100
read g offset=0 length=16
lock f offset=0 length=8
spawn w lock g offset=0 length=8 wait
sleep 50
unlock f offset=0 length=8
wait w
unlock g offset=0 length=8
close g
close f
"""
ASK = b"open f V:\\ask.bin access=rw disposition=create\nclose f\n"


def run_with(
    folder: Path, name: str, script: bytes, altitudes: Mapping[str, str] = MappingProxyType({"one": "370090"})
) -> tuple[Kernel, wire.Ended]:
    """Load a driver of this folder, run a script beside it, and unload it. `altitudes`: of its instances, by name."""
    minifilters = Minifilters(Path(__file__).parent, folder, {name: altitudes})
    ended = minifilters.run(script)
    minifilters.unload()
    return minifilters.kernel, ended


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    return run_with(tmp_path_factory.mktemp("asker"), "asker", ASK)[0]


@pytest.fixture(scope="module")
def answers(kernel: Kernel) -> dict[str, tuple[int, int]]:
    lines = [text.split() for text in kernel.log if text.startswith("asker ")]
    return {name: (int(status, 16), int(value)) for _, name, status, value in lines}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_export_answers_as_documented(answers: dict[str, tuple[int, int]], name: str) -> None:
    assert answers.get(name) == ANSWERS[name]


def test_every_call_that_was_made_is_judged(answers: dict[str, tuple[int, int]]) -> None:
    assert set(answers) == set(ANSWERS)


def test_nothing_is_left_behind(kernel: Kernel, answers: dict[str, tuple[int, int]]) -> None:
    del answers
    assert [finding.text for finding in kernel.verifier.findings] == []


def test_data_scans_locks_waits_priorities_and_volumes(tmp_path: Path) -> None:
    system, ended = run_with(tmp_path, "scanner", SCAN)

    assert [text for text in system.log if text.startswith("scanner: line")] == []
    assert any(text.startswith("scanner checked ") and int(text.split()[-1]) > 50 for text in system.log)
    statuses = [step["status"] for step in json.loads(ended.stdout)["steps"]]
    assert [statuses[index] for index in (1, 3, 4, 5, 6)] == [OK, FILE_LOCK_CONFLICT, LOCK_NOT_GRANTED, OK, OK]
    assert set(statuses[7:]) == {OK}
    assert system.volumes[0].label == "abc"
    assert [finding.text for finding in system.verifier.findings] == []


def test_contexts_locks_files_objects_and_callback_data(tmp_path: Path) -> None:
    script = (
        b"open f V:\\call.bin access=rw disposition=create\n"
        b"query f class=standard\nfsctl f code=0x9005C out=64\nclose f\n"
    )
    system, _ = run_with(tmp_path, "caller", script)

    assert [text for text in system.log if text.startswith("caller: line")] == []
    assert any(text.startswith("caller checked ") and int(text.split()[-1]) > 83 for text in system.log)
    assert [finding.text for finding in system.verifier.findings] == []


LINK_TO_TO = "0c0000a0280000000000120012000a00000000005c003f003f005c0056003a005c0074006f0056003a005c0074006f00"
"""A REPARSE_DATA_BUFFER: a symbolic link to V:\\to."""


EMPTY_ACL = "0200080000000000"


def test_own_opens_ignore_sharing_stop_on_links_and_ask_the_disk(tmp_path: Path) -> None:
    script = rf"""
        open t V:\to disposition=create
        open l V:\link access=rw disposition=create
        fsctl l code=0x900A4 hex={LINK_TO_TO}
        close l
        open s V:\shut access=0x1F01FF disposition=create
        set-security s information=4 hex=0100048000000000000000000000000014000000{EMPTY_ACL}
        close s
        open f V:\open.bin access=rw share=none disposition=create
        open g V:\second.bin access=rw share=none disposition=create
        open h V:\second.bin access=rw share=none
    """
    system, ended = run_with(tmp_path, "opener", script.encode())

    assert [text for text in system.log if text.startswith("opener: line")] == []
    assert any(text.startswith("opener checked ") and int(text.split()[-1]) > 30 for text in system.log)
    assert {step["status"] for step in json.loads(ended.stdout)["steps"]} == {OK}
    assert [finding.text for finding in system.verifier.findings] == []


def test_an_extra_create_parameter_reaches_the_instance_below_and_its_answer_comes_back(tmp_path: Path) -> None:
    script = b"open f V:\\first.bin access=rw disposition=create\nclose f\n"
    system, _ = run_with(tmp_path, "twofold", script, {"upper": "370090", "lower": "360090"})

    assert [text.strip() for text in system.log] == [
        "twofold lower \\other.bin 00000000 42 of 4",
        "twofold upper 00000000 acknowledged 1",
    ]
    assert [finding.text for finding in system.verifier.findings] == []


KEYED = b"""
open a V:\\keyed.bin access=rw disposition=create options=overlapped,sequential
fsctl a code=0x90240 hex=01000c000700000001000000 out=24 async=held
open b V:\\keyed.bin access=rw options=sequential
write b offset=0 length=4
spawn other open c V:\\keyed.bin access=rw
wait held
close a
wait other
close b
close c
open t V:\\tag.bin access=rw disposition=create
close t
"""


def test_opens_with_one_oplock_key_do_not_break_each_other_and_tags_have_owners(tmp_path: Path) -> None:
    system, ended = run_with(tmp_path, "keyed", KEYED)

    assert [text for text in system.log if text.startswith("keyed: line")] == []
    assert any(text.startswith("keyed checked ") and int(text.split()[-1]) > 25 for text in system.log)
    steps = {(step["verb"], step["name"]): step for step in json.loads(ended.stdout)["steps"]}
    assert [steps[key]["status"] for key in (("fsctl", "a"), ("open", "b"), ("write", "b"))] == [NtStatus.PENDING, 0, 0]
    assert steps["wait", "held"]["end"] > steps["write", "b"]["end"], "the open without the key has broken it"
    assert (steps["wait", "held"]["status"], steps["wait", "held"]["data"][8:16]) == (0, "07000000")
    assert [finding.text for finding in system.verifier.findings] == []


def test_a_retained_mdl_is_the_filters_to_free_and_its_own_operations_are_cancelled(tmp_path: Path) -> None:
    script = b"""
open d V:\\dir access=list disposition=create options=directory
open f V:\\a.bin access=rw disposition=create options=noncached
write f offset=0 length=512
read f offset=0 length=512
close f
close d
"""
    system, ended = run_with(tmp_path, "retainer", script)

    assert [text for text in system.log if text.startswith("retainer: line")] == []
    assert any(text.startswith("retainer checked ") and int(text.split()[-1]) > 7 for text in system.log)
    assert {step["status"] for step in json.loads(ended.stdout)["steps"]} == {OK}
    assert [finding.text for finding in system.verifier.findings] == []
