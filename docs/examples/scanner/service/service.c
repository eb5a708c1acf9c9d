/*
 * service.c: the scanner's service. Threads wait on a completion port for questions of the driver; a file that begins
 * with "EVIL" is bad. It ends with ctrl-c.
 */

#include <windows.h>
#include <fltuser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../driver/scanner.h"

#define MOST_THREADS 8

typedef struct _MESSAGE {
    FILTER_MESSAGE_HEADER Header;
    SCANNER_QUESTION Question;
    OVERLAPPED Overlapped;
} MESSAGE;

typedef struct _REPLY {
    FILTER_REPLY_HEADER Header;
    SCANNER_ANSWER Answer;
} REPLY;

static HANDLE Port;
static HANDLE Completion;
static HANDLE Stop;
static volatile LONG Scanned;

static BOOL WINAPI
Control(DWORD Kind)
{
    (void)Kind;
    return SetEvent(Stop);
}

static HRESULT
Ask(MESSAGE *Message)
{
    memset(&Message->Overlapped, 0, sizeof(Message->Overlapped));
    return FilterGetMessage(Port, &Message->Header, FIELD_OFFSET(MESSAGE, Overlapped), &Message->Overlapped);
}

static DWORD WINAPI
Worker(LPVOID Parameter)
{
    (void)Parameter;
    for (;;) {
        DWORD Bytes;
        ULONG_PTR Key;
        OVERLAPPED *Overlapped;
        MESSAGE *Message;
        REPLY Reply;

        if (!GetQueuedCompletionStatus(Completion, &Bytes, &Key, &Overlapped, INFINITE)) {
            return 1; /* the port is gone */
        }
        Message = CONTAINING_RECORD(Overlapped, MESSAGE, Overlapped);
        memset(&Reply, 0, sizeof(Reply));
        Reply.Header.MessageId = Message->Header.MessageId;
        Reply.Answer.Bad = Message->Question.Bytes >= 4 && memcmp(Message->Question.Content, "EVIL", 4) == 0;
        InterlockedIncrement(&Scanned);
        printf("%s %ls\n", Reply.Answer.Bad ? "bad" : "good", Message->Question.Name);
        FilterReplyMessage(Port, &Reply.Header, sizeof(Reply.Header) + sizeof(Reply.Answer));
        if (Ask(Message) != HRESULT_FROM_WIN32(ERROR_IO_PENDING)) {
            return 1;
        }
    }
}

int
main(int Count, char **Arguments)
{
    int Threads = Count > 2 && strcmp(Arguments[1], "--threads") == 0 ? atoi(Arguments[2]) : 1;
    HRESULT Result;
    int Index;

    Stop = CreateEventW(NULL, TRUE, FALSE, NULL);
    SetConsoleCtrlHandler(Control, TRUE);
    Result = FilterConnectCommunicationPort(SCANNER_PORT, 0, NULL, 0, NULL, &Port);
    if (FAILED(Result)) {
        fprintf(stderr, "no connection: 0x%08lx\n", Result);
        return 1;
    }
    Completion = CreateIoCompletionPort(Port, NULL, 0, 0);
    for (Index = 0; Index < Threads && Index < MOST_THREADS; Index++) {
        CloseHandle(CreateThread(NULL, 0, Worker, NULL, 0, NULL));
        Result = Ask(malloc(sizeof(MESSAGE)));
    }
    if (Result != HRESULT_FROM_WIN32(ERROR_IO_PENDING)) {
        fprintf(stderr, "no messages: 0x%08lx\n", Result);
        return 1;
    }
    printf("scanning with %d threads\n", Threads);
    WaitForSingleObject(Stop, INFINITE);
    printf("%ld files\n", Scanned);
    return 0;
}
