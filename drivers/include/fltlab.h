/*
 * fltlab.h: what fltlab's test minifilters and fltprobe.exe say to each other.
 *
 * The event record, the requests of the control port and the operation rule. Included by kernel code (after
 * fltkernel.h) and by user code (after the Windows types): it uses nothing but ULONG, USHORT, UCHAR, ULONGLONG and
 * WCHAR. Every structure is laid out so that no compiler pads it; harness/minifilter/layout.py checks each offset
 * against harness/minifilter/events.py at build time. All numbers are little endian.
 */

#ifndef FLTLAB_H
#define FLTLAB_H

#define FLTLAB_VERSION 1u

#define FLTLAB_NAME_LENGTH 32u /* WCHARs kept of the last component of a file name */

/*
 * Events
 */

/* FLTLAB_EVENT.Phase */
#define FLTLAB_PHASE_PRE 1u                /* a preoperation callback, just before it returns */
#define FLTLAB_PHASE_POST 2u               /* a postoperation callback, just before it returns */
#define FLTLAB_PHASE_RESUME_PRE 3u         /* just before FltCompletePendedPreOperation */
#define FLTLAB_PHASE_RESUME_POST 4u        /* just before FltCompletePendedPostOperation */
#define FLTLAB_PHASE_WORK_ROUTINE 5u       /* the routine that carries a parked operation on was entered */
#define FLTLAB_PHASE_SAFE_POST 6u          /* the safe callback of FltDoCompletionProcessingWhenSafe */
#define FLTLAB_PHASE_CANCEL 7u             /* the complete-cancelled callback of a callback data queue */
#define FLTLAB_PHASE_GENERATED_IO 8u       /* result of I/O the minifilter started itself */
#define FLTLAB_PHASE_CONTEXT 9u            /* result of a call that sets, gets or releases a context */
#define FLTLAB_PHASE_INSTANCE_SETUP 16u    /* instance-setup callback */
#define FLTLAB_PHASE_QUERY_TEARDOWN 17u    /* instance-query-teardown callback */
#define FLTLAB_PHASE_TEARDOWN_START 18u    /* instance-teardown-start callback, on entry */
#define FLTLAB_PHASE_TEARDOWN_COMPLETE 19u /* instance-teardown-complete callback */
#define FLTLAB_PHASE_UNLOAD 20u            /* filter-unload callback */
#define FLTLAB_PHASE_CONTEXT_CLEANUP 21u   /* context-cleanup callback */

/* FLTLAB_EVENT.OperationClass and FLTLAB_RULE.ClassMask: the class bits of FLT_CALLBACK_DATA.Flags */
#define FLTLAB_CLASS_IRP 1u
#define FLTLAB_CLASS_FAST_IO 2u
#define FLTLAB_CLASS_FS_FILTER 4u
#define FLTLAB_CLASS_ANY 7u

/* FLTLAB_EVENT.Detail with FLTLAB_PHASE_CONTEXT: which call. Returned is its NTSTATUS, CompletionContext the context */
#define FLTLAB_CONTEXT_SET 1u          /* FltSetStreamHandleContext in post-create */
#define FLTLAB_CONTEXT_GET_IN_PRE 2u   /* FltGetStreamHandleContext in a preoperation callback */
#define FLTLAB_CONTEXT_GET_IN_POST 3u  /* FltGetStreamHandleContext in a postoperation or safe callback */
#define FLTLAB_CONTEXT_USED_IN_POST 4u /* post used and released what pre fetched; Offset is its number */
#define FLTLAB_CONTEXT_NOT_SAFE 5u     /* post would have fetched it, but runs above APC_LEVEL: not tried */

/*
 * FLTLAB_EVENT.Detail otherwise:
 *   pre, post          create: Options (disposition in the top byte); query/set information, volume information and
 *                      directory: the information class; file system and device control: the control code;
 *                      acquire for section synchronization: the sync type; else 0. Where pending was refused: the
 *                      NTSTATUS of the call that refused it. With post=when-safe: what
 *                      FltDoCompletionProcessingWhenSafe returned, 1 or 0
 *   resume-*, work routine, cancel     the mechanism, FLTLAB_MECHANISM_*
 *   generated I/O      the length asked for
 *   instance setup, teardown, unload   the Flags or Reason argument
 *   context cleanup    the FLT_CONTEXT_TYPE
 */

