/*
 * common.h: what the test minifilters share.
 *
 * A test minifilter is one file with a preoperation callback, a postoperation callback and the FLTLAB_DRIVER that
 * names them. DriverEntry, registration, the control port and the instance callbacks are here:
 *
 *   entry.c          DriverEntry, unload
 *   configuration.c  what to register for: the service's Parameters key
 *   instance.c       attaching and detaching
 *   port.c           the control port
 *   rules.c          operation rules
 *   names.c          the names of open files
 *   ring.c           the event ring
 *   print.c          what is printed with DbgPrint
 *   record.c         events from callback data
 *   operations.c     operations this driver remembers, holds or has pended
 *   buffer.c         buffers of the requester
 *   act.c            what a rule does in preoperation and postoperation callbacks
 *   whensafe.c       completion processing at a safe IRQL
 *
 * Callbacks run at up to DISPATCH_LEVEL, so all data is non-paged. Locks are spin locks, and each is a leaf: no
 * function calls out, takes another lock or touches pageable memory while it holds one.
 */

#ifndef FLTLAB_COMMON_H
#define FLTLAB_COMMON_H

#include <fltkernel.h>
#include <fltlab.h>

#define LAB_TAG_RING 'gRlF' /* shown as FlRg */
#define LAB_TAG_OPERATION 'pOlF'
#define LAB_TAG_CONTEXT 'xClF'
#define LAB_TAG_BUFFER 'fBlF'

typedef struct _LAB_INSTANCE LAB_INSTANCE, *PLAB_INSTANCE;
typedef struct _LAB_OPERATION LAB_OPERATION, *PLAB_OPERATION;

/*
 * What a driver tells about itself
 */

#define LAB_ACTION(Do) (1u << (Do))

typedef struct _FLTLAB_DRIVER {
    ULONG Actions;     /* LAB_ACTION(FLTLAB_DO_*) it does */
    ULONG PostActions; /* LAB_ACTION(FLTLAB_POST_*) it does */
    ULONG RuleFlags;   /* FLTLAB_RULE_* it honours */
    PFLT_PRE_OPERATION_CALLBACK PreOperation;
    PFLT_POST_OPERATION_CALLBACK PostOperation;
    /* All optional */
    NTSTATUS (*PrepareRule)(const FLTLAB_RULE *Rule); /* before a rule is added, at PASSIVE_LEVEL */
    NTSTATUS (*InstanceSetup)(PLAB_INSTANCE Instance);
    VOID (*InstanceTeardownStart)(PLAB_INSTANCE Instance);
    VOID (*InstanceTeardownComplete)(PLAB_INSTANCE Instance);
    VOID (*Released)(VOID); /* held operations were let go */
    VOID (*Stop)(VOID);     /* before the filter is unregistered */
} FLTLAB_DRIVER;

extern const FLTLAB_DRIVER FltLabDriver;

typedef struct _LAB_GLOBALS {
    PFLT_FILTER Filter;
    UNICODE_STRING ServiceName;
    WCHAR ServiceNameBuffer[64];
} LAB_GLOBALS;

extern LAB_GLOBALS Lab;

/*
 * Configuration (configuration.c)
 */

#define LAB_OPTION_NO_UNLOAD 0x01u
#define LAB_OPTION_NO_QUERY_TEARDOWN 0x02u
#define LAB_OPTION_REFUSE_UNLOAD 0x04u
#define LAB_OPTION_REFUSE_QUERY_TEARDOWN 0x08u
#define LAB_OPTION_DO_NOT_SUPPORT_SERVICE_STOP 0x10u

#define LAB_MAXIMUM_OPERATIONS 64

typedef struct _LAB_CONFIGURATION {
    FLT_OPERATION_REGISTRATION Operations[LAB_MAXIMUM_OPERATIONS + 1];
    FLT_CONTEXT_REGISTRATION Contexts[8];
    ULONG Options;
    ULONG EventCapacity;
    ULONG CapturePrints; /* 0 or 1 */
} LAB_CONFIGURATION;

extern LAB_CONFIGURATION LabConfiguration;

NTSTATUS LabReadConfiguration(PUNICODE_STRING RegistryPath);
BOOLEAN LabHasPre(UCHAR Major);
BOOLEAN LabHasPost(UCHAR Major);

/*
 * Event ring (ring.c): any IRQL up to DISPATCH_LEVEL
 */

NTSTATUS LabCreateRing(ULONG Capacity);
VOID LabDeleteRing(VOID);
ULONGLONG LabRecord(FLTLAB_EVENT *Event); /* gives it Sequence and the times; answers Sequence */
VOID LabAmend(ULONGLONG Sequence, ULONG Returned, ULONG Detail);
ULONG LabTakeEvents(FLTLAB_EVENT *Events, ULONG Count); /* the oldest ones leave the ring */
VOID LabClearRing(VOID);
VOID LabQueryRing(ULONG *Events, ULONG *Dropped, ULONGLONG *Recorded);

