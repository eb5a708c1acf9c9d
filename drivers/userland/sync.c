/*
 * sync.c: events, semaphores, mutexes, waits, and the locks that user mode has for itself.
 */

#include "userland.h"

/* -- objects of the kernel */

static HANDLE
Made(NTSTATUS Status, const HANDLE *Handle)
{
    SetLastError(ErrorOf(Status));
    return Status >= 0 ? *Handle : NULL;
}

EXPORT HANDLE WINAPI
CreateEventW(LPSECURITY_ATTRIBUTES Security, BOOL Manual, BOOL State, LPCWSTR Name)
{
    WCHAR Room[MOST_PATH];
    OBJECT_ATTRIBUTES Attributes;
    UNICODE_STRING Text;
    HANDLE Event = NULL;

    (void)Security;
    NamedObject(&Attributes, &Text, Room, Name);
    return Made(NtCreateEvent(&Event, EVENT_ALL_ACCESS, &Attributes, Manual ? 0 : 1, (BOOLEAN)State), &Event);
}

EXPORT HANDLE WINAPI
CreateEventA(LPSECURITY_ATTRIBUTES Security, BOOL Manual, BOOL State, LPCSTR Name)
{
    WCHAR *Wide = WideCopy(Name);
    HANDLE Event = CreateEventW(Security, Manual, State, Wide);
    DWORD Error = GetLastError();

    Release(Wide);
    SetLastError(Error);
    return Event;
}

EXPORT HANDLE WINAPI
OpenEventW(DWORD Access, BOOL Inherit, LPCWSTR Name)
{
    WCHAR Room[MOST_PATH];
    OBJECT_ATTRIBUTES Attributes;
    UNICODE_STRING Text;
    HANDLE Event = NULL;

    (void)Inherit;
    NamedObject(&Attributes, &Text, Room, Name);
    return Made(NtOpenEvent(&Event, Access, &Attributes), &Event);
}

EXPORT HANDLE WINAPI
OpenEventA(DWORD Access, BOOL Inherit, LPCSTR Name)
{
    WCHAR *Wide = WideCopy(Name);
    HANDLE Event = OpenEventW(Access, Inherit, Wide);

    Release(Wide);
    return Event;
}

EXPORT BOOL WINAPI
SetEvent(HANDLE Event)
{
    return Done(NtSetEvent(Event, NULL));
}

EXPORT BOOL WINAPI
ResetEvent(HANDLE Event)
{
    return Done(NtResetEvent(Event, NULL));
}

EXPORT HANDLE WINAPI
CreateSemaphoreW(LPSECURITY_ATTRIBUTES Security, LONG Initial, LONG Maximum, LPCWSTR Name)
{
    WCHAR Room[MOST_PATH];
    OBJECT_ATTRIBUTES Attributes;
    UNICODE_STRING Text;
    HANDLE Semaphore = NULL;

    (void)Security;
    NamedObject(&Attributes, &Text, Room, Name);
    return Made(NtCreateSemaphore(&Semaphore, SEMAPHORE_ALL_ACCESS, &Attributes, Initial, Maximum), &Semaphore);
}

EXPORT HANDLE WINAPI
CreateSemaphoreA(LPSECURITY_ATTRIBUTES Security, LONG Initial, LONG Maximum, LPCSTR Name)
{
    WCHAR *Wide = WideCopy(Name);
    HANDLE Semaphore = CreateSemaphoreW(Security, Initial, Maximum, Wide);

    Release(Wide);
    return Semaphore;
}

EXPORT BOOL WINAPI
ReleaseSemaphore(HANDLE Semaphore, LONG Count, LPLONG Previous)
{
    return Done(NtReleaseSemaphore(Semaphore, Count, Previous));
}