typedef struct _FLTLAB_EVENT {
    ULONGLONG Sequence;             /*   0  per filter, from 1, given under the ring's lock */
    ULONGLONG TimeStampCounter;     /*   8  rdtsc: order within one performance count */
    ULONGLONG PerformanceCount;     /*  16  KeQueryPerformanceCounter: order between filters */
    ULONGLONG CallbackData;         /*  24  address of the FLT_CALLBACK_DATA */
    ULONGLONG Instance;             /*  32  PFLT_INSTANCE */
    ULONGLONG FileObject;           /*  40 */
    ULONGLONG CompletionContext;    /*  48  pre: left in the slot; post: received; resume: Context given */
    ULONGLONG Information;          /*  56  IoStatus.Information */
    ULONGLONG Offset;               /*  64  ByteOffset of read, write and lock requests */
    ULONG Length;                   /*  72 */
    ULONG IoStatus;                 /*  76  IoStatus.Status at that moment */
    ULONG Returned;                 /*  80  FLT_PREOP_*, FLT_POSTOP_* or NTSTATUS, by phase */
    ULONG ThreadId;                 /*  84  the current thread */
    ULONG ProcessId;                /*  88  the current process */
    ULONG RequestorThreadId;        /*  92  of Data->Thread, 0 if none */
    ULONG RequestorProcessId;       /*  96 */
    ULONG CallbackDataFlags;        /* 100  FLTFL_CALLBACK_DATA_* */
    ULONG IrpFlags;                 /* 104 */
    ULONG PostFlags;                /* 108  Flags argument of a postoperation callback */
    ULONG RuleId;                   /* 112  operation rule that matched, 0 if none */
    ULONG Detail;                   /* 116  see above */
    UCHAR Phase;                    /* 120  FLTLAB_PHASE_* */
    UCHAR MajorFunction;            /* 121 */
    UCHAR MinorFunction;            /* 122 */
    UCHAR Irql;                     /* 123 */
    UCHAR OperationFlags;           /* 124  Iopb->OperationFlags */
    UCHAR RequestorMode;            /* 125  0 kernel, 1 user */
    UCHAR OperationClass;           /* 126  FLTLAB_CLASS_* */
    UCHAR NameLength;               /* 127  in WCHARs */
    WCHAR Name[FLTLAB_NAME_LENGTH]; /* 128  last component, as given at create */
} FLTLAB_EVENT, *PFLTLAB_EVENT;

_Static_assert(sizeof(FLTLAB_EVENT) == 192, "FLTLAB_EVENT");

/*
 * Operation rules
 *
 * A rule is "match" (which operations) and "act" (what the driver does with them). The first rule that matches, in the
 * order of their ids, decides. In a preoperation callback the whole rule counts; in a postoperation callback the Post
 * fields. The words in double quotes are the keys of a `rule` line of fltprobe's I/O script.
 */

/* "do=": what the preoperation callback returns. A driver refuses what it does not do (STATUS_NOT_SUPPORTED). */
#define FLTLAB_DO_DEFAULT 0u              /* as without a rule: with-callback */
#define FLTLAB_DO_NO_CALLBACK 1u          /* "no-callback" */
#define FLTLAB_DO_WITH_CALLBACK 2u        /* "with-callback" (becomes no-callback where no post is registered) */
#define FLTLAB_DO_SYNCHRONIZE 3u          /* "synchronize" */
#define FLTLAB_DO_COMPLETE 4u             /* "complete": IoStatus from Status and Information */
#define FLTLAB_DO_PEND 5u                 /* "pend": by Mechanism, then Resume */
#define FLTLAB_DO_DISALLOW_FASTIO 6u      /* "disallow-fastio" */
#define FLTLAB_DO_DISALLOW_FSFILTER_IO 7u /* "disallow-fsfilter-io" (query-open only) */

