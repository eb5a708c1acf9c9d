/* service.c: the second tier. What the key 7 stands for is here; the key 13 is never answered, any other is unknown. */

#include <windows.h>
#include <fltuser.h>
#include <stdio.h>
#include <string.h>
#include "hsm.h"

typedef struct _MESSAGE {
    FILTER_MESSAGE_HEADER Header;
    HSM_RECALL Recall;
} MESSAGE;

typedef struct _REPLY {
    FILTER_REPLY_HEADER Header;
    HSM_CONTENT Content;
} REPLY;

int
main(void)
{
    static const char Content[] = "from the second tier";
    HANDLE Port;
    MESSAGE Message;
    static REPLY Reply;

    if (FAILED(FilterConnectCommunicationPort(HSM_PORT, 0, NULL, 0, NULL, &Port))) {
        return 1;
    }
    puts("ready");
    fflush(stdout);
    while (SUCCEEDED(FilterGetMessage(Port, &Message.Header, sizeof(Message), NULL))) {
        if (Message.Recall.Key == 13) {
            printf("silent about %lu\n", Message.Recall.Key);
            fflush(stdout);
            continue;
        }
        Reply.Header.Status = 0;
        Reply.Header.MessageId = Message.Header.MessageId;
        Reply.Content.Found = Message.Recall.Key == 7;
        Reply.Content.Length = sizeof(Content) - 1;
        memcpy(Reply.Content.Bytes, Content, sizeof(Content) - 1);
        FilterReplyMessage(Port, &Reply.Header, sizeof(Reply.Header) + sizeof(Reply.Content));
        printf("answered %lu\n", Message.Recall.Key);
        fflush(stdout);
    }
    CloseHandle(Port);
    return 0;
}
