/*
 * hostile.h: a kind of wrong, done when a file of its name is read.
 *
 * Each KIND is a preoperation callback of the first read of such a file. What stands in the section .kinds is the table
 * of them: the linker sorts its parts by what follows the dollar sign.
 */

#pragma once

#include <ntifs.h>

#include <fltKernel.h>

#define TAG 'tsoH'
#define WILD ((PVOID)0xFFFFC1234567F000ull)
#define DESTROY(Place) RtlFillMemory((PVOID)(Place), sizeof(*(Place)), 0xFF)

typedef FLT_PREOP_CALLBACK_STATUS FLTAPI ROUTINE(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects,
                                                 PVOID *CompletionContext);
typedef struct _KIND_OF_WRONG {
    PCWSTR Name;
    ROUTINE *Routine;
} KIND_OF_WRONG;

#define KIND(What)                                                                                                     \
    static ROUTINE What;                                                                                               \
    __attribute__((section(".kinds$m"), used)) static const KIND_OF_WRONG Kind_##What = {L"\\" #What, What};           \
    static FLT_PREOP_CALLBACK_STATUS FLTAPI What(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects,            \
                                                 PVOID *CompletionContext)

extern PFLT_FILTER Filter;
extern PDRIVER_OBJECT Driver;

/* What a KIND leaves to the postoperation callback of its read. */
typedef VOID AFTER(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects);
