/*
 * file.c: files and devices.
 */

#include "userland.h"

#define FILE_SYNCHRONOUS_IO_NONALERT_ 0x20

static const ULONG Dispositions[] = {0, FILE_CREATE, FILE_OVERWRITE_IF, FILE_OPEN, FILE_OPEN_IF, FILE_OVERWRITE};

static ULONG
Options(DWORD Flags)
{
    ULONG Result = (Flags & FILE_FLAG_OVERLAPPED) != 0 ? 0 : FILE_SYNCHRONOUS_IO_NONALERT_;

    Result |= (Flags & FILE_FLAG_BACKUP_SEMANTICS) != 0 ? FILE_OPEN_FOR_BACKUP_INTENT : FILE_NON_DIRECTORY_FILE;
    Result |= (Flags & FILE_FLAG_NO_BUFFERING) != 0 ? FILE_NO_INTERMEDIATE_BUFFERING : 0;
    Result |= (Flags & FILE_FLAG_WRITE_THROUGH) != 0 ? FILE_WRITE_THROUGH : 0;
    Result |= (Flags & FILE_FLAG_DELETE_ON_CLOSE) != 0 ? FILE_DELETE_ON_CLOSE : 0;
    Result |= (Flags & FILE_FLAG_SEQUENTIAL_SCAN) != 0 ? FILE_SEQUENTIAL_ONLY : 0;
    Result |= (Flags & FILE_FLAG_RANDOM_ACCESS) != 0 ? FILE_RANDOM_ACCESS : 0;
    Result |= (Flags & FILE_FLAG_OPEN_REPARSE_POINT) != 0 ? FILE_OPEN_REPARSE_POINT : 0;
    return Result;
}

EXPORT HANDLE WINAPI
CreateFileW(LPCWSTR Path, DWORD Access, DWORD Share, LPSECURITY_ATTRIBUTES Security, DWORD Disposition, DWORD Flags,
            HANDLE Template)
{
    WCHAR Room[MOST_PATH];
    OBJECT_ATTRIBUTES Attributes;
    UNICODE_STRING Name;
    IO_STATUS_BLOCK IoStatus;
    HANDLE File = INVALID_HANDLE_VALUE;
    ULONG Wanted = Access | SYNCHRONIZE | FILE_READ_ATTRIBUTES;

    (void)Security;
    (void)Template;
    if (Disposition == 0 || Disposition >= ARRAYSIZE(Dispositions)) {
        SetLastError(ERROR_INVALID_PARAMETER);
        return INVALID_HANDLE_VALUE;
    }
    if (!FilePath(&Attributes, &Name, Room, Path)) {
        return INVALID_HANDLE_VALUE;
    }
    Wanted |= (Flags & FILE_FLAG_DELETE_ON_CLOSE) != 0 ? DELETE : 0;
    if (!Done(NtCreateFile(&File, Wanted, &Attributes, &IoStatus, NULL, Flags & 0xFFFF & ~(DWORD)FILE_ATTRIBUTE_NORMAL,
                           Share, Dispositions[Disposition], Options(Flags), NULL, 0))) {
        return INVALID_HANDLE_VALUE;
    }
    SetLastError((Disposition == CREATE_ALWAYS && IoStatus.Information == FILE_OVERWRITTEN) ||
                         (Disposition == OPEN_ALWAYS && IoStatus.Information == FILE_OPENED)
                     ? ERROR_ALREADY_EXISTS
                     : ERROR_SUCCESS);
    return File;
}

EXPORT HANDLE WINAPI
CreateFileA(LPCSTR Path, DWORD Access, DWORD Share, LPSECURITY_ATTRIBUTES Security, DWORD Disposition, DWORD Flags,
            HANDLE Template)
{
    WCHAR *Wide = WideCopy(Path);
    HANDLE File = CreateFileW(Wide, Access, Share, Security, Disposition, Flags, Template);
    DWORD Error = GetLastError();

    Release(Wide);
    SetLastError(Error);
    return File;
}

