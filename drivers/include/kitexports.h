/*
 * kitexports.h: exports of ntoskrnl.exe that the driver kit declares and both mingw-w64 and the metadata leave out.
 */

#ifndef KITEXPORTS_H
#define KITEXPORTS_H

/* Intrinsics of the compiler of the kit, which clang looks for in a library. */
#define _byteswap_ushort(Value) __builtin_bswap16(Value)
#define _byteswap_ulong(Value) __builtin_bswap32(Value)
#define _byteswap_uint64(Value) __builtin_bswap64(Value)

/*
 * mingw-w64 declares the types of objects as imported, one pointer too far: they are where the import points to.
 */
#define CmKeyObjectType ((POBJECT_TYPE *)&CmKeyObjectType)
#define ExEventObjectType ((POBJECT_TYPE *)&ExEventObjectType)
#define ExSemaphoreObjectType ((POBJECT_TYPE *)&ExSemaphoreObjectType)
#define IoFileObjectType ((POBJECT_TYPE *)&IoFileObjectType)
#define PsProcessType ((POBJECT_TYPE *)&PsProcessType)
#define PsThreadType ((POBJECT_TYPE *)&PsThreadType)
#define SeTokenObjectType ((POBJECT_TYPE *)&SeTokenObjectType)

extern POBJECT_TYPE NTSYSAPI *IoDeviceObjectType;
#define IoDeviceObjectType ((POBJECT_TYPE *)&IoDeviceObjectType)

/*
 * Processes, threads and tokens
 */

#ifndef LUA_TOKEN
#define DISABLE_MAX_PRIVILEGE 0x1
#define SANDBOX_INERT 0x2
#define LUA_TOKEN 0x4
#define WRITE_RESTRICTED 0x8
#endif
NTKERNELAPI NTSTATUS NTAPI PsReferenceProcessFilePointer(PEPROCESS Process, PFILE_OBJECT *FileObject);
NTKERNELAPI HANDLE NTAPI PsGetProcessInheritedFromUniqueProcessId(PEPROCESS Process);
NTKERNELAPI BOOLEAN NTAPI PsIsSystemProcess(PEPROCESS Process);
NTKERNELAPI BOOLEAN NTAPI PsIsThreadImpersonating(PETHREAD Thread);
NTKERNELAPI NTSTATUS NTAPI PsAcquireProcessExitSynchronization(PEPROCESS Process);
NTKERNELAPI VOID NTAPI PsReleaseProcessExitSynchronization(PEPROCESS Process);
NTSYSAPI NTSTATUS NTAPI ZwOpenThread(PHANDLE ThreadHandle, ACCESS_MASK DesiredAccess,
                                     POBJECT_ATTRIBUTES ObjectAttributes, PCLIENT_ID ClientId);
NTKERNELAPI NTSTATUS NTAPI SeCreateAccessState(PACCESS_STATE AccessState, PVOID AuxData, ACCESS_MASK DesiredAccess,
                                               PGENERIC_MAPPING GenericMapping);
NTKERNELAPI VOID NTAPI SeDeleteAccessState(PACCESS_STATE AccessState);
NTKERNELAPI NTSTATUS NTAPI SeCaptureSecurityDescriptor(PSECURITY_DESCRIPTOR OriginalSecurityDescriptor,
                                                       KPROCESSOR_MODE CurrentMode, POOL_TYPE PoolType,
                                                       BOOLEAN CaptureIfKernel,
                                                       PSECURITY_DESCRIPTOR *CapturedSecurityDescriptor);
NTKERNELAPI NTSTATUS NTAPI SeReleaseSecurityDescriptor(PSECURITY_DESCRIPTOR CapturedSecurityDescriptor,
                                                       KPROCESSOR_MODE CurrentMode, BOOLEAN CaptureIfKernelMode);

/*
 * Executive and kernel
 */

#undef KeInitializeCallbackRecord
#define KeInitializeCallbackRecord(CallbackRecord) ((CallbackRecord)->State = BufferEmpty)
NTKERNELAPI VOID FASTCALL ExEnterCriticalRegionAndAcquireFastMutexUnsafe(PFAST_MUTEX FastMutex);
NTKERNELAPI VOID FASTCALL ExReleaseFastMutexUnsafeAndLeaveCriticalRegion(PFAST_MUTEX FastMutex);
NTKERNELAPI BOOLEAN NTAPI KeIsAttachedProcess(VOID);

/*
 * Run-time library
 */

NTSYSAPI NTSTATUS NTAPI RtlAppendAsciizToString(PSTRING Destination, PCSTR Source);
NTSYSAPI BOOLEAN NTAPI RtlAreAllAccessesGranted(ACCESS_MASK GrantedAccess, ACCESS_MASK DesiredAccess);
NTSYSAPI BOOLEAN NTAPI RtlAreAnyAccessesGranted(ACCESS_MASK GrantedAccess, ACCESS_MASK DesiredAccess);
/* The kit has these two in a library of its own, for kernels that are older than they are. */
#undef RtlIsNtDdiVersionAvailable
#undef RtlIsServicePackVersionInstalled
NTSYSAPI BOOLEAN NTAPI RtlIsNtDdiVersionAvailable(ULONG Version);
NTSYSAPI BOOLEAN NTAPI RtlIsServicePackVersionInstalled(ULONG Version);
NTSYSAPI PVOID NTAPI RtlPcToFileHeader(PVOID PcValue, PVOID *BaseOfImage);

#endif /* KITEXPORTS_H */
