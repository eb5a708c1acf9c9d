"""ntstrsafe.h: what its functions write, answer and leave, by their documentation."""

# ruff: noqa: E501  (C, one check a line)

import re
from collections.abc import Callable

from tests.reference.core.conftest import Machine

DRIVER = r"""
#include <ntstrsafe.h>
#define TARGET(Name, Room, Text)                                                   \
    WCHAR Name##Buffer[Room] = Text;                                               \
    UNICODE_STRING Name = {(USHORT)(sizeof(Text) - 2), sizeof(Name##Buffer), Name##Buffer}
#define IS(Name, Text) (Name.Length == sizeof(Text) - 2 && RtlCompareMemory(Name.Buffer, Text, sizeof(Text) - 2) == sizeof(Text) - 2)

EXPORT ULONG Whole(void)
{
    UNICODE_STRING Source = RTL_CONSTANT_STRING(L"abcdef"), Rest;
    TARGET(Target, 8, L"");

    CHECK(RtlUnicodeStringCopy(&Target, &Source) == 0 && IS(Target, L"abcdef"));
    CHECK(RtlUnicodeStringCbCopyN(&Target, &Source, 4) == 0 && IS(Target, L"ab"));
    CHECK(RtlUnicodeStringCchCatN(&Target, &Source, 3) == 0 && IS(Target, L"ababc"));
    CHECK(RtlUnicodeStringCbCatStringN(&Target, L"xyz", 4) == 0 && IS(Target, L"ababcxy"));
    CHECK(RtlUnicodeStringCbCopyNEx(&Target, &Source, 4, &Rest, 0) == 0 && IS(Target, L"ab"));
    CHECK(Rest.Buffer == Target.Buffer + 2 && Rest.Length == 0 && Rest.MaximumLength == 12);
    CHECK(RtlUnicodeStringCchCopyStringNEx(&Target, L"xyz", 2, &Rest, STRSAFE_FILL_BEHIND) == 0 && IS(Target, L"xy"));
    CHECK(Target.Buffer[2] == 0 && Target.Buffer[7] == 0 && Rest.MaximumLength == 12);
    CHECK(RtlUnicodeStringCatStringEx(&Target, NULL, NULL, STRSAFE_IGNORE_NULLS) == 0 && IS(Target, L"xy"));
    CHECK(RtlUnicodeStringCopyEx(NULL, NULL, NULL, STRSAFE_IGNORE_NULLS) == 0);
    CHECK(RtlUnicodeStringCopyEx(NULL, &Source, NULL, STRSAFE_IGNORE_NULLS) == STATUS_INVALID_PARAMETER);
    CHECK(RtlUnicodeStringPrintfEx(&Target, &Rest, 0, L"%d-%ws", 7, L"z") == 0 && IS(Target, L"7-z"));
    CHECK(Rest.Buffer == Target.Buffer + 3 && Rest.MaximumLength == 10);
    return Checks;
}

EXPORT ULONG Cut(void)
{
    UNICODE_STRING Rest;
    TARGET(Target, 4, L"12");

    CHECK(RtlUnicodeStringCatString(&Target, L"abc") == STATUS_BUFFER_OVERFLOW && IS(Target, L"12ab"));
    Target.Length = 4;
    CHECK(RtlUnicodeStringCatStringEx(&Target, L"xyz", &Rest, STRSAFE_NO_TRUNCATION) == STATUS_BUFFER_OVERFLOW);
    CHECK(IS(Target, L"12") && Target.Buffer[2] == L'a' && Rest.MaximumLength == 4);
    CHECK(RtlUnicodeStringCopyStringEx(&Target, L"vwxyz", NULL, STRSAFE_NO_TRUNCATION) == STATUS_BUFFER_OVERFLOW);
    CHECK(IS(Target, L"12"));
    CHECK(RtlUnicodeStringCopyStringEx(&Target, L"vwxyz", NULL, STRSAFE_ZERO_LENGTH_ON_FAILURE) == STATUS_BUFFER_OVERFLOW);
    CHECK(Target.Length == 0);
    CHECK(RtlUnicodeStringCopyStringEx(&Target, L"vwxyz", NULL, STRSAFE_FAILURE_BYTE(0x41)) == STATUS_BUFFER_OVERFLOW);
    CHECK(IS(Target, L"\x4141\x4141\x4141\x4141"));
    return Checks;
}

EXPORT ULONG Texts(void)
{
    UNICODE_STRING Source = RTL_CONSTANT_STRING(L"abcdef");
    WCHAR Wide[8], *End;
    CHAR Narrow[8], *NarrowEnd;
    size_t Left;

    CHECK(RtlStringCchCopyUnicodeString(Wide, 8, &Source) == 0 && wcscmp(Wide, L"abcdef") == 0);
    CHECK(RtlStringCbCopyUnicodeString(Wide, 8, &Source) == STATUS_BUFFER_OVERFLOW && wcscmp(Wide, L"abc") == 0);
    CHECK(RtlStringCbCopyUnicodeStringEx(Wide, sizeof(Wide), &Source, &End, &Left, 0) == 0 && End == Wide + 6 && Left == 4);
    CHECK(RtlStringCchCopyNExW(Wide, 8, L"xyz", 2, &End, &Left, 0) == 0 && End == Wide + 2 && Left == 6);
    CHECK(RtlStringCbCatNExA(strcpy(Narrow, "1"), 8, "23456", 2, &NarrowEnd, &Left, 0) == 0 && NarrowEnd == Narrow + 3 && Left == 5);
    CHECK(RtlStringCbCatExW(Wide, sizeof(Wide), L"z", &End, &Left, 0) == 0 && End == Wide + 3 && Left == 10);
    CHECK(RtlStringCchCopyExA(Narrow, 4, "abcdef", NULL, NULL, STRSAFE_FAILURE_BYTE('#')) == STATUS_BUFFER_OVERFLOW && strcmp(Narrow, "###") == 0);
    CHECK(RtlStringCchCopyExA(Narrow, 4, "abcdef", NULL, NULL, STRSAFE_NO_TRUNCATION) == STATUS_BUFFER_OVERFLOW && Narrow[0] == 0);
    return Checks;
}
"""


def test_safe_string_functions_do_what_is_documented(load: Callable[..., Machine]) -> None:
    machine = load(DRIVER)
    for name in re.findall(r"^EXPORT ULONG (\w+)", DRIVER, re.MULTILINE):
        machine.check(name)
    assert machine.findings == []
