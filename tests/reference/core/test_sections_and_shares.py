"""What a section is, what is shared of a file by whom, and small services, asked from machine code."""

from pathlib import Path

from harness.nt import Irql
from harness.reference.machine.loader.exports import NTOSKRNL, all_exports

# ruff: noqa: E501  (C declarations, one line each)

DRIVER = r"""
typedef struct { PVOID BaseAddress; ULONG AllocationAttributes; LARGE_INTEGER MaximumSize; } OURS;
NTSYSAPI NTSTATUS NTAPI ZwQuerySection(HANDLE, ULONG, PVOID, SIZE_T, PSIZE_T);
NTSYSAPI NTSTATUS NTAPI ZwPulseEvent(HANDLE, PLONG);
NTKERNELAPI NTSTATUS NTAPI IoCheckShareAccessEx(ACCESS_MASK, ULONG, PFILE_OBJECT, PSHARE_ACCESS, BOOLEAN, PBOOLEAN);
NTKERNELAPI VOID NTAPI IoSetShareAccessEx(ACCESS_MASK, ULONG, PFILE_OBJECT, PSHARE_ACCESS, PBOOLEAN);

static HANDLE Open(PCWSTR Text, ULONG Disposition)
{
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK Iosb;
    UNICODE_STRING Name;
    HANDLE Handle = NULL;

    RtlInitUnicodeString(&Name, Text);
    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(ZwCreateFile(&Handle, FILE_READ_DATA | FILE_WRITE_DATA | SYNCHRONIZE, &Attributes, &Iosb, NULL, 0, 7, Disposition, FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0) == STATUS_SUCCESS);
    return Handle;
}

EXPORT ULONG Sections(void)
{
    HANDLE File = Open(L"\\??\\V:\\a.bin", FILE_OPEN_IF), Section;
    LARGE_INTEGER Size = { .QuadPart = 5000 };
    SIZE_T Returned = 0;
    OURS Basic;

    CHECK(ZwCreateSection(&Section, SECTION_ALL_ACCESS, NULL, &Size, PAGE_READWRITE, SEC_COMMIT, File) == STATUS_SUCCESS);
    CHECK(ZwQuerySection(Section, 0, &Basic, sizeof(Basic), &Returned) == STATUS_SUCCESS && Returned == sizeof(Basic));
    CHECK(Basic.MaximumSize.QuadPart == 5000 && Basic.AllocationAttributes == SEC_FILE && Basic.BaseAddress == NULL);
    CHECK(ZwQuerySection(Section, 0, &Basic, 8, NULL) == STATUS_INFO_LENGTH_MISMATCH);
    CHECK(ZwQuerySection(Section, 99, &Basic, sizeof(Basic), NULL) == STATUS_INVALID_INFO_CLASS);
    CHECK(ZwQuerySection(File, 0, &Basic, sizeof(Basic), NULL) == STATUS_OBJECT_TYPE_MISMATCH);
    CHECK(ZwQuerySection(NULL, 0, &Basic, sizeof(Basic), NULL) == STATUS_INVALID_HANDLE);
    ZwClose(Section);
    CHECK(ZwCreateSection(&Section, SECTION_ALL_ACCESS, NULL, &Size, PAGE_READWRITE, SEC_COMMIT, NULL) == STATUS_SUCCESS);
    CHECK(ZwQuerySection(Section, 0, &Basic, sizeof(Basic), NULL) == STATUS_SUCCESS && Basic.AllocationAttributes == SEC_COMMIT);
    ZwClose(Section);
    ZwClose(File);
    return Checks;
}

EXPORT ULONG Shares(void)
{
    HANDLE One = Open(L"\\??\\V:\\a.bin", FILE_OPEN), Other = Open(L"\\??\\V:\\a.bin", FILE_OPEN);
    BOOLEAN May = TRUE, MayNot = FALSE;
    PFILE_OBJECT First, Second;
    SHARE_ACCESS Shares;

    ObReferenceObjectByHandle(One, 0, *IoFileObjectType, KernelMode, (PVOID *)&First, NULL);
    ObReferenceObjectByHandle(Other, 0, *IoFileObjectType, KernelMode, (PVOID *)&Second, NULL);
    IoSetShareAccessEx(FILE_READ_DATA, 0, First, &Shares, &May);
    CHECK(Shares.OpenCount == 1 && Shares.Readers == 1 && Shares.SharedRead == 0);
    CHECK(IoCheckShareAccessEx(FILE_READ_DATA, FILE_SHARE_READ, Second, &Shares, TRUE, &May) == STATUS_SHARING_VIOLATION);
    IoSetShareAccessEx(FILE_READ_DATA, 0, First, &Shares, &MayNot); /* who may not write it keeps nobody from reading */
    CHECK(Shares.OpenCount == 1 && Shares.SharedRead == 1 && Shares.SharedWrite == 0);
    CHECK(IoCheckShareAccessEx(FILE_READ_DATA, 0, Second, &Shares, FALSE, NULL) == STATUS_SHARING_VIOLATION);
    CHECK(IoCheckShareAccessEx(FILE_READ_DATA, 0, Second, &Shares, TRUE, &MayNot) == STATUS_SUCCESS && Shares.OpenCount == 2);
    IoRemoveShareAccess(Second, &Shares);
    IoRemoveShareAccess(First, &Shares);
    CHECK(Shares.OpenCount == 0);
    ObDereferenceObject(First);
    ObDereferenceObject(Second);
    ZwClose(One);
    ZwClose(Other);
    return Checks;
}

EXPORT ULONG Services(void)
{
    LONG Before = 7;
    HANDLE Event;

    CHECK(ZwCreateEvent(&Event, EVENT_ALL_ACCESS, NULL, NotificationEvent, TRUE) == STATUS_SUCCESS);
    CHECK(ZwPulseEvent(Event, &Before) == STATUS_SUCCESS && Before == 1);
    CHECK(ZwPulseEvent(Event, &Before) == STATUS_SUCCESS && Before == 0);
    ZwClose(Event);
    CHECK(ZwPulseEvent(Event, NULL) == STATUS_INVALID_HANDLE);
    return Checks;
}
"""
HIGHEST_IRQL = {
    "ZwQuerySection": Irql.PASSIVE, "ZwPulseEvent": Irql.PASSIVE, "IoCheckShareAccessEx": Irql.PASSIVE,
    "IoSetShareAccessEx": Irql.PASSIVE,
}  # fmt: skip


def test_sections_shares_and_small_services_answer_as_documented(load, tmp_path: Path):
    machine = load(DRIVER, volumes={"V:": tmp_path})

    for function in ("Sections", "Shares", "Services"):
        machine.check(function)
    assert machine.findings == []


def test_their_highest_irql_is_the_documented_one():
    limits = {export.name: export.max_irql for export in all_exports() if export.module == NTOSKRNL}

    assert {name: limits[name] for name in HIGHEST_IRQL} == HIGHEST_IRQL
