/*
 * completion.c: completion ports, and requests that are under way.
 */

#include "userland.h"

#define COMPLETION_INFORMATION 30 /* FileCompletionInformation */
#define COMPLETION_MODES 41       /* FileIoCompletionNotificationInformation */

EXPORT HANDLE WINAPI
CreateIoCompletionPort(HANDLE File, HANDLE Port, ULONG_PTR Key, DWORD Threads)
{
    struct {
        HANDLE Port;
        ULONG_PTR Key;
    } Information;
    IO_STATUS_BLOCK IoStatus;
    HANDLE Made = NULL;

    if (Port == NULL && !Done(NtCreateIoCompletion(&Made, IO_COMPLETION_ALL_ACCESS, NULL, Threads))) {
        return NULL;
    }
    Information.Port = Port != NULL ? Port : Made;
    Information.Key = Key;
    if (File != INVALID_HANDLE_VALUE && !Done(NtSetInformationFile(File, &IoStatus, &Information, sizeof(Information),
                                                                   (FILE_INFORMATION_CLASS)COMPLETION_INFORMATION))) {
        if (Made != NULL) {
            NtClose(Made);
        }
        return NULL;
    }
    return Information.Port;
}

EXPORT BOOL WINAPI
SetFileCompletionNotificationModes(HANDLE File, UCHAR Flags)
{
    ULONG Modes = Flags;
    IO_STATUS_BLOCK IoStatus;

    return Done(NtSetInformationFile(File, &IoStatus, &Modes, sizeof(Modes), (FILE_INFORMATION_CLASS)COMPLETION_MODES));
}

EXPORT BOOL WINAPI
GetQueuedCompletionStatus(HANDLE Port, LPDWORD Bytes, PULONG_PTR Key, LPOVERLAPPED *Overlapped, DWORD Milliseconds)
{
    LARGE_INTEGER Room;
    IO_STATUS_BLOCK IoStatus;
    ULONG_PTR Context;
    NTSTATUS Status = NtRemoveIoCompletion(Port, Key, &Context, &IoStatus, Interval(Milliseconds, &Room));

    if (Status != STATUS_SUCCESS) {
        *Overlapped = NULL;
        SetLastError(ErrorOf(Status));
        return FALSE;
    }
    *Overlapped = (LPOVERLAPPED)Context;
    *Bytes = (DWORD)IoStatus.Information;
    return Done(IoStatus.Status);
}

EXPORT BOOL WINAPI
GetQueuedCompletionStatusEx(HANDLE Port, LPOVERLAPPED_ENTRY Entries, ULONG Count, PULONG Removed, DWORD Milliseconds,
                            BOOL Alertable)
{
    LARGE_INTEGER Room;
    NTSTATUS Status =
        NtRemoveIoCompletionEx(Port, Entries, Count, Removed, Interval(Milliseconds, &Room), (BOOLEAN)Alertable);
    ULONG Index;

    if (Status != STATUS_SUCCESS) {
        SetLastError(ErrorOf(Status));
        return FALSE;
    }
    for (Index = 0; Index < *Removed; Index++) {
        /* FILE_IO_COMPLETION_INFORMATION and OVERLAPPED_ENTRY have the same members in the same places. */
        Entries[Index].dwNumberOfBytesTransferred = (DWORD)Entries[Index].dwNumberOfBytesTransferred;
    }
    return TRUE;
}

EXPORT BOOL WINAPI
PostQueuedCompletionStatus(HANDLE Port, DWORD Bytes, ULONG_PTR Key, LPOVERLAPPED Overlapped)
{
    return Done(NtSetIoCompletion(Port, Key, (ULONG_PTR)Overlapped, STATUS_SUCCESS, Bytes));
}

EXPORT BOOL WINAPI
GetOverlappedResultEx(HANDLE File, LPOVERLAPPED Overlapped, LPDWORD Bytes, DWORD Milliseconds, BOOL Alertable)
{
    LARGE_INTEGER Room;

    if ((NTSTATUS)Overlapped->Internal == STATUS_PENDING) {
        HANDLE Event = (HANDLE)((ULONG_PTR)Overlapped->hEvent & ~(ULONG_PTR)1);
        NTSTATUS Status = STATUS_TIMEOUT;

        if (Milliseconds != 0) {
            Status =
                NtWaitForSingleObject(Event != NULL ? Event : File, (BOOLEAN)Alertable, Interval(Milliseconds, &Room));
        }
        if (Status != STATUS_SUCCESS) {
            SetLastError(Milliseconds == 0 ? ERROR_IO_INCOMPLETE : ErrorOf(Status));
            return FALSE;
        }
    }
    *Bytes = (DWORD)Overlapped->InternalHigh;
    return Done((NTSTATUS)Overlapped->Internal);
}

EXPORT BOOL WINAPI
GetOverlappedResult(HANDLE File, LPOVERLAPPED Overlapped, LPDWORD Bytes, BOOL Wait)
{
    return GetOverlappedResultEx(File, Overlapped, Bytes, Wait ? INFINITE : 0, FALSE);
}

EXPORT BOOL WINAPI
CancelIoEx(HANDLE File, LPOVERLAPPED Overlapped)
{
    IO_STATUS_BLOCK IoStatus;

    return Done(NtCancelIoFileEx(File, (PIO_STATUS_BLOCK)Overlapped, &IoStatus));
}

EXPORT BOOL WINAPI
CancelIo(HANDLE File)
{
    IO_STATUS_BLOCK IoStatus;
    NTSTATUS Status = NtCancelIoFile(File, &IoStatus);

    return Done(Status == STATUS_NOT_FOUND ? STATUS_SUCCESS : Status);
}
