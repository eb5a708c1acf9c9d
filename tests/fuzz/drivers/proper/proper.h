/*
 * proper.h: what is unusual and right, done when a file of its name is read; none of it may be found wrong.
 */

#pragma once

#include <ntifs.h>

#include <fltKernel.h>

#define TAG 'porP'

typedef FLT_PREOP_CALLBACK_STATUS FLTAPI ROUTINE(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects,
                                                 PVOID *CompletionContext);
typedef struct _KIND_OF_RIGHT {
    PCWSTR Name;
    ROUTINE *Routine;
} KIND_OF_RIGHT;

#define KIND(What)                                                                                                     \
    static ROUTINE What;                                                                                               \
    __attribute__((section(".kinds$m"), used)) static const KIND_OF_RIGHT Kind_##What = {L"\\" #What, What};           \
    static FLT_PREOP_CALLBACK_STATUS FLTAPI What(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects,            \
                                                 PVOID *CompletionContext)

typedef VOID AFTER(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects);

extern PFLT_FILTER Filter;
extern PFLT_PORT Client;

VOID KindsStart(VOID);
VOID KindsStop(VOID);
