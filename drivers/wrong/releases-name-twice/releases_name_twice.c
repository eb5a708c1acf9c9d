/*
 * Wrong on purpose (NAME-02): releases a file name information twice.
 */

#include "common.h"

static FLT_PREOP_CALLBACK_STATUS FLTAPI
WrongPreOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    PFLT_FILE_NAME_INFORMATION Name;
    LAB_MATCH Match;

    *CompletionContext = NULL;
    LabMatchPre(Data, &Match);
    if (Match.Rule.Action == FLTLAB_DO_WITH_CALLBACK &&
        NT_SUCCESS(FltGetFileNameInformation(Data, FLT_FILE_NAME_OPENED | FLT_FILE_NAME_QUERY_DEFAULT, &Name))) {
        FltReleaseFileNameInformation(Name);
        FltReleaseFileNameInformation(Name);
    }
    return LabPassDown(Data, FltObjects, &Match, LabSuccess(&Match), CompletionContext);
}

const FLTLAB_DRIVER FltLabDriver = {
    .Actions = LAB_ACTION(FLTLAB_DO_WITH_CALLBACK),
    .PreOperation = WrongPreOperation,
    .PostOperation = LabPostOperation,
};
