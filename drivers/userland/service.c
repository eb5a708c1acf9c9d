/*
 * service.c: a program that is a service: its dispatcher, its handler, its status; and privileges.
 *
 * A reference guest has no service control manager. The process that was started as a service is told its name, runs
 * ServiceMain in a thread of its own, and is told to stop as every program is told to end.
 */

#include "userland.h"

static LPHANDLER_FUNCTION_EX Handler;
static LPHANDLER_FUNCTION PlainHandler;
static PVOID HandlerContext;
static volatile DWORD State = SERVICE_START_PENDING;
static HANDLE Stopped;

typedef struct _MAIN {
    LPSERVICE_MAIN_FUNCTIONW Routine;
    LPWSTR Wide;
    LPSTR Narrow;
    BOOL IsNarrow;
} MAIN;

static void
Stop(void)
{
    if (Handler != NULL) {
        Handler(SERVICE_CONTROL_STOP, 0, NULL, HandlerContext);
    } else if (PlainHandler != NULL) {
        PlainHandler(SERVICE_CONTROL_STOP);
    } else {
        NtSetEvent(Stopped, NULL);
    }
}

static DWORD WINAPI
MainThread(LPVOID Parameter)
{
    MAIN *Main = Parameter;

    if (Main->IsNarrow) {
        ((LPSERVICE_MAIN_FUNCTIONA)(PVOID)Main->Routine)(1, &Main->Narrow);
    } else {
        Main->Routine(1, &Main->Wide);
    }
    return 0;
}

static BOOL
Dispatch(MAIN *Main)
{
    if (Parameters()->WindowTitle.Length == 0) {
        SetLastError(ERROR_FAILED_SERVICE_CONTROLLER_CONNECT);
        return FALSE;
    }
    if (!Done(NtCreateEvent(&Stopped, EVENT_ALL_ACCESS, NULL, 0, FALSE))) {
        return FALSE;
    }
    EndListener(Stop);
    CloseHandle(CreateThread(NULL, 0, MainThread, Main, 0, NULL));
    NtWaitForSingleObject(Stopped, FALSE, NULL);
    return TRUE;
}

EXPORT BOOL WINAPI
StartServiceCtrlDispatcherW(const SERVICE_TABLE_ENTRYW *Table)
{
    MAIN *Main = Allocate(sizeof(MAIN));

    Main->Routine = Table->lpServiceProc;
    Main->Wide = Parameters()->WindowTitle.Buffer;
    return Dispatch(Main);
}

EXPORT BOOL WINAPI
StartServiceCtrlDispatcherA(const SERVICE_TABLE_ENTRYA *Table)
{
    MAIN *Main = Allocate(sizeof(MAIN));

    Main->Routine = (LPSERVICE_MAIN_FUNCTIONW)(PVOID)Table->lpServiceProc;
    Main->IsNarrow = TRUE;
    if (Parameters()->WindowTitle.Length != 0) {
        Main->Narrow = NarrowCopy(Parameters()->WindowTitle.Buffer);
    }
    return Dispatch(Main);
}

EXPORT SERVICE_STATUS_HANDLE WINAPI
RegisterServiceCtrlHandlerExW(LPCWSTR Name, LPHANDLER_FUNCTION_EX Routine, LPVOID Context)
{
    (void)Name;
    Handler = Routine;
    HandlerContext = Context;
    return (SERVICE_STATUS_HANDLE)&Handler;
}

EXPORT SERVICE_STATUS_HANDLE WINAPI
RegisterServiceCtrlHandlerExA(LPCSTR Name, LPHANDLER_FUNCTION_EX Routine, LPVOID Context)
{
    (void)Name;
    return RegisterServiceCtrlHandlerExW(NULL, Routine, Context);
}

EXPORT SERVICE_STATUS_HANDLE WINAPI
RegisterServiceCtrlHandlerW(LPCWSTR Name, LPHANDLER_FUNCTION Routine)
{
    (void)Name;
    PlainHandler = Routine;
    return (SERVICE_STATUS_HANDLE)&PlainHandler;
}

EXPORT SERVICE_STATUS_HANDLE WINAPI
RegisterServiceCtrlHandlerA(LPCSTR Name, LPHANDLER_FUNCTION Routine)
{
    (void)Name;
    return RegisterServiceCtrlHandlerW(NULL, Routine);
}

EXPORT BOOL WINAPI
SetServiceStatus(SERVICE_STATUS_HANDLE Handle, LPSERVICE_STATUS Status)
{
    (void)Handle;
    State = Status->dwCurrentState;
    if (State == SERVICE_STOPPED) {
        NtSetEvent(Stopped, NULL);
    }
    return TRUE;
}

/* -- privileges: a program here is an administrator's, and holds all of them */

EXPORT BOOL WINAPI
LookupPrivilegeValueW(LPCWSTR System, LPCWSTR Name, PLUID Luid)
{
    (void)System;
    (void)Name;
    Luid->LowPart = 10; /* SE_LOAD_DRIVER_PRIVILEGE; which one makes no difference */
    Luid->HighPart = 0;
    return TRUE;
}

EXPORT BOOL WINAPI
LookupPrivilegeValueA(LPCSTR System, LPCSTR Name, PLUID Luid)
{
    (void)System;
    (void)Name;
    return LookupPrivilegeValueW(NULL, NULL, Luid);
}

EXPORT BOOL WINAPI
OpenProcessToken(HANDLE Which, DWORD Access, PHANDLE Token)
{
    return Done(NtOpenProcessToken(Which, Access, Token));
}

EXPORT BOOL WINAPI
AdjustTokenPrivileges(HANDLE Token, BOOL Disable, PTOKEN_PRIVILEGES New, DWORD Length, PTOKEN_PRIVILEGES Old,
                      PDWORD Returned)
{
    (void)Token;
    (void)Disable;
    (void)New;
    (void)Length;
    (void)Old;
    (void)Returned;
    SetLastError(ERROR_SUCCESS);
    return TRUE;
}
