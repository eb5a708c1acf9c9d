/* hsm.h: what the driver and its service say to each other. */
#pragma once

#define HSM_PORT L"\\hsm"
#define HSM_TAG_VALUE 0x00000051 /* not Microsoft's; a real product has one that Microsoft has given it */
#define HSM_MOST 512

typedef struct _HSM_RECALL {
    ULONG Key; /* what the stub says, by which the service finds the content */
    ULONG Room;
} HSM_RECALL;

typedef struct _HSM_CONTENT {
    ULONG Found;
    ULONG Length;
    UCHAR Bytes[HSM_MOST];
} HSM_CONTENT;
