"""BCrypt, as a driver calls it."""

import pytest

from harness.reference.windows.verifier.bug_check_stop import BugCheckStop

DRIVER = r"""
#include <bcrypt.h>

static UCHAR Key[16] = {
    0x2b, 0x7e, 0x15, 0x16, 0x28, 0xae, 0xd2, 0xa6, 0xab, 0xf7, 0x15, 0x88, 0x09, 0xcf, 0x4f, 0x3c };
static UCHAR Plain[16] = {
    0x6b, 0xc1, 0xbe, 0xe2, 0x2e, 0x40, 0x9f, 0x96, 0xe9, 0x3d, 0x7e, 0x11, 0x73, 0x93, 0x17, 0x2a };

static BOOLEAN Begins(const UCHAR *Data, ULONG First)
{
    return *(const ULONG UNALIGNED *)Data == RtlUlongByteSwap(First);
}

EXPORT ULONG Ciphers(void)
{
    BCRYPT_ALG_HANDLE Provider;
    BCRYPT_KEY_HANDLE Handle, Second;
    UCHAR Vector[16], Out[48], Back[48], Tag[16], Nonce[12] = { 0 };
    ULONG Length, Size;
    WCHAR Mode[32];
    BCRYPT_AUTHENTICATED_CIPHER_MODE_INFO Info;

    CHECK(BCryptOpenAlgorithmProvider(&Provider, L"NONE", NULL, 0) == STATUS_NOT_FOUND);
    CHECK(BCryptOpenAlgorithmProvider(&Provider, BCRYPT_AES_ALGORITHM, NULL, 0) == 0);
    CHECK(BCryptGetProperty(Provider, BCRYPT_CHAINING_MODE, (PUCHAR)Mode, sizeof(Mode), &Length, 0) == 0);
    CHECK(Length == sizeof(BCRYPT_CHAIN_MODE_CBC) && Mode[12] == L'C');
    CHECK(BCryptGetProperty(Provider, BCRYPT_OBJECT_LENGTH, (PUCHAR)&Size, 2, &Length, 0) == STATUS_BUFFER_TOO_SMALL);
    CHECK(BCryptGetProperty(Provider, L"Nothing", NULL, 0, &Length, 0) == STATUS_NOT_SUPPORTED);
    CHECK(BCryptGenerateSymmetricKey(Provider, &Handle, NULL, 0, Key, 15, 0) == STATUS_INVALID_PARAMETER);
    CHECK(BCryptGenerateSymmetricKey(Provider, &Handle, NULL, 0, Key, sizeof(Key), 0) == 0);
    for (Length = 0; Length < 16; Length++) Vector[Length] = (UCHAR)Length;
    CHECK(BCryptEncrypt(Handle, Plain, 15, NULL, Vector, 16, Out, sizeof(Out), &Length,
          0) == STATUS_INVALID_BUFFER_SIZE);
    CHECK(BCryptEncrypt(Handle, Plain, 16, NULL, Vector, 16, NULL, 0, &Length,
          BCRYPT_BLOCK_PADDING) == 0 && Length == 32);
    CHECK(BCryptEncrypt(Handle, Plain, 16, NULL, Vector, 16, Out, 31, &Length,
          BCRYPT_BLOCK_PADDING) == STATUS_BUFFER_TOO_SMALL);
    CHECK(BCryptEncrypt(Handle, Plain, 16, NULL, Vector, 16, Out, 48, &Length, BCRYPT_BLOCK_PADDING) == 0);
    CHECK(Begins(Out, 0x7649abac) && RtlEqualMemory(Vector, Out + 16, 16));
    for (Length = 0; Length < 16; Length++) Vector[Length] = (UCHAR)Length;
    CHECK(BCryptDecrypt(Handle, Out, 32, NULL, Vector, 16, Back, 48, &Length, BCRYPT_BLOCK_PADDING) == 0);
    CHECK(Length == 16 && RtlEqualMemory(Back, Plain, 16));
    CHECK(BCryptSetProperty(Handle, BCRYPT_CHAINING_MODE, (PUCHAR)BCRYPT_CHAIN_MODE_ECB,
          sizeof(BCRYPT_CHAIN_MODE_ECB), 0) == 0);
    CHECK(BCryptEncrypt(Handle, Plain, 16, NULL, NULL, 0, Out, 16, &Length, 0) == 0 && Begins(Out, 0x3ad77bb4));
    CHECK(BCryptExportKey(Handle, NULL, BCRYPT_KEY_DATA_BLOB, Back, sizeof(Back), &Length, 0) == 0 && Length == 28);
    CHECK(BCryptImportKey(Provider, NULL, BCRYPT_KEY_DATA_BLOB, &Second, NULL, 0, Back, Length, 0) == 0);
    CHECK(BCryptDestroyKey(Second) == 0 && BCryptDestroyKey(Second) == STATUS_INVALID_HANDLE);

    BCryptSetProperty(Handle, BCRYPT_CHAINING_MODE, (PUCHAR)BCRYPT_CHAIN_MODE_GCM, sizeof(BCRYPT_CHAIN_MODE_GCM), 0);
    BCRYPT_INIT_AUTH_MODE_INFO(Info);
    Info.pbNonce = Nonce;
    Info.cbNonce = sizeof(Nonce);
    Info.pbTag = Tag;
    Info.cbTag = sizeof(Tag);
    CHECK(BCryptEncrypt(Handle, Plain, 13, &Info, NULL, 0, Out, 13, &Length, 0) == 0 && Length == 13);
    CHECK(BCryptDuplicateKey(Handle, &Second, NULL, 0, 0) == 0);
    CHECK(BCryptDecrypt(Second, Out, 13, &Info, NULL, 0, Back, 13, &Length, 0) == 0 && RtlEqualMemory(Back, Plain, 13));
    Tag[3] ^= 1;
    CHECK(BCryptDecrypt(Second, Out, 13, &Info, NULL, 0, Back, 13, &Length, 0) == (NTSTATUS)0xC000A002);
    BCryptDestroyKey(Second);
    BCryptDestroyKey(Handle);
    CHECK(BCryptCloseAlgorithmProvider(Provider, 0) == 0);
    CHECK(BCryptCloseAlgorithmProvider(Provider, 0) == STATUS_INVALID_HANDLE);
    return Checks;
}

EXPORT ULONG Hashes(void)
{
    BCRYPT_ALG_HANDLE Provider, Keyed;
    BCRYPT_HASH_HANDLE Hash, Second;
    UCHAR Digest[32], Random[16] = { 0 }, Derived[20];
    BCRYPT_ALGORITHM_IDENTIFIER *List;
    BOOLEAN Fips = TRUE;
    ULONG Count;

    CHECK(BCryptOpenAlgorithmProvider(&Provider, BCRYPT_SHA256_ALGORITHM, NULL, 0) == 0);
    CHECK(BCryptCreateHash(Provider, &Hash, NULL, 0, NULL, 0, 0) == 0);
    CHECK(BCryptHashData(Hash, (PUCHAR)"a", 1, 0) == 0);
    CHECK(BCryptDuplicateHash(Hash, &Second, NULL, 0, 0) == 0);
    CHECK(BCryptHashData(Hash, (PUCHAR)"bc", 2, 0) == 0);
    CHECK(BCryptFinishHash(Hash, Digest, 31, 0) == STATUS_INVALID_PARAMETER);
    CHECK(BCryptFinishHash(Hash, Digest, 32, 0) == 0 && Begins(Digest, 0xba7816bf));
    CHECK(BCryptFinishHash(Hash, Digest, 32, 0) == STATUS_INVALID_PARAMETER);
    CHECK(BCryptFinishHash(Second, Digest, 32, 0) == 0 && Begins(Digest, 0xca978112));
    CHECK(BCryptHash(Provider, NULL, 0, (PUCHAR)"abc", 3, Digest, 32) == 0 && Begins(Digest, 0xba7816bf));
    BCryptDestroyHash(Second);
    BCryptDestroyHash(Hash);
    CHECK(BCryptOpenAlgorithmProvider(&Keyed, BCRYPT_SHA1_ALGORITHM, NULL, BCRYPT_ALG_HANDLE_HMAC_FLAG) == 0);
    CHECK(BCryptDeriveKeyPBKDF2(Keyed, (PUCHAR)"password", 8, (PUCHAR)"salt", 4, 2, Derived, 20, 0) == 0);
    CHECK(Begins(Derived, 0xea6c014d));
    CHECK(BCryptDeriveKeyPBKDF2(Provider, (PUCHAR)"password", 8, NULL, 0, 2, Derived, 20,
          0) == STATUS_INVALID_PARAMETER);
    CHECK(BCryptCreateHash(Provider, &Hash, NULL, 0, NULL, 0, 0) == 0);
    CHECK(BCryptDeriveKeyCapi(Hash, NULL, Digest, 32, 0) == 0 && Begins(Digest, 0xe3b0c442));
    BCryptDestroyHash(Hash);
    BCryptCloseAlgorithmProvider(Keyed, 0);
    BCryptCloseAlgorithmProvider(Provider, 0);
    CHECK(BCryptGenRandom(NULL, Random, 16, BCRYPT_USE_SYSTEM_PREFERRED_RNG) == 0);
    CHECK(*(ULONG64 *)Random != 0 && BCryptGenRandom(NULL, Random, 16, 0) == STATUS_INVALID_HANDLE);
    CHECK(BCryptEnumAlgorithms(BCRYPT_HASH_OPERATION, &Count, &List, 0) == 0 && Count == 6);
    CHECK(RtlCompareMemory(List[2].pszName, L"SHA256", 14) == 14);
    BCryptFreeBuffer(List);
    CHECK(BCryptGetFipsAlgorithmMode(&Fips) == 0 && !Fips);
    return Checks;
}

EXPORT ULONG Signatures(void)
{
    /* 512 bits; the signature is PKCS #1 over SHA-1 of "abc". */
    static struct { BCRYPT_RSAKEY_BLOB Head; UCHAR Numbers[67]; } Blob;
    static const UCHAR Modulus[64] = { MODULUS };
    static UCHAR Signature[64] = { SIGNATURE };
    UCHAR Digest[20];
    BCRYPT_PKCS1_PADDING_INFO Padding = { BCRYPT_SHA1_ALGORITHM };
    BCRYPT_ALG_HANDLE Provider;
    BCRYPT_KEY_HANDLE Key;

    Blob.Head.Magic = BCRYPT_RSAPUBLIC_MAGIC;
    Blob.Head.BitLength = 512;
    Blob.Head.cbPublicExp = 3;
    Blob.Head.cbModulus = 64;
    RtlCopyMemory(Blob.Numbers, "\x01\x00\x01", 3);
    RtlCopyMemory(Blob.Numbers + 3, Modulus, 64);
    CHECK(BCryptOpenAlgorithmProvider(&Provider, BCRYPT_RSA_ALGORITHM, NULL, 0) == 0);
    CHECK(BCryptImportKeyPair(Provider, NULL, BCRYPT_RSAPUBLIC_BLOB, &Key, (PUCHAR)&Blob, sizeof(Blob), 0) == 0);
    BCryptHash((BCRYPT_ALG_HANDLE)0x31, NULL, 0, (PUCHAR)"abc", 3, Digest, sizeof(Digest));
    CHECK(BCryptVerifySignature(Key, &Padding, Digest, 20, Signature, 64, BCRYPT_PAD_PKCS1) == 0);
    Digest[0] ^= 1;
    CHECK(BCryptVerifySignature(Key, &Padding, Digest, 20, Signature, 64, BCRYPT_PAD_PKCS1) == (NTSTATUS)0xC000A000);
    BCryptDestroyKey(Key);
    BCryptCloseAlgorithmProvider(Provider, 0);
    return Checks;
}

EXPORT ULONG AtDispatch(ULONG Flags)
{
    BCRYPT_ALG_HANDLE Provider;
    UCHAR Digest[32];
    NTSTATUS Status;
    KIRQL Irql;

    BCryptOpenAlgorithmProvider(&Provider, BCRYPT_SHA256_ALGORITHM, NULL, Flags);
    KeRaiseIrql(DISPATCH_LEVEL, &Irql);
    Status = BCryptHash(Provider, NULL, 0, (PUCHAR)"abc", 3, Digest, 32);
    KeLowerIrql(Irql);
    return (ULONG)Status; /* and the provider is never closed */
}
"""


