/*
 * worker.c: a service, which says what its service control manager asks of it.
 */

#include <windows.h>
#include <stdio.h>

static SERVICE_STATUS_HANDLE Handle;
static HANDLE Stop;

static void
Report(DWORD State)
{
    SERVICE_STATUS Status = {SERVICE_WIN32_OWN_PROCESS, State, SERVICE_ACCEPT_STOP, 0, 0, 0, 0};

    SetServiceStatus(Handle, &Status);
}

static DWORD WINAPI
Control(DWORD Code, DWORD Type, LPVOID Data, LPVOID Context)
{
    (void)Type;
    (void)Data;
    (void)Context;
    printf("control %lu\n", Code);
    Report(SERVICE_STOP_PENDING);
    SetEvent(Stop);
    return NO_ERROR;
}

static void WINAPI
ServiceMain(DWORD Count, LPWSTR *Arguments)
{
    Handle = RegisterServiceCtrlHandlerExW(Arguments[0], Control, NULL);
    Stop = CreateEventW(NULL, TRUE, FALSE, NULL);
    Report(SERVICE_RUNNING);
    printf("%ls runs, %lu argument\n", Arguments[0], Count);
    WaitForSingleObject(Stop, INFINITE);
    Report(SERVICE_STOPPED);
}

int
main(int Arguments, char **Words)
{
    WCHAR Name[] = L"worker";
    SERVICE_TABLE_ENTRYW Table[] = {{Name, ServiceMain}, {NULL, NULL}};

    if (Arguments == 2) {
        printf("%s\n", Words[1]);
        printf("got %d\n", getchar());
    }
    if (!StartServiceCtrlDispatcherW(Table)) {
        printf("no service: %lu\n", GetLastError());
        return 1;
    }
    printf("dispatched\n");
    return 0;
}
