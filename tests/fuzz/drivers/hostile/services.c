/*
 * services.c: what the filter manager is asked that it must not be asked.
 */

#include "hostile.h"

#define SPOIL(What, ...)                                                                                               \
    KIND(What)                                                                                                         \
    {                                                                                                                  \
        PFILE_OBJECT File = FltObjects->FileObject;                                                                    \
        PFLT_INSTANCE Instance = FltObjects->Instance;                                                                 \
        UNREFERENCED_PARAMETER(Data);                                                                                  \
        UNREFERENCED_PARAMETER(File);                                                                                  \
        UNREFERENCED_PARAMETER(Instance);                                                                              \
        UNREFERENCED_PARAMETER(CompletionContext);                                                                     \
        __VA_ARGS__;                                                                                                   \
        return FLT_PREOP_SUCCESS_NO_CALLBACK;                                                                          \
    }

static VOID FLTAPI
Generic(PFLT_GENERIC_WORKITEM Item, PVOID Object, PVOID Context)
{
    UNREFERENCED_PARAMETER(Object);
    UNREFERENCED_PARAMETER(Context);
    FltFreeGenericWorkItem(Item);
}

static VOID FLTAPI
Deferred(PFLT_DEFERRED_IO_WORKITEM Item, PFLT_CALLBACK_DATA Data, PVOID Context)
{
    UNREFERENCED_PARAMETER(Data);
    UNREFERENCED_PARAMETER(Context);
    FltFreeDeferredIoWorkItem(Item);
}

static PFLT_CONTEXT
Context(FLT_CONTEXT_TYPE Type)
{
    PFLT_CONTEXT New = NULL;

    FltAllocateContext(Filter, Type, 64, NonPagedPool, &New);
    return New;
}

SPOIL(unregisters_in_callback, FltUnregisterFilter(Filter))
SPOIL(context_pool_released, FltReleaseContext(ExAllocatePoolWithTag(NonPagedPoolNx, 64, TAG)))
SPOIL(context_wild_released, FltReleaseContext(WILD))
SPOIL(context_null_released, FltReleaseContext(NULL))
SPOIL(context_released_twice, PFLT_CONTEXT C = Context(FLT_STREAMHANDLE_CONTEXT); FltReleaseContext(C);
      FltReleaseContext(C))
SPOIL(context_left, Context(FLT_STREAMHANDLE_CONTEXT))
SPOIL(context_underrun, PUCHAR C = Context(FLT_STREAMHANDLE_CONTEXT); RtlFillMemory(C - 64, 64, 0xFF);
      FltReleaseContext(C))
SPOIL(context_overrun, PUCHAR C = Context(FLT_STREAMHANDLE_CONTEXT); RtlFillMemory(C, 80, 0xFF); FltReleaseContext(C))
SPOIL(context_pool_set, PVOID Old; FltSetStreamHandleContext(Instance, File, FLT_SET_CONTEXT_REPLACE_IF_EXISTS,
                                                             ExAllocatePoolWithTag(NonPagedPoolNx, 64, TAG), &Old))
SPOIL(context_wrong_type_set, PVOID Old = NULL;
      FltSetInstanceContext(Instance, FLT_SET_CONTEXT_REPLACE_IF_EXISTS, Context(FLT_STREAMHANDLE_CONTEXT), &Old))
SPOIL(context_set_then_over_released, PVOID Old = NULL; PFLT_CONTEXT C = Context(FLT_STREAMHANDLE_CONTEXT);
      FltSetStreamHandleContext(Instance, File, FLT_SET_CONTEXT_REPLACE_IF_EXISTS, C, &Old); FltReleaseContext(C);
      FltReleaseContext(C))
SPOIL(context_used_after_release, PUCHAR C = Context(FLT_STREAMHANDLE_CONTEXT); FltReleaseContext(C); C[0] = 1)
SPOIL(context_deleted_twice, PVOID Old = NULL; PFLT_CONTEXT C = Context(FLT_STREAMHANDLE_CONTEXT);
      FltSetStreamHandleContext(Instance, File, FLT_SET_CONTEXT_REPLACE_IF_EXISTS, C, &Old); FltDeleteContext(C);
      FltDeleteContext(C); FltReleaseContext(C); FltReleaseContext(C))
