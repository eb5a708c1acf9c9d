/*
 * kinds.c: finds the kind that a file's name says, and does it.
 */

#include "kinds.h"

__attribute__((section(".kinds$a"), used)) static const KIND_OF First = {NULL, NULL};
__attribute__((section(".kinds$z"), used)) static const KIND_OF Last = {NULL, NULL};

BOOLEAN
IsNamed(PFILE_OBJECT File, PCWSTR Wanted)
{
    UNICODE_STRING Name;

    RtlInitUnicodeString(&Name, Wanted);
    return RtlEqualUnicodeString(&Name, &File->FileName, TRUE);
}

FLT_PREOP_CALLBACK_STATUS FLTAPI
PreRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *CompletionContext)
{
    const volatile KIND_OF *Kind;

    *CompletionContext = NULL;
    for (Kind = &First + 1; Kind < &Last; Kind++) {
        if (Kind->Name != NULL && IsNamed(FltObjects->FileObject, Kind->Name)) {
            return Kind->Routine(Data, FltObjects, CompletionContext);
        }
    }
    return FLT_PREOP_SUCCESS_NO_CALLBACK;
}

FLT_POSTOP_CALLBACK_STATUS FLTAPI
PostRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
         FLT_POST_OPERATION_FLAGS Flags)
{
    if (CompletionContext != NULL && !FlagOn(Flags, FLTFL_POST_OPERATION_DRAINING)) {
        ((AFTER *)CompletionContext)(Data, FltObjects);
    }
    return FLT_POSTOP_FINISHED_PROCESSING;
}
