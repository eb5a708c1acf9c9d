/*
 * probe.h: what the files of fltprobe share.
 *
 * fltprobe reads an I/O script from its standard input, does its steps one after the other with Nt calls only, drains
 * the event rings of the minifilters it is connected to, and writes one JSON document. It uses no C runtime: ntdll.dll
 * and fltlib.dll are all it imports. The grammar of scripts is in docs/io-script.md.
 */

#ifndef FLTPROBE_PROBE_H
#define FLTPROBE_PROBE_H

#include "nt.h"
#include "fltlab.h"

#define PROBE_VERSION 1

#define EXIT_DONE 0
#define EXIT_SCRIPT 2   /* the script is malformed, or a minifilter refused a rule */
#define EXIT_DEADLINE 4 /* a step did not end before its deadline */

#define MAXIMUM_WORDS 40
#define MAXIMUM_STEPS 1024
#define MAXIMUM_FILTERS 16
#define MAXIMUM_PORTS 16
#define MAXIMUM_NAMES 256
#define MAXIMUM_LINE 0x2000
#define MAXIMUM_BUFFER 0x4000000
#define STEP_DATA_LENGTH 64     /* of what was read */
#define STEP_LIST_LENGTH 0x1000 /* of what was queried, listed or answered */
#define DEFAULT_DEADLINE_MS 10000

#define TICKS_PER_MS 10000LL

typedef struct _PROBE_LINE PROBE_LINE;
typedef struct _PROBE_STEP PROBE_STEP;
typedef void (*PROBE_VERB)(PROBE_LINE *Line, PROBE_STEP *Step);

/* What a step may say; see grammar.c. */
typedef struct _PROBE_GRAMMAR {
    const char *Verb;
    PROBE_VERB Routine;
    ULONG Operands;
    ULONG MaximumOperands;
    const char *Keys;
    const char *Flags;
} PROBE_GRAMMAR;

/* One line of the script, cut into words: the verb, its operands, and from Options on key=value and plain words. */
struct _PROBE_LINE {
    ULONG Number;
    ULONG Count;
    ULONG Options;
    char *Words[MAXIMUM_WORDS];
    const PROBE_GRAMMAR *Grammar;
    PROBE_LINE *Spawned; /* the step of a `spawn` line */
    PROBE_LINE *Next;
};

/* One step and what came of it. */
struct _PROBE_STEP {
    ULONG Line;
    const char *Verb;
    const char *Name;
    NTSTATUS Status;
    ULONGLONG Information;
    ULONG ThreadId;
    LONGLONG Begin; /* NtQueryPerformanceCounter */
    LONGLONG End;
    ULONG DataLength;
    const UCHAR *Data; /* the beginning of what came back */
    ULONGLONG Digest;  /* of all of it: FNV-1a; 0 where nothing did */
    ULONG Class;       /* how a listing is laid out: FILE_INFORMATION_CLASS, or 0 */
    volatile LONG Ended;
};

typedef enum _PROBE_NAME_KIND { NameFile = 1, NameEvent, NameSection, NameView } PROBE_NAME_KIND;

/* A file handle, an outstanding operation, a section or a view, by the name the script gives it. */
typedef struct _PROBE_NAME {
    PROBE_NAME_KIND Kind;
    const char *Name;
    HANDLE Handle;            /* file, event or section */
    BOOLEAN Overlapped;       /* file: opened without FILE_SYNCHRONOUS_IO_NONALERT */
    PVOID Address;            /* view; event: buffer of the operation */
    SIZE_T Size;              /* of what is at Address */
    SIZE_T Kept;              /* event: how much of it is told */
    ULONG Class;              /* event: of a listing */
    IO_STATUS_BLOCK IoStatus; /* event: of the operation */
    HANDLE File;              /* event: the file of the operation, the thread of a spawned step */
    PROBE_STEP *Step;         /* event: the step that was spawned, NULL for an asynchronous operation */
} PROBE_NAME;

/* A minifilter the script is connected to. */
typedef struct _PROBE_FILTER {
    const char *Label;
    HANDLE Port;
    volatile LONG Busy; /* a thread drains the ring */
    ULONG Dropped;
    ULONG Outstanding;
    ULONG EventCount;
    FLTLAB_EVENT *Events; /* drained so far; room for EventRoom */
    ULONG EventRoom;
    FLTLAB_DRAIN_REPLY *Reply; /* buffer of DRAIN, made at the first one */
    BOOLEAN TakePrints;        /* the script asks for what it has captured of DbgPrint */
    BOOLEAN ToldOfPrints;      /* and it had something to tell: */
    ULONG PrintsLost;
    NTSTATUS PrintsStatus;
    ULONG PrintCount;
    FLTLAB_PRINT *Prints; /* room for PrintRoom */
    ULONG PrintRoom;
    FLTLAB_PRINTS_REPLY *PrintsReply; /* buffer of TAKE_PRINTS */
} PROBE_FILTER;

typedef struct _PROBE_PORT PROBE_PORT;

