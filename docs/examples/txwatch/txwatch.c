/*
 * txwatch.c: a transaction-aware filter, after the way of Microsoft's scanner samples. A file that is opened in a
 * transaction gets a transaction context; the transaction's end decides what the files in it have become. A volume
 * without TxF, which most have become, is told so in the instance setup and is attached to all the same.
 */

#include <fltKernel.h>

#define TXW_TAG 'wTxT'

typedef struct _TXW_INSTANCE {
    BOOLEAN Transactions; /* the file system has them */
} TXW_INSTANCE, *PTXW_INSTANCE;

typedef struct _TXW_TRANSACTION {
    volatile LONG Files;
    BOOLEAN Enlisted;
} TXW_TRANSACTION, *PTXW_TRANSACTION;

static PFLT_FILTER gFilter;

static CONST FLT_CONTEXT_REGISTRATION gContexts[] = {
    {FLT_INSTANCE_CONTEXT, 0, NULL, sizeof(TXW_INSTANCE), TXW_TAG},
    {FLT_TRANSACTION_CONTEXT, 0, NULL, sizeof(TXW_TRANSACTION), TXW_TAG},
    {FLT_CONTEXT_END},
};

static NTSTATUS FLTAPI
TxwInstanceSetup(PCFLT_RELATED_OBJECTS FltObjects, FLT_INSTANCE_SETUP_FLAGS Flags, DEVICE_TYPE VolumeDeviceType,
                 FLT_FILESYSTEM_TYPE VolumeFilesystemType)
{
    UCHAR Buffer[sizeof(FILE_FS_ATTRIBUTE_INFORMATION) + 64];
    PFILE_FS_ATTRIBUTE_INFORMATION Attributes = (PFILE_FS_ATTRIBUTE_INFORMATION)Buffer;
    IO_STATUS_BLOCK Iosb;
    PTXW_INSTANCE Context;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(Flags);
    UNREFERENCED_PARAMETER(VolumeDeviceType);
    PAGED_CODE();

    Status = FltAllocateContext(gFilter, FLT_INSTANCE_CONTEXT, sizeof(*Context), NonPagedPoolNx,
                                (PFLT_CONTEXT *)&Context);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Context->Transactions = FALSE;
    Status = FltQueryVolumeInformation(FltObjects->Instance, &Iosb, Attributes, sizeof(Buffer),
                                       FileFsAttributeInformation);
    if (NT_SUCCESS(Status)) {
        Context->Transactions = BooleanFlagOn(Attributes->FileSystemAttributes, FILE_SUPPORTS_TRANSACTIONS);
    }
    DbgPrint("txwatch: file system %d %s transactions\n", VolumeFilesystemType,
             Context->Transactions ? "has" : "has no");
    Status = FltSetInstanceContext(FltObjects->Instance, FLT_SET_CONTEXT_KEEP_IF_EXISTS, Context, NULL);
    FltReleaseContext(Context);
    return NT_SUCCESS(Status) ? STATUS_SUCCESS : STATUS_FLT_DO_NOT_ATTACH;
}

static NTSTATUS FLTAPI
TxwQueryTeardown(PCFLT_RELATED_OBJECTS FltObjects, FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(FltObjects);
    UNREFERENCED_PARAMETER(Flags);
    return STATUS_SUCCESS;
}

static NTSTATUS FLTAPI
TxwNotification(PCFLT_RELATED_OBJECTS FltObjects, PFLT_CONTEXT TransactionContext, ULONG NotificationMask)
{
    PTXW_TRANSACTION Transaction = TransactionContext;

    UNREFERENCED_PARAMETER(FltObjects);
    PAGED_CODE();

    if (FlagOn(NotificationMask, TRANSACTION_NOTIFY_COMMIT_FINALIZE)) {
        DbgPrint("txwatch: commit of %ld files\n", Transaction->Files);
    } else if (FlagOn(NotificationMask, TRANSACTION_NOTIFY_ROLLBACK)) {
        DbgPrint("txwatch: rollback of %ld files\n", Transaction->Files);
    }
    return STATUS_SUCCESS;
}