/*
 * What is printed with DbgPrint (print.c)
 */

VOID LabStartPrints(VOID); /* if CapturePrints says so; that it cannot be is told by TAKE_PRINTS */
VOID LabStopPrints(VOID);
ULONG LabCountPrints(VOID);                         /* FLTLAB_DRAIN_REPLY.Prints */
NTSTATUS LabTakePrints(FLTLAB_PRINTS_REPLY *Reply); /* at APC_LEVEL or below */

/*
 * Names of open files (names.c)
 */

typedef struct _LAB_NAME {
    UCHAR Length; /* in WCHARs */
    WCHAR Buffer[FLTLAB_NAME_LENGTH];
} LAB_NAME;

VOID LabInitializeNames(VOID);
VOID LabFindName(PFLT_CALLBACK_DATA Data, BOOLEAN Pre, LAB_NAME *Name);
VOID LabForgetName(PFILE_OBJECT FileObject);

/*
 * Operation rules (rules.c)
 */

typedef struct _LAB_MATCH {
    ULONG RuleId; /* 0: no rule matched, Rule is all zero */
    FLTLAB_RULE Rule;
    LAB_NAME Name;
    PFLT_CONTEXT Context;   /* stream-handle context that preoperation fetched */
    struct _LAB_SWAP *Swap; /* the buffer that preoperation put in */
} LAB_MATCH;

VOID LabInitializeRules(VOID);
NTSTATUS LabAddRule(const FLTLAB_RULE *Rule, ULONG *RuleId);
NTSTATUS LabRemoveRule(ULONG RuleId);
VOID LabClearRules(VOID);
ULONG LabMatchedTotal(VOID);
VOID LabMatchPre(PFLT_CALLBACK_DATA Data, LAB_MATCH *Match);
BOOLEAN LabRuleHasPostPart(const FLTLAB_RULE *Rule);

/*
 * Operations (operations.c): remembered from pre to post, held, or pended
 */

struct _LAB_OPERATION {
    LIST_ENTRY Link; /* in the list of all; its lock also guards Held, Parked, TearingDown and References */
    LONG References;
    PFLT_CALLBACK_DATA Data;
    PFLT_INSTANCE Instance;
    PFILE_OBJECT FileObject;
    PVOID CompletionContext;
    LAB_MATCH Match;
    BOOLEAN Remembered;  /* waits for its postoperation callback */
    BOOLEAN Held;        /* waits for RELEASE */
    BOOLEAN Parked;      /* pended, not resumed yet */
    BOOLEAN TearingDown; /* the instance goes away: resume at once */
    BOOLEAN Post;        /* parked by the postoperation callback */
    KEVENT Released;
    KEVENT Resumed;
    LIST_ENTRY QueueLink; /* for a driver's own list */
};

VOID LabInitializeOperations(VOID);
PLAB_OPERATION
LabCreateOperation(PFLT_CALLBACK_DATA Data, PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, const LAB_MATCH *Match);
VOID LabRemember(PLAB_OPERATION Operation, PVOID CompletionContext);
VOID LabReferenceOperation(PLAB_OPERATION Operation);
VOID LabDereferenceOperation(PLAB_OPERATION Operation);
PLAB_OPERATION LabTakeRemembered(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
                                 FLT_POST_OPERATION_FLAGS Flags);
VOID LabPark(PLAB_OPERATION Operation, BOOLEAN Held);
VOID LabUnpark(PLAB_OPERATION Operation, BOOLEAN Resumed);
VOID LabHold(PLAB_OPERATION Operation);
VOID LabWaitForRelease(PLAB_OPERATION Operation);
ULONG LabRelease(ULONG RuleId, PFLT_INSTANCE Instance);
VOID LabForgetHolds(VOID);
VOID LabCountOperations(ULONG *Held, ULONG *Outstanding, ULONG *PendedTotal, ULONG *ResumedTotal);
VOID LabClearCounters(VOID);
VOID LabDeleteOperations(VOID);

/*
 * Buffers of the requester (buffer.c)
 */

NTSTATUS LabLockUserBuffer(PFLT_CALLBACK_DATA Data); /* in a preoperation callback */

/*
 * Instances (instance.c)
 */

#define LAB_MAXIMUM_INSTANCES 16

struct _LAB_INSTANCE {
    PFLT_INSTANCE Instance; /* NULL: free */
    BOOLEAN TearingDown;
    BOOLEAN QueueReady;            /* from its initialization until teardown is complete */
    FLT_CALLBACK_DATA_QUEUE Queue; /* for drivers that have one */
    KSPIN_LOCK QueueLock;
    LIST_ENTRY QueueHead;
};

