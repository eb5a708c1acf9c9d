/*
 * Wrong on purpose (PRE-FIO-09): references the file object of a NetworkQueryOpen, which lives on a stack.
 */

#include "common.h"

static FLT_PREOP_CALLBACK_STATUS FLTAPI
WrongPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    LAB_MATCH Match;

    *CompletionContext = NULL;
    LabMatchPre(Data, &Match);
    if (Match.Rule.Action == FLTLAB_DO_DISALLOW_FASTIO) {
        ObReferenceObject(FltObjects->FileObject);
        ObDereferenceObject(FltObjects->FileObject);
        return LabStopHere(Data, FltObjects, &Match, FLT_PREOP_DISALLOW_FASTIO);
    }
    return LabPassDown(Data, FltObjects, &Match, LabSuccess(&Match), CompletionContext);
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_DISALLOW_FASTIO),
    .PreOperation = WrongPreOperation,
    .PostOperation = LabPostOperation,
};
