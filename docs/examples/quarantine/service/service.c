/*
 * service.c: the quarantine's service. One thread asks for a message, answers it, and asks for the next; a file that
 * has the word of the command line in its head is bad. It ends with ctrl-c.
 */

#include <windows.h>
#include <fltuser.h>
#include <stdio.h>
#include <string.h>
#include "../driver/quarantine.h"

typedef struct _MESSAGE {
    FILTER_MESSAGE_HEADER Header;
    QUARANTINE_QUESTION Question;
} MESSAGE;

typedef struct _REPLY {
    FILTER_REPLY_HEADER Header;
    QUARANTINE_ANSWER Answer;
} REPLY;

static HANDLE Stop;

static BOOL WINAPI
Control(DWORD Kind)
{
    (void)Kind;
    return SetEvent(Stop);
}

static int
Has(const UCHAR *Data, ULONG Length, const char *Word)
{
    size_t Size = strlen(Word);
    ULONG At;

    for (At = 0; At + Size <= Length; At++) {
        if (memcmp(Data + At, Word, Size) == 0) {
            return 1;
        }
    }
    return 0;
}

int
main(int Count, char **Arguments)
{
    const char *Word = Count > 1 ? Arguments[1] : "VIRUS";
    OVERLAPPED Overlapped;
    HANDLE Waits[2], Port;
    MESSAGE Message;
    REPLY Reply;
    DWORD Bytes;
    HRESULT Result;

    Stop = CreateEventW(NULL, TRUE, FALSE, NULL);
    SetConsoleCtrlHandler(Control, TRUE);
    Result = FilterConnectCommunicationPort(QUARANTINE_PORT, 0, NULL, 0, NULL, &Port);
    if (FAILED(Result)) {
        fprintf(stderr, "no connection: 0x%08lx\n", Result);
        return 1;
    }
    memset(&Overlapped, 0, sizeof(Overlapped));
    Overlapped.hEvent = CreateEventW(NULL, FALSE, FALSE, NULL);
    Waits[0] = Stop;
    Waits[1] = Overlapped.hEvent;
    printf("watching for %s\n", Word);
    for (;;) {
        Result = FilterGetMessage(Port, &Message.Header, sizeof(Message), &Overlapped);
        if (Result != HRESULT_FROM_WIN32(ERROR_IO_PENDING) && FAILED(Result)) {
            return 1;
        }
        if (WaitForMultipleObjects(2, Waits, FALSE, INFINITE) == WAIT_OBJECT_0) {
            CancelIoEx(Port, &Overlapped);
            break;
        }
        if (!GetOverlappedResult(Port, &Overlapped, &Bytes, FALSE)) {
            return 1;
        }
        memset(&Reply, 0, sizeof(Reply));
        Reply.Header.MessageId = Message.Header.MessageId;
        Reply.Answer.Verdict =
            Has(Message.Question.Head, Message.Question.HeadLength, Word) ? VerdictQuarantine : VerdictGood;
        printf("%s %ls %llu\n", Reply.Answer.Verdict == VerdictQuarantine ? "bad" : "good", Message.Question.Name,
               Message.Question.Size);
        FilterReplyMessage(Port, &Reply.Header, sizeof(Reply.Header) + sizeof(Reply.Answer));
    }
    CloseHandle(Port);
    printf("done\n");
    return 0;
}
