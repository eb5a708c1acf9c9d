/*
 * nt.h: the part of ntdll.dll and fltlib.dll that fltprobe uses.
 *
 * mingw-w64's winternl.h has a third of it; what is missing is declared here from the documentation of ZwXxx.
 */

#ifndef FLTPROBE_NT_H
#define FLTPROBE_NT_H

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Weverything"
#define WIN32_NO_STATUS
#include <windef.h>
#include <winbase.h>
#undef WIN32_NO_STATUS
#include <ntstatus.h>
#include <winternl.h>
#pragma clang diagnostic pop

#define NtCurrentProcess() ((HANDLE)(LONG_PTR) - 1)
#define NtCurrentThread() ((HANDLE)(LONG_PTR) - 2)

/* RTL_USER_PROCESS_PARAMETERS: the standard handles, which winternl.h hides among its reserved members. */
typedef struct _PROBE_PROCESS_PARAMETERS {
    UCHAR Reserved[0x20];
    HANDLE StandardInput;
    HANDLE StandardOutput;
    HANDLE StandardError;
} PROBE_PROCESS_PARAMETERS;

typedef struct _PROBE_PEB {
    UCHAR Reserved[0x20];
    PROBE_PROCESS_PARAMETERS *ProcessParameters;
} PROBE_PEB;

typedef struct _FILE_NETWORK_OPEN_INFORMATION_ {
    LARGE_INTEGER Times[4];
    LARGE_INTEGER AllocationSize;
    LARGE_INTEGER EndOfFile;
    ULONG FileAttributes;
    ULONG Reserved;
} NETWORK_OPEN_INFORMATION;

typedef NTSTATUS(NTAPI *PROBE_THREAD_ROUTINE)(PVOID Parameter);

NTSYSAPI NTSTATUS NTAPI NtReadFile(HANDLE File, HANDLE Event, PVOID ApcRoutine, PVOID ApcContext,
                                   PIO_STATUS_BLOCK IoStatus, PVOID Buffer, ULONG Length, PLARGE_INTEGER Offset,
                                   PULONG Key);
NTSYSAPI NTSTATUS NTAPI NtWriteFile(HANDLE File, HANDLE Event, PVOID ApcRoutine, PVOID ApcContext,
                                    PIO_STATUS_BLOCK IoStatus, PVOID Buffer, ULONG Length, PLARGE_INTEGER Offset,
                                    PULONG Key);
NTSYSAPI NTSTATUS NTAPI NtFlushBuffersFile(HANDLE File, PIO_STATUS_BLOCK IoStatus);
NTSYSAPI NTSTATUS NTAPI NtLockFile(HANDLE File, HANDLE Event, PVOID ApcRoutine, PVOID ApcContext,
                                   PIO_STATUS_BLOCK IoStatus, PLARGE_INTEGER Offset, PLARGE_INTEGER Length, ULONG Key,
                                   BOOLEAN FailImmediately, BOOLEAN Exclusive);
NTSYSAPI NTSTATUS NTAPI NtUnlockFile(HANDLE File, PIO_STATUS_BLOCK IoStatus, PLARGE_INTEGER Offset,
                                     PLARGE_INTEGER Length, ULONG Key);
NTSYSAPI NTSTATUS NTAPI NtQueryDirectoryFile(HANDLE File, HANDLE Event, PVOID ApcRoutine, PVOID ApcContext,
                                             PIO_STATUS_BLOCK IoStatus, PVOID Buffer, ULONG Length,
                                             ULONG InformationClass, BOOLEAN ReturnSingleEntry, PUNICODE_STRING Pattern,
                                             BOOLEAN RestartScan);
NTSYSAPI NTSTATUS NTAPI NtDeleteFile(POBJECT_ATTRIBUTES Attributes);
NTSYSAPI NTSTATUS NTAPI NtQueryEaFile(HANDLE File, PIO_STATUS_BLOCK IoStatus, PVOID Buffer, ULONG Length,
                                      BOOLEAN ReturnSingleEntry, PVOID List, ULONG ListLength, PULONG Index,
                                      BOOLEAN RestartScan);
NTSYSAPI NTSTATUS NTAPI NtSetEaFile(HANDLE File, PIO_STATUS_BLOCK IoStatus, PVOID Buffer, ULONG Length);
NTSYSAPI NTSTATUS NTAPI NtQuerySecurityObject(HANDLE Object, SECURITY_INFORMATION Wanted, PVOID Descriptor,
                                              ULONG Length, PULONG Needed);
NTSYSAPI NTSTATUS NTAPI NtSetSecurityObject(HANDLE Object, SECURITY_INFORMATION Wanted, PVOID Descriptor);
NTSYSAPI NTSTATUS NTAPI NtQueryQuotaInformationFile(HANDLE File, PIO_STATUS_BLOCK IoStatus, PVOID Buffer, ULONG Length,
                                                    BOOLEAN ReturnSingleEntry, PVOID List, ULONG ListLength,
                                                    PVOID StartSid, BOOLEAN RestartScan);
NTSYSAPI NTSTATUS NTAPI NtSetQuotaInformationFile(HANDLE File, PIO_STATUS_BLOCK IoStatus, PVOID Buffer, ULONG Length);
NTSYSAPI NTSTATUS NTAPI NtOpenProcessToken(HANDLE Process, ACCESS_MASK Access, PHANDLE Token);
NTSYSAPI NTSTATUS NTAPI NtFilterToken(HANDLE Token, ULONG Flags, PVOID Disable, PVOID Delete, PVOID Restrict,
                                      PHANDLE Filtered);