/* "mechanism=" and "post-mechanism=" */
#define FLTLAB_MECHANISM_DEFERRED 1u /* FltQueueDeferredIoWorkItem (what 0 means, too) */
#define FLTLAB_MECHANISM_GENERIC 2u  /* FltQueueGenericWorkItem */
#define FLTLAB_MECHANISM_QUEUE 3u    /* cancel-safe callback data queue, emptied by the driver's thread */
#define FLTLAB_MECHANISM_THREAD 4u   /* the driver's own list and thread */

/* "resume=": what a pended operation is resumed with */
#define FLTLAB_RESUME_NO_CALLBACK 1u   /* "no-callback" (what 0 means, too) */
#define FLTLAB_RESUME_WITH_CALLBACK 2u /* "with-callback", Context is the completion context */
#define FLTLAB_RESUME_COMPLETE 3u      /* "complete": IoStatus from Status and Information */
#define FLTLAB_RESUME_SYNCHRONIZE 4u   /* "synchronize": forbidden (PRE-PEND-08), for wrong drivers and OQ-01 only */

/* "post=" */
#define FLTLAB_POST_FINISH 1u    /* "finish" (what 0 means, too) */
#define FLTLAB_POST_PEND 2u      /* "pend": by PostMechanism */
#define FLTLAB_POST_WHEN_SAFE 3u /* "when-safe": FltDoCompletionProcessingWhenSafe */

/*
 * FLTLAB_RULE.Flags
 *
 *   "hold=yes"       the pre callback blocks, or the pended operation stays parked, until RELEASE
 *   "context="       Context is left in the completion context slot, or given at resume
 *   "race=yes"       the pre callback returns PENDING only after the resume call
 *   "read-own=yes"   first a FltReadFile of FLTLAB_OWN_READ_LENGTH bytes around the operation's offset
 *   "offset="        change ByteOffset to Offset, and mark that unless "dirty=no"
 *   "length="        change the length of the buffer to Length, likewise
 *   "swap=yes"       put a buffer of our own in the requester's place until the postoperation callback
 *   "set-context="   stream-handle: post-create sets a stream-handle context
 *   "pre-context="   stream-handle: pre fetches it and passes it on as completion context, post uses and releases it
 *   "post-context="  stream-handle: post fetches it (at APC_LEVEL or below)
 *   "post-status="   post stores PostStatus, and Information 0
 *   "post-hold=yes"  a finishing post blocks (below DISPATCH_LEVEL), a pended completion stays parked, until RELEASE
 */
#define FLTLAB_RULE_PAGING_IO 0x00000001u    /* "paging=yes": match paging I/O too */
#define FLTLAB_RULE_HOLD 0x00000002u         /* "hold=yes" */
#define FLTLAB_RULE_CONTEXT 0x00000004u      /* "context=" */
#define FLTLAB_RULE_RACE 0x00000008u         /* "race=yes" */
#define FLTLAB_RULE_READ_OWN 0x00000010u     /* "read-own=yes" */
#define FLTLAB_RULE_OFFSET 0x00000020u       /* "offset=" */
#define FLTLAB_RULE_NOT_DIRTY 0x00000040u    /* "dirty=no" */
#define FLTLAB_RULE_SET_CONTEXT 0x00000080u  /* "set-context=stream-handle" */
#define FLTLAB_RULE_PRE_CONTEXT 0x00000100u  /* "pre-context=stream-handle" */
#define FLTLAB_RULE_POST_CONTEXT 0x00000200u /* "post-context=stream-handle" */
#define FLTLAB_RULE_POST_STATUS 0x00000400u  /* "post-status=" */
#define FLTLAB_RULE_POST_HOLD 0x00000800u    /* "post-hold=yes" */
#define FLTLAB_RULE_LENGTH 0x00001000u       /* "length=" */
#define FLTLAB_RULE_SWAP 0x00002000u         /* "swap=yes" */
#define FLTLAB_RULE_ALL_FLAGS 0x00003FFFu

#define FLTLAB_OWN_READ_LENGTH 4096u

#define FLTLAB_ANY_FUNCTION 0xFFFFu    /* Major, Minor */
#define FLTLAB_THIS_PROCESS 0u         /* ProcessId: the process that adds the rule */
#define FLTLAB_ANY_PROCESS 0xFFFFFFFFu /* ProcessId: "process=any" */

