/*
 * pending.h: what the files of this driver share.
 *
 *   pending.c   the callbacks: whether to pend
 *   resume.c    how a parked operation is carried on
 *   workitem.c  parking in a deferred or generic work item
 *   queue.c     parking in a cancel-safe callback data queue or in a list, for the driver's own thread
 */

#ifndef PENDING_H
#define PENDING_H

#include "common.h"

/* Each hands the operation over, or fails and leaves it to the caller. After success it may be gone. */
NTSTATUS ParkInDeferredWorkItem(PLAB_OPERATION Operation);
NTSTATUS ParkInGenericWorkItem(PLAB_OPERATION Operation);
NTSTATUS ParkInQueue(PLAB_OPERATION Operation);
NTSTATUS ParkForThread(PLAB_OPERATION Operation);

VOID CarryOn(PLAB_OPERATION Operation, ULONG Mechanism); /* at PASSIVE_LEVEL */
VOID CarryOnCancelled(PLAB_OPERATION Operation);

NTSTATUS StartThread(VOID);
VOID StopThread(VOID);
VOID WakeThread(VOID);
NTSTATUS InitializeQueue(PLAB_INSTANCE Instance);
VOID DisableQueue(PLAB_INSTANCE Instance);
VOID CloseQueue(PLAB_INSTANCE Instance);

#endif /* PENDING_H */
