/*
 * Wrong on purpose (PARM-06): turns a read to a file of another volume.
 */

#define BEFORE_UNLOAD Close
#include "../black_box.h"

static HANDLE Handle;
static PFILE_OBJECT Elsewhere;

static VOID
Close(VOID)
{
    if (Elsewhere != NULL) {
        ObDereferenceObject(Elsewhere);
        FltClose(Handle);
    }
}

static VOID
Open(VOID)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"\\??\\C:\\");
    OBJECT_ATTRIBUTES Attributes;
    IO_STATUS_BLOCK IoStatus;

    InitializeObjectAttributes(&Attributes, &Name, OBJ_KERNEL_HANDLE, NULL, NULL);
    if (NT_SUCCESS(FltCreateFileEx(Filter, NULL, &Handle, &Elsewhere, FILE_READ_ATTRIBUTES | SYNCHRONIZE, &Attributes,
                                   &IoStatus, NULL, 0, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                                   FILE_OPEN, FILE_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT, NULL, 0, 0))) {
        return;
    }
    Elsewhere = NULL;
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    UNREFERENCED_PARAMETER(FltObjects);
    *CompletionContext = NULL;
    if (!FLT_IS_IRP_OPERATION(Data) || FlagOn(Data->Iopb->IrpFlags, IRP_PAGING_IO)) {
        return FLT_PREOP_SUCCESS_NO_CALLBACK;
    }
    if (Elsewhere == NULL) {
        Open();
    }
    if (Elsewhere != NULL) {
        Data->Iopb->TargetFileObject = Elsewhere; /* and TargetInstance is still the one on this volume */
        FltSetCallbackDataDirty(Data);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

const FLT_OPERATION_REGISTRATION Operations[] = {
    {.MajorFunction = IRP_MJ_READ, .PreOperation = PreRead},
    {.MajorFunction = IRP_MJ_OPERATION_END},
};