def signed() -> tuple[int, int]:
    """A modulus of 512 bits, and the signature of SHA-1("abc") that belongs to it and 65537."""
    p = 2**255 + 95  # the first primes above 2^255 and 2^256
    q = 2**256 + 297
    prefix = "3021300906052b0e03021a05000414a9993e364706816aba3e25717850c26c9cd0d89d"
    info = int("0001" + "ff" * (64 - 3 - len(prefix) // 2) + "00" + prefix, 16)
    return p * q, pow(info, pow(65537, -1, (p - 1) * (q - 1)), p * q)


def as_bytes(number: int) -> str:
    return ", ".join(str(byte) for byte in number.to_bytes(64, "big"))


@pytest.fixture
def machine(load):
    modulus, signature = signed()
    return load(
        DRIVER.replace("MODULUS }", as_bytes(modulus) + " }").replace("SIGNATURE }", as_bytes(signature) + " }")
    )


def test_drivers_encrypt_hash_and_verify(machine):
    for function in ("Ciphers", "Hashes", "Signatures"):
        machine.check(function)

    assert machine.unload() == []


def test_only_a_provider_opened_for_it_is_called_at_dispatch_and_one_left_open_is_reported(machine):
    assert machine.call("AtDispatch", 1) == 0
    with pytest.raises(BugCheckStop, match="without BCRYPT_PROV_DISPATCH"):
        machine.call("AtDispatch", 0)


def test_a_handle_that_is_never_closed_is_reported(machine):
    machine.call("AtDispatch", 1)

    (finding,) = machine.unload()
    assert "a BCrypt handle to a provider" in finding
