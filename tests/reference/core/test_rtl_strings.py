"""Rtl's strings, conversions, numbers and identifiers, called from machine code."""

# ruff: noqa: E501  (C, one check a line)

DRIVER = r"""
#include <wsk.h>
#define U(Name, Text) UNICODE_STRING Name = RTL_CONSTANT_STRING(Text)
#define A(Name, Text) ANSI_STRING Name = RTL_CONSTANT_STRING(Text)
NTSYSAPI LONG NTAPI RtlCompareUnicodeStrings(PCWCH, SIZE_T, PCWCH, SIZE_T, BOOLEAN);
NTSYSAPI NTSTATUS NTAPI RtlUnicodeToUTF8N(PCHAR, ULONG, PULONG, PCWSTR, ULONG);
NTSYSAPI NTSTATUS NTAPI RtlUTF8ToUnicodeN(PWSTR, ULONG, PULONG, PCCH, ULONG);
NTSYSAPI NTSTATUS NTAPI RtlIntegerToUnicodeString(ULONG, ULONG, PUNICODE_STRING);
NTSYSAPI NTSTATUS NTAPI RtlInt64ToUnicodeString(ULONGLONG, ULONG, PUNICODE_STRING);
NTSYSAPI BOOLEAN NTAPI RtlIsValidOemCharacter(PWCHAR);
NTSYSAPI ULONG NTAPI RtlRandom(PULONG);
NTSYSAPI NTSTATUS NTAPI RtlUpcaseUnicodeStringToAnsiString(PANSI_STRING, PCUNICODE_STRING, BOOLEAN);
NTSYSAPI WCHAR NTAPI RtlAnsiCharToUnicodeChar(PUCHAR *);
NTSYSAPI NTSTATUS NTAPI RtlCopySidAndAttributesArray(ULONG, PSID_AND_ATTRIBUTES, ULONG, PSID_AND_ATTRIBUTES, PSID,
                                                     PSID *, PULONG);
NTSYSAPI VOID NTAPI RtlTimeToElapsedTimeFields(PLARGE_INTEGER, PTIME_FIELDS);
NTSYSAPI NTSTATUS NTAPI RtlLocalTimeToSystemTime(PLARGE_INTEGER, PLARGE_INTEGER);
NTSYSAPI VOID NTAPI RtlCopyLuidAndAttributesArray(ULONG, PLUID_AND_ATTRIBUTES, PLUID_AND_ATTRIBUTES);

EXPORT ULONG Initialize(void)
{
    UNICODE_STRING String;
    ANSI_STRING Ansi;

    CHECK(RtlInitUnicodeStringEx(&String, L"abc") == 0 && String.Length == 6 && String.MaximumLength == 8);
    CHECK(RtlInitUnicodeStringEx(&String, NULL) == 0 && String.Length == 0 && String.Buffer == NULL);
    CHECK(RtlInitAnsiStringEx(&Ansi, "abc") == 0 && Ansi.Length == 3 && Ansi.MaximumLength == 4);
    return Checks;
}

EXPORT ULONG Compare(void)
{
    U(One, L"Alpha"); U(Other, L"alphA"); U(Long, L"alphabet");
    A(First, "Alpha"); A(Second, "alphA"); A(Third, "alphabet");
    ULONG Hash = 0, Again = 0, Pattern[3] = { 7, 7, 8 };

    CHECK(RtlCompareString(&First, &Second, TRUE) == 0 && RtlCompareString(&First, &Second, FALSE) < 0);
    CHECK(RtlEqualString(&First, &Second, TRUE) && !RtlEqualString(&First, &Second, FALSE));
    CHECK(RtlPrefixString(&First, &Third, TRUE) && !RtlPrefixString(&Third, &First, TRUE));
    CHECK(RtlCompareUnicodeStrings(One.Buffer, 5, Other.Buffer, 5, TRUE) == 0);
    CHECK(RtlCompareUnicodeStrings(One.Buffer, 5, Long.Buffer, 8, TRUE) < 0);
    CHECK(RtlHashUnicodeString(&One, TRUE, HASH_STRING_ALGORITHM_DEFAULT, &Hash) == 0);
    CHECK(RtlHashUnicodeString(&Other, TRUE, HASH_STRING_ALGORITHM_X65599, &Again) == 0 && Hash == Again && Hash != 0);
    CHECK(RtlHashUnicodeString(&Other, TRUE, 99, &Again) == STATUS_INVALID_PARAMETER);
    CHECK(RtlCompareMemoryUlong(Pattern, sizeof(Pattern), 7) == 8);
    return Checks;
}

EXPORT ULONG Case(void)
{
    U(Mixed, L"M\x00fcller"); U(Lower, L"m\x00fcller"); U(Upper, L"M\x00dcLLER");
    UNICODE_STRING Made;
    CHAR One = 'q';

    CHECK(RtlUpcaseUnicodeChar(L'q') == L'Q' && RtlDowncaseUnicodeChar(L'Q') == L'q');
    CHECK(RtlDowncaseUnicodeChar(0xDC) == 0xFC && RtlUpperChar(One) == 'Q');
    CHECK(RtlUpcaseUnicodeString(&Made, &Mixed, TRUE) == 0 && RtlEqualUnicodeString(&Made, &Upper, FALSE));
    RtlFreeUnicodeString(&Made);
    CHECK(RtlDowncaseUnicodeString(&Made, &Mixed, TRUE) == 0 && RtlEqualUnicodeString(&Made, &Lower, FALSE));
    RtlFreeUnicodeString(&Made);
    CHECK(RtlDuplicateUnicodeString(1, &Mixed, &Made) == 0 && RtlEqualUnicodeString(&Made, &Mixed, FALSE));
    CHECK(Made.MaximumLength == Mixed.Length + 2 && Made.Buffer != Mixed.Buffer);
    RtlFreeUnicodeString(&Made);
    return Checks;
}

EXPORT ULONG Convert(void)
{
    U(Wide, L"text"); A(Narrow, "text");
    WCHAR Room[16];
    CHAR Small[16];
    UNICODE_STRING Unicode = { 0, sizeof(Room), Room };
    ANSI_STRING Ansi = { 0, sizeof(Small), Small };
    STRING Copy = { 0, 3, Small };
    UNICODE_STRING Counted = { 0, 8, Room };
    OEM_STRING Oem = { 0, sizeof(Small), Small };
    ULONG Length = 0;
    PUCHAR At = (PUCHAR)"xy";

    CHECK(RtlAnsiStringToUnicodeSize(&Narrow) == 10 && RtlOemStringToUnicodeSize(&Narrow) == 10);
    CHECK(RtlUnicodeStringToAnsiSize(&Wide) == 5);
    CHECK(RtlAnsiStringToUnicodeString(&Unicode, &Narrow, FALSE) == 0 && RtlEqualUnicodeString(&Unicode, &Wide, FALSE));
    CHECK(RtlUnicodeStringToAnsiString(&Ansi, &Wide, FALSE) == 0 && RtlEqualString(&Ansi, &Narrow, FALSE));
    CHECK(RtlUpcaseUnicodeStringToAnsiString(&Ansi, &Wide, FALSE) == 0 && Small[0] == 'T');
    CHECK(RtlUpcaseUnicodeStringToOemString(&Oem, &Wide, FALSE) == 0 && Small[3] == 'T' && Oem.Length == 4);
    CHECK(RtlUpcaseUnicodeStringToCountedOemString(&Oem, &Wide, FALSE) == 0 && Oem.Length == 4);
    CHECK(RtlUnicodeStringToCountedOemString(&Oem, &Wide, FALSE) == 0 && Small[0] == 't');
    CHECK(RtlOemStringToCountedUnicodeString(&Counted, &Narrow, FALSE) == 0 && Counted.Length == 8);
    RtlCopyString(&Copy, &Narrow);
    CHECK(Copy.Length == 3 && Small[2] == 'x');
    CHECK(RtlAnsiCharToUnicodeChar(&At) == L'x' && *At == 'y');
    CHECK(RtlMultiByteToUnicodeN(Room, sizeof(Room), &Length, "abc", 3) == 0 && Length == 6 && Room[2] == L'c');
    CHECK(RtlMultiByteToUnicodeSize(&Length, "abcd", 4) == 0 && Length == 8);
    CHECK(RtlUnicodeToMultiByteN(Small, sizeof(Small), &Length, L"abc", 6) == 0 && Length == 3 && Small[2] == 'c');
    CHECK(RtlUnicodeToMultiByteSize(&Length, L"abcd", 8) == 0 && Length == 4);
    CHECK(RtlUpcaseUnicodeToMultiByteN(Small, sizeof(Small), &Length, L"abc", 6) == 0 && Small[0] == 'A');
    CHECK(RtlUpcaseUnicodeToOemN(Small, sizeof(Small), &Length, L"xyz", 6) == 0 && Small[0] == 'X' && Length == 3);
    CHECK(RtlUnicodeToUTF8N(Small, sizeof(Small), &Length, L"\x00e9", 2) == 0 && Length == 2 && (UCHAR)Small[0] == 0xC3);
    CHECK(RtlUTF8ToUnicodeN(Room, sizeof(Room), &Length, Small, 2) == 0 && Length == 2 && Room[0] == 0xE9);
    CHECK(RtlUnicodeToUTF8N(Small, 1, &Length, L"\x00e9", 2) == STATUS_BUFFER_TOO_SMALL);
    CHECK(RtlIsValidOemCharacter(Room));
    return Checks;
}

EXPORT ULONG Numbers(void)
{
    WCHAR Room[40];
    UNICODE_STRING Out = { 0, sizeof(Room), Room }, Small = { 0, 4, Room };
    U(Hex, L"0x1F"); U(Ten, L"31"); U(Signed, L"-5");
    ULONG Value = 0, Seed = 1, First;
    GUID Guid = { 0x12345678, 0x9abc, 0xdef0, { 1, 2, 3, 4, 5, 6, 7, 8 } }, Read;
    U(Text, L"{12345678-9ABC-DEF0-0102-030405060708}"); U(Wrong, L"{12345678-9ABC}");

    CHECK(RtlIntegerToUnicodeString(255, 16, &Out) == 0 && Out.Length == 4 && Room[0] == L'F');
    CHECK(RtlIntegerToUnicodeString(12345, 10, &Small) == STATUS_BUFFER_OVERFLOW);
    CHECK(RtlIntegerToUnicodeString(1, 7, &Out) == STATUS_INVALID_PARAMETER);
    CHECK(RtlInt64ToUnicodeString(1234567890123ui64, 10, &Out) == 0 && Out.Length == 26);
    CHECK(RtlUnicodeStringToInteger(&Hex, 0, &Value) == 0 && Value == 31);
    CHECK(RtlUnicodeStringToInteger(&Ten, 10, &Value) == 0 && Value == 31);
    CHECK(RtlUnicodeStringToInteger(&Signed, 0, &Value) == 0 && (LONG)Value == -5);
    CHECK(RtlStringFromGUID(&Guid, &Out) == 0 && RtlEqualUnicodeString(&Out, &Text, TRUE));
    RtlFreeUnicodeString(&Out);
    CHECK(RtlGUIDFromString(&Text, &Read) == 0 && RtlEqualMemory(&Read, &Guid, sizeof(Guid)));
    CHECK(RtlGUIDFromString(&Wrong, &Read) == STATUS_INVALID_PARAMETER);
    First = RtlRandom(&Seed);
    CHECK(First <= MAXLONG && RtlRandom(&Seed) != First && Seed != 1);
    CHECK(RtlNumberOfSetBitsUlongPtr(0xF0F0) == 8);
    return Checks;
}

EXPORT ULONG Addresses(void)
{
    IN_ADDR Four = { { { 192, 168, 0, 1 } } };
    IN6_ADDR Six = { { { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x1f } } };
    IN6_ADDR Mapped = { { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3 } } };
    CHAR Text[66];
    WCHAR Wide[66];
    ULONG Room = 66;

    CHECK(RtlIpv4AddressToStringA(&Four, Text) == Text + 11 && RtlEqualMemory(Text, "192.168.0.1", 12));
    CHECK(RtlIpv4AddressToStringW(&Four, Wide) == Wide + 11 && RtlEqualMemory(Wide, L"192.168.0.1", 24));
    CHECK(RtlIpv6AddressToStringA(&Six, Text) == Text + 12 && RtlEqualMemory(Text, "2001:db8::1f", 13));
    CHECK(RtlIpv6AddressToStringW(&Mapped, Wide) == Wide + 15 && RtlEqualMemory(Wide, L"::ffff:10.1.2.3", 32));
    CHECK(RtlIpv4AddressToStringExA(&Four, 0x5000, Text, &Room) == 0 && Room == 15);
    CHECK(RtlEqualMemory(Text, "192.168.0.1:80", 15));
    CHECK(RtlIpv4AddressToStringExW(&Four, 0, Wide, &Room) == 0 && Room == 12);
    CHECK(RtlIpv4AddressToStringExA(&Four, 0x5000, Text, &Room) == STATUS_INVALID_PARAMETER && Room == 15);
    Room = 66;
    CHECK(RtlIpv6AddressToStringExW(&Six, 3, 0xBB01, Wide, &Room) == 0);
    CHECK(RtlEqualMemory(Wide, L"[2001:db8::1f%3]:443", 42) && Room == 21);
    Room = 66;
    CHECK(RtlIpv6AddressToStringExA(&Six, 0, 0, Text, &Room) == 0 && Room == 13);
    CHECK(RtlIpv6AddressToStringExA(&Six, 0, 0, NULL, &Room) == STATUS_INVALID_PARAMETER);
    return Checks;
}

EXPORT ULONG Sids(void)
{
    static SID_IDENTIFIER_AUTHORITY Authority = { { 0, 0, 0, 0, 0, 5 } };
    UCHAR Room[64], Other[64];
    PSID Sid = Room;
    UNICODE_STRING Text;
    U(Expected, L"S-1-5-32-544");
    SID_AND_ATTRIBUTES From = { Sid, 7 }, To;
    ULONG Left = sizeof(Other);
    PSID Free = Other, Rest;
    LUID One = { 1, 2 }, Two;
    LUID_AND_ATTRIBUTES Given = { { 3, 4 }, 5 }, Got;

    CHECK(RtlLengthRequiredSid(2) == 16 && RtlInitializeSid(Sid, &Authority, 2) == 0);
    *RtlSubAuthoritySid(Sid, 0) = 32;
    *RtlSubAuthoritySid(Sid, 1) = 544;
    CHECK(RtlLengthSid(Sid) == 16 && *RtlSubAuthorityCountSid(Sid) == 2 && RtlValidSid(Sid));
    CHECK(RtlConvertSidToUnicodeString(&Text, Sid, TRUE) == 0 && RtlEqualUnicodeString(&Text, &Expected, FALSE));
    RtlFreeUnicodeString(&Text);
    CHECK(RtlCopySid(sizeof(Other), Other, Sid) == 0 && RtlEqualSid(Other, Sid));
    CHECK(RtlCopySid(4, Other, Sid) == STATUS_BUFFER_TOO_SMALL);
    CHECK(RtlCopySidAndAttributesArray(1, &From, Left, &To, Free, &Rest, &Left) == 0 && To.Attributes == 7);
    CHECK(RtlEqualSid(To.Sid, Sid) && Left == sizeof(Other) - 16);
    RtlCopyLuid(&Two, &One);
    CHECK(RtlEqualLuid(&One, &Two));
    RtlCopyLuidAndAttributesArray(1, &Given, &Got);
    CHECK(Got.Luid.HighPart == 4 && Got.Attributes == 5);
    return Checks;
}

EXPORT ULONG Descriptors(void)
{
    static SID_IDENTIFIER_AUTHORITY Authority = { { 0, 0, 0, 0, 0, 1 } };
    UCHAR Acl[128], Sid[32];
    SECURITY_DESCRIPTOR Descriptor;
    BOOLEAN Present = FALSE, Defaulted = TRUE;
    PACL Found = NULL;
    PSID Group = NULL;

    RtlInitializeSid(Sid, &Authority, 1);
    *RtlSubAuthoritySid(Sid, 0) = 0;
    CHECK(RtlCreateAcl((PACL)Acl, sizeof(Acl), ACL_REVISION) == 0);
    CHECK(RtlAddAccessAllowedAceEx((PACL)Acl, ACL_REVISION, OBJECT_INHERIT_ACE, GENERIC_READ, Sid) == 0);
    CHECK(((PACL)Acl)->AceCount == 1 && ((PACE_HEADER)(Acl + sizeof(ACL)))->AceFlags == OBJECT_INHERIT_ACE);
    CHECK(RtlCreateSecurityDescriptor(&Descriptor, SECURITY_DESCRIPTOR_REVISION) == 0);
    CHECK(RtlSetGroupSecurityDescriptor(&Descriptor, Sid, FALSE) == 0);
    CHECK(RtlGetGroupSecurityDescriptor(&Descriptor, &Group, &Defaulted) == 0 && Group == Sid && !Defaulted);
    CHECK(RtlSetSaclSecurityDescriptor(&Descriptor, TRUE, (PACL)Acl, FALSE) == 0);
    CHECK(RtlGetSaclSecurityDescriptor(&Descriptor, &Present, &Found, &Defaulted) == 0 && Present && Found == (PACL)Acl);
    CHECK(RtlValidSecurityDescriptor(&Descriptor) && RtlLengthSecurityDescriptor(&Descriptor) >= sizeof(Descriptor));
    return Checks;
}

EXPORT ULONG Times(void)
{
    LARGE_INTEGER Time = { .QuadPart = 864000000000 + 36000000000 }, Local, System;
    TIME_FIELDS Fields;
    ULONG Seconds = 0;

    RtlTimeToElapsedTimeFields(&Time, &Fields);
    CHECK(Fields.Day == 1 && Fields.Hour == 1 && Fields.Minute == 0);
    CHECK(RtlLocalTimeToSystemTime(&Time, &System) == 0 && System.QuadPart == Time.QuadPart);
    ExLocalTimeToSystemTime(&Time, &Local);
    CHECK(Local.QuadPart == Time.QuadPart);
    UNREFERENCED_PARAMETER(Seconds);
    return Checks;
}

EXPORT ULONG Registry(void)
{
    ULONG Value = 42;
    PCWSTR Path = L"\\Registry\\Machine\\Software\\RtlStrings";

    CHECK(RtlCheckRegistryKey(RTL_REGISTRY_ABSOLUTE, (PWSTR)Path) == STATUS_OBJECT_NAME_NOT_FOUND);
    CHECK(RtlCreateRegistryKey(RTL_REGISTRY_ABSOLUTE, (PWSTR)Path) == 0);
    CHECK(RtlCheckRegistryKey(RTL_REGISTRY_ABSOLUTE, (PWSTR)Path) == 0);
    CHECK(RtlWriteRegistryValue(RTL_REGISTRY_ABSOLUTE, Path, L"Value", REG_DWORD, &Value, sizeof(Value)) == 0);
    CHECK(RtlDeleteRegistryValue(RTL_REGISTRY_ABSOLUTE, Path, L"Value") == 0);
    CHECK(RtlDeleteRegistryValue(RTL_REGISTRY_ABSOLUTE, Path, L"Value") == STATUS_OBJECT_NAME_NOT_FOUND);
    return Checks;
}

EXPORT ULONG Splay(void)
{
    RTL_SPLAY_LINKS Links[3];
    PRTL_SPLAY_LINKS Root = &Links[1];
    ULONG Index;

    for (Index = 0; Index < 3; Index++) RtlInitializeSplayLinks(&Links[Index]);
    RtlInsertAsLeftChild(&Links[1], &Links[0]);
    RtlInsertAsRightChild(&Links[1], &Links[2]);
    CHECK(RtlRealSuccessor(&Links[0]) == &Links[1] && RtlRealPredecessor(&Links[2]) == &Links[1]);
    CHECK(RtlSubtreeSuccessor(&Links[1]) == &Links[2] && RtlSubtreePredecessor(&Links[1]) == &Links[0]);
    CHECK((Root = RtlSplay(&Links[0])) == &Links[0] && RtlParent(&Links[0]) == &Links[0]);
    CHECK((Root = RtlDelete(&Links[0])) != NULL);
    RtlDeleteNoSplay(&Links[2], &Root);
    CHECK(Root == &Links[1] && RtlIsRoot(&Links[1]));
    return Checks;
}

EXPORT ULONG Places(void)
{
    PVOID Frames[8];
    ULONG Hash = 0;
    RTL_OSVERSIONINFOW Version = { sizeof(Version) };

    CHECK(RtlCaptureStackBackTrace(0, 8, Frames, &Hash) >= 1 && Hash != 0);
    CHECK(RtlWalkFrameChain(Frames, 8, 0) >= 1);
    CHECK(RtlGetVersion(&Version) == 0 && Version.dwMajorVersion == 10);
    RtlPrefetchMemoryNonTemporal(Frames, sizeof(Frames));
    return Checks;
}
"""


def test_rtl_answers_as_its_documentation_says(load):
    machine = load(DRIVER)
    functions = (
        "Initialize",
        "Compare",
        "Case",
        "Convert",
        "Numbers",
        "Addresses",
        "Sids",
        "Descriptors",
        "Times",
        "Registry",
    )

    for function in (*functions, "Splay", "Places"):
        machine.check(function)
    assert machine.findings == []
