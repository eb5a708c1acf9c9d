/*
 * error.c: NTSTATUS as Win32 error codes, and the last error of a thread.
 */

#include "userland.h"

static const struct {
    NTSTATUS Status;
    DWORD Error;
} Errors[] = {
    {STATUS_SUCCESS, ERROR_SUCCESS},
    {STATUS_PENDING, ERROR_IO_PENDING},
    {STATUS_TIMEOUT, WAIT_TIMEOUT},
    {STATUS_OBJECT_NAME_EXISTS, ERROR_ALREADY_EXISTS},
    {STATUS_NO_MORE_FILES, ERROR_NO_MORE_FILES},
    {STATUS_BUFFER_OVERFLOW, ERROR_MORE_DATA},
    {STATUS_UNSUCCESSFUL, ERROR_GEN_FAILURE},
    {STATUS_NOT_IMPLEMENTED, ERROR_INVALID_FUNCTION},
    {STATUS_INVALID_HANDLE, ERROR_INVALID_HANDLE},
    {STATUS_INVALID_PARAMETER, ERROR_INVALID_PARAMETER},
    {STATUS_NO_SUCH_FILE, ERROR_FILE_NOT_FOUND},
    {STATUS_INVALID_DEVICE_REQUEST, ERROR_INVALID_FUNCTION},
    {STATUS_END_OF_FILE, ERROR_HANDLE_EOF},
    {STATUS_NO_MEMORY, ERROR_NOT_ENOUGH_MEMORY},
    {STATUS_ACCESS_DENIED, ERROR_ACCESS_DENIED},
    {STATUS_BUFFER_TOO_SMALL, ERROR_INSUFFICIENT_BUFFER},
    {STATUS_OBJECT_TYPE_MISMATCH, ERROR_INVALID_HANDLE},
    {STATUS_OBJECT_NAME_INVALID, ERROR_INVALID_NAME},
    {STATUS_OBJECT_NAME_NOT_FOUND, ERROR_FILE_NOT_FOUND},
    {STATUS_OBJECT_NAME_COLLISION, ERROR_ALREADY_EXISTS},
    {STATUS_OBJECT_PATH_NOT_FOUND, ERROR_PATH_NOT_FOUND},
    {STATUS_OBJECT_PATH_SYNTAX_BAD, ERROR_BAD_PATHNAME},
    {STATUS_SHARING_VIOLATION, ERROR_SHARING_VIOLATION},
    {STATUS_DELETE_PENDING, ERROR_ACCESS_DENIED},
    {STATUS_PRIVILEGE_NOT_HELD, ERROR_PRIVILEGE_NOT_HELD},
    {STATUS_DISK_FULL, ERROR_DISK_FULL},
    {STATUS_FILE_IS_A_DIRECTORY, ERROR_ACCESS_DENIED},
    {STATUS_NOT_SUPPORTED, ERROR_NOT_SUPPORTED},
    {STATUS_PIPE_BROKEN, ERROR_BROKEN_PIPE},
    {STATUS_CANCELLED, ERROR_OPERATION_ABORTED},
    {STATUS_NOT_FOUND, ERROR_NOT_FOUND},
    {STATUS_PORT_DISCONNECTED, ERROR_INVALID_HANDLE},
    {STATUS_DIRECTORY_NOT_EMPTY, ERROR_DIR_NOT_EMPTY},
    {STATUS_INSUFFICIENT_RESOURCES, ERROR_NO_SYSTEM_RESOURCES},
    {STATUS_SEMAPHORE_LIMIT_EXCEEDED, ERROR_TOO_MANY_POSTS},
    {STATUS_MUTANT_NOT_OWNED, ERROR_NOT_OWNER},
};

DWORD
ErrorOf(NTSTATUS Status)
{
    ULONG Index;

    for (Index = 0; Index < ARRAYSIZE(Errors); Index++) {
        if (Errors[Index].Status == Status) {
            return Errors[Index].Error;
        }
    }
    return ERROR_MR_MID_NOT_FOUND; /* as RtlNtStatusToDosError has it */
}

BOOL
Done(NTSTATUS Status)
{
    if (Status >= 0) {
        return TRUE;
    }
    SetLastError(ErrorOf(Status));
    return FALSE;
}

LARGE_INTEGER *
Interval(DWORD Milliseconds, LARGE_INTEGER *Room)
{
    Room->QuadPart = -(LONGLONG)Milliseconds * 10000;
    return Milliseconds == INFINITE ? NULL : Room;
}

EXPORT DWORD WINAPI
GetLastError(void)
{
    return *(DWORD *)((UCHAR *)NtCurrentTeb() + 0x68);
}

EXPORT void WINAPI
SetLastError(DWORD Error)
{
    *(DWORD *)((UCHAR *)NtCurrentTeb() + 0x68) = Error;
}

EXPORT ULONG WINAPI
RtlNtStatusToDosError(NTSTATUS Status)
{
    return ErrorOf(Status);
}

EXPORT UINT WINAPI
SetErrorMode(UINT Mode)
{
    (void)Mode;
    return 0;
}

static ULONG
ErrorText(DWORD Error, WCHAR *To)
{
    static const WCHAR Words[] = L"error 0x";
    ULONG Length = ARRAYSIZE(Words) - 1;
    int Shift;

    memcpy(To, Words, sizeof(Words));
    for (Shift = 28; Shift >= 0; Shift -= 4) {
        To[Length++] = L"0123456789ABCDEF"[Error >> Shift & 15];
    }
    To[Length] = 0;
    return Length;
}

/* Texts of the system are its number: there is no message table. */
EXPORT DWORD WINAPI
FormatMessageW(DWORD Flags, LPCVOID Source, DWORD Message, DWORD Language, LPWSTR Buffer, DWORD Size,
               va_list *Arguments)
{
    WCHAR Text[32];
    ULONG Length = ErrorText(Message, Text);
    LPWSTR To = Buffer;

    (void)Source;
    (void)Language;
    (void)Arguments;
    if ((Flags & FORMAT_MESSAGE_ALLOCATE_BUFFER) != 0) {
        To = *(LPWSTR *)Buffer = Allocate((Length + 1) * sizeof(WCHAR));
    } else if (Size <= Length) {
        SetLastError(ERROR_INSUFFICIENT_BUFFER);
        return 0;
    }
    memcpy(To, Text, (Length + 1) * sizeof(WCHAR));
    return Length;
}

EXPORT DWORD WINAPI
FormatMessageA(DWORD Flags, LPCVOID Source, DWORD Message, DWORD Language, LPSTR Buffer, DWORD Size, va_list *Arguments)
{
    WCHAR Text[32];
    ULONG Length = ErrorText(Message, Text);
    LPSTR To = Buffer;
    ULONG Index;

    (void)Source;
    (void)Language;
    (void)Arguments;
    if ((Flags & FORMAT_MESSAGE_ALLOCATE_BUFFER) != 0) {
        To = *(LPSTR *)Buffer = Allocate(Length + 1);
    } else if (Size <= Length) {
        SetLastError(ERROR_INSUFFICIENT_BUFFER);
        return 0;
    }
    for (Index = 0; Index <= Length; Index++) {
        To[Index] = (char)Text[Index];
    }
    return Length;
}
