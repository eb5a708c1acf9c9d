/*
 * start.c: where a program begins and ends: before its own entry point, and after it.
 */

#include "userland.h"

typedef struct _TLS_DIRECTORY {
    ULONGLONG Start;
    ULONGLONG End;
    ULONGLONG Index;
    ULONGLONG Callbacks;
    ULONG ZeroFill;
    ULONG Characteristics;
} TLS_DIRECTORY;

static void (*Listeners[4])(void);
static ULONG ListenerCount;

PROCESS *
Process(void)
{
    return (PROCESS *)NtCurrentTeb()->ProcessEnvironmentBlock;
}

PARAMETERS *
Parameters(void)
{
    return Process()->Parameters;
}

/* The image's own thread-local storage: one block a thread, at TEB.ThreadLocalStoragePointer. */
static void
ThreadStorage(ULONG Reason)
{
    UCHAR *Base = Process()->ImageBase;
    const IMAGE_NT_HEADERS64 *Headers = (PVOID)(Base + ((PIMAGE_DOS_HEADER)Base)->e_lfanew);
    const IMAGE_DATA_DIRECTORY *Entry = &Headers->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_TLS];
    const TLS_DIRECTORY *Tls = (PVOID)(Base + Entry->VirtualAddress);
    PIMAGE_TLS_CALLBACK *Callback;

    if (Entry->VirtualAddress == 0) {
        return;
    }
    if (Reason == DLL_PROCESS_ATTACH || Reason == DLL_THREAD_ATTACH) {
        SIZE_T Size = (SIZE_T)(Tls->End - Tls->Start);
        PVOID *Vector = Allocate(sizeof(PVOID));

        Vector[0] = Allocate(Size + Tls->ZeroFill + 16);
        memcpy(Vector[0], (PVOID)Tls->Start, Size);
        *(PULONG)Tls->Index = 0;
        *(PVOID *)((UCHAR *)NtCurrentTeb() + 0x58) = Vector;
    }
    for (Callback = (PVOID)Tls->Callbacks; Callback != NULL && *Callback != NULL; Callback++) {
        (*Callback)(Base, Reason, NULL);
    }
}

static NTSTATUS NTAPI
ListeningThread(PVOID Event)
{
    ULONG Index;

    NtWaitForSingleObject(Event, FALSE, NULL);
    for (Index = ListenerCount; Index > 0; Index--) {
        Listeners[Index - 1]();
    }
    RtlExitUserThread(0);
    return 0;
}

/* Whoever started this process tells it to end by an event of this name. */
void
EndListener(void (*Tell)(void))
{
    WCHAR Room[MOST_PATH];
    WCHAR Name[40] = L"fltlab-end-";
    OBJECT_ATTRIBUTES Attributes;
    UNICODE_STRING Text;
    ULONG Process = GetCurrentProcessId();
    ULONG Digits = 1;
    ULONG At = 11;
    HANDLE Event;
    HANDLE Thread;

    if (ListenerCount == ARRAYSIZE(Listeners)) {
        return;
    }
    Listeners[ListenerCount++] = Tell;
    if (ListenerCount > 1) {
        return;
    }
    while (Process / Digits >= 10) {
        Digits *= 10;
    }
    for (; Digits != 0; Digits /= 10) {
        Name[At++] = (WCHAR)(L'0' + Process / Digits % 10);
    }
    NamedObject(&Attributes, &Text, Room, Name);
    if (NtCreateEvent(&Event, EVENT_ALL_ACCESS, &Attributes, 0, FALSE) >= 0 &&
        RtlCreateUserThread(HERE, NULL, FALSE, 0, 0, 0, ListeningThread, Event, &Thread, NULL) >= 0) {
        NtClose(Thread);
    }
}

EXPORT void
ThreadBegins(void)
{
    ThreadStorage(DLL_THREAD_ATTACH);
}

/* The first thread of a program that imports any of this begins here. */
EXPORT NTSTATUS NTAPI
ProgramStart(PVOID Environment)
{
    UCHAR *Base = Process()->ImageBase;
    const IMAGE_NT_HEADERS64 *Headers = (PVOID)(Base + ((PIMAGE_DOS_HEADER)Base)->e_lfanew);
    UINT Code;

    (void)Environment;
    ThreadStorage(DLL_PROCESS_ATTACH);
    Code = (UINT)((NTSTATUS(NTAPI *)(PVOID))(Base + Headers->OptionalHeader.AddressOfEntryPoint))(Process());
    ExitProcess(Code);
}

EXPORT DECLSPEC_NORETURN void WINAPI
ExitProcess(UINT Code)
{
    RunAtExit();
    FlushStreams();
    for (;;) {
        NtTerminateProcess(HERE, (NTSTATUS)Code);
    }
}

EXPORT BOOL WINAPI
TerminateProcess(HANDLE Which, UINT Code)
{
    return Done(NtTerminateProcess(Which, (NTSTATUS)Code));
}

BOOL WINAPI
UserlandMain(HINSTANCE Instance, DWORD Reason, LPVOID Reserved)
{
    (void)Instance;
    (void)Reason;
    (void)Reserved;
    return TRUE;
}