typedef struct _FLTLAB_RULE {
    /* match */
    USHORT Major;      /*  0  "major=", IRP_MJ_* as in callback data, FLTLAB_ANY_FUNCTION for any */
    USHORT Minor;      /*  2  "minor=", FLTLAB_ANY_FUNCTION for any */
    ULONG ClassMask;   /*  4  "class=", 0 means any */
    ULONG ProcessId;   /*  8  "process=" */
    ULONG Flags;       /* 12  FLTLAB_RULE_* */
    ULONG SkipMatches; /* 16  "skip=": let so many matching operations by first */
    ULONG MaxMatches;  /* 20  "max=": then act on so many, 0 for all */
    /* act */
    ULONG Action;            /* 24  "do=" */
    ULONG Status;            /* 28  "status=", NTSTATUS for complete */
    ULONGLONG Information;   /* 32  "information=" */
    ULONGLONG Context;       /* 40  "context=" */
    ULONGLONG Offset;        /* 48  "offset=" */
    ULONG DelayMilliseconds; /* 56  "delay=": block in the pre callback; with do=pend in the routine that resumes */
    ULONG Mechanism;         /* 60  "mechanism=" */
    ULONG Resume;            /* 64  "resume=" */
    ULONG PostAction;        /* 68  "post=" */
    ULONG PostStatus;        /* 72  "post-status=" */
    ULONG PostMechanism;     /* 76  "post-mechanism=" */
    ULONG Length;            /* 80  "length=" */
    ULONG NameLength;        /* 84  in WCHARs, 0 for any name */
    WCHAR Name[FLTLAB_NAME_LENGTH]; /* 88  "name=": last component, compared without case (ASCII) */
} FLTLAB_RULE, *PFLTLAB_RULE;

_Static_assert(sizeof(FLTLAB_RULE) == 152, "FLTLAB_RULE");

/*
 * Control port, \<service name>: FilterSendMessage with one of these requests
 *
 * The reply's NTSTATUS is that of the driver: STATUS_REVISION_MISMATCH (Version), STATUS_INVALID_PARAMETER (sizes,
 * values out of range), STATUS_NOT_SUPPORTED (this driver does not do that), STATUS_INSUFFICIENT_RESOURCES (64 rules),
 * STATUS_NOT_FOUND (no such rule), STATUS_BUFFER_TOO_SMALL (output).
 */

#define FLTLAB_COMMAND_CLEAR 1u    /* FLTLAB_REQUEST -> nothing: release held operations, drop rules, ring, counters */
#define FLTLAB_COMMAND_ADD_RULE 2u /* FLTLAB_ADD_RULE -> FLTLAB_RULE_REPLY */
#define FLTLAB_COMMAND_DRAIN 3u    /* FLTLAB_REQUEST -> FLTLAB_DRAIN_REPLY; repeat until Count is 0 */
#define FLTLAB_COMMAND_RELEASE 4u  /* FLTLAB_RULE_REQUEST (0 for all rules) -> FLTLAB_RULE_REPLY with the count */
#define FLTLAB_COMMAND_QUERY 5u    /* FLTLAB_REQUEST -> FLTLAB_QUERY_REPLY */
#define FLTLAB_COMMAND_REMOVE_RULE 6u /* FLTLAB_RULE_REQUEST -> nothing */
#define FLTLAB_COMMAND_TAKE_PRINTS 7u /* FLTLAB_REQUEST -> FLTLAB_PRINTS_REPLY; CLEAR leaves prints alone */
#define FLTLAB_COMMAND_PRINT 8u /* FLTLAB_REQUEST -> nothing: print two known lines, one by DbgPrint, one as an error */

#define FLTLAB_MAXIMUM_RULES 64u

typedef struct _FLTLAB_REQUEST {
    ULONG Version; /* FLTLAB_VERSION */
    ULONG Command; /* FLTLAB_COMMAND_* */
    ULONG Size;    /* of the whole message, this header included */
    ULONG Reserved;
} FLTLAB_REQUEST, *PFLTLAB_REQUEST;

typedef struct _FLTLAB_ADD_RULE {
    FLTLAB_REQUEST Header;
    FLTLAB_RULE Rule;
} FLTLAB_ADD_RULE, *PFLTLAB_ADD_RULE;

