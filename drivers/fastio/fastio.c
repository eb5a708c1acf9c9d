/*
 * fastio.c: turns fast I/O away.
 *
 * Scenario "the operation is a fast I/O operation that the minifilter does not allow" (FLT_PREOP_DISALLOW_FASTIO) of
 * Writing Preoperation Callback Routines, and FLT_PREOP_DISALLOW_FSFILTER_IO for IRP_MJ_QUERY_OPEN. IoStatus is left to
 * the filter manager (PRE-FIO-03).
 */

#include "common.h"

/* Only fast I/O can be disallowed, and these never (PRE-FIO-05). */
static BOOLEAN
MayDisallow(PFLT_CALLBACK_DATA Data)
{
    switch (Data->Iopb->MajorFunction) {
    case IRP_MJ_SHUTDOWN:
    case IRP_MJ_VOLUME_MOUNT:
    case IRP_MJ_VOLUME_DISMOUNT:
        return FALSE;
    default:
        return FLT_IS_FASTIO_OPERATION(Data) != 0;
    }
}

static FLT_PREOP_CALLBACK_STATUS FLTAPI
FastIoPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    LAB_MATCH Match;

    *CompletionContext = NULL;
    LabMatchPre(Data, &Match);
    LabActInPre(Data, FltObjects, &Match);
    if (Match.Rule.Action == FLTLAB_DO_DISALLOW_FASTIO && MayDisallow(Data)) {
        return LabStopHere(Data, FltObjects, &Match, FLT_PREOP_DISALLOW_FASTIO);
    }
    if (Match.Rule.Action == FLTLAB_DO_DISALLOW_FSFILTER_IO && Data->Iopb->MajorFunction == IRP_MJ_QUERY_OPEN) {
        return LabStopHere(Data, FltObjects, &Match, FLT_PREOP_DISALLOW_FSFILTER_IO);
    }
    return LabPassDown(Data, FltObjects, &Match, LabSuccess(&Match), CompletionContext);
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_NO_CALLBACK) | LAB_ACTION(FLTLAB_DO_WITH_CALLBACK) |
               LAB_ACTION(FLTLAB_DO_DISALLOW_FASTIO) | LAB_ACTION(FLTLAB_DO_DISALLOW_FSFILTER_IO),
    .RuleFlags = FLTLAB_RULE_PAGING_IO | FLTLAB_RULE_HOLD | FLTLAB_RULE_CONTEXT | FLTLAB_RULE_POST_HOLD,
    .PreOperation = FastIoPreOperation,
    .PostOperation = LabPostOperation,
};
