#pragma once

// {9d5b6a52-7a3e-4c5e-9d0b-2f5d3c1b7a10}
DEFINE_GUID(GUID_ECP_TAG, 0x9d5b6a52, 0x7a3e, 0x4c5e, 0x9d, 0x0b, 0x2f, 0x5d, 0x3c, 0x1b, 0x7a, 0x10);

typedef struct _TAG_ECP_CONTEXT {
    ULONG Size;
    ULONG Serial;
    HANDLE ProcessId;
} TAG_ECP_CONTEXT, *PTAG_ECP_CONTEXT;
