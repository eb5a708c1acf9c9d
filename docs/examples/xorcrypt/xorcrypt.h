/*++

Module Name:

    xorcrypt.h

Abstract:

    What the transfers and the rest of the driver have in common.

--*/

#ifndef XORCRYPT_H
#define XORCRYPT_H

#include <fltKernel.h>
#include <dontuse.h>
#include <suppress.h>

#pragma prefast(disable : __WARNING_ENCODE_MEMBER_FUNCTION_POINTER, "Not valid for kernel mode drivers")

#define BUFFER_SWAP_TAG 'bdBX'
#define CONTEXT_TAG 'xcBX'
#define PRE_2_POST_TAG 'ppBX'

#define SCRAMBLE 0x5A

#define MIN_SECTOR_SIZE 0x200

typedef struct _VOLUME_CONTEXT {
    UNICODE_STRING Name;
    ULONG SectorSize;
} VOLUME_CONTEXT, *PVOLUME_CONTEXT;

typedef struct _PRE_2_POST_CONTEXT {
    PVOLUME_CONTEXT VolCtx;
    PVOID SwappedBuffer;
    PMDL SwappedMdl;
    //  Where what was read goes, if the filter manager was made to lock the requester's buffer.
    PVOID Locked;
} PRE_2_POST_CONTEXT, *PPRE_2_POST_CONTEXT;

extern PFLT_FILTER gFilterHandle;
extern NPAGED_LOOKASIDE_LIST Pre2PostContextList;

/*
 * Prototypes
 */
DRIVER_INITIALIZE DriverEntry;
NTSTATUS XcFilterUnload(_In_ FLT_FILTER_UNLOAD_FLAGS Flags);
NTSTATUS XcInstanceSetup(_In_ PCFLT_RELATED_OBJECTS FltObjects, _In_ FLT_INSTANCE_SETUP_FLAGS Flags,
                         _In_ DEVICE_TYPE VolumeDeviceType, _In_ FLT_FILESYSTEM_TYPE VolumeFilesystemType);
NTSTATUS XcInstanceQueryTeardown(_In_ PCFLT_RELATED_OBJECTS FltObjects, _In_ FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags);
VOID XcCleanupVolumeContext(_In_ PFLT_CONTEXT Context, _In_ FLT_CONTEXT_TYPE ContextType);
FLT_PREOP_CALLBACK_STATUS XcPreReadBuffers(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
                                           _Flt_CompletionContext_Outptr_ PVOID *CompletionContext);
FLT_POSTOP_CALLBACK_STATUS XcPostReadBuffers(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
                                             _In_ PVOID CompletionContext, _In_ FLT_POST_OPERATION_FLAGS Flags);
FLT_PREOP_CALLBACK_STATUS XcPreWriteBuffers(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
                                            _Flt_CompletionContext_Outptr_ PVOID *CompletionContext);
FLT_POSTOP_CALLBACK_STATUS XcPostWriteBuffers(_Inout_ PFLT_CALLBACK_DATA Data, _In_ PCFLT_RELATED_OBJECTS FltObjects,
                                              _In_ PVOID CompletionContext, _In_ FLT_POST_OPERATION_FLAGS Flags);

#endif
