/*
 * locker.c: keeps the byte-range locks of lock.bin itself, with routines that are told what is locked and unlocked; a
 * lock of the byte 66 is undone by its completion routine. Prints what it is told.
 */

#include <fltKernel.h>

#define CONTEXT ((PVOID)(ULONG_PTR)0x4711)
#define REFUSED 66

static PFLT_FILTER Filter;
static PFILE_LOCK Lock;

static NTSTATUS FLTAPI
Completed(PVOID Context, PFLT_CALLBACK_DATA Data)
{
    PFLT_PARAMETERS Parameters = &Data->Iopb->Parameters;

    DbgPrint("completed %u at %u: %08x, context %x\n", Data->Iopb->MinorFunction,
             Parameters->LockControl.ByteOffset.LowPart, Data->IoStatus.Status, (ULONG)(ULONG_PTR)Context);
    return Data->Iopb->MinorFunction == IRP_MN_LOCK && Parameters->LockControl.ByteOffset.LowPart == REFUSED
               ? STATUS_INSUFFICIENT_RESOURCES
               : STATUS_SUCCESS;
}

static VOID NTAPI
Unlocked(PVOID Context, PFILE_LOCK_INFO Info)
{
    DbgPrint("unlocked %u to %u, exclusive %u, key %u, context %x\n", (ULONG)Info->StartingByte.QuadPart,
             (ULONG)Info->EndingByte.QuadPart, Info->ExclusiveLock, Info->Key, (ULONG)(ULONG_PTR)Context);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreLock(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\lock.bin");

    UNREFERENCED_PARAMETER(Context);
    if (!RtlEqualUnicodeString(&Objects->FileObject->FileName, &Name, TRUE)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    return FltProcessFileLock(Lock, Data, CONTEXT);
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(Filter);
    FltFreeFileLock(Lock);
    return STATUS_SUCCESS;
}

DRIVER_INITIALIZE DriverEntry;

NTSTATUS NTAPI
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_LOCK_CONTROL, 0, PreLock, NULL},
                                                            {IRP_MJ_OPERATION_END}};
    static const FLT_REGISTRATION Registration = {
        sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, NULL, Operations, Unload};
    NTSTATUS Status;

    UNREFERENCED_PARAMETER(RegistryPath);
    Lock = FltAllocateFileLock(Completed, Unlocked);
    if (Lock == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    Status = FltRegisterFilter(DriverObject, &Registration, &Filter);
    if (NT_SUCCESS(Status) && !NT_SUCCESS(Status = FltStartFiltering(Filter))) {
        FltUnregisterFilter(Filter);
    }
    if (!NT_SUCCESS(Status)) {
        FltFreeFileLock(Lock);
    }
    return Status;
}