/* A message that was taken from a port of the driver under test. */
typedef struct _PROBE_MESSAGE {
    struct _PROBE_MESSAGE *Next;
    ULONGLONG Id;
    ULONG ReplyLength; /* room that the driver has for a reply; 0 if it wants none */
    LONGLONG At;       /* NtQueryPerformanceCounter, when it was taken */
    NTSTATUS Answer;   /* of FilterReplyMessage; STATUS_PENDING if it was not called */
    ULONG Length;
    UCHAR *Data;
} PROBE_MESSAGE;

extern PROBE_STEP *Steps;
extern volatile LONG StepCount;
extern PROBE_FILTER Filters[MAXIMUM_FILTERS];
extern ULONG FilterCount;

/* memory.c */
PVOID Allocate(SIZE_T Size);      /* zeroed; never NULL: without memory the program ends */
PVOID AllocatePages(SIZE_T Size); /* on pages of its own, as non-cached I/O needs it */
void *memcpy(void *To, const void *From, size_t Count);
void *memset(void *To, int Value, size_t Count);

/* text.c */
BOOLEAN SameText(const char *Left, const char *Right);
SIZE_T TextLength(const char *Text);
BOOLEAN SameStart(const char *Left, const char *Right, SIZE_T Length);
BOOLEAN ParseNumber(const char *Text, ULONGLONG *Value);
const char *NumberText(ULONGLONG Value, ULONG Base);
BOOLEAN IsUtf8(const char *Text);
PWSTR Wide(const char *Text, PUNICODE_STRING String); /* String may be NULL */
const char *Join(const char *First, const char *Second);

/* grammar.c */
void CheckLine(PROBE_LINE *Line);

/* script.c */
void RunScript(char *Text, SIZE_T TextSize);
void EndScript(void);
void RunStep(PROBE_LINE *Line, PROBE_STEP *Step);
PROBE_STEP *NewStep(const PROBE_LINE *Line);
const char *Value(const PROBE_LINE *Line, const char *Key);
ULONGLONG Number(const PROBE_LINE *Line, const char *Key, ULONGLONG Otherwise);
ULONGLONG NumberUpTo(const PROBE_LINE *Line, const char *Key, ULONGLONG Otherwise, ULONGLONG Maximum);
ULONG Number32(const PROBE_LINE *Line, const char *Key, ULONG Otherwise);
ULONG BufferLength(const PROBE_LINE *Line, const char *Key, ULONG Otherwise);
void Bytes(const PROBE_LINE *Line, const char *Key, const char *Hex, PUCHAR To);
PUCHAR GivenBytes(const PROBE_LINE *Line, const char *Key, ULONG *Length);
LONGLONG Ticks(const PROBE_LINE *Line);
BOOLEAN Has(const PROBE_LINE *Line, const char *Word);
PROBE_NAME *FindName(const PROBE_LINE *Line, PROBE_NAME_KIND Kind, const char *Name);
PROBE_NAME *NewName(const PROBE_LINE *Line, PROBE_NAME_KIND Kind, const char *Name);
DECLSPEC_NORETURN void ScriptError(const PROBE_LINE *Line, const char *What, const char *Which);
DECLSPEC_NORETURN void FilterError(const PROBE_LINE *Line, const char *What, const char *Which, NTSTATUS Result);

/* json.c */
DECLSPEC_NORETURN void Report(ULONG ExitCode, const char *Error);
HANDLE StandardInput(void);

/* filter.c */
PROBE_FILTER *FindFilter(const PROBE_LINE *Line, const char *Label);
NTSTATUS Send(const PROBE_FILTER *Filter, PVOID In, ULONG InSize, PVOID Out, ULONG OutSize);
void InitializeRequest(FLTLAB_REQUEST *Request, ULONG Command, ULONG Size);
void Drain(PROBE_FILTER *Filter);
BOOLEAN BeginDrain(PROBE_FILTER *Filter);
void EndDrain(PROBE_FILTER *Filter);
void DrainFilters(void);
void DisconnectFilters(void);
void ReleaseEverything(void);
void FilterVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void ReleaseVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void ExpectHeldVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void ExpectEventsVerb(PROBE_LINE *Line, PROBE_STEP *Step);

/* loading.c */
void AttachVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void DetachVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void LoadVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void UnloadVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void StopVerb(PROBE_LINE *Line, PROBE_STEP *Step);

/* port.c */
extern PROBE_PORT *Ports[MAXIMUM_PORTS];
extern ULONG PortCount;
ULONG MessagesOf(const PROBE_PORT *Port, const char **Name, const PROBE_MESSAGE **First);
void ClosePorts(void);
void ConnectVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void DisconnectVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void SendMessageVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void GetMessageVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void ReplyVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void AnswerVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void ServeVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void ExpectMessagesVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void SignalVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void AwaitVerb(PROBE_LINE *Line, PROBE_STEP *Step);

/* prints.c */
void TakePrints(PROBE_FILTER *Filter);
void DebugPrintVerb(PROBE_LINE *Line, PROBE_STEP *Step);

