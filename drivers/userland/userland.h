/*
 * userland.h: what the files of the library share that stands for kernel32, advapi32 and the C runtime.
 *
 * A reference guest has no Windows DLLs. Programs that import these find the functions here, under their own names; all
 * that needs the kernel is asked of ntdll, which the reference kernel serves. On Windows this library is never used.
 */

#ifndef USERLAND_H
#define USERLAND_H

#define _KERNEL32_
#define _ADVAPI32_
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Weverything"
#define WIN32_NO_STATUS
#include <windows.h>
#include <winsvc.h>
#undef WIN32_NO_STATUS
#include <ntstatus.h>
#include <winternl.h>
#pragma clang diagnostic pop

#define EXPORT                        /* in userland.def */
#define HERE ((HANDLE)(LONG_PTR) - 1) /* NtCurrentProcess() */
#define MOST_PATH 0x400

/* RTL_USER_PROCESS_PARAMETERS, as far as it is used */
typedef struct _PARAMETERS {
    UCHAR Reserved1[0x20];
    HANDLE Standard[3]; /* input, output, error */
    UNICODE_STRING CurrentDirectory;
    HANDLE CurrentDirectoryHandle;
    UNICODE_STRING DllPath;
    UNICODE_STRING ImagePath;
    UNICODE_STRING CommandLine;
    PVOID Environment;
    UCHAR Reserved2[0x28];
    UNICODE_STRING WindowTitle; /* here: the service's name, where the program was started as one */
} PARAMETERS;

typedef struct _PROCESS {
    UCHAR Reserved1[0x10];
    PVOID ImageBase;
    PVOID Loader;
    PARAMETERS *Parameters;
} PROCESS;

NTSYSAPI NTSTATUS NTAPI NtAllocateVirtualMemory(HANDLE, PVOID *, ULONG_PTR, PSIZE_T, ULONG, ULONG);
NTSYSAPI NTSTATUS NTAPI NtFreeVirtualMemory(HANDLE, PVOID *, PSIZE_T, ULONG);
NTSYSAPI NTSTATUS NTAPI NtTerminateProcess(HANDLE, NTSTATUS);
NTSYSAPI NTSTATUS NTAPI NtDelayExecution(BOOLEAN, PLARGE_INTEGER);
NTSYSAPI NTSTATUS NTAPI NtQueryPerformanceCounter(PLARGE_INTEGER, PLARGE_INTEGER);
NTSYSAPI
NTSTATUS NTAPI NtReadFile(HANDLE, HANDLE, PVOID, PVOID, PIO_STATUS_BLOCK, PVOID, ULONG, PLARGE_INTEGER, PULONG);
NTSYSAPI
NTSTATUS NTAPI NtWriteFile(HANDLE, HANDLE, PVOID, PVOID, PIO_STATUS_BLOCK, PVOID, ULONG, PLARGE_INTEGER, PULONG);
NTSYSAPI NTSTATUS NTAPI NtFlushBuffersFile(HANDLE, PIO_STATUS_BLOCK);
NTSYSAPI NTSTATUS NTAPI NtCancelIoFile(HANDLE, PIO_STATUS_BLOCK);
NTSYSAPI NTSTATUS NTAPI NtCancelIoFileEx(HANDLE, PIO_STATUS_BLOCK, PIO_STATUS_BLOCK);
NTSYSAPI NTSTATUS NTAPI NtCreateEvent(PHANDLE, ACCESS_MASK, POBJECT_ATTRIBUTES, ULONG, BOOLEAN);
NTSYSAPI NTSTATUS NTAPI NtOpenEvent(PHANDLE, ACCESS_MASK, POBJECT_ATTRIBUTES);
NTSYSAPI NTSTATUS NTAPI NtSetEvent(HANDLE, PLONG);
NTSYSAPI NTSTATUS NTAPI NtResetEvent(HANDLE, PLONG);
NTSYSAPI NTSTATUS NTAPI NtCreateSemaphore(PHANDLE, ACCESS_MASK, POBJECT_ATTRIBUTES, LONG, LONG);
NTSYSAPI NTSTATUS NTAPI NtReleaseSemaphore(HANDLE, LONG, PLONG);
NTSYSAPI NTSTATUS NTAPI NtCreateMutant(PHANDLE, ACCESS_MASK, POBJECT_ATTRIBUTES, BOOLEAN);
NTSYSAPI NTSTATUS NTAPI NtReleaseMutant(HANDLE, PLONG);
NTSYSAPI NTSTATUS NTAPI NtWaitForMultipleObjects(ULONG, const HANDLE *, ULONG, BOOLEAN, PLARGE_INTEGER);
NTSYSAPI NTSTATUS NTAPI NtCreateIoCompletion(PHANDLE, ACCESS_MASK, POBJECT_ATTRIBUTES, ULONG);
NTSYSAPI NTSTATUS NTAPI NtSetIoCompletion(HANDLE, ULONG_PTR, ULONG_PTR, NTSTATUS, ULONG_PTR);
NTSYSAPI NTSTATUS NTAPI NtRemoveIoCompletion(HANDLE, PULONG_PTR, PULONG_PTR, PIO_STATUS_BLOCK, PLARGE_INTEGER);
NTSYSAPI NTSTATUS NTAPI NtRemoveIoCompletionEx(HANDLE, PVOID, ULONG, PULONG, PLARGE_INTEGER, BOOLEAN);
NTSYSAPI NTSTATUS NTAPI NtQueryFullAttributesFile(POBJECT_ATTRIBUTES, PVOID);
NTSYSAPI NTSTATUS NTAPI NtDeleteFile(POBJECT_ATTRIBUTES);
NTSYSAPI NTSTATUS NTAPI NtOpenKey(PHANDLE, ACCESS_MASK, POBJECT_ATTRIBUTES);
NTSYSAPI NTSTATUS NTAPI NtCreateKey(PHANDLE, ACCESS_MASK, POBJECT_ATTRIBUTES, ULONG, PUNICODE_STRING, ULONG, PULONG);
NTSYSAPI NTSTATUS NTAPI NtQueryValueKey(HANDLE, PUNICODE_STRING, ULONG, PVOID, ULONG, PULONG);
NTSYSAPI NTSTATUS NTAPI NtSetValueKey(HANDLE, PUNICODE_STRING, ULONG, ULONG, PVOID, ULONG);
NTSYSAPI NTSTATUS NTAPI NtDeleteValueKey(HANDLE, PUNICODE_STRING);
NTSYSAPI
NTSTATUS NTAPI RtlCreateUserThread(HANDLE, PVOID, BOOLEAN, ULONG, SIZE_T, SIZE_T, PVOID, PVOID, PHANDLE, PVOID);
NTSYSAPI NTSTATUS NTAPI NtOpenProcessToken(HANDLE, ACCESS_MASK, PHANDLE);
NTSYSAPI VOID NTAPI RtlExitUserThread(NTSTATUS);
NTSYSAPI NTSTATUS NTAPI RtlAdjustPrivilege(ULONG, BOOLEAN, BOOLEAN, PBOOLEAN);