NTSYSAPI NTSTATUS NTAPI NtDuplicateToken(HANDLE Token, ACCESS_MASK Access, POBJECT_ATTRIBUTES Attributes,
                                         BOOLEAN EffectiveOnly, ULONG Type, PHANDLE Duplicate);
NTSYSAPI NTSTATUS NTAPI NtImpersonateAnonymousToken(HANDLE Thread);
NTSYSAPI NTSTATUS NTAPI NtSetInformationThread(HANDLE Thread, THREADINFOCLASS Class, PVOID Information, ULONG Length);
NTSYSAPI NTSTATUS NTAPI NtQueryFullAttributesFile(POBJECT_ATTRIBUTES Attributes, NETWORK_OPEN_INFORMATION *Information);
NTSYSAPI NTSTATUS NTAPI NtNotifyChangeDirectoryFile(HANDLE File, HANDLE Event, PVOID ApcRoutine, PVOID ApcContext,
                                                    PIO_STATUS_BLOCK IoStatus, PVOID Buffer, ULONG Length, ULONG Filter,
                                                    BOOLEAN WatchTree);
NTSYSAPI NTSTATUS NTAPI NtCreateSection(PHANDLE Section, ACCESS_MASK Access, POBJECT_ATTRIBUTES Attributes,
                                        PLARGE_INTEGER MaximumSize, ULONG Protection, ULONG AllocationAttributes,
                                        HANDLE File);
NTSYSAPI NTSTATUS NTAPI NtMapViewOfSection(HANDLE Section, HANDLE Process, PVOID *Base, ULONG_PTR ZeroBits,
                                           SIZE_T CommitSize, PLARGE_INTEGER Offset, PSIZE_T ViewSize,
                                           ULONG InheritDisposition, ULONG AllocationType, ULONG Protection);
NTSYSAPI NTSTATUS NTAPI NtUnmapViewOfSection(HANDLE Process, PVOID Base);
NTSYSAPI NTSTATUS NTAPI NtCancelIoFileEx(HANDLE File, PIO_STATUS_BLOCK Request, PIO_STATUS_BLOCK IoStatus);
NTSYSAPI NTSTATUS NTAPI NtCancelIoFile(HANDLE File, PIO_STATUS_BLOCK IoStatus);
NTSYSAPI NTSTATUS NTAPI NtCancelSynchronousIoFile(HANDLE Thread, PIO_STATUS_BLOCK Request, PIO_STATUS_BLOCK IoStatus);
NTSYSAPI NTSTATUS NTAPI NtCreateEvent(PHANDLE Event, ACCESS_MASK Access, POBJECT_ATTRIBUTES Attributes, ULONG Type,
                                      BOOLEAN InitialState);
NTSYSAPI NTSTATUS NTAPI NtSetEvent(HANDLE Event, PLONG PreviousState);
NTSYSAPI NTSTATUS NTAPI NtDelayExecution(BOOLEAN Alertable, PLARGE_INTEGER Interval);
NTSYSAPI NTSTATUS NTAPI NtAllocateVirtualMemory(HANDLE Process, PVOID *Base, ULONG_PTR ZeroBits, PSIZE_T Size,
                                                ULONG AllocationType, ULONG Protection);
NTSYSAPI NTSTATUS NTAPI NtQueryPerformanceCounter(PLARGE_INTEGER Counter, PLARGE_INTEGER Frequency);
NTSYSAPI NTSTATUS NTAPI NtTerminateProcess(HANDLE Process, NTSTATUS ExitStatus);
NTSYSAPI NTSTATUS NTAPI RtlCreateUserThread(HANDLE Process, PVOID SecurityDescriptor, BOOLEAN Suspended, ULONG ZeroBits,
                                            SIZE_T Reserve, SIZE_T Commit, PROBE_THREAD_ROUTINE Routine,
                                            PVOID Parameter, PHANDLE Thread, PVOID ClientId);
NTSYSAPI NTSTATUS NTAPI RtlAdjustPrivilege(ULONG Privilege, BOOLEAN Enable, BOOLEAN CurrentThread, PBOOLEAN WasEnabled);
NTSYSAPI VOID NTAPI RtlExitUserThread(NTSTATUS Status);

NTSYSAPI NTSTATUS NTAPI NtUnloadDriver(PUNICODE_STRING DriverServiceName);

/* fltlib.dll; the answers are HRESULTs */
HRESULT WINAPI FilterConnectCommunicationPort(LPCWSTR Name, DWORD Options, LPCVOID Context, WORD ContextSize,
                                              PVOID SecurityAttributes, HANDLE *Port);
HRESULT WINAPI FilterSendMessage(HANDLE Port, LPVOID In, DWORD InSize, LPVOID Out, DWORD OutSize, LPDWORD Returned);
HRESULT WINAPI FilterGetMessage(HANDLE Port, PVOID Message, DWORD Size, LPOVERLAPPED Overlapped);
HRESULT WINAPI FilterReplyMessage(HANDLE Port, PVOID Reply, DWORD Size);
HRESULT WINAPI FilterLoad(LPCWSTR Filter);
HRESULT WINAPI FilterUnload(LPCWSTR Filter);
HRESULT WINAPI FilterAttach(LPCWSTR Filter, LPCWSTR Volume, LPCWSTR Instance, DWORD NameLength, LPWSTR CreatedName);
HRESULT WINAPI FilterDetach(LPCWSTR Filter, LPCWSTR Volume, LPCWSTR Instance);

#endif /* FLTPROBE_NT_H */
