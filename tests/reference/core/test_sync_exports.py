"""What sync and backup filters ask: placeholders, network providers, and files by name, with flags, by file object."""

from pathlib import Path

import pytest

# ruff: noqa: E501  (C declarations, one line each)

DRIVER = r"""
#define CLOUD 0x9000001A
#define ON_OPEN 0x40000
#define ON_DATA 0x400000

EXPORT ULONG Placeholders(void)
{
    FILE_ATTRIBUTE_TAG_INFORMATION Tag = { FILE_ATTRIBUTE_REPARSE_POINT | ON_OPEN, CLOUD | 0x3000 };
    FILE_BOTH_DIR_INFORMATION Entry = { .FileAttributes = FILE_ATTRIBUTE_REPARSE_POINT | ON_DATA, .EaSize = CLOUD };
    BOOLEAN Partial = 2;

    CHECK(RtlIsCloudFilesPlaceholder(FILE_ATTRIBUTE_REPARSE_POINT, CLOUD) && RtlIsCloudFilesPlaceholder(FILE_ATTRIBUTE_REPARSE_POINT, CLOUD | 0xF000));
    CHECK(!RtlIsCloudFilesPlaceholder(FILE_ATTRIBUTE_ARCHIVE, CLOUD) && !RtlIsCloudFilesPlaceholder(FILE_ATTRIBUTE_REPARSE_POINT, 0xA000000C));
    CHECK(!RtlIsPartialPlaceholder(FILE_ATTRIBUTE_REPARSE_POINT, CLOUD) && RtlIsPartialPlaceholder(FILE_ATTRIBUTE_REPARSE_POINT | ON_DATA, CLOUD));
    CHECK(!RtlIsPartialPlaceholder(ON_DATA, CLOUD));
    CHECK(RtlIsPartialPlaceholderFileInfo(&Tag, FileAttributeTagInformation, &Partial) == STATUS_SUCCESS && Partial == TRUE);
    Tag.FileAttributes &= ~ON_OPEN;
    CHECK(RtlIsPartialPlaceholderFileInfo(&Tag, FileAttributeTagInformation, &Partial) == STATUS_SUCCESS && Partial == FALSE);
    CHECK(RtlIsPartialPlaceholderFileInfo(&Entry, FileBothDirectoryInformation, &Partial) == STATUS_SUCCESS && Partial == TRUE);
    CHECK(RtlIsPartialPlaceholderFileInfo(&Entry, FileNamesInformation, &Partial) == STATUS_INVALID_PARAMETER);
    CHECK(RtlQueryThreadPlaceholderCompatibilityMode() == PHCM_ERROR_NO_TEB && RtlSetThreadPlaceholderCompatibilityMode(PHCM_EXPOSE_PLACEHOLDERS) == PHCM_ERROR_NO_TEB);
    CHECK(RtlQueryProcessPlaceholderCompatibilityMode() == PHCM_ERROR_NO_PEB && RtlSetProcessPlaceholderCompatibilityMode(PHCM_MAX) == PHCM_ERROR_NO_PEB);
    return Checks;
}

EXPORT ULONG OfAProgram(void)
{
    CHECK(RtlQueryThreadPlaceholderCompatibilityMode() == PHCM_APPLICATION_DEFAULT);
    CHECK(RtlSetThreadPlaceholderCompatibilityMode(PHCM_EXPOSE_PLACEHOLDERS) == PHCM_APPLICATION_DEFAULT);
    CHECK(RtlSetThreadPlaceholderCompatibilityMode(3) == PHCM_ERROR_INVALID_PARAMETER && RtlSetThreadPlaceholderCompatibilityMode(-1) == PHCM_ERROR_INVALID_PARAMETER);
    CHECK(RtlQueryThreadPlaceholderCompatibilityMode() == PHCM_EXPOSE_PLACEHOLDERS && RtlQueryProcessPlaceholderCompatibilityMode() == PHCM_APPLICATION_DEFAULT);
    CHECK(RtlSetProcessPlaceholderCompatibilityMode(PHCM_DISGUISE_PLACEHOLDER) == PHCM_APPLICATION_DEFAULT && RtlQueryProcessPlaceholderCompatibilityMode() == PHCM_DISGUISE_PLACEHOLDER);
    return Checks;
}

static NTSTATUS Open(PCWSTR Text, ACCESS_MASK Access, ULONG Options, PHANDLE Handle)
{
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK Iosb;
    UNICODE_STRING Name;

    RtlInitUnicodeString(&Name, Text);
    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE, NULL, NULL);
    return ZwCreateFile(Handle, Access | SYNCHRONIZE, &Attributes, &Iosb, NULL, 0, 7, FILE_OPEN_IF, Options | FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0);
}

EXPORT ULONG Providers(void)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\Device\\LanmanRedirector");
    FSRTL_MUP_PROVIDER_INFO_LEVEL_2 Provider;
    ULONG Size = sizeof(Provider);
    ULONG32 Id = 7;
    PFILE_OBJECT File;
    HANDLE Handle;

    CHECK(Open(L"\\??\\V:\\a.txt", FILE_WRITE_DATA, 0, &Handle) == STATUS_SUCCESS);
    ObReferenceObjectByHandle(Handle, 0, *IoFileObjectType, KernelMode, (PVOID *)&File, NULL);
    CHECK(FsRtlMupGetProviderInfoFromFileObject(File, 2, &Provider, &Size) == STATUS_OBJECT_NAME_NOT_FOUND && Size == sizeof(Provider));
    CHECK(FsRtlMupGetProviderInfoFromFileObject(File, 3, &Provider, &Size) == STATUS_INVALID_PARAMETER);
    CHECK(FsRtlMupGetProviderInfoFromFileObject(File, 1, NULL, &Size) == STATUS_INVALID_PARAMETER);
    CHECK(FsRtlMupGetProviderIdFromName(&Name, &Id) == STATUS_OBJECT_NAME_NOT_FOUND && FsRtlMupGetProviderIdFromName(&Name, NULL) == STATUS_INVALID_PARAMETER);
    ObDereferenceObject(File);
    ZwClose(Handle);
    return Checks;
}

EXPORT ULONG Flushes(void)
{
    IO_STATUS_BLOCK Iosb = { 0 };
    LARGE_INTEGER Begin = { 0 };
    HANDLE Handle;

    CHECK(Open(L"\\??\\V:\\a.txt", FILE_WRITE_DATA, 0, &Handle) == STATUS_SUCCESS);
    CHECK(ZwWriteFile(Handle, NULL, NULL, NULL, &Iosb, "12345", 5, &Begin, NULL) == STATUS_SUCCESS);
    CHECK(ZwFlushBuffersFileEx(Handle, FLUSH_FLAGS_FILE_DATA_ONLY, NULL, 0, &Iosb) == STATUS_SUCCESS);
    CHECK(ZwFlushBuffersFileEx(Handle, FLUSH_FLAGS_NO_SYNC, NULL, 0, &Iosb) == STATUS_SUCCESS && ZwFlushBuffersFileEx(Handle, 0, NULL, 0, &Iosb) == STATUS_SUCCESS);
    CHECK(ZwFlushBuffersFileEx(Handle, 0x100, NULL, 0, &Iosb) == STATUS_INVALID_PARAMETER && ZwFlushBuffersFileEx(Handle, 0, &Iosb, 8, &Iosb) == STATUS_INVALID_PARAMETER);
    ZwClose(Handle);
    CHECK(Open(L"\\??\\V:\\a.txt", FILE_READ_DATA, 0, &Handle) == STATUS_SUCCESS);
    CHECK(ZwFlushBuffersFileEx(Handle, 0, NULL, 0, &Iosb) == STATUS_ACCESS_DENIED);
    ZwClose(Handle);
    CHECK(Open(L"\\??\\V:", FILE_WRITE_DATA, 0, &Handle) == STATUS_SUCCESS);
    CHECK(ZwFlushBuffersFileEx(Handle, FLUSH_FLAGS_NO_SYNC, NULL, 0, &Iosb) == STATUS_INVALID_PARAMETER);
    ZwClose(Handle);
    return Checks;
}

static BOOLEAN Next(HANDLE Handle, ULONG Flags, WCHAR Expected)
{
    struct { FILE_NAMES_INFORMATION Entry; WCHAR More[20]; } Room = { 0 };
    UNICODE_STRING All = RTL_CONSTANT_STRING(L"?.txt");
    IO_STATUS_BLOCK Iosb;

    return NT_SUCCESS(ZwQueryDirectoryFileEx(Handle, NULL, NULL, NULL, &Iosb, &Room, sizeof(Room), FileNamesInformation, Flags | SL_RETURN_SINGLE_ENTRY, &All)) && Room.Entry.FileName[0] == Expected;
}

EXPORT ULONG Directories(void)
{
    IO_STATUS_BLOCK Iosb;
    UCHAR Room[64];
    HANDLE Handle;

    CHECK(Open(L"\\??\\V:\\b.txt", FILE_READ_DATA, 0, &Handle) == STATUS_SUCCESS);
    ZwClose(Handle);
    CHECK(Open(L"\\??\\V:\\", FILE_LIST_DIRECTORY, FILE_DIRECTORY_FILE, &Handle) == STATUS_SUCCESS);
    CHECK(Next(Handle, SL_NO_CURSOR_UPDATE, L'a') && Next(Handle, SL_NO_CURSOR_UPDATE, L'a') && Next(Handle, 0, L'a'));
    CHECK(Next(Handle, SL_RETURN_ON_DISK_ENTRIES_ONLY, L'b') && Next(Handle, SL_RESTART_SCAN, L'a'));
    CHECK(ZwQueryDirectoryFileEx(Handle, NULL, NULL, NULL, &Iosb, Room, sizeof(Room), FileNamesInformation, SL_INDEX_SPECIFIED, NULL) == STATUS_INVALID_PARAMETER);
    ZwClose(Handle);
    return Checks;
}

EXPORT ULONG Questions(void)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\??\\V:\\a.txt"), Missing = RTL_CONSTANT_STRING(L"\\??\\V:\\missing");
    FILE_STANDARD_INFORMATION Standard = { 0 };
    FILE_STAT_INFORMATION Stat = { 0 };
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK Iosb = { 0 };
    PFILE_OBJECT File;
    BOOLEAN Partial = 2;
    HANDLE Handle;
    ULONG Size = 0;

    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(IoQueryInformationByName(&Attributes, &Iosb, &Stat, sizeof(Stat), FileStatInformation, 0, NULL) == STATUS_SUCCESS);
    CHECK(Iosb.Information == sizeof(Stat) && Iosb.Status == STATUS_SUCCESS && Stat.EndOfFile.QuadPart == 5);
    CHECK(IoQueryInformationByName(&Attributes, &Iosb, &Stat, 4, FileStatInformation, 0, NULL) == STATUS_INFO_LENGTH_MISMATCH);
    CHECK(IoQueryInformationByName(&Attributes, &Iosb, &Stat, sizeof(Stat), FileStatInformation, FILE_DELETE_ON_CLOSE, NULL) == STATUS_INVALID_PARAMETER);
    InitializeObjectAttributes(&Attributes, &Missing, OBJ_KERNEL_HANDLE, NULL, NULL);
    CHECK(IoQueryInformationByName(&Attributes, &Iosb, &Stat, sizeof(Stat), FileStatInformation, 0, NULL) == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(Open(L"\\??\\V:\\a.txt", FILE_READ_DATA, 0, &Handle) == STATUS_SUCCESS);
    ObReferenceObjectByHandle(Handle, 0, *IoFileObjectType, KernelMode, (PVOID *)&File, NULL);
    CHECK(FsRtlQueryInformationFile(File, &Standard, sizeof(Standard), FileStandardInformation, &Size) == STATUS_SUCCESS && Size == sizeof(Standard) && Standard.EndOfFile.QuadPart == 5);
    CHECK(RtlIsPartialPlaceholderFileHandle(Handle, &Partial) == STATUS_SUCCESS && Partial == FALSE);
    CHECK(RtlIsPartialPlaceholderFileHandle((HANDLE)0x12344, &Partial) == STATUS_INVALID_HANDLE);
    ObDereferenceObject(File);
    ZwClose(Handle);
    return Checks;
}
"""


def test_a_placeholder_is_told_by_its_attributes_and_its_tag(load):
    load(DRIVER).check("Placeholders")


def test_a_mode_is_kept_for_a_thread_and_for_a_process(load):
    machine = load(DRIVER)
    kernel = machine.kernel

    thread = kernel.spawn(machine._call("OfAProgram"), "program", process=kernel.create_process("program.exe"))
    thread.system = False
    kernel.run_until(thread)

    assert [line for line in kernel.log if "is not true" in line] == []
    assert kernel.placeholder_modes != {}


def test_what_sync_filters_ask_of_files(load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    machine = load(DRIVER, volumes={"V:": tmp_path})
    files = machine.kernel.volumes[0].file_system
    synced: list[object] = []
    monkeypatch.setattr(files, "flush", synced.append)

    machine.check("Flushes")
    assert len(synced) == 1
    machine.check("Directories")
    machine.check("Providers")
    machine.check("Questions")

    assert machine.unload() == []