SPOIL(context_at_dispatch, KIRQL Irql; KeRaiseIrql(DISPATCH_LEVEL, &Irql); Context(FLT_STREAMHANDLE_CONTEXT);
      KeLowerIrql(Irql))
SPOIL(filter_over_dereferenced, FltObjectDereference(Filter); FltObjectDereference(Filter);
      FltObjectDereference(Filter))
SPOIL(instance_over_dereferenced, FltObjectDereference(Instance); FltObjectDereference(Instance);
      FltObjectDereference(Instance))
SPOIL(volume_over_dereferenced, FltObjectDereference(FltObjects->Volume); FltObjectDereference(FltObjects->Volume);
      FltObjectDereference(FltObjects->Volume))
SPOIL(flt_wild_dereferenced, FltObjectDereference(WILD))
SPOIL(flt_file_dereferenced, FltObjectDereference(File))
SPOIL(filter_reference_left, FltObjectReference(Filter))
SPOIL(volume_reference_left, PFLT_VOLUME V; FltGetVolumeFromFileObject(Filter, File, &V))
SPOIL(name_left, PFLT_FILE_NAME_INFORMATION N;
      FltGetFileNameInformation(Data, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &N))
SPOIL(name_released_twice, PFLT_FILE_NAME_INFORMATION N;
      FltGetFileNameInformation(Data, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &N);
      FltReleaseFileNameInformation(N); FltReleaseFileNameInformation(N))
SPOIL(name_destroyed_released, PFLT_FILE_NAME_INFORMATION N;
      FltGetFileNameInformation(Data, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &N); DESTROY(N);
      FltReleaseFileNameInformation(N))
SPOIL(name_destroyed_parsed, PFLT_FILE_NAME_INFORMATION N;
      FltGetFileNameInformation(Data, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &N);
      N->Name.Buffer = WILD; FltParseFileNameInformation(N); FltReleaseFileNameInformation(N))
SPOIL(name_characters_overwritten, PFLT_FILE_NAME_INFORMATION N;
      FltGetFileNameInformation(Data, FLT_FILE_NAME_NORMALIZED | FLT_FILE_NAME_QUERY_DEFAULT, &N);
      RtlFillMemory(N->Name.Buffer, N->Name.Length, 0xFF); FltParseFileNameInformation(N);
      FltReleaseFileNameInformation(N))
SPOIL(name_wild_released, FltReleaseFileNameInformation(WILD))
SPOIL(name_pool_released, FltReleaseFileNameInformation(ExAllocatePoolWithTag(NonPagedPoolNx, 256, TAG)))
SPOIL(resumes_unpended, FltCompletePendedPreOperation(Data, FLT_PREOP_SUCCESS_NO_CALLBACK, NULL))
SPOIL(resumes_post_unpended, FltCompletePendedPostOperation(Data))
SPOIL(reissues_unpended, FltReissueSynchronousIo(Instance, Data))
SPOIL(performs_requesters, FltPerformSynchronousIo(Data))
SPOIL(frees_requesters, FltFreeCallbackData(Data))
SPOIL(reuses_requesters, FltReuseCallbackData(Data))
SPOIL(data_wild_performed, FltPerformSynchronousIo(WILD))
SPOIL(data_left, PFLT_CALLBACK_DATA D; FltAllocateCallbackData(Instance, File, &D))
SPOIL(data_freed_twice, PFLT_CALLBACK_DATA D; FltAllocateCallbackData(Instance, File, &D); FltFreeCallbackData(D);
      FltFreeCallbackData(D))
