/*
 * console.c: standard handles, the console, the command line, and modules.
 */

#include "userland.h"

static PHANDLER_ROUTINE Handlers[8];
static ULONG HandlerCount;

static ULONG
Standard(DWORD Which)
{
    return Which == STD_INPUT_HANDLE ? 0 : Which == STD_OUTPUT_HANDLE ? 1 : 2;
}

EXPORT HANDLE WINAPI
GetStdHandle(DWORD Which)
{
    return Parameters()->Standard[Standard(Which)];
}

EXPORT BOOL WINAPI
SetStdHandle(DWORD Which, HANDLE Handle)
{
    Parameters()->Standard[Standard(Which)] = Handle;
    return TRUE;
}

/* Standard output is a pipe, as in a process that WinRM has started: programs then use WriteFile. */
EXPORT BOOL WINAPI
GetConsoleMode(HANDLE Console, LPDWORD Mode)
{
    (void)Console;
    *Mode = 0;
    SetLastError(ERROR_INVALID_HANDLE);
    return FALSE;
}

EXPORT BOOL WINAPI
SetConsoleMode(HANDLE Console, DWORD Mode)
{
    (void)Console;
    (void)Mode;
    SetLastError(ERROR_INVALID_HANDLE);
    return FALSE;
}

EXPORT BOOL WINAPI
WriteConsoleW(HANDLE Console, const void *Text, DWORD Length, LPDWORD Count, LPVOID Reserved)
{
    int Size = WideCharToMultiByte(CP_UTF8, 0, Text, (int)Length, NULL, 0, NULL, NULL);
    char *Narrow = Allocate((SIZE_T)Size + 1);
    BOOL Good;

    (void)Reserved;
    WideCharToMultiByte(CP_UTF8, 0, Text, (int)Length, Narrow, Size, NULL, NULL);
    Good = WriteFile(Console, Narrow, (DWORD)Size, NULL, NULL);
    Release(Narrow);
    if (Count != NULL) {
        *Count = Good ? Length : 0;
    }
    return Good;
}

EXPORT BOOL WINAPI
WriteConsoleA(HANDLE Console, const void *Text, DWORD Length, LPDWORD Count, LPVOID Reserved)
{
    (void)Reserved;
    return WriteFile(Console, Text, Length, Count, NULL);
}

EXPORT UINT WINAPI
GetConsoleOutputCP(void)
{
    return CP_UTF8;
}

EXPORT UINT WINAPI
GetConsoleCP(void)
{
    return CP_UTF8;
}

EXPORT UINT WINAPI
GetACP(void)
{
    return CP_UTF8;
}

EXPORT BOOL WINAPI
SetConsoleOutputCP(UINT Page)
{
    (void)Page;
    return TRUE;
}

EXPORT BOOL WINAPI
SetConsoleTitleW(LPCWSTR Title)
{
    (void)Title;
    return TRUE;
}

static void
CallHandlers(void)
{
    ULONG Index;

    for (Index = HandlerCount; Index > 0; Index--) {
        if (Handlers[Index - 1](CTRL_C_EVENT)) {
            return;
        }
    }
    ExitProcess((UINT)STATUS_CONTROL_C_EXIT);
}

EXPORT BOOL WINAPI
SetConsoleCtrlHandler(PHANDLER_ROUTINE Handler, BOOL Add)
{
    if (Handler == NULL) {
        return TRUE;
    }
    if (Add && HandlerCount < ARRAYSIZE(Handlers)) {
        if (HandlerCount == 0) {
            EndListener(CallHandlers);
        }
        Handlers[HandlerCount++] = Handler;
        return TRUE;
    }
    if (!Add && HandlerCount > 0 && Handlers[HandlerCount - 1] == Handler) {
        HandlerCount--;
        return TRUE;
    }
    SetLastError(ERROR_INVALID_PARAMETER);
    return FALSE;
}

EXPORT void WINAPI
OutputDebugStringA(LPCSTR Text)
{
    (void)Text; /* there is no debugger */
}

EXPORT void WINAPI
OutputDebugStringW(LPCWSTR Text)
{
    (void)Text;
}

EXPORT BOOL WINAPI
IsDebuggerPresent(void)
{
    return FALSE;
}

/* -- the command line */

EXPORT LPWSTR WINAPI
GetCommandLineW(void)
{
    return Parameters()->CommandLine.Buffer;
}

EXPORT LPSTR WINAPI
GetCommandLineA(void)
{
    static char *Narrow;

    if (Narrow == NULL) {
        Narrow = NarrowCopy(GetCommandLineW());
    }
    return Narrow;
}

EXPORT void WINAPI
GetStartupInfoW(LPSTARTUPINFOW Information)
{
    memset(Information, 0, sizeof(*Information));
    Information->cb = sizeof(*Information);
    Information->dwFlags = STARTF_USESTDHANDLES;
    Information->hStdInput = Parameters()->Standard[0];
    Information->hStdOutput = Parameters()->Standard[1];
    Information->hStdError = Parameters()->Standard[2];
}