typedef struct _FLTLAB_RULE_REQUEST {
    FLTLAB_REQUEST Header;
    ULONG RuleId;
    ULONG Reserved;
} FLTLAB_RULE_REQUEST, *PFLTLAB_RULE_REQUEST;

typedef struct _FLTLAB_RULE_REPLY {
    ULONG RuleId; /* ADD_RULE: the new rule's id, from 1 */
    ULONG Count;  /* RELEASE: operations let go */
} FLTLAB_RULE_REPLY, *PFLTLAB_RULE_REPLY;

typedef struct _FLTLAB_DRAIN_REPLY {
    ULONG Count;            /* events that follow; they have left the ring */
    ULONG Dropped;          /* events lost since CLEAR because the ring was full */
    ULONG Outstanding;      /* operations pended or held at this moment */
    ULONG Prints;           /* not 0: TAKE_PRINTS has something to tell */
    FLTLAB_EVENT Events[1]; /* Count of them, as many as the output buffer takes */
} FLTLAB_DRAIN_REPLY, *PFLTLAB_DRAIN_REPLY;

#define FLTLAB_DRAIN_HEADER_SIZE                                                                                       \
    16u /* of FLTLAB_DRAIN_REPLY without events: the least output buffer is this + one event */

typedef struct _FLTLAB_QUERY_REPLY {
    ULONG Events;       /* in the ring now */
    ULONG Dropped;      /* since CLEAR */
    ULONG Held;         /* operations waiting for RELEASE now, pre and post, blocked and parked */
    ULONG Outstanding;  /* operations pended (pre and post) or held now */
    ULONG PendedTotal;  /* since CLEAR */
    ULONG ResumedTotal; /* since CLEAR */
    ULONG MatchedTotal; /* operations a rule acted on since CLEAR */
    ULONG Instances;    /* attached now */
    ULONGLONG Recorded; /* events recorded since CLEAR, dropped ones included */
} FLTLAB_QUERY_REPLY, *PFLTLAB_QUERY_REPLY;

_Static_assert(sizeof(FLTLAB_QUERY_REPLY) == 40, "FLTLAB_QUERY_REPLY");

/*
 * What was printed with DbgPrint and its family, by any driver, while the Parameters key of this one's service has
 * CapturePrints = 1
 */

#define FLTLAB_PRINT_LENGTH 468u /* bytes kept of what one call printed */

typedef struct _FLTLAB_PRINT {
    ULONGLONG TimeStampCounter;      /*  0  as in events */
    ULONGLONG PerformanceCount;      /*  8  as in events */
    ULONG ComponentId;               /* 16  DPFLTR_*_ID */
    ULONG Level;                     /* 20  DPFLTR_*_LEVEL, or a mask of levels */
    ULONG ThreadId;                  /* 24  the current thread */
    ULONG ProcessId;                 /* 28  the current process */
    USHORT Length;                   /* 32  bytes of Text */
    USHORT FullLength;               /* 34  bytes that were printed */
    UCHAR Text[FLTLAB_PRINT_LENGTH]; /* 36 */
} FLTLAB_PRINT, *PFLTLAB_PRINT;

_Static_assert(sizeof(FLTLAB_PRINT) == 504, "FLTLAB_PRINT");

#define FLTLAB_PRINTS_AT_A_TIME 64u

typedef struct _FLTLAB_PRINTS_REPLY {
    ULONG Count;  /* prints that follow; they have left the ring. Fewer than FLTLAB_PRINTS_AT_A_TIME: it is empty */
    ULONG Lost;   /* since the last TAKE_PRINTS, because the ring was full */
    ULONG Status; /* NTSTATUS of the registration: not a success, nothing is captured */
    ULONG Reserved;
    FLTLAB_PRINT Prints[FLTLAB_PRINTS_AT_A_TIME]; /* Count of them; the output buffer must have room for all */
} FLTLAB_PRINTS_REPLY, *PFLTLAB_PRINTS_REPLY;

#define FLTLAB_PRINTS_HEADER_SIZE 16u

_Static_assert(sizeof(FLTLAB_PRINTS_REPLY) == 16 + 64 * 504, "FLTLAB_PRINTS_REPLY");

#endif /* FLTLAB_H */
