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
 * Silos
 */

typedef struct _EJOB *PESILO;
NTKERNELAPI PESILO NTAPI PsGetCurrentSilo(VOID);
NTKERNELAPI PESILO NTAPI PsGetCurrentServerSilo(VOID);
NTKERNELAPI PESILO NTAPI PsGetHostSilo(VOID);
NTKERNELAPI PESILO NTAPI PsGetThreadServerSilo(PETHREAD Thread);
NTKERNELAPI PESILO NTAPI PsGetEffectiveServerSilo(PESILO Silo);
NTKERNELAPI BOOLEAN NTAPI PsIsHostSilo(PESILO Silo);
NTKERNELAPI PESILO NTAPI PsAttachSiloToCurrentThread(PESILO Silo);
NTKERNELAPI VOID NTAPI PsDetachSiloFromCurrentThread(PESILO PreviousSilo);
NTKERNELAPI GUID *NTAPI PsGetSiloContainerId(PESILO Silo);

/*
 * Executive and kernel
 */

NTKERNELAPI NTSTATUS NTAPI MmCopyVirtualMemory(PEPROCESS SourceProcess, PVOID SourceAddress, PEPROCESS TargetProcess,
                                               PVOID TargetAddress, SIZE_T BufferSize, KPROCESSOR_MODE PreviousMode,
                                               PSIZE_T ReturnSize);

#undef KeInitializeCallbackRecord
#define KeInitializeCallbackRecord(CallbackRecord) ((CallbackRecord)->State = BufferEmpty)
NTKERNELAPI VOID FASTCALL ExEnterCriticalRegionAndAcquireFastMutexUnsafe(PFAST_MUTEX FastMutex);
NTKERNELAPI VOID FASTCALL ExReleaseFastMutexUnsafeAndLeaveCriticalRegion(PFAST_MUTEX FastMutex);
NTKERNELAPI BOOLEAN NTAPI KeIsAttachedProcess(VOID);

/*
 * Files
 */

#define FLUSH_FLAGS_FILE_DATA_ONLY 0x00000001
#define FLUSH_FLAGS_NO_SYNC 0x00000002
#define FLUSH_FLAGS_FILE_DATA_SYNC_ONLY 0x00000004
NTSYSAPI NTSTATUS NTAPI ZwFlushBuffersFileEx(HANDLE FileHandle, ULONG Flags, PVOID Parameters, ULONG ParametersSize,
                                             PIO_STATUS_BLOCK IoStatusBlock);
NTSYSAPI NTSTATUS NTAPI ZwQueryDirectoryFileEx(HANDLE FileHandle, HANDLE Event, PIO_APC_ROUTINE ApcRoutine,
                                               PVOID ApcContext, PIO_STATUS_BLOCK IoStatusBlock, PVOID FileInformation,
                                               ULONG Length, FILE_INFORMATION_CLASS FileInformationClass,
                                               ULONG QueryFlags, PUNICODE_STRING FileName);

/*
 * Placeholders of cloud files
 */

#define PHCM_APPLICATION_DEFAULT ((CHAR)0)
#define PHCM_DISGUISE_PLACEHOLDER ((CHAR)1)
#define PHCM_EXPOSE_PLACEHOLDERS ((CHAR)2)
#define PHCM_MAX ((CHAR)2)
#define PHCM_ERROR_INVALID_PARAMETER ((CHAR)(-1))
#define PHCM_ERROR_NO_TEB ((CHAR)(-2))
#define PHCM_ERROR_NO_PEB ((CHAR)(-3))
NTSYSAPI BOOLEAN NTAPI RtlIsCloudFilesPlaceholder(ULONG FileAttributes, ULONG ReparseTag);
NTSYSAPI BOOLEAN NTAPI RtlIsPartialPlaceholder(ULONG FileAttributes, ULONG ReparseTag);
NTSYSAPI NTSTATUS NTAPI RtlIsPartialPlaceholderFileHandle(HANDLE FileHandle, PBOOLEAN IsPartialPlaceholder);
NTSYSAPI NTSTATUS NTAPI RtlIsPartialPlaceholderFileInfo(PVOID InfoBuffer, FILE_INFORMATION_CLASS InfoClass,
                                                        PBOOLEAN IsPartialPlaceholder);
