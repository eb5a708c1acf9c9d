"""Exports of the filter manager that no other driver of ours calls, each called from machine code (asker/asker.c)."""

from pathlib import Path

import pytest

from harness.minifilter.build import SUPPORT, build_drivers
from harness.nt import NtStatus
from harness.reference.process.host import Host
from harness.reference.windows.kernel import Kernel
from harness.wire import kernel as wire

OK = int(NtStatus.SUCCESS)
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


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Kernel:
    folder = tmp_path_factory.mktemp("asker")
    driver = build_drivers(Path(__file__).parent, folder / "out")["asker"].sys
    probe = build_drivers(SUPPORT, SUPPORT.parent / "build" / "drivers", ["fltprobe"])["fltprobe"].sys
    (folder / "volume").mkdir()
    system = Kernel(volumes={"V:": folder / "volume"}, seed=1)
    host = Host(system)

    def ask(request: wire.Request) -> None:
        answer = host.answer(request)
        assert not isinstance(answer, wire.Refused | wire.Stopped), answer

    instance = {"Altitude": {"type": "REG_SZ", "value": "370090"}, "Flags": {"type": "REG_DWORD", "value": 0}}
    instances = {"DefaultInstance": {"type": "REG_SZ", "value": "asker"}, "asker": {"key": instance}}
    system.registry.load(f"{system.registry.SERVICES}\\asker", {"Instances": {"key": instances}})
    system.service_images["asker"] = driver
    ask(wire.Load("asker"))
    ask(wire.Run(str(probe), (), b"open f V:\\ask.bin access=rw disposition=create\nclose f\n"))
    ask(wire.Unload("asker"))
    return system


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
