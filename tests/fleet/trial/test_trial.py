"""`fltlab try` as its user meets it: a page, an exit code, and why a driver could not be run."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli.main import main
from harness.fleet.drivers import build_alone
from harness.fleet.trial import page, trial
from harness.fleet.trial.candidate import find_candidate
from harness.fleet.trial.sightings import Sightings
from harness.fleet.trial.trial import try_driver
from harness.fleet.trial.verdict import Ended, TrialOptions, Verdict
from harness.fleet.trial.workload import WORKLOAD
from harness.minifilter.package import AllowedChange, load_package
from harness.minifilter.registry import RegistryValue
from harness.nt import IrpMajor, OperationClass

HERE = Path(__file__).parent
SOME = TrialOptions(parts=(WORKLOAD[0], WORKLOAD[-1]))


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built driver and its INF."""
    folder = tmp_path_factory.mktemp("release")
    shutil.copy(build_alone(load_package(HERE / "refuser" / "driver.yaml")).sys, folder / "refuser.sys")
    shutil.copy(HERE / "refuser" / "refuser.inf", folder)
    return folder


@pytest.fixture(scope="module")
def verdict(release: Path) -> Verdict:
    return try_driver(find_candidate(release), SOME)


def test_a_driver_with_an_inf_is_run_as_its_inf_says(verdict: Verdict) -> None:
    assert (verdict.loaded, verdict.attached, verdict.unloaded) == ("yes", "at 365432.5", "yes")
    assert (verdict.parts, verdict.findings, verdict.leaks) == (2, [], [])
    assert "InstanceQueryTeardown" in verdict.detached


def test_what_it_changes_is_told_and_nothing_else(verdict: Verdict) -> None:
    assert {change.first.file for change in verdict.changes} == {r"V:\create\two.txt"}
    assert verdict.changes[0].words.startswith(r"open V:\create\two.txt: status 0x00000000 SUCCESS became 0xC0000022")
    assert verdict.ended is Ended.FINDINGS


def test_what_it_is_meant_to_change_is_no_finding(verdict: Verdict) -> None:
    package = verdict.candidate.package.model_copy(update={"changes": (AllowedChange(file="*two.txt", why="refuses"),)})
    meant = Verdict(find_candidate(HERE / "refuser"), SOME, verdict.kind, loaded="yes")
    object.__setattr__(meant.candidate, "package", package)
    meant.differences = verdict.differences

    assert meant.ended is Ended.CLEAN
    assert {change.allowed for change in meant.changes} == {"refuses"}


def test_its_callbacks_are_seen_and_counted(verdict: Verdict) -> None:
    ((name, seen),) = verdict.sightings.rows().items()

    assert name == "CREATE"
    assert seen.pre > 30
    assert seen.returned["COMPLETE"] == seen.stopped == 3
    assert seen.returned["SUCCESS_NO_CALLBACK"] == seen.pre - 3


@pytest.mark.parametrize(
    "attached", ["at 365432.5", "no: fltmc attach is answered 0x801f000f: Do not attach the filter to the volume."]
)
def test_the_page_fits_a_terminal(verdict: Verdict, attached: str) -> None:
    told = replace(verdict, attached=attached)
    lines = page.page(told, trial.needs_of(verdict.candidate, SOME)).splitlines()

    assert len(lines) <= 40
    assert max(map(len, lines)) <= page.WIDTH
    assert lines[-1].startswith("findings, ")


def test_what_callbacks_change_and_how_long_they_pend_is_told(verdict: Verdict) -> None:
    tried = replace(verdict, sightings=Sightings(by_kernel=True))
    row = tried.sightings.of(IrpMajor.READ, OperationClass.IRP)
    row.pre, row.pends = 3, [20, 40_000]
    row.changed.update([("pre", "buffer"), ("pre", "mdl"), ("pre", "mdl")])

    lines = page.page(tried, None).splitlines()

    assert "changed in read pre: buffer (1), mdl (2)" in lines
    assert "pended     read 2 times, 2.0 ms each, 4.0 ms at most" in lines


def test_what_the_filter_manager_refused_stands_under_the_change_that_comes_of_it(verdict: Verdict) -> None:
    told = replace(verdict, refusals={"create": ("FltFoo answers FALSE: because",), "cached": ("something else",)})

    lines = page.page(told, None).splitlines()

    assert "    there: FltFoo answers FALSE: because" in lines
    assert not [line for line in lines if "something else" in line]


