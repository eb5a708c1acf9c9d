"""Text of UTF-8, normal forms, addresses of networks from text, SIDs of names, and what the machine is."""

from hashlib import sha1

# ruff: noqa: E501  (C declarations, one line each)

DRIVER = r"""
#include <wsk.h>

EXPORT ULONG Utf8(void)
{
    UNICODE_STRING Wide = RTL_CONSTANT_STRING(L"h\x00e9\x20ac"), Back = { 0 }, Lone = RTL_CONSTANT_STRING(L"\xd800");
    UTF8_STRING Text = { 0 }, Small = { 0, 2, (PCHAR)&Back };
    static CHAR Long[70000];
    ULONG At;

    CHECK(RtlUnicodeStringToUTF8String(&Text, &Wide, TRUE) == STATUS_SUCCESS && Text.Length == 6 && RtlEqualMemory(Text.Buffer, "h\xc3\xa9\xe2\x82\xac", 7));
    CHECK(RtlUTF8StringToUnicodeString(&Back, &Text, TRUE) == STATUS_SUCCESS && RtlEqualUnicodeString(&Back, &Wide, FALSE));
    CHECK(RtlUnicodeStringToUTF8String(&Small, &Wide, FALSE) == STATUS_BUFFER_OVERFLOW);
    RtlFreeUnicodeString(&Back);
    Text.Buffer[1] = 'x';
    CHECK(RtlUTF8StringToUnicodeString(&Back, &Text, TRUE) == STATUS_SOME_NOT_MAPPED && Back.Buffer[2] == 0xFFFD);
    RtlFreeUnicodeString(&Back);
    RtlFreeUTF8String(&Text);
    CHECK(Text.Buffer == NULL && RtlUnicodeStringToUTF8String(&Text, &Lone, TRUE) == STATUS_SOME_NOT_MAPPED && Text.Length == 3);
    RtlFreeUTF8String(&Text);
    RtlInitUTF8String(&Text, "abc");
    CHECK(Text.Length == 3 && Text.MaximumLength == 4);
    for (At = 0; At < sizeof(Long) - 1; At++) Long[At] = 'a';
    CHECK(RtlInitUTF8StringEx(&Text, Long) == STATUS_NAME_TOO_LONG && RtlInitStringEx(&Text, "ab") == STATUS_SUCCESS && Text.Length == 2);
    return Checks;
}

EXPORT ULONG Forms(void)
{
    WCHAR Out[8];
    LONG Room = 0;
    BOOLEAN Normal = 2;

    CHECK(RtlNormalizeString(2, L"\x00e9", 1, NULL, &Room) == STATUS_SUCCESS && Room == 2);
    Room = 1;
    CHECK(RtlNormalizeString(2, L"\x00e9", 1, Out, &Room) == STATUS_BUFFER_TOO_SMALL && Room == 2);
    Room = 8;
    CHECK(RtlNormalizeString(1, L"e\x0301", -1, Out, &Room) == STATUS_SUCCESS && Room == 2 && Out[0] == 0xe9 && Out[1] == 0);
    CHECK(RtlNormalizeString(3, L"a", -1, Out, &Room) == STATUS_INVALID_PARAMETER && RtlNormalizeString(1, L"\xd800", 1, Out, &Room) == STATUS_NO_UNICODE_TRANSLATION);
    CHECK(RtlIsNormalizedString(1, L"e\x0301", -1, &Normal) == STATUS_SUCCESS && !Normal && RtlIsNormalizedString(2, L"e\x0301", -1, &Normal) == STATUS_SUCCESS && Normal == TRUE);
    return Checks;
}

EXPORT ULONG Addresses(void)
{
    static const CHAR Four[] = "10.0.0x1.017/8", Six[] = "fe80::1%2";
    static const WCHAR Wide[] = L"192.168.1.2 ", Short[] = L"10.1", Loop[] = L"::1]";
    struct in6_addr V6;
    struct in_addr V4;
    PCWSTR EndW;
    PCSTR EndA;
    PUCHAR B = (PUCHAR)&V4, C = (PUCHAR)&V6;
    USHORT Port = 1;
    ULONG Scope = 1;

    CHECK(RtlIpv4StringToAddressA(Four, TRUE, &EndA, &V4) == STATUS_SUCCESS && EndA == Four + 12 && B[0] == 10 && B[2] == 1 && B[3] == 15);
    CHECK(RtlIpv4StringToAddressW(Wide, TRUE, &EndW, &V4) == STATUS_SUCCESS && EndW == Wide + 11 && B[0] == 192 && B[3] == 2);
    CHECK(RtlIpv4StringToAddressW(Short, TRUE, &EndW, &V4) == STATUS_INVALID_PARAMETER && RtlIpv4StringToAddressW(Short, FALSE, &EndW, &V4) == STATUS_SUCCESS && B[0] == 10 && B[2] == 0 && B[3] == 1);
    CHECK(RtlIpv4StringToAddressW(L"1.2.3.256", TRUE, &EndW, &V4) == STATUS_INVALID_PARAMETER && RtlIpv4StringToAddressA("08.1.1.1", TRUE, &EndA, &V4) == STATUS_INVALID_PARAMETER);
    CHECK(RtlIpv4StringToAddressExW(L"1.2.3.4:443", TRUE, &V4, &Port) == STATUS_SUCCESS && Port == 0xBB01 && RtlIpv4StringToAddressExA("1.2.3.4", TRUE, &V4, &Port) == STATUS_SUCCESS && Port == 0);
    CHECK(RtlIpv4StringToAddressExA("1.2.3.4 ", TRUE, &V4, &Port) == STATUS_INVALID_PARAMETER && RtlIpv4StringToAddressExA("1.2.3.4:70000", TRUE, &V4, &Port) == STATUS_INVALID_PARAMETER);
    CHECK(RtlIpv6StringToAddressA(Six, &EndA, &V6) == STATUS_SUCCESS && EndA == Six + 7 && C[0] == 0xFE && C[15] == 1);
    CHECK(RtlIpv6StringToAddressW(Loop, &EndW, &V6) == STATUS_SUCCESS && EndW == Loop + 3 && C[0] == 0 && RtlIpv6StringToAddressW(L"x", &EndW, &V6) == STATUS_INVALID_PARAMETER);
    CHECK(RtlIpv6StringToAddressExW(L"[fe80::2%7]:80", &V6, &Scope, &Port) == STATUS_SUCCESS && Scope == 7 && Port == 0x5000 && C[15] == 2);
    CHECK(RtlIpv6StringToAddressExA("::1", &V6, &Scope, &Port) == STATUS_SUCCESS && Scope == 0 && Port == 0 && RtlIpv6StringToAddressExA("[::1", &V6, &Scope, &Port) == STATUS_INVALID_PARAMETER);
    return Checks;
}

EXPORT ULONG Sids(PUCHAR Expected)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"TrustedInstaller");
    ULONG Length = 4;
    UCHAR Sid[40] = { 0 };

    UNREFERENCED_PARAMETER(Expected);
    CHECK(RtlCreateServiceSid(&Name, Sid, &Length) == STATUS_BUFFER_TOO_SMALL && Length == 32);
    CHECK(RtlCreateServiceSid(&Name, Sid, &Length) == STATUS_SUCCESS && RtlValidSid(Sid) && RtlLengthSid(Sid) == 32);
    CHECK(*RtlSubAuthoritySid(Sid, 0) == 80 && *RtlSubAuthoritySid(Sid, 1) == 956008885 && *RtlSubAuthoritySid(Sid, 5) == 2271478464u);
    CHECK(RtlCreateVirtualAccountSid(&Name, 82, Sid, &Length) == STATUS_SUCCESS && *RtlSubAuthoritySid(Sid, 0) == 82 && *RtlSubAuthoritySid(Sid, 1) == 956008885);
    CHECK(RtlCreateServiceSid(NULL, Sid, &Length) == STATUS_INVALID_PARAMETER);
    return Checks;
}

EXPORT ULONG Controls(void)
{
    SECURITY_DESCRIPTOR Descriptor;
    SECURITY_DESCRIPTOR_CONTROL Control = 0;
    ULONG Revision = 0;
    NT_PRODUCT_TYPE Product = 0;

    RtlCreateSecurityDescriptor(&Descriptor, SECURITY_DESCRIPTOR_REVISION);
    CHECK(RtlSetControlSecurityDescriptor(&Descriptor, SE_DACL_PROTECTED | SE_SACL_PROTECTED, SE_DACL_PROTECTED) == STATUS_SUCCESS);
    CHECK(RtlGetControlSecurityDescriptor(&Descriptor, &Control, &Revision) == STATUS_SUCCESS && Control == SE_DACL_PROTECTED && Revision == 1);
    CHECK(RtlSetControlSecurityDescriptor(&Descriptor, SE_DACL_PRESENT, SE_DACL_PRESENT) == STATUS_INVALID_PARAMETER);
    CHECK(RtlSetControlSecurityDescriptor(&Descriptor, 0, SE_DACL_PROTECTED) == STATUS_INVALID_PARAMETER);
    Descriptor.Revision = 9;
    CHECK(RtlGetControlSecurityDescriptor(&Descriptor, &Control, &Revision) == STATUS_UNKNOWN_REVISION && Revision == 9);
    CHECK(RtlGetSuiteMask() == 0x100 && RtlGetNtProductType(&Product) && Product == NtProductWinNt && !RtlIsStateSeparationEnabled());
    return Checks;
}
"""


def test_text_is_converted_and_read(load):
    machine = load(DRIVER)

    for function in ("Utf8", "Forms", "Addresses", "Controls"):
        machine.check(function)

    assert machine.unload() == []


def test_the_sid_of_a_service_is_made_of_its_name(load):
    """S-1-5-80-956008885-... is TrustedInstaller's on every Windows."""
    load(DRIVER).check("Sids")

    assert sha1("TRUSTEDINSTALLER".encode("utf-16-le")).digest()[:4] == (956008885).to_bytes(4, "little")
