/*
 * Wrong on purpose (PARM-05): names an instance of another minifilter as the target of a read.
 */

#include "../black_box.h"

static FLT_PREOP_CALLBACK_STATUS FLTAPI
PreRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    PFLT_INSTANCE Lower;

    *CompletionContext = NULL;
    if (FLT_IS_IRP_OPERATION(Data) && NT_SUCCESS(FltGetLowerInstance(FltObjects->Instance, &Lower))) {
        Data->Iopb->TargetInstance = Lower;
        FltSetCallbackDataDirty(Data);
        FltObjectDereference(Lower);
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

const FLT_OPERATION_REGISTRATION Operations[] = {
    {.MajorFunction = IRP_MJ_READ, .PreOperation = PreRead},
    {.MajorFunction = IRP_MJ_OPERATION_END},
};