EXPORT void WINAPI
GetStartupInfoA(LPSTARTUPINFOA Information)
{
    GetStartupInfoW((LPSTARTUPINFOW)Information); /* but for the pointers, which are NULL, they are the same */
}

EXPORT DWORD WINAPI
GetEnvironmentVariableW(LPCWSTR Name, LPWSTR Buffer, DWORD Size)
{
    (void)Name;
    (void)Buffer;
    (void)Size;
    SetLastError(ERROR_ENVVAR_NOT_FOUND);
    return 0;
}

EXPORT DWORD WINAPI
GetEnvironmentVariableA(LPCSTR Name, LPSTR Buffer, DWORD Size)
{
    (void)Name;
    (void)Buffer;
    (void)Size;
    SetLastError(ERROR_ENVVAR_NOT_FOUND);
    return 0;
}

EXPORT LPWCH WINAPI
GetEnvironmentStringsW(void)
{
    static WCHAR Empty[2];

    return Empty;
}

EXPORT BOOL WINAPI
FreeEnvironmentStringsW(LPWCH Strings)
{
    (void)Strings;
    return TRUE;
}

/* -- modules: the program is the only one */

EXPORT HMODULE WINAPI
GetModuleHandleW(LPCWSTR Name)
{
    if (Name == NULL) {
        return Process()->ImageBase;
    }
    SetLastError(ERROR_MOD_NOT_FOUND);
    return NULL;
}

EXPORT HMODULE WINAPI
GetModuleHandleA(LPCSTR Name)
{
    return GetModuleHandleW(Name == NULL ? NULL : L"");
}

EXPORT BOOL WINAPI
GetModuleHandleExW(DWORD Flags, LPCWSTR Name, HMODULE *Module)
{
    *Module = (Flags & GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS) != 0 ? Process()->ImageBase : GetModuleHandleW(Name);
    return *Module != NULL;
}

EXPORT DWORD WINAPI
GetModuleFileNameW(HMODULE Module, LPWSTR Buffer, DWORD Size)
{
    const UNICODE_STRING *Path = &Parameters()->ImagePath;
    DWORD Length = Path->Length / sizeof(WCHAR);

    (void)Module;
    if (Length >= Size) {
        SetLastError(ERROR_INSUFFICIENT_BUFFER);
        return Size;
    }
    memcpy(Buffer, Path->Buffer, Path->Length + sizeof(WCHAR));
    return Length;
}

EXPORT DWORD WINAPI
GetModuleFileNameA(HMODULE Module, LPSTR Buffer, DWORD Size)
{
    (void)Module;
    return (DWORD)WideCharToMultiByte(CP_UTF8, 0, Parameters()->ImagePath.Buffer, -1, Buffer, (int)Size, NULL, NULL) -
           1;
}

EXPORT HMODULE WINAPI
LoadLibraryExW(LPCWSTR Name, HANDLE File, DWORD Flags)
{
    (void)Name;
    (void)File;
    (void)Flags;
    SetLastError(ERROR_MOD_NOT_FOUND);
    return NULL;
}

EXPORT HMODULE WINAPI
LoadLibraryW(LPCWSTR Name)
{
    return LoadLibraryExW(Name, NULL, 0);
}

EXPORT HMODULE WINAPI
LoadLibraryA(LPCSTR Name)
{
    (void)Name;
    return LoadLibraryExW(NULL, NULL, 0);
}

EXPORT BOOL WINAPI
FreeLibrary(HMODULE Module)
{
    (void)Module;
    return TRUE;
}

EXPORT FARPROC WINAPI
GetProcAddress(HMODULE Module, LPCSTR Name)
{
    (void)Module;
    (void)Name;
    SetLastError(ERROR_PROC_NOT_FOUND);
    return NULL;
}

/* -- exceptions that nobody handles end the process: the kernel sees to that */

EXPORT LPTOP_LEVEL_EXCEPTION_FILTER WINAPI
SetUnhandledExceptionFilter(LPTOP_LEVEL_EXCEPTION_FILTER Filter)
{
    (void)Filter;
    return NULL;
}

EXPORT LONG WINAPI
UnhandledExceptionFilter(EXCEPTION_POINTERS *Pointers)
{
    (void)Pointers;
    return EXCEPTION_CONTINUE_SEARCH;
}

EXPORT PVOID WINAPI
EncodePointer(PVOID Pointer)
{
    return Pointer;
}

EXPORT PVOID WINAPI
DecodePointer(PVOID Pointer)
{
    return Pointer;
}

EXPORT void WINAPI
InitializeSListHead(PSLIST_HEADER Head)
{
    memset(Head, 0, sizeof(*Head));
}