EXPORT HANDLE WINAPI
CreateMutexW(LPSECURITY_ATTRIBUTES Security, BOOL Owned, LPCWSTR Name)
{
    WCHAR Room[MOST_PATH];
    OBJECT_ATTRIBUTES Attributes;
    UNICODE_STRING Text;
    HANDLE Mutex = NULL;

    (void)Security;
    NamedObject(&Attributes, &Text, Room, Name);
    return Made(NtCreateMutant(&Mutex, MUTEX_ALL_ACCESS, &Attributes, (BOOLEAN)Owned), &Mutex);
}

EXPORT HANDLE WINAPI
CreateMutexA(LPSECURITY_ATTRIBUTES Security, BOOL Owned, LPCSTR Name)
{
    WCHAR *Wide = WideCopy(Name);
    HANDLE Mutex = CreateMutexW(Security, Owned, Wide);
    DWORD Error = GetLastError();

    Release(Wide);
    SetLastError(Error);
    return Mutex;
}

EXPORT BOOL WINAPI
ReleaseMutex(HANDLE Mutex)
{
    return Done(NtReleaseMutant(Mutex, NULL));
}

EXPORT BOOL WINAPI
CloseHandle(HANDLE Handle)
{
    return Done(NtClose(Handle));
}

static DWORD
Waited(NTSTATUS Status)
{
    return Done(Status) ? (DWORD)Status : WAIT_FAILED;
}

EXPORT DWORD WINAPI
WaitForSingleObjectEx(HANDLE Handle, DWORD Milliseconds, BOOL Alertable)
{
    LARGE_INTEGER Room;

    return Waited(NtWaitForSingleObject(Handle, (BOOLEAN)Alertable, Interval(Milliseconds, &Room)));
}

EXPORT DWORD WINAPI
WaitForSingleObject(HANDLE Handle, DWORD Milliseconds)
{
    return WaitForSingleObjectEx(Handle, Milliseconds, FALSE);
}

EXPORT DWORD WINAPI
WaitForMultipleObjectsEx(DWORD Count, const HANDLE *Handles, BOOL All, DWORD Milliseconds, BOOL Alertable)
{
    LARGE_INTEGER Room;

    return Waited(
        NtWaitForMultipleObjects(Count, Handles, All ? 0 : 1, (BOOLEAN)Alertable, Interval(Milliseconds, &Room)));
}

EXPORT DWORD WINAPI
WaitForMultipleObjects(DWORD Count, const HANDLE *Handles, BOOL All, DWORD Milliseconds)
{
    return WaitForMultipleObjectsEx(Count, Handles, All, Milliseconds, FALSE);
}

/* -- critical sections: recursive, by the thread's id; who waits asks again soon */

static void
Soon(void)
{
    LARGE_INTEGER Time = {.QuadPart = -1000};

    NtDelayExecution(FALSE, &Time);
}

EXPORT BOOL WINAPI
InitializeCriticalSectionEx(LPCRITICAL_SECTION Section, DWORD Spins, DWORD Flags)
{
    (void)Spins;
    (void)Flags;
    memset(Section, 0, sizeof(*Section));
    return TRUE;
}

EXPORT BOOL WINAPI
InitializeCriticalSectionAndSpinCount(LPCRITICAL_SECTION Section, DWORD Spins)
{
    return InitializeCriticalSectionEx(Section, Spins, 0);
}

EXPORT void WINAPI
InitializeCriticalSection(LPCRITICAL_SECTION Section)
{
    InitializeCriticalSectionEx(Section, 0, 0);
}

EXPORT void WINAPI
DeleteCriticalSection(LPCRITICAL_SECTION Section)
{
    memset(Section, 0, sizeof(*Section));
}

EXPORT BOOL WINAPI
TryEnterCriticalSection(LPCRITICAL_SECTION Section)
{
    HANDLE Me = (HANDLE)(ULONG_PTR)GetCurrentThreadId();

    if (Section->OwningThread != Me && !__sync_bool_compare_and_swap(&Section->OwningThread, NULL, Me)) {
        return FALSE;
    }
    Section->RecursionCount++;
    return TRUE;
}

