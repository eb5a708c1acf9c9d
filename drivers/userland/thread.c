/*
 * thread.c: threads, their storage, and time.
 */

#include "userland.h"

#define SLOTS 64
#define PROCESSOR_FEATURE_LIMIT 64

typedef struct _BEGUN {
    LPTHREAD_START_ROUTINE Routine;
    PVOID Parameter;
} BEGUN;

static volatile LONGLONG UsedSlots;

void ThreadBegins(void);

static NTSTATUS NTAPI
ThreadStart(PVOID Parameter)
{
    BEGUN Begun = *(BEGUN *)Parameter;

    Release(Parameter);
    ThreadBegins();
    RtlExitUserThread((NTSTATUS)Begun.Routine(Begun.Parameter));
    return 0;
}

EXPORT HANDLE WINAPI
CreateThread(LPSECURITY_ATTRIBUTES Security, SIZE_T Stack, LPTHREAD_START_ROUTINE Routine, LPVOID Parameter,
             DWORD Flags, LPDWORD Id)
{
    struct {
        HANDLE Process;
        HANDLE Thread;
    } Client;
    BEGUN *Begun = Allocate(sizeof(BEGUN));
    HANDLE Thread = NULL;

    (void)Security;
    (void)Stack;
    Begun->Routine = Routine;
    Begun->Parameter = Parameter;
    if (!Done(RtlCreateUserThread(HERE, NULL, (Flags & CREATE_SUSPENDED) != 0, 0, 0, 0, ThreadStart, Begun, &Thread,
                                  &Client))) {
        Release(Begun);
        return NULL;
    }
    if (Id != NULL) {
        *Id = (DWORD)(ULONG_PTR)Client.Thread;
    }
    return Thread;
}

EXPORT void WINAPI
ExitThread(DWORD Code)
{
    for (;;) {
        RtlExitUserThread((NTSTATUS)Code);
    }
}

EXPORT HANDLE WINAPI
GetCurrentProcess(void)
{
    return HERE;
}

EXPORT HANDLE WINAPI
GetCurrentThread(void)
{
    return (HANDLE)(LONG_PTR)-2;
}

EXPORT DWORD WINAPI
GetCurrentProcessId(void)
{
    return *(DWORD *)((UCHAR *)NtCurrentTeb() + 0x40);
}

EXPORT DWORD WINAPI
GetCurrentThreadId(void)
{
    return *(DWORD *)((UCHAR *)NtCurrentTeb() + 0x48);
}

EXPORT BOOL WINAPI
SetThreadPriority(HANDLE Thread, int Priority)
{
    (void)Thread;
    (void)Priority;
    return TRUE;
}

EXPORT BOOL WINAPI
SetPriorityClass(HANDLE Which, DWORD Class)
{
    (void)Which;
    (void)Class;
    return TRUE;
}

EXPORT BOOL WINAPI
SwitchToThread(void)
{
    LARGE_INTEGER Now = {.QuadPart = 0};

    return NtDelayExecution(FALSE, &Now) >= 0;
}

EXPORT DWORD WINAPI
SleepEx(DWORD Milliseconds, BOOL Alertable)
{
    LARGE_INTEGER Room;
    LARGE_INTEGER *Time = Interval(Milliseconds, &Room);

    if (Time == NULL) {
        Room.QuadPart = MINLONGLONG;
    }
    NtDelayExecution((BOOLEAN)Alertable, &Room);
    return 0;
}

EXPORT void WINAPI
Sleep(DWORD Milliseconds)
{
    SleepEx(Milliseconds, FALSE);
}

/* -- storage: the same for threads and fibers */

EXPORT DWORD WINAPI
TlsAlloc(void)
{
    DWORD Slot;

    for (Slot = 0; Slot < SLOTS; Slot++) {
        LONGLONG Used = UsedSlots;

        if ((Used >> Slot & 1) == 0 && __sync_bool_compare_and_swap(&UsedSlots, Used, Used | 1LL << Slot)) {
            TlsSetValue(Slot, NULL);
            return Slot;
        }
    }
    SetLastError(ERROR_NO_MORE_ITEMS);
    return TLS_OUT_OF_INDEXES;
}

EXPORT BOOL WINAPI
TlsFree(DWORD Slot)
{
    __sync_fetch_and_and(&UsedSlots, ~(1LL << Slot));
    return TRUE;
}

static PVOID *
At(DWORD Slot)
{
    return (PVOID *)((UCHAR *)NtCurrentTeb() + 0x1480) + Slot % SLOTS;
}

EXPORT LPVOID WINAPI
TlsGetValue(DWORD Slot)
{
    SetLastError(ERROR_SUCCESS);
    return *At(Slot);
}

EXPORT BOOL WINAPI
TlsSetValue(DWORD Slot, LPVOID Value)
{
    *At(Slot) = Value;
    return TRUE;
}

EXPORT DWORD WINAPI
FlsAlloc(PFLS_CALLBACK_FUNCTION Callback)
{
    (void)Callback;
    return TlsAlloc();
}

EXPORT BOOL WINAPI
FlsFree(DWORD Slot)
{
    return TlsFree(Slot);
}

EXPORT PVOID WINAPI
FlsGetValue(DWORD Slot)
{
    return TlsGetValue(Slot);
}

EXPORT BOOL WINAPI
FlsSetValue(DWORD Slot, PVOID Value)
{
    return TlsSetValue(Slot, Value);
}

/* -- time */

EXPORT BOOL WINAPI
QueryPerformanceCounter(LARGE_INTEGER *Counter)
{
    return Done(NtQueryPerformanceCounter(Counter, NULL));
}

EXPORT BOOL WINAPI
QueryPerformanceFrequency(LARGE_INTEGER *Frequency)
{
    LARGE_INTEGER Counter;

    return Done(NtQueryPerformanceCounter(&Counter, Frequency));
}

EXPORT ULONGLONG WINAPI
GetTickCount64(void)
{
    LARGE_INTEGER Counter;
    LARGE_INTEGER Frequency;

    NtQueryPerformanceCounter(&Counter, &Frequency);
    return (ULONGLONG)(Counter.QuadPart / (Frequency.QuadPart / 1000));
}

EXPORT DWORD WINAPI
GetTickCount(void)
{
    return (DWORD)GetTickCount64();
}

EXPORT void WINAPI
GetSystemTimeAsFileTime(LPFILETIME Time)
{
    NtQuerySystemTime((PLARGE_INTEGER)Time);
}

EXPORT void WINAPI
GetSystemTimePreciseAsFileTime(LPFILETIME Time)
{
    NtQuerySystemTime((PLARGE_INTEGER)Time);
}

/* -- the machine */

EXPORT BOOL WINAPI
IsProcessorFeaturePresent(DWORD Feature)
{
    return Feature == PF_XMMI64_INSTRUCTIONS_AVAILABLE || Feature == PF_COMPARE_EXCHANGE128;
}

EXPORT void WINAPI
GetSystemInfo(LPSYSTEM_INFO Information)
{
    memset(Information, 0, sizeof(*Information));
    Information->wProcessorArchitecture = PROCESSOR_ARCHITECTURE_AMD64;
    Information->dwPageSize = 0x1000;
    Information->dwNumberOfProcessors = 2;
    Information->dwActiveProcessorMask = 3;
    Information->dwAllocationGranularity = 0x10000;
    Information->lpMinimumApplicationAddress = (PVOID)0x10000;
    Information->lpMaximumApplicationAddress = (PVOID)0x7FFFFFFEFFFF;
}