VOID LabInitializeInstances(VOID);
PLAB_INSTANCE LabFindInstance(PFLT_INSTANCE Instance);
PLAB_INSTANCE LabInstanceAt(ULONG Index);
BOOLEAN LabIsTearingDown(PFLT_INSTANCE Instance);
ULONG LabCountInstances(VOID);
NTSTATUS FLTAPI LabInstanceSetup(PCFLT_RELATED_OBJECTS FltObjects, FLT_INSTANCE_SETUP_FLAGS Flags,
                                 DEVICE_TYPE VolumeDeviceType, FLT_FILESYSTEM_TYPE VolumeFilesystemType);
NTSTATUS FLTAPI LabInstanceQueryTeardown(PCFLT_RELATED_OBJECTS FltObjects, FLT_INSTANCE_QUERY_TEARDOWN_FLAGS Flags);
VOID FLTAPI LabInstanceTeardownStart(PCFLT_RELATED_OBJECTS FltObjects, FLT_INSTANCE_TEARDOWN_FLAGS Reason);
VOID FLTAPI LabInstanceTeardownComplete(PCFLT_RELATED_OBJECTS FltObjects, FLT_INSTANCE_TEARDOWN_FLAGS Reason);

/*
 * Control port (port.c)
 */

NTSTATUS LabOpenPort(VOID);
VOID LabClosePort(VOID);

/*
 * Recording (record.c): any IRQL up to DISPATCH_LEVEL
 */

ULONGLONG LabRecordPre(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, const LAB_MATCH *Match,
                       FLT_PREOP_CALLBACK_STATUS Returned, PVOID CompletionContext);
ULONGLONG LabRecordPost(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, const LAB_MATCH *Match,
                        FLT_POSTOP_CALLBACK_STATUS Returned, PVOID CompletionContext, FLT_POST_OPERATION_FLAGS Flags);
VOID LabRecordStep(UCHAR Phase, PLAB_OPERATION Operation, ULONG Returned, PVOID CompletionContext, ULONG Detail);
VOID LabRecordCall(UCHAR Phase, PFLT_CALLBACK_DATA Data, PFLT_INSTANCE Instance, const LAB_MATCH *Match,
                   NTSTATUS Status, PVOID Context, ULONGLONG Offset, ULONG Detail);
VOID LabRecordLifecycle(UCHAR Phase, PFLT_INSTANCE Instance, NTSTATUS Status, ULONG Detail);

/*
 * Buffers of our own in the requester's place (swap.c)
 */

struct _LAB_SWAP *LabSwapBuffer(PFLT_CALLBACK_DATA Data);
VOID LabGiveBuffer(PFLT_CALLBACK_DATA Data, struct _LAB_SWAP *Swap);

/*
 * Acting on rules (act.c)
 */

typedef struct _LAB_CONTEXT { /* what set-context=stream-handle sets */
    ULONG Magic;
    ULONG Number;
} LAB_CONTEXT, *PLAB_CONTEXT;

#define LAB_CONTEXT_MAGIC 'xtCL'

VOID LabActInPre(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, LAB_MATCH *Match);
FLT_PREOP_CALLBACK_STATUS LabSuccess(const LAB_MATCH *Match);
FLT_PREOP_CALLBACK_STATUS LabPassDown(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, LAB_MATCH *Match,
                                      FLT_PREOP_CALLBACK_STATUS Wanted, PVOID *CompletionContext);
FLT_PREOP_CALLBACK_STATUS LabStopHere(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, LAB_MATCH *Match,
                                      FLT_PREOP_CALLBACK_STATUS Wanted);
PVOID
LabRememberForPost(PFLT_CALLBACK_DATA Data, PFLT_INSTANCE Instance, PFILE_OBJECT FileObject, const LAB_MATCH *Match);
VOID LabDropContext(LAB_MATCH *Match);
VOID LabMatchPost(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, PVOID CompletionContext,
                  FLT_POST_OPERATION_FLAGS Flags, LAB_MATCH *Match);
VOID LabPostWork(PFLT_CALLBACK_DATA Data, PFLT_INSTANCE Instance, PVOID CompletionContext, const LAB_MATCH *Match);
FLT_POSTOP_CALLBACK_STATUS LabFinishPost(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects, LAB_MATCH *Match,
                                         PVOID CompletionContext, FLT_POST_OPERATION_FLAGS Flags);
FLT_POSTOP_CALLBACK_STATUS LabFinishWhenSafe(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects,
                                             LAB_MATCH *Match, PVOID CompletionContext, FLT_POST_OPERATION_FLAGS Flags);
FLT_POSTOP_CALLBACK_STATUS FLTAPI LabPostOperation(PFLT_CALLBACK_DATA Data, PCFLT_RELATED_OBJECTS FltObjects,
                                                   PVOID CompletionContext, FLT_POST_OPERATION_FLAGS Flags);
VOID FLTAPI LabContextCleanup(PFLT_CONTEXT Context, FLT_CONTEXT_TYPE ContextType);

#endif /* FLTLAB_COMMON_H */