/* start.c */
PROCESS *Process(void);
PARAMETERS *Parameters(void);
void EndListener(void (*Tell)(void)); /* have a function called when the program is told to end */

/* error.c */
BOOL Done(NTSTATUS Status); /* TRUE, or FALSE with the last error set */
DWORD ErrorOf(NTSTATUS Status);
LARGE_INTEGER *Interval(DWORD Milliseconds, LARGE_INTEGER *Room); /* NULL for INFINITE */

/* heap.c */
void *Allocate(SIZE_T Size); /* zeroed; NULL without memory */
void Release(void *Block);
SIZE_T SizeOf(const void *Block);
void *Reallocate(void *Block, SIZE_T Size);

/* path.c */
WCHAR *WideCopy(const char *Text); /* to Release */
char *NarrowCopy(const WCHAR *Text);
void NamedObject(POBJECT_ATTRIBUTES Attributes, PUNICODE_STRING Name, WCHAR *Room, const WCHAR *Text);
BOOL FilePath(POBJECT_ATTRIBUTES Attributes, PUNICODE_STRING Name, WCHAR *Room, const WCHAR *Path);

/* crt.c */
size_t strlen(const char *Text);
size_t wcslen(const WCHAR *Text);
void *memcpy(void *To, const void *From, size_t Count);
void *memset(void *To, int Value, size_t Count);
int _vsnprintf(char *To, size_t Count, const char *Format, va_list Arguments);
int _vsnwprintf(WCHAR *To, size_t Count, const WCHAR *Format, va_list Arguments);
int printf(const char *Format, ...);
__declspec(noreturn) void abort(void);
void RunAtExit(void);
void SplitArguments(int *Count, char ***Narrow, WCHAR ***Wide);

/* The body of a function with arguments behind its Format: what the Call that takes them as a list returns. */
#define FORMATTED(Call, ...)                                                                                           \
    va_list Arguments;                                                                                                 \
    int Length;                                                                                                        \
                                                                                                                       \
    va_start(Arguments, Format);                                                                                       \
    Length = Call(__VA_ARGS__, Format, Arguments);                                                                     \
    va_end(Arguments);                                                                                                 \
    return Length

/* stdio.c */
void FlushStreams(void);

#endif /* USERLAND_H */
