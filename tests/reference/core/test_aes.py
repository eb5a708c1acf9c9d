"""AES and its modes, by the vectors of FIPS 197, SP 800-38A, B, C, D and RFC 6229."""

from harness.reference.windows.ksecdd.aes import Aes
from harness.reference.windows.ksecdd.modes import cbc, ccm, cfb, cmac, ecb, gcm, rc4

KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
PLAIN = bytes.fromhex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51")
VECTOR = bytes(range(16))


def test_blocks():
    block = bytes.fromhex("00112233445566778899aabbccddeeff")
    for length, expected in (
        (16, "69c4e0d86a7b0430d8cdb78070b4c55a"),
        (24, "dda97ca4864cdfe06eaf70a0ec0d7191"),
        (32, "8ea2b7ca516745bfeafc49904b496089"),
    ):
        cipher = Aes(bytes(range(length)))
        assert cipher.encrypt(block).hex() == expected
        assert cipher.decrypt(bytes.fromhex(expected)) == block


def test_chained_modes_and_their_way_back():
    cipher = Aes(KEY)
    secret, following = cbc(cipher, PLAIN, VECTOR, encrypt=True)
    assert secret.hex() == "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
    assert following == secret[16:]
    assert cbc(cipher, secret, VECTOR, encrypt=False)[0] == PLAIN
    assert ecb(cipher, PLAIN, encrypt=True)[:16].hex() == "3ad77bb40d7a3660a89ecaf32466ef97"
    assert cfb(cipher, PLAIN, VECTOR, 16, encrypt=True)[0][:16].hex() == "3b3fd92eb72dad20333449f8e83cfb4a"
    eight = cfb(cipher, PLAIN[:18], VECTOR, 1, encrypt=True)[0]
    assert eight.hex() == "3b79424c9c0dd436bace9e0ed4586a4f32b9"
    assert cfb(cipher, eight, VECTOR, 1, encrypt=False)[0] == PLAIN[:18]


def test_authenticated_modes():
    cipher = Aes(bytes.fromhex("feffe9928665731c6d6a8f9467308308"))
    plain = bytes.fromhex(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
    )
    nonce, extra = bytes.fromhex("cafebabefacedbaddecaf888"), bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    secret, tag = gcm(cipher, plain, nonce, extra, encrypt=True)
    assert secret[:16].hex() == "42831ec2217774244b7221b784d0d49c"
    assert tag.hex() == "5bc94fbc3221a5db94fae95ae7121a47"
    assert gcm(cipher, secret, nonce, extra, encrypt=False) == (plain, tag)

    cipher = Aes(bytes(range(0x40, 0x50)))
    secret, tag = ccm(cipher, bytes(range(0x20, 0x24)), bytes(range(0x10, 0x17)), bytes(range(8)), 4, encrypt=True)
    assert (secret + tag).hex() == "7162015b4dac255d"
    assert ccm(cipher, secret, bytes(range(0x10, 0x17)), bytes(range(8)), 4, encrypt=False)[1] == tag


def test_macs_and_streams():
    assert cmac(Aes(KEY), b"").hex() == "bb1d6929e95937287fa37d129b756746"
    assert cmac(Aes(KEY), PLAIN[:16]).hex() == "070a16b46b4d4144f79bdd9dd04a287c"
    assert cmac(Aes(KEY), (PLAIN + bytes.fromhex("30c81c46a35ce411"))[:40]).hex() == "dfa66747de9ae63030ca32611497c827"
    assert rc4(bytes.fromhex("0102030405"), bytes(8)).hex() == "b2396305f03dc027"