/* What a call with an OVERLAPPED, or without one, comes to. */
static BOOL
Transferred(HANDLE File, NTSTATUS Status, LPOVERLAPPED Overlapped, IO_STATUS_BLOCK *IoStatus, LPDWORD Count)
{
    if (Overlapped == NULL && Status == STATUS_PENDING) {
        Status = NtWaitForSingleObject(File, FALSE, NULL);
        Status = Status >= 0 ? IoStatus->Status : Status;
    }
    if (Status == STATUS_PENDING) {
        SetLastError(ERROR_IO_PENDING);
        return FALSE;
    }
    if (Count != NULL) {
        *Count = (DWORD)(Overlapped != NULL ? Overlapped->InternalHigh : IoStatus->Information);
    }
    if (Status == STATUS_END_OF_FILE && Overlapped == NULL) {
        return TRUE;
    }
    return Done(Status);
}

typedef NTSTATUS(NTAPI *TRANSFER)(HANDLE, HANDLE, PVOID, PVOID, PIO_STATUS_BLOCK, PVOID, ULONG, PLARGE_INTEGER, PULONG);

static BOOL
Transfer(TRANSFER Call, HANDLE File, PVOID Buffer, DWORD Length, LPDWORD Count, LPOVERLAPPED Overlapped)
{
    IO_STATUS_BLOCK IoStatus = {.Information = 0};
    LARGE_INTEGER Offset;
    NTSTATUS Status;

    if (Count != NULL) {
        *Count = 0;
    }
    if (Overlapped == NULL) {
        return Transferred(File, Call(File, NULL, NULL, NULL, &IoStatus, Buffer, Length, NULL, NULL), NULL, &IoStatus,
                           Count);
    }
    Offset.LowPart = Overlapped->Offset;
    Offset.HighPart = (LONG)Overlapped->OffsetHigh;
    Overlapped->Internal = (ULONG_PTR)STATUS_PENDING;
    Overlapped->InternalHigh = 0;
    Status =
        Call(File, Overlapped->hEvent, NULL, Overlapped, (PIO_STATUS_BLOCK)Overlapped, Buffer, Length, &Offset, NULL);
    return Transferred(File, Status, Overlapped, &IoStatus, Count);
}

EXPORT BOOL WINAPI
ReadFile(HANDLE File, LPVOID Buffer, DWORD Length, LPDWORD Count, LPOVERLAPPED Overlapped)
{
    BOOL Good = Transfer(NtReadFile, File, Buffer, Length, Count, Overlapped);

    return Good;
}

EXPORT BOOL WINAPI
WriteFile(HANDLE File, LPCVOID Buffer, DWORD Length, LPDWORD Count, LPOVERLAPPED Overlapped)
{
    return Transfer(NtWriteFile, File, (PVOID)(ULONG_PTR)Buffer, Length, Count, Overlapped);
}

EXPORT BOOL WINAPI
FlushFileBuffers(HANDLE File)
{
    IO_STATUS_BLOCK IoStatus;

    return Done(NtFlushBuffersFile(File, &IoStatus));
}

EXPORT BOOL WINAPI
DeviceIoControl(HANDLE Device, DWORD Code, LPVOID In, DWORD InSize, LPVOID Out, DWORD OutSize, LPDWORD Count,
                LPOVERLAPPED Overlapped)
{
    IO_STATUS_BLOCK Own = {.Information = 0};
    PIO_STATUS_BLOCK IoStatus = Overlapped != NULL ? (PIO_STATUS_BLOCK)Overlapped : &Own;
    HANDLE Event = Overlapped != NULL ? Overlapped->hEvent : NULL;
    NTSTATUS Status;

    IoStatus->Status = STATUS_PENDING;
    if (Code >> 16 == FILE_DEVICE_FILE_SYSTEM) {
        Status = NtFsControlFile(Device, Event, NULL, Overlapped, IoStatus, Code, In, InSize, Out, OutSize);
    } else {
        Status = NtDeviceIoControlFile(Device, Event, NULL, Overlapped, IoStatus, Code, In, InSize, Out, OutSize);
    }
    return Transferred(Device, Status, Overlapped, &Own, Count);
}

/* -- what is known of a file */

EXPORT BOOL WINAPI
GetFileSizeEx(HANDLE File, PLARGE_INTEGER Size)
{
    FILE_STANDARD_INFORMATION Information;
    IO_STATUS_BLOCK IoStatus;

    if (!Done(NtQueryInformationFile(File, &IoStatus, &Information, sizeof(Information), FileStandardInformation))) {
        return FALSE;
    }
    *Size = Information.EndOfFile;
    return TRUE;
}

