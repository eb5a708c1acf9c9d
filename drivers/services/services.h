/*
 * services.h: what the parts of this minifilter share.
 */

#ifndef SERVICES_H
#define SERVICES_H

#include <fltkernel.h>

#define SERVICES_TAG 'vSlF' /* shown as FlSv */

/* One line of text: errors of all components are let through by the Debug Print Filter. */
#define Say(...) DbgPrintEx(DPFLTR_IHVDRIVER_ID, DPFLTR_ERROR_LEVEL, "services: " __VA_ARGS__)

extern PFLT_FILTER Filter;

/* contexts.c */
extern const FLT_CONTEXT_REGISTRATION ContextRegistration[];
VOID AskContextBeforeCreate(PCFLT_RELATED_OBJECTS FltObjects);
VOID AskContexts(PCFLT_RELATED_OBJECTS FltObjects);

/* queues.c */
BOOLEAN PendCancelable(PFLT_CALLBACK_DATA Data);
VOID AskQueue(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects);

/* workitems.c */
VOID InitializeWork(VOID);
VOID AskDeferred(PFLT_CALLBACK_DATA Data);
VOID AskDeferredWithTopLevelIrp(PFLT_CALLBACK_DATA Data);
VOID AskDeferredInTeardown(PFLT_CALLBACK_DATA Data);
VOID AskGeneric(PCFLT_RELATED_OBJECTS FltObjects);
VOID TeardownHasStarted(VOID);
VOID AskGenericInUnload(VOID);
VOID QueueSlowItem(VOID);

/* buffers.c */
FLT_PREOP_CALLBACK_STATUS SwapBuffer(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID *Context);
VOID GiveBuffer(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID Context, BOOLEAN Draining);

/* ownio.c */
VOID AskAttach(PCFLT_RELATED_OBJECTS FltObjects);
VOID CreateOwn(PCFLT_RELATED_OBJECTS FltObjects);
VOID ReadOwn(PCFLT_RELATED_OBJECTS FltObjects);
VOID Reissue(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects);

/* operations.c */
VOID AskOfOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects);
VOID TargetOpened(PFILE_OBJECT FileObject, BOOLEAN Directory);
VOID TargetClosed(PFILE_OBJECT FileObject);
PFILE_OBJECT TargetOf(BOOLEAN Directory);
VOID TurnToTarget(PFLT_CALLBACK_DATA Data, BOOLEAN Directory);

#endif /* SERVICES_H */
