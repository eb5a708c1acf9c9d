"""Views of sections in system space, which a filter maps to scan a file."""

from pathlib import Path

# ruff: noqa: E501  (C declarations, one line each)

DRIVER = r"""
static PVOID Base;

static NTSTATUS Map(PCWSTR Text, PVOID *Section, PHANDLE Handle)
{
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK Iosb;
    UNICODE_STRING Name;
    HANDLE File;
    NTSTATUS Status;

    RtlInitUnicodeString(&Name, Text);
    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE, NULL, NULL);
    Status = ZwCreateFile(&File, FILE_READ_DATA | FILE_WRITE_DATA | SYNCHRONIZE, &Attributes, &Iosb, NULL, 0, 7, FILE_OPEN, FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0);
    InitializeObjectAttributes(&Attributes, NULL, OBJ_KERNEL_HANDLE, NULL, NULL);
    if (NT_SUCCESS(Status)) Status = ZwCreateSection(Handle, SECTION_ALL_ACCESS, &Attributes, NULL, PAGE_READWRITE, SEC_COMMIT, File);
    if (NT_SUCCESS(Status)) Status = ObReferenceObjectByHandle(*Handle, 0, NULL, KernelMode, Section, NULL);
    ZwClose(File);
    return Status;
}

EXPORT ULONG Views(ULONG Leave)
{
    LARGE_INTEGER Offset = { .QuadPart = 0x10008 };
    SIZE_T Size = 0;
    PVOID Section = NULL, Second = NULL;
    HANDLE Handle;

    CHECK(Map(L"\\??\\V:\\scanned.bin", &Section, &Handle) == STATUS_SUCCESS);
    CHECK(MmMapViewInSystemSpace(Section, &Base, &Size) == STATUS_SUCCESS && Base > MmSystemRangeStart && Size == 0x11000);
    CHECK(*(PUCHAR)Base == 'a' && ((PUCHAR)Base)[0x10000] == 'b');
    Size = 16;
    CHECK(MmMapViewInSystemSpaceEx(Section, &Second, &Size, &Offset, 0) == STATUS_SUCCESS && Offset.QuadPart == 0x10000 && *(PUCHAR)Second == 'b');
    *(PUCHAR)Second = 'c';
    CHECK(((PUCHAR)Base)[0x10000] == 'c' && MmUnmapViewInSystemSpace(Second) == STATUS_SUCCESS && MmUnmapViewInSystemSpace(Second) == STATUS_NOT_MAPPED_VIEW);
    Size = 0x100000;
    CHECK(MmMapViewInSystemSpace(Section, &Second, &Size) == STATUS_INVALID_VIEW_SIZE && MmMapViewInSystemSpace(PsGetCurrentProcess(), &Second, &Size) == STATUS_OBJECT_TYPE_MISMATCH);
    if (!Leave) CHECK(MmUnmapViewInSystemSpace(Base) == STATUS_SUCCESS);
    ObDereferenceObject(Section);
    ZwClose(Handle);
    return Checks;
}
"""


def volume(folder: Path) -> dict[str, Path]:
    (folder / "scanned.bin").write_bytes(b"a" * 0x10000 + b"b" * 100)
    return {"V:": folder}


def test_a_section_is_seen_and_written_through_its_views(load, tmp_path: Path):
    machine = load(DRIVER, volumes=volume(tmp_path))

    machine.check("Views", 0)

    assert (tmp_path / "scanned.bin").read_bytes()[0x10000:0x10001] == b"c"
    assert machine.unload() == []


def test_a_view_that_is_left_is_reported(load, tmp_path: Path):
    machine = load(DRIVER, volumes=volume(tmp_path))

    machine.check("Views", 1)

    (left,) = machine.unload()
    assert left.startswith("unloaded with a view in system space held and not given back: MmUnmapViewInSystemSpace")