def test_a_driver_that_lacks_a_value_is_told_which(
    release: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(release / "refuser.sys", tmp_path)

    assert main(["try", str(tmp_path / "refuser.sys"), "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert told["ended"] == "could-not-run"
    assert told["loaded"] == "no"
    assert "the value Refuse of the key Parameters" in told["stop"]


def test_what_a_driver_leaves_that_fails_to_load_is_on_the_page_and_a_directory_is_checked_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "quitter.c").write_text(r"""
#include <fltkernel.h>
static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_OPERATION_END}};
static const FLT_REGISTRATION Registration = {sizeof(Registration), FLT_REGISTRATION_VERSION, 0, NULL, Operations};
NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    static PFLT_FILTER Filter;
    static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\??\\C:\\no such\\settings.txt");
    OBJECT_ATTRIBUTES Attributes = RTL_CONSTANT_OBJECT_ATTRIBUTES(&Name, OBJ_KERNEL_HANDLE);
    IO_STATUS_BLOCK Block;
    HANDLE File;

    ZwOpenFile(&File, GENERIC_READ, &Attributes, &Block, FILE_SHARE_READ, 0);
    FltRegisterFilter(DriverObject, &Registration, &Filter);
    return RegistryPath->Length == 0 ? STATUS_SUCCESS : STATUS_OBJECT_PATH_SYNTAX_BAD;
}
""")

    assert main(["try", str(tmp_path)]) == 3
    told = " ".join(capsys.readouterr().out.split())
    assert "findings REG-16: its DriverEntry has failed and left the filter registered" in told
    assert told.index("REG-16") < told.index("could not be loaded")
    assert r"try: it opened in vain \??\C:\no such\settings.txt, which no driver can count on" in told

    assert main(["drivers", "check", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path}: ok\n"
    assert main(["kernel", "imports", str(tmp_path)]) == 0
    assert "imports, all implemented" in capsys.readouterr().out


def test_a_driver_that_attaches_itself_where_it_was_before_is_not_attached_twice(tmp_path: Path) -> None:
    """It refuses what nobody has asked for, until it was attached by hand once."""
    inf = (HERE / "refuser" / "refuser.inf").read_text()
    (tmp_path / "homing.inf").write_text(inf.replace("refuser", "homing").replace("RefuserService", "homing"))
    (tmp_path / "homing.c").write_text(r"""
#include <fltkernel.h>
static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_OPERATION_END}};
static PFLT_FILTER Filter;
static NTSTATUS FLTAPI Setup(PCFLT_RELATED_OBJECTS Objects, FLT_INSTANCE_SETUP_FLAGS Flags, DEVICE_TYPE Device,
                             FLT_FILESYSTEM_TYPE Type)
{
    if (Flags & FLTFL_INSTANCE_SETUP_MANUAL_ATTACHMENT) {
        return RtlCreateRegistryKey(RTL_REGISTRY_SERVICES, L"homing\\Home");
    }
    return NT_SUCCESS(RtlCheckRegistryKey(RTL_REGISTRY_SERVICES, L"homing\\Home")) ? STATUS_SUCCESS
                                                                                  : STATUS_FLT_DO_NOT_ATTACH;
}
static NTSTATUS FLTAPI Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}
static const FLT_REGISTRATION Registration = {
    sizeof(Registration), FLT_REGISTRATION_VERSION, 0, NULL, Operations, Unload, Setup};
NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status = FltRegisterFilter(DriverObject, &Registration, &Filter);

    return NT_SUCCESS(Status) ? FltStartFiltering(Filter) : Status;
}
""")

    found = try_driver(find_candidate(tmp_path), SOME)

    assert found.attached == "at 365432.5, by fltmc attach alone"
    assert (found.stop, found.hard[0]) == (None, "unload under load: done")


def test_a_registry_of_ones_own_is_there(release: Path, tmp_path: Path) -> None:
    shutil.copy(release / "refuser.sys", tmp_path)
    key = r"HKLM\SYSTEM\CurrentControlSet\Services\refuser\Parameters"
    options = TrialOptions(parts=(), registry=(RegistryValue(key, "Refuse", "REG_SZ", "nothing.txt"),))

    found = try_driver(find_candidate(tmp_path), options)

    assert (found.loaded, found.unloaded, found.ended) == ("yes", "yes", Ended.CLEAN)


def test_wrong_use_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["try", str(tmp_path)]) == 2
    assert "has no driver" in capsys.readouterr().err
    assert main(["try", str(HERE / "refuser"), "--service", "svc.exe"]) == 2
    assert main(["try", str(HERE / "refuser"), "--guest", "refrence"]) == 2


def test_the_service_dies_in_the_middle_of_io_and_everything_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    found = try_driver(find_candidate(HERE.parents[2] / "docs" / "examples" / "scanner"), replace(SOME, parts=()))

    assert found.ended is Ended.CLEAN, page.page(found, None)
    assert found.hard[1] == "death of its service under I/O: done, 0 of 193 steps failed"


def test_a_driver_that_does_not_look_whether_it_got_memory_is_found_out(tmp_path: Path) -> None:
    """It does its work well while there is memory: only the hard part tells."""
    found = try_driver(find_candidate(HERE / "careless"), SOME)

    assert found.attached == "at 370040, by fltmc attach alone"
    assert found.differences == []
    assert found.hard[0] == "unload under load: done"
    assert found.stage == "low resources"
    assert found.ended is Ended.FINDINGS
    assert "careless" in str(found.stop)
    told = " ".join(page.page(found, None).split())
    assert "during low resources" in told
    assert re.search(r"careless\+0x[0-9a-f]+ \w+ \[[^]]*careless\.c:\d+\]", told)


_ELSEWHERE = r"""
#include <fltkernel.h>
static PFLT_FILTER Filter;
static FLT_PREOP_CALLBACK_STATUS FLTAPI Pre(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}
static const FLT_OPERATION_REGISTRATION Operations[] = {{OPERATION, 0, Pre, NULL}, {IRP_MJ_OPERATION_END}};
static NTSTATUS FLTAPI Setup(PCFLT_RELATED_OBJECTS Objects, FLT_INSTANCE_SETUP_FLAGS Flags, DEVICE_TYPE Device,
                             FLT_FILESYSTEM_TYPE FileSystem)
{
    PDEVICE_OBJECT Disk;
    UNICODE_STRING Letter;
    BOOLEAN Wanted = FALSE;

    if (OPERATION != IRP_MJ_CREATE) {
        return STATUS_SUCCESS;
    }
    if (NT_SUCCESS(FltGetDiskDeviceObject(Objects->Volume, &Disk))) {
        if (NT_SUCCESS(IoVolumeDeviceToDosName(Disk, &Letter))) {
            Wanted = Letter.Buffer[0] == L'C';
            ExFreePool(Letter.Buffer);
        }
        ObDereferenceObject(Disk);
    }
    return Wanted ? STATUS_SUCCESS : STATUS_FLT_DO_NOT_ATTACH;
}
static NTSTATUS FLTAPI Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    FltUnregisterFilter(Filter);
    return STATUS_SUCCESS;
}
static const FLT_REGISTRATION Registration = {
    .Size = sizeof(Registration), .Version = FLT_REGISTRATION_VERSION, .Flags = FLTFL_REGISTRATION_SUPPORT_NPFS_MSFS,
    .OperationRegistration = Operations, .FilterUnloadCallback = Unload, .InstanceSetupCallback = Setup};
NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    if (NT_SUCCESS(Status)) {
        Status = FltStartFiltering(Filter);
    }
    return Status;
}
"""


@pytest.mark.parametrize(
    ("operation", "inf", "seen"),
    [
        ("IRP_MJ_CREATE", True, "it is attached to C: alone, and the workload is on V:"),
        ("IRP_MJ_SHUTDOWN", False, "it is registered for shutdown alone; it is registered for named pipes"),
    ],
    ids=["on another volume", "for what does not come"],
)
def test_a_driver_that_was_shown_nothing_is_not_clean(tmp_path: Path, operation: str, inf: bool, seen: str) -> None:
    (tmp_path / "elsewhere.c").write_text(f"#define OPERATION {operation}\n{_ELSEWHERE}")
    given = ""
    if inf:
        text = (HERE / "careless" / "careless.inf").read_text(encoding="utf-8")
        (tmp_path / "elsewhere.inf").write_text(text.replace("careless", "elsewhere"), encoding="utf-8")
        given = "inf: elsewhere.inf\n"
    (tmp_path / "driver.yaml").write_text(
        f"name: elsewhere\ndescription: is not where the workload is\nsources: [elsewhere.c]\ncontrol: none\n{given}"
    )

    found = try_driver(find_candidate(tmp_path), replace(SOME, parts=(WORKLOAD[0],), hard=False))

    told = " ".join(page.page(found, None).split())
    assert found.ended is Ended.SAW_NOTHING
    assert int(found.ended.code) == 3
    assert f"seen nothing: {seen}" in told
    assert "named pipes and mailslots, too, whose volumes a reference guest does not have" in told
    assert told.split("changes")[-1].count("saw nothing, ") == 1
    assert page.as_json(found, None)["ended"] == "saw-nothing"


def test_a_bug_check_in_a_drivers_load_tells_what_the_registry_lacked(tmp_path: Path) -> None:
    (tmp_path / "trusting.c").write_text(r"""
#include <fltkernel.h>
static PFLT_FILTER Filter;
static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_OPERATION_END}};
static const FLT_REGISTRATION Registration = {sizeof(Registration), FLT_REGISTRATION_VERSION, 0, NULL, Operations};
NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    static UNICODE_STRING Name = RTL_CONSTANT_STRING(L"ProtectedPath");
    OBJECT_ATTRIBUTES Attributes = RTL_CONSTANT_OBJECT_ATTRIBUTES(RegistryPath, OBJ_KERNEL_HANDLE);
    PKEY_VALUE_PARTIAL_INFORMATION Value = NULL;
    ULONG Length = 0;
    HANDLE Key;

    if (NT_SUCCESS(ZwOpenKey(&Key, KEY_READ, &Attributes))) {
        if (ZwQueryValueKey(Key, &Name, KeyValuePartialInformation, NULL, 0, &Length) == STATUS_BUFFER_TOO_SMALL) {
            Value = ExAllocatePoolWithTag(PagedPool, Length, 'tsuT');
        }
        ZwClose(Key);
    }
    if (Value->DataLength == 0) { /* whatever came */
        return STATUS_INVALID_PARAMETER;
    }
    return FltRegisterFilter(DriverObject, &Registration, &Filter);
}
""")

    found = try_driver(find_candidate(tmp_path), SOME)

    assert found.ended is Ended.FINDINGS
    told = " ".join(page.page(found, None).split())
    assert "while it was loaded it asked the registry in vain for the value ProtectedPath of the key" in told
