/*
 * cipher.c: AES-256 in counter mode. The key is the SHA-256 of the pass phrase in the service's Parameters key; the
 * counter of a block is the file's id and the block's number.
 */

#include "aescrypt.h"

static BCRYPT_ALG_HANDLE Algorithm;
static BCRYPT_KEY_HANDLE Key;
static PUCHAR KeyObject;

static NTSTATUS
AcHash(_In_reads_bytes_(Length) PUCHAR Data, _In_ ULONG Length, _Out_writes_bytes_(AC_KEY_BYTES) PUCHAR Digest)
{
    BCRYPT_ALG_HANDLE Sha = NULL;
    BCRYPT_HASH_HANDLE Hash = NULL;
    NTSTATUS Status;

    PAGED_CODE();
    Status = BCryptOpenAlgorithmProvider(&Sha, BCRYPT_SHA256_ALGORITHM, NULL, 0);
    if (NT_SUCCESS(Status)) {
        Status = BCryptCreateHash(Sha, &Hash, NULL, 0, NULL, 0, 0);
    }
    if (NT_SUCCESS(Status)) {
        Status = BCryptHashData(Hash, Data, Length, 0);
    }
    if (NT_SUCCESS(Status)) {
        Status = BCryptFinishHash(Hash, Digest, AC_KEY_BYTES, 0);
    }
    if (Hash != NULL) {
        BCryptDestroyHash(Hash);
    }
    if (Sha != NULL) {
        BCryptCloseAlgorithmProvider(Sha, 0);
    }
    return Status;
}

/* The pass phrase, by RtlQueryRegistryValues: the buffer is the callee's, RtlFreeUnicodeString's to free. */
static NTSTATUS
AcPassPhrase(_In_ PCUNICODE_STRING RegistryPath, _Out_ PUNICODE_STRING Phrase)
{
    static WCHAR Subkey[] = L"Parameters";
    static WCHAR Name[] = L"PassPhrase";
    RTL_QUERY_REGISTRY_TABLE Table[3] = {0};
    PWCH Path;
    NTSTATUS Status;

    PAGED_CODE();
    RtlZeroMemory(Phrase, sizeof(*Phrase));
    Path = ExAllocatePoolZero(PagedPool, RegistryPath->Length + sizeof(WCHAR), AC_TAG);
    if (Path == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    RtlCopyMemory(Path, RegistryPath->Buffer, RegistryPath->Length);
    Table[0].Flags = RTL_QUERY_REGISTRY_SUBKEY;
    Table[0].Name = Subkey;
    Table[1].Flags = RTL_QUERY_REGISTRY_DIRECT | RTL_QUERY_REGISTRY_REQUIRED | RTL_QUERY_REGISTRY_TYPECHECK;
    Table[1].Name = Name;
    Table[1].EntryContext = Phrase;
    Table[1].DefaultType = (REG_SZ << RTL_QUERY_REGISTRY_TYPECHECK_SHIFT) | REG_NONE;
    Status = RtlQueryRegistryValues(RTL_REGISTRY_ABSOLUTE, Path, Table, NULL, NULL);
    ExFreePoolWithTag(Path, AC_TAG);
    return Status;
}

NTSTATUS
AcOpenCipher(_In_ PCUNICODE_STRING RegistryPath)
{
    UCHAR Digest[AC_KEY_BYTES];
    UNICODE_STRING Phrase;
    ULONG Size, Returned;
    NTSTATUS Status;

    PAGED_CODE();
    Status = AcPassPhrase(RegistryPath, &Phrase);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Status = AcHash((PUCHAR)Phrase.Buffer, Phrase.Length, Digest);
    RtlSecureZeroMemory(Phrase.Buffer, Phrase.Length);
    RtlFreeUnicodeString(&Phrase);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Status = BCryptOpenAlgorithmProvider(&Algorithm, BCRYPT_AES_ALGORITHM, NULL, 0);
    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Status = BCryptSetProperty(Algorithm, BCRYPT_CHAINING_MODE, (PUCHAR)BCRYPT_CHAIN_MODE_ECB,
                               sizeof(BCRYPT_CHAIN_MODE_ECB), 0);
    if (NT_SUCCESS(Status)) {
        Status = BCryptGetProperty(Algorithm, BCRYPT_OBJECT_LENGTH, (PUCHAR)&Size, sizeof(Size), &Returned, 0);
    }
    if (NT_SUCCESS(Status)) {
        KeyObject = ExAllocatePoolZero(NonPagedPoolNx, Size, AC_TAG);
        Status = KeyObject != NULL
                     ? BCryptGenerateSymmetricKey(Algorithm, &Key, KeyObject, Size, Digest, sizeof(Digest), 0)
                     : STATUS_INSUFFICIENT_RESOURCES;
    }
    RtlSecureZeroMemory(Digest, sizeof(Digest));
    if (!NT_SUCCESS(Status)) {
        AcCloseCipher();
    }
    return Status;
}

VOID
AcCloseCipher(VOID)
{
    PAGED_CODE();
    if (Key != NULL) {
        BCryptDestroyKey(Key);
        Key = NULL;
    }
    if (KeyObject != NULL) {
        ExFreePoolWithTag(KeyObject, AC_TAG);
        KeyObject = NULL;
    }
    if (Algorithm != NULL) {
        BCryptCloseAlgorithmProvider(Algorithm, 0);
        Algorithm = NULL;
    }
}

NTSTATUS
AcKeyStream(_In_ PAC_STREAM_CONTEXT Context, _In_ LONGLONG Offset, _Out_writes_(Length) PUCHAR KeyStream,
            _In_ ULONG Length)
{
    LONGLONG *Counter = (LONGLONG *)KeyStream;
    ULONG Index, Done;

    NT_ASSERT(Offset % AC_BLOCK == 0 && Length % AC_BLOCK == 0);
    for (Index = 0; Index < Length / AC_BLOCK; Index++) {
        Counter[2 * Index] = Context->FileId.QuadPart;
        Counter[2 * Index + 1] = Offset / AC_BLOCK + Index;
    }
    return BCryptEncrypt(Key, KeyStream, Length, NULL, NULL, 0, KeyStream, Length, &Done, 0);
}