#define OWN_DATA(What)                                                                                                 \
    PFLT_CALLBACK_DATA D;                                                                                              \
    UCHAR Room[64];                                                                                                    \
    FltAllocateCallbackData(Instance, File, &D);                                                                       \
    D->Iopb->MajorFunction = IRP_MJ_QUERY_INFORMATION;                                                                 \
    D->Iopb->Parameters.QueryFileInformation.Length = sizeof(Room);                                                    \
    D->Iopb->Parameters.QueryFileInformation.FileInformationClass = FileStandardInformation;                           \
    D->Iopb->Parameters.QueryFileInformation.InfoBuffer = Room;                                                        \
    D->Iopb->IrpFlags = IRP_SYNCHRONOUS_API;                                                                           \
    What
SPOIL(own_data_destroyed_performed, OWN_DATA(DESTROY(D)); FltPerformSynchronousIo(D); FltFreeCallbackData(D))
SPOIL(own_data_destroyed_freed, OWN_DATA(DESTROY(D)); FltFreeCallbackData(D))
SPOIL(own_data_zeroed_performed, OWN_DATA(RtlZeroMemory(D, sizeof(*D))); FltPerformSynchronousIo(D);
      FltFreeCallbackData(D))
SPOIL(own_data_thread, OWN_DATA(*(PVOID *)&D->Thread = NULL); FltPerformSynchronousIo(D); FltFreeCallbackData(D))
SPOIL(own_data_parameters_wild, OWN_DATA(*(PVOID *)&D->Iopb = WILD); FltPerformSynchronousIo(D);
      FltFreeCallbackData(D))
SPOIL(own_data_instance_wild, OWN_DATA(D->Iopb->TargetInstance = WILD); FltPerformSynchronousIo(D);
      FltFreeCallbackData(D))
SPOIL(own_data_file_wild, OWN_DATA(D->Iopb->TargetFileObject = WILD); FltPerformSynchronousIo(D);
      FltFreeCallbackData(D))
SPOIL(own_data_beyond, OWN_DATA(RtlFillMemory(D->Iopb, 4 * sizeof(*D->Iopb), 0xFF)); FltFreeCallbackData(D))
SPOIL(reads_wild, LARGE_INTEGER At = {0}; ULONG Done; FltReadFile(Instance, File, &At, 512, WILD, 0, &Done, NULL, NULL))
SPOIL(reads_instance_wild, UCHAR Room[16]; LARGE_INTEGER At = {0}; ULONG Done;
      FltReadFile(WILD, File, &At, 16, Room, 0, &Done, NULL, NULL))
SPOIL(reads_beyond_block, PVOID B = ExAllocatePoolWithTag(NonPagedPoolNx, 64, TAG); LARGE_INTEGER At = {0}; ULONG Done;
      FltReadFile(Instance, File, &At, 4096, B, 0, &Done, NULL, NULL); ExFreePoolWithTag(B, TAG))
SPOIL(reads_end_of_file_beyond_block, PVOID B = ExAllocatePoolWithTag(NonPagedPoolNx, 512, TAG);
      LARGE_INTEGER At = {.QuadPart = 512}; ULONG Done;
      FltReadFile(Instance, File, &At, 1024, B, FLTFL_IO_OPERATION_NON_CACHED, &Done, NULL, NULL);
      ExFreePoolWithTag(B, TAG))
SPOIL(queries_beyond_block, PUCHAR B = ExAllocatePoolWithTag(NonPagedPoolNx, 64, TAG);
      FltQueryInformationFile(Instance, File, B + 32, 64, FileStandardInformation, NULL); ExFreePoolWithTag(B, TAG))
SPOIL(replies_beyond_block, PVOID B = ExAllocatePoolWithTag(NonPagedPoolNx, 64, TAG); ULONG Length = 65;
      LARGE_INTEGER Moment = {.QuadPart = -10000};
      FltSendMessage(Filter, &Client, &Length, sizeof(Length), B, &Length, &Moment); ExFreePoolWithTag(B, TAG))
