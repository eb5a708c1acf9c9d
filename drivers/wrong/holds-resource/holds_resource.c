/*
 * Wrong on purpose (PRE-SYNC-09): synchronizes a read to hold a resource from its preoperation to its postoperation
 * callback.
 */

#include "common.h"

static ERESOURCE Resource;
static BOOLEAN Ready;

static FLT_PREOP_CALLBACK_STATUS FLTAPI
WrongPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    LAB_MATCH Match;

    *CompletionContext = NULL;
    LabMatchPre(Data, &Match);
    if (Match.Rule.Action != FLTLAB_DO_SYNCHRONIZE || !FLT_IS_IRP_OPERATION(Data)) {
        return LabPassDown(Data, FltObjects, &Match, LabSuccess(&Match), CompletionContext);
    }
    if (!Ready) {
        Ready = NT_SUCCESS(ExInitializeResourceLite(&Resource));
    }
    FltAcquireResourceExclusive(&Resource);
    *CompletionContext = &Resource;
    LabRecordPre(Data, FltObjects, &Match, FLT_PREOP_SYNCHRONIZE, *CompletionContext);
    return FLT_PREOP_SYNCHRONIZE;
}

static FLT_POSTOP_CALLBACK_STATUS FLTAPI
WrongPostOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
                   FLT_POST_OPERATION_FLAGS Flags)
{
    if (CompletionContext == &Resource) {
        FltReleaseResource(&Resource);
        CompletionContext = NULL;
    }
    return LabPostOperation(Data, FltObjects, CompletionContext, Flags);
}

static VOID
Stop(VOID)
{
    if (Ready) {
        ExDeleteResourceLite(&Resource);
    }
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_SYNCHRONIZE),
    .PreOperation = WrongPreOperation,
    .PostOperation = WrongPostOperation,
    .Stop = Stop,
};
