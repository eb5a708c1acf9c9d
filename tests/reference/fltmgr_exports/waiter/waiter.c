/*
 * waiter.c: keeps the oplocks of wait.bin itself; operations that wait for a break go on by their wait-completion
 * routine, which prints how the wait has ended.
 */

#include <fltKernel.h>

static PFLT_FILTER Filter;
static OPLOCK Oplock;

static VOID FLTAPI
Waited(PFLT_CALLBACK_DATA Data, PVOID Context)
{
    NTSTATUS Status = Data->IoStatus.Status;

    DbgPrint("waited %u: %08x, context %x\n", Data->Iopb->MajorFunction, Status, (ULONG)(ULONG_PTR)Context);
    FltCompletePendedPreOperation(Data, Status == STATUS_SUCCESS ? FLT_PREOP_SUCCESS_NO_CALLBACK : FLT_PREOP_COMPLETE,
                                  NULL);
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS Objects, PVOID *Context)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\wait.bin");
    FLT_PREOP_CALLBACK_STATUS Status;

    UNREFERENCED_PARAMETER(Context);
    if (!RtlEqualUnicodeString(&Objects->FileObject->FileName, &Name, TRUE)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (!FLT_IS_IRP_OPERATION(Data)) {
        return FLT_PREOP_DISALLOW_FASTIO;
    }
    if (Data->Iopb->MajorFunction == IRP_MJ_FILE_SYSTEM_CONTROL) {
        return FltOplockFsctrl(&Oplock, Data, 1);
    }
    /* A write is waited for here, by the caller. */
    Status =
        FltCheckOplock(&Oplock, Data, (PVOID)0x17, Data->Iopb->MajorFunction == IRP_MJ_WRITE ? NULL : Waited, NULL);
    if (Data->Iopb->MajorFunction == IRP_MJ_WRITE && Status == FLT_PREOP_COMPLETE) {
        DbgPrint("write: %08x\n", Data->IoStatus.Status);
    }
    return Status == FLT_PREOP_SUCCESS_WITH_CALLBACK ? FLT_PREOP_SUCCESS_NO_CALLBACK : Status;
}

static NTSTATUS FLTAPI
Unload(FLT_FILTER_UNLOAD_FLAGS Flags)
{
    UNREFERENCED_PARAMETER(Flags);
    FltUnregisterFilter(Filter);
    FltUninitializeOplock(&Oplock);
    return STATUS_SUCCESS;
}

DRIVER_INITIALIZE DriverEntry;

NTSTATUS NTAPI
DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath)
{
    static const FLT_OPERATION_REGISTRATION Operations[] = {{IRP_MJ_CREATE, 0, PreOperation, NULL},
                                                            {IRP_MJ_READ, 0, PreOperation, NULL},
                                                            {IRP_MJ_WRITE, 0, PreOperation, NULL},
                                                            {IRP_MJ_CLEANUP, 0, PreOperation, NULL},
                                                            {IRP_MJ_FILE_SYSTEM_CONTROL, 0, PreOperation, NULL},
                                                            {IRP_MJ_OPERATION_END}};
    static const FLT_REGISTRATION Registration = {
        sizeof(FLT_REGISTRATION), FLT_REGISTRATION_VERSION, 0, NULL, Operations, Unload};
    NTSTATUS Status = FltRegisterFilter(DriverObject, &Registration, &Filter);

    UNREFERENCED_PARAMETER(RegistryPath);
    FltInitializeOplock(&Oplock);
    return NT_SUCCESS(Status) ? FltStartFiltering(Filter) : Status;
}
