"""Notify routines: what a driver is told of a program that starts and ends, and how it stops one from starting."""

from shutil import copy

import pytest

from harness.minifilter.build import SUPPORT, build_drivers
from harness.reference.machine.loader.loader import LoadError
from harness.reference.windows.user.streams import InputPipe

SCRIPT = b"open f V:\\a access=rw disposition=open-if\nclose f\n"
DRIVER = r"""
EXPORT NTSTATUS Deny = 0;

static VOID NTAPI Process(PEPROCESS Object, HANDLE Id, PPS_CREATE_NOTIFY_INFO Info)
{
    PUNICODE_STRING Name;
    PFILE_OBJECT File;

    if (Info == NULL) {
        DbgPrint("process ends %d %x\n", PsGetProcessId(Object) == Id, PsGetProcessExitStatus(Object));
        return;
    }
    SeLocateProcessImageName(Object, &Name);
    DbgPrint("process %wZ | %wZ | %wZ | %d %Iu %d %u\n", Info->ImageFileName, Name, Info->CommandLine,
             Info->FileOpenNameAvailable, (SIZE_T)Info->ParentProcessId, Id == PsGetCurrentProcessId(),
             PsGetProcessSessionId(Object));
    ExFreePool(Name);
    CHECK(Info->CreatingThreadId.UniqueThread == PsGetCurrentThreadId());
    CHECK(PsReferenceProcessFilePointer(Object, &File) == STATUS_SUCCESS && File == Info->FileObject);
    DbgPrint("file %wZ %d\n", &File->FileName, File->ReadAccess);
    ObDereferenceObject(File);
    CHECK(PsReferenceProcessFilePointer(PsInitialSystemProcess, &File) == STATUS_UNSUCCESSFUL);
    Info->CreationStatus = Deny;
}

static VOID NTAPI Old(HANDLE Parent, HANDLE Id, BOOLEAN Create)
{
    DbgPrint("old %d %Iu %d\n", Create, (SIZE_T)Parent, Id != NULL);
}

static VOID NTAPI Image(PUNICODE_STRING Name, HANDLE Id, PIMAGE_INFO Info)
{
    PIMAGE_INFO_EX Extended = CONTAINING_RECORD(Info, IMAGE_INFO_EX, ImageInfo);

    CHECK(Info->ExtendedInfoPresent && Extended->Size == sizeof(*Extended));
    DbgPrint("image %wZ %d %d %wZ\n", Name, Id == PsGetCurrentProcessId(), Info->SystemModeImage,
             &Extended->FileObject->FileName);
}

EXPORT ULONG Register(void)
{
    CHECK(PsSetCreateProcessNotifyRoutineEx(Process, FALSE) == STATUS_SUCCESS);
    CHECK(PsSetCreateProcessNotifyRoutineEx(Process, FALSE) == STATUS_INVALID_PARAMETER);
    CHECK(PsSetCreateProcessNotifyRoutine(Old, FALSE) == STATUS_SUCCESS);
    CHECK(PsSetLoadImageNotifyRoutine(Image) == STATUS_SUCCESS);
    return Checks;
}

EXPORT ULONG Unregister(void)
{
    CHECK(PsSetCreateProcessNotifyRoutineEx(Process, TRUE) == STATUS_SUCCESS);
    CHECK(PsSetCreateProcessNotifyRoutineEx(Process, TRUE) == STATUS_PROCEDURE_NOT_FOUND);
    CHECK(PsSetCreateProcessNotifyRoutine(Old, TRUE) == STATUS_SUCCESS);
    CHECK(PsRemoveLoadImageNotifyRoutine(Image) == STATUS_SUCCESS);
    return Checks;
}
"""


def test_a_driver_is_told_of_programs_and_denies_one(load, tmp_path):
    probe = build_drivers(SUPPORT, SUPPORT.parent / "build" / "drivers", ["fltprobe"])["fltprobe"].sys
    machine = load(DRIVER, volumes={"V:": tmp_path})
    kernel = machine.kernel

    (tmp_path / "tools").mkdir()
    copy(probe, tmp_path / "tools" / "probe.exe")

    def run() -> int | None:
        program = kernel.programs.start("V:\\tools\\probe.exe", b"", (), InputPipe(SCRIPT))
        kernel.run_while(lambda: not program.ended.state)
        return program.exit_status

    machine.check("Register")
    assert run() == 0
    kernel.memory.write_u32(machine.address("Deny"), 0xC0000022)
    with pytest.raises(LoadError) as denied:
        run()
    assert denied.value.status == 0xC0000022
    machine.check("Unregister")
    run()

    started = r"process \??\V:\tools\probe.exe | \Device\HarddiskVolume1\tools\probe.exe | V:\tools\probe.exe | 1 4 0 1"
    assert [line.strip() for line in kernel.log] == [
        "old 1 4 1",
        started,
        r"file \tools\probe.exe 1",
        r"image \Device\HarddiskVolume1\tools\probe.exe 1 0 \tools\probe.exe",
        "old 0 4 1",
        "process ends 1 0",
        "old 1 4 1",
        started,
        r"file \tools\probe.exe 1",
        "old 0 4 1",
        "process ends 1 c0000022",
    ]
    assert machine.unload() == []


def test_an_image_without_integritycheck_may_not_hear_of_processes(load):
    machine = load(DRIVER)
    header = machine.driver.image.base + machine.kernel.memory.read_u32(machine.driver.image.base + 0x3C)
    flags = machine.kernel.memory.read_u16(header + 94)
    machine.kernel.memory.patch(header + 94, (flags & ~0x80).to_bytes(2, "little"))

    machine.call("Register")

    assert "PsSetCreateProcessNotifyRoutineEx(Process, FALSE) == STATUS_SUCCESS" in machine.kernel.log[0]