SPOIL(value_beyond_block, PVOID B = ExAllocatePoolWithTag(PagedPool, 64, TAG); HANDLE Key; ULONG Length;
      UNICODE_STRING Path = RTL_CONSTANT_STRING(L"\\Registry\\Machine\\System\\CurrentControlSet\\Services");
      OBJECT_ATTRIBUTES A; InitializeObjectAttributes(&A, &Path, OBJ_KERNEL_HANDLE, NULL, NULL);
      ZwOpenKey(&Key, KEY_READ, &A); ZwQueryKey(Key, KeyBasicInformation, B, 512, &Length); ZwClose(Key);
      ExFreePoolWithTag(B, TAG))
SPOIL(queries_stack_beyond, UCHAR Room[16];
      FltQueryInformationFile(Instance, File, Room, 0x10000, FileAllInformation, NULL))
SPOIL(reads_at_dispatch, UCHAR Room[16]; KIRQL Irql; LARGE_INTEGER At = {0}; ULONG Done;
      KeRaiseIrql(DISPATCH_LEVEL, &Irql); FltReadFile(Instance, File, &At, 16, Room, 0, &Done, NULL, NULL);
      KeLowerIrql(Irql))
SPOIL(creates_without_attributes, HANDLE H; IO_STATUS_BLOCK S;
      FltCreateFile(Filter, Instance, &H, GENERIC_READ, NULL, &S, NULL, 0, 7, FILE_OPEN, 0, NULL, 0, 0))
SPOIL(creates_name_wild, HANDLE H; IO_STATUS_BLOCK S; UNICODE_STRING N = {8, 8, WILD}; OBJECT_ATTRIBUTES A;
      InitializeObjectAttributes(&A, &N, OBJ_KERNEL_HANDLE, NULL, NULL);
      FltCreateFile(Filter, Instance, &H, GENERIC_READ, &A, &S, NULL, 0, 7, FILE_OPEN, 0, NULL, 0, 0))
SPOIL(creates_with_mutex, HANDLE H; IO_STATUS_BLOCK S; UNICODE_STRING N = RTL_CONSTANT_STRING(L"\\??\\V:\\other");
      OBJECT_ATTRIBUTES A; KIRQL Irql; KeRaiseIrql(APC_LEVEL, &Irql);
      InitializeObjectAttributes(&A, &N, OBJ_KERNEL_HANDLE, NULL, NULL);
      FltCreateFile(Filter, Instance, &H, GENERIC_READ, &A, &S, NULL, 0, 7, FILE_OPEN, 0, NULL, 0, 0);
      KeLowerIrql(Irql))
SPOIL(file_left_open, HANDLE H; IO_STATUS_BLOCK S; UNICODE_STRING N = RTL_CONSTANT_STRING(L"\\??\\V:\\other");
      OBJECT_ATTRIBUTES A; InitializeObjectAttributes(&A, &N, OBJ_KERNEL_HANDLE, NULL, NULL);
      FltCreateFile(Filter, Instance, &H, GENERIC_READ, &A, &S, NULL, 0, 7, FILE_OPEN, 0, NULL, 0, 0))
SPOIL(when_safe_in_pre, FLT_POSTOP_CALLBACK_STATUS S;
      FltDoCompletionProcessingWhenSafe(Data, FltObjects, NULL, 0, NULL, &S))
SPOIL(generic_item_destroyed, PFLT_GENERIC_WORKITEM I = FltAllocateGenericWorkItem(); RtlFillMemory(I, 32, 0xFF);
      FltQueueGenericWorkItem(I, Filter, Generic, DelayedWorkQueue, NULL))
SPOIL(generic_item_wild, FltQueueGenericWorkItem(WILD, Filter, Generic, DelayedWorkQueue, NULL))
SPOIL(generic_item_routine_wild,
      FltQueueGenericWorkItem(FltAllocateGenericWorkItem(), Filter, WILD, DelayedWorkQueue, NULL))
SPOIL(generic_item_object_wild,
      FltQueueGenericWorkItem(FltAllocateGenericWorkItem(), WILD, Generic, DelayedWorkQueue, NULL))