EXPORT void WINAPI
EnterCriticalSection(LPCRITICAL_SECTION Section)
{
    while (!TryEnterCriticalSection(Section)) {
        Soon();
    }
}

EXPORT void WINAPI
LeaveCriticalSection(LPCRITICAL_SECTION Section)
{
    if (--Section->RecursionCount == 0) {
        __sync_lock_release(&Section->OwningThread);
    }
}

/* -- slim locks: -1 is held exclusively, else how many share it */

EXPORT void WINAPI
InitializeSRWLock(PSRWLOCK Slim)
{
    Slim->Ptr = NULL;
}

EXPORT BOOLEAN WINAPI
TryAcquireSRWLockExclusive(PSRWLOCK Slim)
{
    return __sync_bool_compare_and_swap(&Slim->Ptr, NULL, (PVOID)(LONG_PTR)-1);
}

EXPORT void WINAPI
AcquireSRWLockExclusive(PSRWLOCK Slim)
{
    while (!TryAcquireSRWLockExclusive(Slim)) {
        Soon();
    }
}

EXPORT void WINAPI
ReleaseSRWLockExclusive(PSRWLOCK Slim)
{
    __sync_lock_release(&Slim->Ptr);
}

EXPORT void WINAPI
AcquireSRWLockShared(PSRWLOCK Slim)
{
    for (;;) {
        PVOID Seen = Slim->Ptr;

        if (Seen != (PVOID)(LONG_PTR)-1 &&
            __sync_bool_compare_and_swap(&Slim->Ptr, Seen, (PVOID)((ULONG_PTR)Seen + 1))) {
            return;
        }
        Soon();
    }
}

EXPORT void WINAPI
ReleaseSRWLockShared(PSRWLOCK Slim)
{
    __sync_fetch_and_sub((ULONG_PTR *)&Slim->Ptr, 1);
}

/* -- condition variables: a count of wakes; who sleeps waits until it has changed */

EXPORT void WINAPI
InitializeConditionVariable(PCONDITION_VARIABLE Condition)
{
    Condition->Ptr = NULL;
}

EXPORT void WINAPI
WakeAllConditionVariable(PCONDITION_VARIABLE Condition)
{
    __sync_fetch_and_add((ULONG_PTR *)&Condition->Ptr, 1);
}

EXPORT void WINAPI
WakeConditionVariable(PCONDITION_VARIABLE Condition)
{
    WakeAllConditionVariable(Condition); /* more may wake than are asked for, as is allowed */
}

EXPORT BOOL WINAPI
SleepConditionVariableCS(PCONDITION_VARIABLE Condition, PCRITICAL_SECTION Section, DWORD Milliseconds)
{
    PVOID Seen = Condition->Ptr;
    ULONGLONG End = GetTickCount64() + Milliseconds;
    BOOL Woken = TRUE;

    LeaveCriticalSection(Section);
    while (*(volatile PVOID *)&Condition->Ptr == Seen && Woken) {
        Soon();
        Woken = Milliseconds == INFINITE || GetTickCount64() < End;
    }
    EnterCriticalSection(Section);
    if (!Woken) {
        SetLastError(ERROR_TIMEOUT);
    }
    return Woken;
}

EXPORT BOOL WINAPI
InitOnceExecuteOnce(PINIT_ONCE Once, PINIT_ONCE_FN Routine, PVOID Parameter, LPVOID *Context)
{
    BOOL Good = TRUE;

    while (Once->Ptr != (PVOID)2) {
        if (__sync_bool_compare_and_swap(&Once->Ptr, NULL, (PVOID)1)) {
            Good = Routine(Once, Parameter, Context);
            Once->Ptr = Good ? (PVOID)2 : NULL;
            break;
        }
        Soon();
    }
    return Good;
}