/* rule.c */
ULONG Major(const PROBE_LINE *Line);
ULONG Phase(const PROBE_LINE *Line);
void RuleVerb(PROBE_LINE *Line, PROBE_STEP *Step);

/*
 * The operation a request belongs to: the event named by async=, or one of its own that Finish waits for. A request on
 * a file that could not be opened, or is closed, goes to a handle that does not exist, and gets the status Windows gives for it.
 */
typedef struct _REQUEST {
    PROBE_NAME *File;
    PROBE_NAME *Operation;
    BOOLEAN Asynchronous;
} REQUEST;

/* words.c */
typedef struct _BIT_WORD {
    const char *Word;
    ULONG Bits;
} BIT_WORD;
extern const BIT_WORD AccessWords[];
extern const BIT_WORD ShareWords[];
extern const BIT_WORD DispositionWords[];
extern const BIT_WORD OptionWords[];
extern const BIT_WORD AttributeWords[];
extern const BIT_WORD NotifyWords[];
extern const BIT_WORD OplockWords[];
extern const BIT_WORD RenameWords[];
extern const BIT_WORD ProtectWords[];
extern const BIT_WORD LevelWords[];
extern const BIT_WORD WhoWords[];
#define OPTION_OVERLAPPED 0x80000000u /* ours: leave FILE_SYNCHRONOUS_IO_NONALERT out */
ULONG Bits(const PROBE_LINE *Line, const char *Key, const BIT_WORD *Words, ULONG Otherwise);
ULONG OneOf(const PROBE_LINE *Line, const char *What, const char *Text, const BIT_WORD *Words);

/* open.c */
void NameAttributes(POBJECT_ATTRIBUTES Attributes, PUNICODE_STRING String, const char *Path);
void OpenVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void OpenByIdVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void DeleteVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void CloseVerb(PROBE_LINE *Line, PROBE_STEP *Step);

/* Whether a request with this status has put something into its buffer. */
#define HasAnswer(Status) ((Status) >= 0 || (Status) == STATUS_BUFFER_OVERFLOW)

/* file.c */
void Begin(const PROBE_LINE *Line, REQUEST *Request, PVOID Buffer, SIZE_T Size);
void Finish(PROBE_STEP *Step, REQUEST *Request, NTSTATUS Status);
void SetBeginning(PROBE_STEP *Step, const void *Data, SIZE_T Length, SIZE_T Room, SIZE_T Most);
void SetData(PROBE_STEP *Step, const void *Data, SIZE_T Length, SIZE_T Room);
void SetList(PROBE_STEP *Step, const void *Data, SIZE_T Length, SIZE_T Room);
void ReadVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void WriteVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void FlushVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void LockVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void UnlockVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void CancelVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void CancelSynchronousVerb(PROBE_LINE *Line, PROBE_STEP *Step);

/* control.c */
void FsctlVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void IoctlVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void NotifyVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void OplockVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void AcknowledgeOplockVerb(PROBE_LINE *Line, PROBE_STEP *Step);

/* set.c */
void SetVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void SetVolumeVerb(PROBE_LINE *Line, PROBE_STEP *Step);

/* information.c */
typedef struct _INFORMATION_CLASS {
    const char *Word;
    ULONG Class;
    ULONG Length;
} INFORMATION_CLASS;
const INFORMATION_CLASS *Named(const PROBE_LINE *Line, const char *Text, const INFORMATION_CLASS *Classes);
void QueryVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void QueryPathVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void QueryVolumeVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void DirectoryVerb(PROBE_LINE *Line, PROBE_STEP *Step);

/* metadata.c */
PVOID NewEa(const char *Name, const char *Text, ULONG *Length); /* a list of one; without a text it removes */
void QueryEaVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void SetEaVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void QuerySecurityVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void SetSecurityVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void QueryQuotaVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void SetQuotaVerb(PROBE_LINE *Line, PROBE_STEP *Step);

/* identity.c */
NTSTATUS SetToken(HANDLE Token); /* of this thread; NULL for the process's own */
void ImpersonateVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void RevertVerb(PROBE_LINE *Line, PROBE_STEP *Step);

/* section.c */
void SectionVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void MapVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void PeekVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void PokeVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void UnmapVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void CloseSectionVerb(PROBE_LINE *Line, PROBE_STEP *Step);

/* wait.c */
LONGLONG Counter(void);
HANDLE NewEvent(void);
void Sleep100ns(LONGLONG Ticks);
void Outcome(PROBE_STEP *Step, PROBE_NAME *Operation);
void WaitVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void SleepVerb(PROBE_LINE *Line, PROBE_STEP *Step);
void SpawnVerb(PROBE_LINE *Line, PROBE_STEP *Step);

/* watchdog.c */
void StartWatchdog(void);
void BeginStep(void);   /* the main thread's next step begins now */
void BeginPause(void);  /* no step runs: the next script is read */
void BeginReport(void); /* no step runs any more: the report begins now */
void DeadlineVerb(PROBE_LINE *Line, PROBE_STEP *Step);

#endif /* FLTPROBE_PROBE_H */