NTSYSAPI CHAR NTAPI RtlQueryThreadPlaceholderCompatibilityMode(VOID);
NTSYSAPI CHAR NTAPI RtlSetThreadPlaceholderCompatibilityMode(CHAR Mode);
NTSYSAPI CHAR NTAPI RtlQueryProcessPlaceholderCompatibilityMode(VOID);
NTSYSAPI CHAR NTAPI RtlSetProcessPlaceholderCompatibilityMode(CHAR Mode);

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
typedef STRING UTF8_STRING;
typedef PSTRING PUTF8_STRING;
typedef const STRING *PCUTF8_STRING;
NTSYSAPI VOID NTAPI RtlInitUTF8String(PUTF8_STRING DestinationString, PCSTR SourceString);
NTSYSAPI NTSTATUS NTAPI RtlInitUTF8StringEx(PUTF8_STRING DestinationString, PCSTR SourceString);
NTSYSAPI NTSTATUS NTAPI RtlInitStringEx(PSTRING DestinationString, PCSTR SourceString);
NTSYSAPI VOID NTAPI RtlFreeUTF8String(PUTF8_STRING Utf8String);
NTSYSAPI NTSTATUS NTAPI RtlUnicodeStringToUTF8String(PUTF8_STRING DestinationString, PCUNICODE_STRING SourceString,
                                                     BOOLEAN AllocateDestinationString);
NTSYSAPI NTSTATUS NTAPI RtlUTF8StringToUnicodeString(PUNICODE_STRING DestinationString, PUTF8_STRING SourceString,
                                                     BOOLEAN AllocateDestinationString);
NTSYSAPI NTSTATUS NTAPI RtlGetControlSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor,
                                                        PSECURITY_DESCRIPTOR_CONTROL Control, PULONG Revision);
NTSYSAPI NTSTATUS NTAPI RtlSetControlSecurityDescriptor(PSECURITY_DESCRIPTOR SecurityDescriptor,
                                                        SECURITY_DESCRIPTOR_CONTROL ControlBitsOfInterest,
                                                        SECURITY_DESCRIPTOR_CONTROL ControlBitsToSet);
NTSYSAPI ULONG NTAPI RtlGetSuiteMask(VOID);
NTSYSAPI BOOLEAN NTAPI RtlGetNtProductType(NT_PRODUCT_TYPE *NtProductType);
NTSYSAPI PVOID NTAPI RtlPcToFileHeader(PVOID PcValue, PVOID *BaseOfImage);

NTKERNELAPI NTSTATUS NTAPI IoSetIoPriorityHintIntoFileObject(PFILE_OBJECT FileObject, IO_PRIORITY_HINT PriorityHint);
NTKERNELAPI NTSTATUS NTAPI IoSetIoPriorityHintIntoThread(PETHREAD Thread, IO_PRIORITY_HINT PriorityHint);

/*
 * What a driver for early launch is told of the boot-start drivers (IoRegisterBootDriverCallback). The metadata has the
 * type of its routine without parameters.
 */
typedef enum _BDCB_CALLBACK_TYPE { BdCbStatusUpdate, BdCbInitializeImage } BDCB_CALLBACK_TYPE, *PBDCB_CALLBACK_TYPE;

typedef enum _BDCB_STATUS_UPDATE_TYPE {
    BdCbStatusPrepareForDependencyLoad,
    BdCbStatusPrepareForDriverLoad,
    BdCbStatusPrepareForUnload
} BDCB_STATUS_UPDATE_TYPE,
    *PBDCB_STATUS_UPDATE_TYPE;

typedef struct _BDCB_STATUS_UPDATE_CONTEXT {
    BDCB_STATUS_UPDATE_TYPE StatusType;
} BDCB_STATUS_UPDATE_CONTEXT, *PBDCB_STATUS_UPDATE_CONTEXT;

typedef enum _BDCB_CLASSIFICATION {
    BdCbClassificationUnknownImage,
    BdCbClassificationKnownGoodImage,
    BdCbClassificationKnownBadImage,
    BdCbClassificationKnownBadImageBootCritical,
    BdCbClassificationEnd
} BDCB_CLASSIFICATION,
    *PBDCB_CLASSIFICATION;

typedef struct _BDCB_IMAGE_INFORMATION {
    BDCB_CLASSIFICATION Classification;
    ULONG ImageFlags;
    UNICODE_STRING ImageName;
    UNICODE_STRING RegistryPath;
    UNICODE_STRING CertificatePublisher;
    UNICODE_STRING CertificateIssuer;
    PVOID ImageHash;
    PVOID CertificateThumbprint;
    ULONG ImageHashAlgorithm;
    ULONG ThumbprintHashAlgorithm;
    ULONG ImageHashLength;
    ULONG CertificateThumbprintLength;
} BDCB_IMAGE_INFORMATION, *PBDCB_IMAGE_INFORMATION;

typedef VOID(NTAPI BOOT_DRIVER_CALLBACK_FUNCTION)(PVOID CallbackContext, BDCB_CALLBACK_TYPE Classification,
                                                  PBDCB_IMAGE_INFORMATION ImageInformation);
typedef BOOT_DRIVER_CALLBACK_FUNCTION *PBOOT_DRIVER_CALLBACK_FUNCTION;

#endif /* KITEXPORTS_H */
