/*
 * isolation.h: what the parts of the driver have in common.
 *
 * An isolation filter owns the file objects of *.vault files. It opens the file below itself, completes the create, and
 * is the file system of that file object from then on: FsContext is an FCB of its own, with its own header, locks and
 * SECTION_OBJECT_POINTERS, so that the cache and the views that programs see are its own, too. On the disk the content
 * is scrambled; below, nobody ever caches it plain.
 *
 * What is cached goes through Cc; what the cache manager and the memory manager want comes as paging I/O and is done on
 * the lower file object (transfer.c). What has nothing to do with data is sent on to the lower file object
 * (information.c). Locks, in this order: FCB list, Main, Paging.
 */

#pragma once

#include <fltKernel.h>

#define ISO_TAG 'osIv'

typedef struct _ISO_FCB {
    FSRTL_ADVANCED_FCB_HEADER Header; /* comes first: it is what FsContext points to */
    FAST_MUTEX HeaderMutex;
    SECTION_OBJECT_POINTERS Sections;
    ERESOURCE Main;   /* sizes: shared to use, exclusive to change; paging I/O does without */
    ERESOURCE Paging; /* paging I/O against truncation */
    FILE_LOCK Locks;
    SHARE_ACCESS Share;
    LIST_ENTRY Links;
    LONG Opens; /* creates that have no close yet */
    LONG Handles;
    ULONGLONG FileId;
    PFLT_INSTANCE Instance;
    HANDLE LowerHandle;
    PFILE_OBJECT Lower; /* for paging I/O, open while anybody has a handle */
} ISO_FCB, *PISO_FCB;

typedef struct _ISO_CCB {
    HANDLE LowerHandle;
    PFILE_OBJECT Lower; /* with the rights of who opened it */
} ISO_CCB, *PISO_CCB;

extern PFLT_FILTER IsoFilter;

/* fcb.c */
extern ERESOURCE IsoFcbsLock; /* the list of FCBs, Opens and Handles of each */
VOID IsoInitialize(VOID);
VOID IsoUninitialize(VOID);
BOOLEAN IsoHasHandles(_In_opt_ PFLT_INSTANCE Instance);
VOID IsoWaitForFiles(VOID);
PISO_FCB IsoFcbOf(_In_opt_ PFILE_OBJECT FileObject);
NTSTATUS IsoFindFcb(_In_ PCFLT_RELATED_OBJECTS Objects, _In_ PFILE_OBJECT Lower, _Out_ PISO_FCB *Fcb);
NTSTATUS
IsoOpenForPaging(_In_ PCFLT_RELATED_OBJECTS Objects, _In_ PISO_FCB Fcb, _In_ PUNICODE_STRING Name, _In_ ULONG Options);
VOID IsoLeave(_In_ PISO_FCB Fcb);
VOID IsoCloseBelow(_Inout_ PHANDLE Handle, _Inout_ PFILE_OBJECT *File);

/* create.c */
FLT_PREOP_CALLBACK_STATUS FLTAPI IsoPreCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context);
FLT_PREOP_CALLBACK_STATUS FLTAPI IsoPreCleanup(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context);
FLT_PREOP_CALLBACK_STATUS FLTAPI IsoPreClose(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context);

/* transfer.c */
FLT_PREOP_CALLBACK_STATUS FLTAPI IsoPreRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context);
FLT_PREOP_CALLBACK_STATUS FLTAPI IsoPreWrite(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context);
FLT_PREOP_CALLBACK_STATUS FLTAPI IsoPreFlush(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context);
VOID IsoZero(_In_ PISO_FCB Fcb, _In_ PFILE_OBJECT File, _In_ LONGLONG From, _In_ LONGLONG To);
BOOLEAN NTAPI IsoAcquireForLazyWrite(PVOID Fcb, BOOLEAN Wait);
VOID NTAPI IsoReleaseFromLazyWrite(PVOID Fcb);

/* information.c */
NTSTATUS IsoResize(_In_ PISO_FCB Fcb, _In_opt_ PFILE_OBJECT FileObject, _In_ LONGLONG Size);
FLT_PREOP_CALLBACK_STATUS FLTAPI IsoPreSetInformation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects,
                                                      PVOID *Context);
FLT_PREOP_CALLBACK_STATUS FLTAPI IsoPreQueryInformation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects,
                                                        PVOID *Context);
FLT_POSTOP_CALLBACK_STATUS FLTAPI IsoPostQueryInformation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects,
                                                          PVOID Context, FLT_POST_OPERATION_FLAGS Flags);
FLT_PREOP_CALLBACK_STATUS FLTAPI IsoPreLock(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context);
FLT_PREOP_CALLBACK_STATUS FLTAPI IsoPreSection(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context);
FLT_PREOP_CALLBACK_STATUS FLTAPI IsoPreOther(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context);

FORCEINLINE FLT_PREOP_CALLBACK_STATUS
IsoComplete(_Inout_ PFLT_CALLBACK_DATA Data, _In_ NTSTATUS Status, _In_ ULONG_PTR Information)
{
    Data->IoStatus.Status = Status;
    Data->IoStatus.Information = Information;
    return FLT_PREOP_COMPLETE;
}

FORCEINLINE VOID
IsoLock(_Inout_ PERESOURCE Resource, _In_ BOOLEAN Exclusive)
{
    FsRtlEnterFileSystem();
    if (Exclusive) {
        ExAcquireResourceExclusiveLite(Resource, TRUE);
    } else {
        ExAcquireResourceSharedLite(Resource, TRUE);
    }
}

FORCEINLINE VOID
IsoUnlock(_Inout_ PERESOURCE Resource)
{
    ExReleaseResourceLite(Resource);
    FsRtlExitFileSystem();
}