EXPORT DWORD WINAPI
GetFileSize(HANDLE File, LPDWORD High)
{
    LARGE_INTEGER Size;

    if (!GetFileSizeEx(File, &Size)) {
        return INVALID_FILE_SIZE;
    }
    if (High != NULL) {
        *High = (DWORD)Size.HighPart;
    }
    return Size.LowPart;
}

EXPORT BOOL WINAPI
SetFilePointerEx(HANDLE File, LARGE_INTEGER Distance, PLARGE_INTEGER New, DWORD From)
{
    IO_STATUS_BLOCK IoStatus;
    LARGE_INTEGER Position = {.QuadPart = 0};

    if (From == FILE_CURRENT &&
        !Done(NtQueryInformationFile(File, &IoStatus, &Position, sizeof(Position), FilePositionInformation))) {
        return FALSE;
    }
    if (From == FILE_END && !GetFileSizeEx(File, &Position)) {
        return FALSE;
    }
    Position.QuadPart += Distance.QuadPart;
    if (New != NULL) {
        *New = Position;
    }
    return Done(NtSetInformationFile(File, &IoStatus, &Position, sizeof(Position), FilePositionInformation));
}

EXPORT DWORD WINAPI
SetFilePointer(HANDLE File, LONG Low, PLONG High, DWORD From)
{
    LARGE_INTEGER Distance = {.QuadPart = Low};
    LARGE_INTEGER New;

    if (High != NULL) {
        Distance.LowPart = (DWORD)Low;
        Distance.HighPart = *High;
    }
    if (!SetFilePointerEx(File, Distance, &New, From)) {
        return INVALID_SET_FILE_POINTER;
    }
    if (High != NULL) {
        *High = New.HighPart;
    }
    SetLastError(ERROR_SUCCESS);
    return New.LowPart;
}

EXPORT DWORD WINAPI
GetFileType(HANDLE File)
{
    ULONG Index;

    for (Index = 0; Index < 3; Index++) {
        if (Parameters()->Standard[Index] == File) {
            return FILE_TYPE_PIPE;
        }
    }
    return FILE_TYPE_DISK;
}

EXPORT DWORD WINAPI
GetFileAttributesW(LPCWSTR Path)
{
    struct {
        LARGE_INTEGER Times[4];
        LARGE_INTEGER Sizes[2];
        ULONG Attributes;
        ULONG Reserved;
    } Information;
    WCHAR Room[MOST_PATH];
    OBJECT_ATTRIBUTES Attributes;
    UNICODE_STRING Name;

    if (!FilePath(&Attributes, &Name, Room, Path) || !Done(NtQueryFullAttributesFile(&Attributes, &Information))) {
        return INVALID_FILE_ATTRIBUTES;
    }
    return Information.Attributes;
}

EXPORT BOOL WINAPI
DeleteFileW(LPCWSTR Path)
{
    WCHAR Room[MOST_PATH];
    OBJECT_ATTRIBUTES Attributes;
    UNICODE_STRING Name;

    return FilePath(&Attributes, &Name, Room, Path) && Done(NtDeleteFile(&Attributes));
}

EXPORT BOOL WINAPI
DeleteFileA(LPCSTR Path)
{
    WCHAR *Wide = WideCopy(Path);
    BOOL Good = DeleteFileW(Wide);

    Release(Wide);
    return Good;
}

EXPORT BOOL WINAPI
CreateDirectoryW(LPCWSTR Path, LPSECURITY_ATTRIBUTES Security)
{
    WCHAR Room[MOST_PATH];
    OBJECT_ATTRIBUTES Attributes;
    UNICODE_STRING Name;
    IO_STATUS_BLOCK IoStatus;
    HANDLE Directory;

    (void)Security;
    if (!FilePath(&Attributes, &Name, Room, Path) ||
        !Done(NtCreateFile(&Directory, FILE_LIST_DIRECTORY | SYNCHRONIZE, &Attributes, &IoStatus, NULL, 0,
                           FILE_SHARE_READ | FILE_SHARE_WRITE, FILE_CREATE,
                           FILE_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT_, NULL, 0))) {
        return FALSE;
    }
    return CloseHandle(Directory);
}