/* The context of the transaction, with a reference; it is made, and the filter enlisted, at the first file. */
static NTSTATUS
TxwGetTransaction(PCFLT_RELATED_OBJECTS FltObjects, PTXW_TRANSACTION *Transaction)
{
    PTXW_TRANSACTION Made = NULL;
    PTXW_TRANSACTION Old = NULL;
    NTSTATUS Status;

    Status = FltGetTransactionContext(FltObjects->Instance, FltObjects->Transaction, (PFLT_CONTEXT *)Transaction);
    if (Status != STATUS_NOT_FOUND) {
        return Status;
    }
    Status = FltAllocateContext(gFilter, FLT_TRANSACTION_CONTEXT, sizeof(*Made), NonPagedPoolNx,
                                (PFLT_CONTEXT *)&Made);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    RtlZeroMemory(Made, sizeof(*Made));
    Status = FltSetTransactionContext(FltObjects->Instance, FltObjects->Transaction, FLT_SET_CONTEXT_KEEP_IF_EXISTS,
                                      Made, (PFLT_CONTEXT *)&Old);
    if (Status == STATUS_FLT_CONTEXT_ALREADY_DEFINED) {
        FltReleaseContext(Made);
        *Transaction = Old;
        return STATUS_SUCCESS;
    }
    if (NT_SUCCESS(Status)) {
        Status = FltEnlistInTransaction(FltObjects->Instance, FltObjects->Transaction, Made,
                                        TRANSACTION_NOTIFY_COMMIT_FINALIZE | TRANSACTION_NOTIFY_ROLLBACK);
        if (Status == STATUS_FLT_ALREADY_ENLISTED) {
            Status = STATUS_SUCCESS;
        }
        Made->Enlisted = NT_SUCCESS(Status);
    }
    if (!NT_SUCCESS(Status)) {
        FltDeleteTransactionContext(FltObjects->Instance, FltObjects->Transaction, NULL);
        FltReleaseContext(Made);
        return Status;
    }
    *Transaction = Made;
    return STATUS_SUCCESS;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
TxwPostCreate(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
              FLT_POST_OPERATION_FLAGS Flags)
{
    TXN_PARAMETER_BLOCK *Block = IoGetTransactionParameterBlock(FltObjects->FileObject);
    PTXW_TRANSACTION Transaction;
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(CompletionContext);
    if (FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) || !NT_SUCCESS(Data->IoStatus.Status) ||
        FltObjects->Transaction == NULL) {
        FLT_ASSERT(Block == NULL || FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING) ||
                   !NT_SUCCESS(Data->IoStatus.Status));
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    Status = TxwGetTransaction(FltObjects, &Transaction);
    if (!NT_SUCCESS(Status)) {
        DbgPrint("txwatch: not enlisted, 0x%08x (miniversion %u)\n", Status, Block != NULL ? Block->TxFsContext : 0);
        return FLT_POSTOP_FINISHED_PROCESSING;
    }
    InterlockedIncrement(&Transaction->Files);
    FltReleaseContext(Transaction);
    return FLT_POSTOP_FINISHED_PROCESSING;
}

static NTSTATUS FLTAPI
TxwUnload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(gFilter);
    return STATUS_SUCCESS;
}

static CONST FLT_OPERATION_REGISTRATION gCallbacks[] = {{IRP_MJ_CREATE, 0, NULL, TxwPostCreate},
                                                        {IRP_MJ_OPERATION_END}};

static CONST FLT_REGISTRATION gRegistration = {
    sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, gContexts, gCallbacks, TxwUnload, TxwInstanceSetup,
    TxwQueryTeardown, NULL, NULL, NULL, NULL, NULL, TxwNotification, NULL,
#if FLT_MGR_WIN8
    NULL,
#endif
};

NTSTATUS
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    Status = FltRegisterFilter(DriverObject, &gRegistration, &gFilter);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Status = FltStartFiltering(gFilter);
    if (!NT_SUCCESS(Status)) {
        FltUnregisterFilter(gFilter);
    }
    return Status;
}