SPOIL(generic_item_twice, PFLT_GENERIC_WORKITEM I = FltAllocateGenericWorkItem();
      FltQueueGenericWorkItem(I, Filter, Generic, DelayedWorkQueue, NULL);
      FltQueueGenericWorkItem(I, Filter, Generic, DelayedWorkQueue, NULL))
SPOIL(generic_item_freed_twice, PFLT_GENERIC_WORKITEM I = FltAllocateGenericWorkItem(); FltFreeGenericWorkItem(I);
      FltFreeGenericWorkItem(I))
SPOIL(generic_item_freed_queued, PFLT_GENERIC_WORKITEM I = FltAllocateGenericWorkItem();
      FltQueueGenericWorkItem(I, Filter, Generic, DelayedWorkQueue, NULL); FltFreeGenericWorkItem(I))
SPOIL(deferred_item_left, FltAllocateDeferredIoWorkItem())
SPOIL(port_closed_wild, FltCloseCommunicationPort(WILD))
SPOIL(client_port_wild, PFLT_PORT P = WILD; FltCloseClientPort(Filter, &P))
SPOIL(message_wild_port, PFLT_PORT P = WILD; FltSendMessage(Filter, &P, &P, 8, NULL, NULL, NULL))
SPOIL(aligned_pool_freed, FltFreePoolAlignedWithTag(Instance, ExAllocatePoolWithTag(NonPagedPoolNx, 512, 'xxxx'), TAG))
SPOIL(aligned_left, FltAllocatePoolAlignedWithTag(Instance, NonPagedPool, 512, TAG))
SPOIL(cancel_open_in_read, FltCancelFileOpen(Instance, File))
SPOIL(registers_wild, PFLT_FILTER F; FltRegisterFilter(Driver, WILD, &F))
SPOIL(starts_wild, FltStartFiltering(WILD))
SPOIL(enumerates_huge, ULONG N; FltEnumerateFilters(WILD, 0xFFFF, &N))
SPOIL(instances_referenced, PFLT_INSTANCE L[16]; ULONG N; FltEnumerateInstances(FltObjects->Volume, NULL, L, 16, &N))
SPOIL(swaps_buffer_only, Data->Iopb->Parameters.Read.ReadBuffer = ExAllocatePoolWithTag(NonPagedPoolNx, 512, TAG);
      FltSetCallbackDataDirty(Data))
SPOIL(status_unknown, return 77)
SPOIL(status_pending_forgotten, return FLT_PREOP_PENDING)
SPOIL(status_complete_unset, return FLT_PREOP_COMPLETE)
SPOIL(status_complete_pending, Data->IoStatus.Status = STATUS_PENDING; return FLT_PREOP_COMPLETE)
SPOIL(status_complete_huge, Data->IoStatus.Status = STATUS_SUCCESS; Data->IoStatus.Information = 0x7FFFFFFFFFFF;
      return FLT_PREOP_COMPLETE)
SPOIL(status_synchronize_wild, *CompletionContext = WILD; return FLT_PREOP_SYNCHRONIZE)
SPOIL(status_disallow_fast_io, return FLT_PREOP_DISALLOW_FASTIO)
SPOIL(prints_for_ever, for (;;) DbgPrint("x"))
static VOID __attribute__((noinline))
Turn(volatile ULONG *Count)
{
    while (*Count != MAXULONG) {
        *Count &= 0xFFFF;
        *Count += 1;
    }
}

SPOIL(turns_for_ever, volatile ULONG Count = 0; Turn(&Count))
SPOIL(allocates_for_ever, for (;;) ExAllocatePoolWithTag(NonPagedPoolNx, 0x10000, TAG))
SPOIL(contexts_for_ever, for (;;) Context(FLT_STREAMHANDLE_CONTEXT))
SPOIL(items_for_ever,
      for (;;) FltQueueGenericWorkItem(FltAllocateGenericWorkItem(), Filter, Generic, DelayedWorkQueue, NULL))
