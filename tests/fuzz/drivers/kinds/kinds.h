/*
 * kinds.h: a driver that does, when a file is read, what the file's name says.
 *
 * Each KIND is a preoperation callback of the first read of such a file. What stands in the section .kinds is the table
 * of them: the linker sorts its parts by what follows the dollar sign.
 */

#pragma once

#include <ntifs.h>

#include <fltKernel.h>

typedef FLT_PREOP_CALLBACK_STATUS FLTAPI ROUTINE(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects,
                                                 PVOID *CompletionContext);
typedef struct _KIND_OF {
    PCWSTR Name;
    ROUTINE *Routine;
} KIND_OF;

#define KIND(What)                                                                                                     \
    static ROUTINE What;                                                                                               \
    __attribute__((section(".kinds$m"), used)) static const KIND_OF Kind_##What = {L"\\" #What, What};                 \
    static FLT_PREOP_CALLBACK_STATUS FLTAPI What(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects,            \
                                                 PVOID *CompletionContext)

/* What a KIND leaves, as its completion context, to the postoperation callback of its read. */
typedef VOID AFTER(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects);

BOOLEAN
IsNamed(PFILE_OBJECT File, PCWSTR Wanted);

ROUTINE PreRead;

FLT_POSTOP_CALLBACK_STATUS FLTAPI PostRead(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects,
                                           PVOID CompletionContext, FLT_POST_OPERATION_FLAGS Flags);
