/* aescrypt.h: what the cipher and the filter have in common. */

#pragma once

#include <fltKernel.h>
#include <bcrypt.h>

#define AC_TAG 'ceAA'
#define AC_BLOCK 16
#define AC_KEY_BYTES 32

/* What is remembered of a *.aes file: no two files are encrypted alike. */
typedef struct _AC_STREAM_CONTEXT {
    LARGE_INTEGER FileId;
} AC_STREAM_CONTEXT, *PAC_STREAM_CONTEXT;

/* One transfer: the key stream for its bytes and, of a write, the buffer that goes to the disk. */
typedef struct _AC_TRANSFER {
    PUCHAR KeyStream;
    PUCHAR Plain;  /* of a read: where the requester's buffer is mapped */
    PVOID Swapped; /* of a write */
} AC_TRANSFER, *PAC_TRANSFER;

NTSTATUS AcOpenCipher(_In_ PCUNICODE_STRING RegistryPath);
VOID AcCloseCipher(VOID);

_IRQL_requires_max_(APC_LEVEL) NTSTATUS AcKeyStream(_In_ PAC_STREAM_CONTEXT Context, _In_ LONGLONG Offset,
                                                    _Out_writes_(Length) PUCHAR KeyStream, _In_ ULONG Length);

FORCEINLINE VOID
AcXor(_Inout_updates_(Length) PUCHAR To, _In_reads_(Length) const UCHAR *From,
      _In_reads_(Length) const UCHAR *KeyStream, _In_ SIZE_T Length)
{
    for (SIZE_T Index = 0; Index < Length; Index++) {
        To[Index] = From[Index] ^ KeyStream[Index];
    }
}
