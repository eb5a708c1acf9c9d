"""Rtl families: bitmaps, times, strings and numbers, masks, versions, initialization once."""

DRIVER = r"""
#include <ntintsafe.h>

EXPORT ULONG SafeIntegers(void)
{
    volatile ULONG Large = 0xFFFFFFF0; /* not the compiler's to calculate */
    ULONG Sum, Product;
    USHORT Short;
    SIZE_T Size;
    LONG Difference;

    CHECK(RtlULongAdd(Large, 15, &Sum) == STATUS_SUCCESS && Sum == 0xFFFFFFFF);
    CHECK(RtlULongAdd(Large, 16, &Sum) == STATUS_INTEGER_OVERFLOW && Sum == 0xFFFFFFFF);
    CHECK(RtlULongSub(15, Large, &Sum) == STATUS_INTEGER_OVERFLOW);
    CHECK(RtlULongMult(Large, 2, &Product) == STATUS_INTEGER_OVERFLOW);
    CHECK(RtlSizeTMult(Large, 2, &Size) == STATUS_SUCCESS && Size == 0x1FFFFFFE0);
    CHECK(RtlULongToUShort(Large, &Short) == STATUS_INTEGER_OVERFLOW && Short == 0xFFFF);
    CHECK(RtlULongToUShort(Large >> 16, &Short) == STATUS_SUCCESS && Short == 0xFFFF);
    CHECK(RtlULongToLong(Large, &Difference) == STATUS_INTEGER_OVERFLOW && Difference == -1);
    CHECK(RtlLongLongToLong((LONG)Large, &Difference) == STATUS_SUCCESS && Difference == -16);
    return Checks;
}
EXPORT ULONG Bitmaps(void)
{
    ULONG Bits[3] = { 0, 0, 0xFFFFFFFF }, Start;
    RTL_BITMAP Map;
    RTL_BITMAP_RUN Runs[2];

    RtlInitializeBitMap(&Map, Bits, 70);
    RtlClearAllBits(&Map);
    RtlSetBits(&Map, 10, 20);
    RtlSetBit(&Map, 40);
    CHECK(Bits[0] == 0x3FFFFC00 && Bits[1] == 0x100);
    CHECK(RtlNumberOfSetBits(&Map) == 21 && RtlNumberOfClearBits(&Map) == 49);
    CHECK(RtlTestBit(&Map, 40) && !RtlTestBit(&Map, 41));
    CHECK(RtlAreBitsSet(&Map, 10, 20) && !RtlAreBitsSet(&Map, 10, 21) && RtlAreBitsClear(&Map, 41, 29));
    CHECK(!RtlAreBitsClear(&Map, 41, 30));
    CHECK(RtlFindClearBits(&Map, 11, 0) == 41 && RtlFindClearBits(&Map, 10, 0) == 0);
    CHECK(RtlFindClearBits(&Map, 10, 5) == 30 && RtlFindClearBits(&Map, 60, 0) == 0xFFFFFFFF);
    CHECK(RtlFindSetBits(&Map, 3, 12) == 12);
    CHECK(RtlFindClearBitsAndSet(&Map, 10, 0) == 0 && RtlAreBitsSet(&Map, 0, 30));
    CHECK(RtlFindSetBitsAndClear(&Map, 30, 0) == 0 && RtlAreBitsClear(&Map, 0, 40));
    CHECK(RtlFindLongestRunClear(&Map, &Start) == 40 && Start == 0);
    CHECK(RtlFindNextForwardRunClear(&Map, 40, &Start) == 29 && Start == 41);
    CHECK(RtlFindLastBackwardRunClear(&Map, 45, &Start) == 5 && Start == 41);
    CHECK(RtlFindFirstRunClear(&Map, &Start) == 40 && Start == 0);
    RtlClearBits(&Map, 0, 70);
    RtlSetBit(&Map, 5);
    CHECK(RtlFindClearRuns(&Map, Runs, 2, TRUE) == 2 && Runs[0].StartingIndex == 6 && Runs[1].NumberOfBits == 5);
    RtlSetAllBits(&Map);
    RtlClearBit(&Map, 69);
    CHECK(RtlNumberOfClearBits(&Map) == 1);
    CHECK(RtlFindLeastSignificantBit(0x50) == 4 && RtlFindMostSignificantBit(0x50) == 6);
    CHECK(RtlFindLeastSignificantBit(0) == -1);
    return Checks;
}

EXPORT ULONG Times(void)
{
    TIME_FIELDS Fields = { 2024, 2, 29, 13, 14, 15, 16, 0 };
    LARGE_INTEGER Time, Other;
    ULONG Seconds;

    CHECK(RtlTimeFieldsToTime(&Fields, &Time) && Time.QuadPart == 133536860550160000);
    RtlZeroMemory(&Fields, sizeof(Fields));
    RtlTimeToTimeFields(&Time, &Fields);
    CHECK(Fields.Year == 2024 && Fields.Day == 29 && Fields.Milliseconds == 16 && Fields.Weekday == 4);
    Fields.Day = 31;
    CHECK(!RtlTimeFieldsToTime(&Fields, &Time));
    CHECK(RtlTimeToSecondsSince1970(&Time, &Seconds) && Seconds == 1709212455);
    RtlSecondsSince1970ToTime(Seconds, &Other);
    CHECK(Other.QuadPart == Time.QuadPart / 10000000 * 10000000);
    CHECK(RtlTimeToSecondsSince1980(&Time, &Seconds));
    RtlSecondsSince1980ToTime(Seconds, &Other);
    CHECK(Other.QuadPart == Time.QuadPart / 10000000 * 10000000);
    Time.QuadPart = 0;
    CHECK(!RtlTimeToSecondsSince1970(&Time, &Seconds));
    return Checks;
}

NTSTATUS NTAPI RtlIntegerToChar(ULONG, ULONG, ULONG, PSTR);
PVOID NTAPI RtlImageNtHeader(PVOID);
PVOID NTAPI RtlImageDirectoryEntryToData(PVOID, BOOLEAN, USHORT, PULONG);

EXPORT ULONG Strings(void)
{
    UNICODE_STRING Name = RTL_CONSTANT_STRING(L"Name.txt"), Long = RTL_CONSTANT_STRING(L"longer than.that"), Made;
    UNICODE_STRING One = RTL_CONSTANT_STRING(L"100.5"), Two = RTL_CONSTANT_STRING(L"100.45");
    UNICODE_STRING Number = RTL_CONSTANT_STRING(L"-0x12z");
    CHAR Room[32];
    STRING String = { 0, sizeof(Room), Room }, Part;
    BOOLEAN Spaces;
    ULONG Value;
    LONG64 Wide;
    PWSTR End;

    CHECK(RtlIsNameLegalDOS8Dot3(&Name, &String, &Spaces) && !Spaces && String.Length == 8 && Room[0] == 'N');
    CHECK(Room[1] == 'A' && !RtlIsNameLegalDOS8Dot3(&Long, NULL, NULL));
    RtlInitString(&Part, "abc");
    CHECK(RtlAppendStringToString(&String, &Part) == 0 && String.Length == 11);
    CHECK(RtlAppendAsciizToString(&String, "01234567890123456789012") == STATUS_BUFFER_TOO_SMALL);
    RtlUpperString(&String, &Part);
    CHECK(String.Length == 3 && Room[2] == 0x43);
    CHECK(RtlCreateUnicodeString(&Made, L"made") && Made.Length == 8);
    CHECK(RtlValidateUnicodeString(0, &Made) == 0);
    Made.Length++;
    CHECK(RtlValidateUnicodeString(0, &Made) == STATUS_INVALID_PARAMETER);
    Made.Length--;
    CHECK(RtlxUnicodeStringToOemSize(&Made) == 5);
    RtlFreeUnicodeString(&Made);
    CHECK(RtlUnicodeToOemN(Room, 3, &Value, Name.Buffer, Name.Length) == STATUS_BUFFER_OVERFLOW && Value == 3);
    CHECK(RtlOemToUnicodeN((PWSTR)Room, 32, &Value, "xy", 2) == 0 && Value == 4 && Room[2] == 'y');
    CHECK(RtlCharToInteger(" 0x1F", 0, &Value) == 0 && Value == 31);
    CHECK(RtlCharToInteger("12", 7, &Value) == STATUS_INVALID_PARAMETER);
    CHECK(RtlIntegerToChar(255, 16, sizeof(Room), Room) == 0 && Room[0] == 'F' && Room[2] == 0);
    CHECK(RtlUnicodeStringToInt64(&Number, 0, &Wide, &End) == 0 && Wide == -0x12 && *End == L'z');
    CHECK(RtlCompareAltitudes(&One, &Two) > 0 && RtlCompareAltitudes(&Two, &One) < 0);
    return Checks;
}

static ULONG Runs;
static ULONG NTAPI Once(PRTL_RUN_ONCE RunOnce, PVOID Parameter, PVOID *Context)
{
    UNREFERENCED_PARAMETER(RunOnce);
    *Context = Parameter;
    return ++Runs > 1;
}

EXPORT ULONG Small(void)
{
    static RTL_RUN_ONCE Guard;
    GENERIC_MAPPING Mapping = { 1, 2, 4, 7 };
    ACCESS_MASK Mask = GENERIC_READ | GENERIC_EXECUTE | 0x10000;
    RTL_OSVERSIONINFOEXW Version = { sizeof(Version), 10, 0 };
    ULONGLONG Conditions = VerSetConditionMask(0, VER_MAJORVERSION, VER_GREATER_EQUAL);
    PVOID Context, Base = NULL;
    ULONG Size;

    CHECK(RtlComputeCrc32(0, "123456789", 9) == 0xCBF43926);
    RtlMapGenericMask(&Mask, &Mapping);
    CHECK(Mask == 0x10005);
    CHECK(RtlAreAllAccessesGranted(7, 5) && !RtlAreAllAccessesGranted(3, 5) && RtlAreAnyAccessesGranted(3, 5));
    CHECK(RtlNtStatusToDosError(STATUS_ACCESS_DENIED) == 5 && RtlNtStatusToDosError(0xC0FFFFFF) == 317);
    CHECK(RtlVerifyVersionInfo(&Version, VER_MAJORVERSION, Conditions) == 0);
    Version.dwMajorVersion = 11;
    CHECK(RtlVerifyVersionInfo(&Version, VER_MAJORVERSION, Conditions) == STATUS_REVISION_MISMATCH);
    CHECK(RtlIsNtDdiVersionAvailable(NTDDI_WIN7) && IoIsWdmVersionAvailable(1, 0x20));
    RtlRunOnceInitialize(&Guard);
    CHECK(RtlRunOnceExecuteOnce(&Guard, (PVOID)Once, (PVOID)0x40, &Context) == STATUS_UNSUCCESSFUL);
    CHECK(RtlRunOnceExecuteOnce(&Guard, (PVOID)Once, (PVOID)0x40, &Context) == 0 && Context == (PVOID)0x40);
    CHECK(RtlRunOnceExecuteOnce(&Guard, (PVOID)Once, (PVOID)0x80, &Context) == 0);
    CHECK(Context == (PVOID)0x40 && Runs == 2);
    RtlRunOnceInitialize(&Guard);
    CHECK(RtlRunOnceBeginInitialize(&Guard, RTL_RUN_ONCE_CHECK_ONLY, &Context) == STATUS_UNSUCCESSFUL);
    CHECK(RtlRunOnceBeginInitialize(&Guard, 0, &Context) == STATUS_PENDING);
    CHECK(RtlRunOnceComplete(&Guard, 0, (PVOID)8) == 0);
    CHECK(RtlRunOnceBeginInitialize(&Guard, RTL_RUN_ONCE_CHECK_ONLY, &Context) == 0 && Context == (PVOID)8);
    CHECK(RtlPcToFileHeader((PVOID)Small, &Base) == Base && RtlImageNtHeader(Base) != NULL);
    CHECK(RtlImageDirectoryEntryToData(Base, TRUE, 0, &Size) != NULL && Size != 0);
    return Checks;
}
"""


def test_families_of_rtl(load):
    machine = load(DRIVER)

    for function in ("SafeIntegers", "Bitmaps", "Times", "Strings", "Small"):
        machine.check(function)

    assert machine.unload() == []
