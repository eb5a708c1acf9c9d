"""The C library of ntoskrnl, called from machine code: one call at least of each of its exports."""

# ruff: noqa: E501  (C declarations, one line each)

DECLARATIONS = r"""
typedef int errno_type;
#define C(Declaration) NTSYSAPI Declaration
C(int) _stricmp(const char *, const char *); C(int) _strnicmp(const char *, const char *, size_t);
C(char *) _strlwr(char *); C(char *) _strupr(char *); C(char *) _strrev(char *);
C(wchar_t *) _wcsrev(wchar_t *); C(wchar_t *) _wcslwr(wchar_t *); C(wchar_t *) _wcsupr(wchar_t *);
C(int) _wcsicmp(const wchar_t *, const wchar_t *); C(int) _wcsnicmp(const wchar_t *, const wchar_t *, size_t);
C(int) _vsnprintf(char *, size_t, const char *, va_list); C(int) _vsnwprintf(wchar_t *, size_t, const wchar_t *, va_list);
C(int) _snprintf(char *, size_t, const char *, ...); C(int) _snwprintf(wchar_t *, size_t, const wchar_t *, ...);
C(int) _snprintf_s(char *, size_t, size_t, const char *, ...); C(int) _snwprintf_s(wchar_t *, size_t, size_t, const wchar_t *, ...);
C(int) _vsnprintf_s(char *, size_t, size_t, const char *, va_list);
C(int) _vsnwprintf_s(wchar_t *, size_t, size_t, const wchar_t *, va_list);
C(int) sprintf(char *, const char *, ...); C(int) sprintf_s(char *, size_t, const char *, ...);
C(int) swprintf(wchar_t *, const wchar_t *, ...); C(int) swprintf_s(wchar_t *, size_t, const wchar_t *, ...);
C(int) vsprintf(char *, const char *, va_list); C(int) vsprintf_s(char *, size_t, const char *, va_list);
C(int) vswprintf_s(wchar_t *, size_t, const wchar_t *, va_list);
C(int) isalnum(int); C(int) isalpha(int); C(int) isdigit(int); C(int) islower(int); C(int) isprint(int);
C(int) isspace(int); C(int) isupper(int); C(int) isxdigit(int); C(int) tolower(int); C(int) toupper(int);
C(int) iswalnum(wint_t); C(int) iswalpha(wint_t); C(int) iswdigit(wint_t); C(int) iswspace(wint_t);
C(int) iswxdigit(wint_t); C(wint_t) towlower(wint_t); C(wint_t) towupper(wint_t);
C(char *) strcat(char *, const char *); C(char *) strcpy(char *, const char *); C(char *) strchr(const char *, int);
C(char *) strncat(char *, const char *, size_t); C(char *) strncpy(char *, const char *, size_t);
C(char *) strrchr(const char *, int); C(char *) strstr(const char *, const char *); C(size_t) strspn(const char *, const char *);
C(int) strncmp(const char *, const char *, size_t); C(size_t) strnlen(const char *, size_t);
C(int) strcat_s(char *, size_t, const char *); C(int) strcpy_s(char *, size_t, const char *);
C(int) strncat_s(char *, size_t, const char *, size_t); C(int) strncpy_s(char *, size_t, const char *, size_t);
C(long) strtol(const char *, char **, int); C(unsigned long) strtoul(const char *, char **, int);
C(__int64) _strtoi64(const char *, char **, int); C(unsigned __int64) _strtoui64(const char *, char **, int);
C(wchar_t *) wcscat(wchar_t *, const wchar_t *); C(wchar_t *) wcscpy(wchar_t *, const wchar_t *);
C(wchar_t *) wcschr(const wchar_t *, wchar_t); C(wchar_t *) wcsrchr(const wchar_t *, wchar_t);
C(wchar_t *) wcsstr(const wchar_t *, const wchar_t *); C(wchar_t *) wcsncat(wchar_t *, const wchar_t *, size_t);
C(wchar_t *) wcsncpy(wchar_t *, const wchar_t *, size_t); C(int) wcscmp(const wchar_t *, const wchar_t *);
C(int) wcsncmp(const wchar_t *, const wchar_t *, size_t); C(size_t) wcsnlen(const wchar_t *, size_t);
C(size_t) wcsspn(const wchar_t *, const wchar_t *); C(size_t) wcscspn(const wchar_t *, const wchar_t *);
C(int) wcscat_s(wchar_t *, size_t, const wchar_t *); C(int) wcscpy_s(wchar_t *, size_t, const wchar_t *);
C(int) wcsncat_s(wchar_t *, size_t, const wchar_t *, size_t); C(int) wcsncpy_s(wchar_t *, size_t, const wchar_t *, size_t);
C(long) wcstol(const wchar_t *, wchar_t **, int); C(unsigned long) wcstoul(const wchar_t *, wchar_t **, int);
C(int) atoi(const char *); C(__int64) _atoi64(const char *); C(int) _wtoi(const wchar_t *); C(__int64) _wtoi64(const wchar_t *);
C(char *) _itoa(int, char *, int); C(wchar_t *) _itow(int, wchar_t *, int);
C(int) _itoa_s(int, char *, size_t, int); C(int) _itow_s(int, wchar_t *, size_t, int);
C(int) _i64toa_s(__int64, char *, size_t, int); C(int) _i64tow_s(__int64, wchar_t *, size_t, int);
C(int) _ui64toa_s(unsigned __int64, char *, size_t, int); C(int) _ui64tow_s(unsigned __int64, wchar_t *, size_t, int);
C(int) _ultoa_s(unsigned long, char *, size_t, int); C(int) _ultow_s(unsigned long, wchar_t *, size_t, int);
C(int) _ltoa_s(long, char *, size_t, int); C(int) _ltow_s(long, wchar_t *, size_t, int);
C(size_t) mbstowcs(wchar_t *, const char *, size_t); C(size_t) wcstombs(char *, const wchar_t *, size_t);
C(void *) memchr(const void *, int, size_t); C(int) memcpy_s(void *, size_t, const void *, size_t);
C(int) memmove_s(void *, size_t, const void *, size_t);
#define SAME(One, Other) (strncmp(One, Other, 200) == 0)
#define SAMEW(One, Other) (wcscmp(One, Other) == 0)
"""

DRIVER = (
    DECLARATIONS
    + r"""
#define EINVAL 22
#define ERANGE 34
#define TRUNCATE ((size_t)-1)
static char Text[200];
static wchar_t Wide[200];

EXPORT ULONG Characters(void)
{
    CHECK(isdigit('0') && !isdigit('a'));
    CHECK(islower('a') && !islower('A') && isupper('A') && !isupper('a') && isprint(' ') && !isprint(7));
    CHECK(isspace('\t') && !isspace('x') && isxdigit('F') && !isxdigit('G'));
    CHECK(tolower('Q') == 'q' && toupper('q') == 'Q' && tolower('7') == '7');
    CHECK(towlower(L'Q') == L'q' && towupper(L'q') == L'Q');
    return Checks;
}

EXPORT ULONG Strings(void)
{
    CHECK(SAME(strcpy(Text, "one"), "one") && SAME(strcat(Text, "two"), "onetwo") && strnlen(Text, 3) == 3);
    CHECK(SAME(strncat(Text, "three", 2), "onetwoth") && strchr(Text, 't') == Text + 3 && strrchr(Text, 't') == Text + 6);
    CHECK(strchr(Text, 'z') == NULL && strstr(Text, "two") == Text + 3 && strstr(Text, "four") == NULL);
    CHECK(strspn("aabbc", "ab") == 4 && strncmp("abcd", "abzz", 2) == 0 && strncmp("abc", "abd", 3) < 0);
    RtlFillMemory(Text, sizeof(Text), 'x');
    strncpy(Text, "ab", 4);
    CHECK(Text[1] == 'b' && Text[2] == 0 && Text[3] == 0 && Text[4] == 'x');
    CHECK(_stricmp("AbC", "aBc") == 0 && _stricmp("a", "b") < 0 && _strnicmp("ABx", "aby", 2) == 0);
    strcpy(Text, "MiXed");
    CHECK(SAME(_strlwr(Text), "mixed") && SAME(_strupr(Text), "MIXED") && SAME(_strrev(Text), "DEXIM"));
    CHECK(memchr("abcd", 'c', 4) != NULL && memchr("abcd", 'c', 2) == NULL);
    return Checks;
}

EXPORT ULONG SafeStrings(void)
{
    CHECK(strcpy_s(Text, 4, "abc") == 0 && SAME(Text, "abc") && strcpy_s(Text, 3, "abc") == ERANGE && Text[0] == 0);
    strcpy(Text, "ab");
    CHECK(strcat_s(Text, 5, "cd") == 0 && SAME(Text, "abcd") && strcat_s(Text, 5, "e") == ERANGE);
    strcpy(Text, "ab");
    CHECK(strncat_s(Text, 10, "cdef", 2) == 0 && SAME(Text, "abcd"));
    CHECK(strncpy_s(Text, 10, "abcdef", 3) == 0 && SAME(Text, "abc") && strncpy_s(Text, 3, "abcdef", TRUNCATE) == 80);
    CHECK(wcscpy_s(Wide, 4, L"abc") == 0 && SAMEW(Wide, L"abc") && wcscpy_s(Wide, 3, L"abc") == ERANGE && Wide[0] == 0);
    wcscpy(Wide, L"ab");
    CHECK(wcscat_s(Wide, 5, L"cd") == 0 && SAMEW(Wide, L"abcd"));
    CHECK(wcsncat_s(Wide, 10, L"efgh", 1) == 0 && SAMEW(Wide, L"abcde"));
    CHECK(wcsncpy_s(Wide, 10, L"abcdef", 3) == 0 && SAMEW(Wide, L"abc"));
    CHECK(memcpy_s(Text, 4, "xyz", 4) == 0 && SAME(Text, "xyz") && memcpy_s(Text, 2, "xyz", 4) == ERANGE && Text[0] == 0);
    strcpy(Text, "abcdef");
    CHECK(memmove_s(Text + 1, 10, Text, 3) == 0 && SAME(Text, "aabcef"));
    return Checks;
}

EXPORT ULONG WideStrings(void)
{
    CHECK(SAMEW(wcscpy(Wide, L"one"), L"one") && SAMEW(wcscat(Wide, L"two"), L"onetwo") && wcsnlen(Wide, 4) == 4);
    CHECK(wcschr(Wide, L't') == Wide + 3 && wcsrchr(Wide, L'o') == Wide + 5 && wcsstr(Wide, L"two") == Wide + 3);
    CHECK(SAMEW(wcsncat(Wide, L"xyz", 1), L"onetwox") && wcscmp(L"a", L"b") < 0 && wcsncmp(L"abc", L"abz", 2) == 0);
    CHECK(wcsspn(L"aab", L"a") == 2 && wcscspn(L"aab", L"b") == 2);
    wcsncpy(Wide, L"ab", 4);
    CHECK(Wide[2] == 0 && Wide[3] == 0);
    CHECK(_wcsicmp(L"AbC", L"aBc") == 0 && _wcsnicmp(L"ABx", L"aby", 2) == 0);
    wcscpy(Wide, L"MiXed");
    CHECK(SAMEW(_wcslwr(Wide), L"mixed") && SAMEW(_wcsupr(Wide), L"MIXED") && SAMEW(_wcsrev(Wide), L"DEXIM"));
    CHECK(mbstowcs(Wide, "text", 10) == 4 && SAMEW(Wide, L"text") && wcstombs(Text, L"wide", 10) == 4 && SAME(Text, "wide"));
    return Checks;
}

static int Print(int Which, ...)
{
    va_list List;
    int Count = 0;

    va_start(List, Which);
    switch (Which) {
    case 0: Count = _vsnprintf(Text, 10, "%d-%s", List); break;
    case 1: Count = _vsnwprintf(Wide, 10, L"%d-%s", List); break;
    case 2: Count = _vsnprintf_s(Text, 10, 9, "%d-%s", List); break;
    case 3: Count = _vsnwprintf_s(Wide, 10, 9, L"%d-%s", List); break;
    case 4: Count = vsprintf(Text, "%d-%s", List); break;
    case 5: Count = vsprintf_s(Text, 10, "%d-%s", List); break;
    case 6: Count = vswprintf_s(Wide, 10, L"%d-%s", List); break;
    }
    va_end(List);
    return Count;
}

EXPORT ULONG Printing(void)
{
    int Which;

    for (Which = 0; Which < 7; Which++) {
        Text[0] = 0;
        Wide[0] = 0;
        if (Which == 1 || Which == 3 || Which == 6) {
            CHECK(Print(Which, 42, L"ab") == 5 && SAMEW(Wide, L"42-ab"));
        } else {
            CHECK(Print(Which, 42, "ab") == 5 && SAME(Text, "42-ab"));
        }
    }
    CHECK(_snprintf(Text, 3, "%x", 0x1234) == -1 && Text[2] == '3');
    CHECK(_snprintf(Text, 10, "%04X|%c", 0xAB, 'z') == 6 && SAME(Text, "00AB|z"));
    CHECK(_snwprintf(Wide, 10, L"%ls %u", L"w", 7u) == 3 && SAMEW(Wide, L"w 7"));
    CHECK(_snprintf_s(Text, 4, TRUNCATE, "%s", "abcdef") == -1 && SAME(Text, "abc"));
    CHECK(_snwprintf_s(Wide, 4, TRUNCATE, L"%s", L"abcdef") == -1 && SAMEW(Wide, L"abc"));
    CHECK(sprintf(Text, "%5d|%-5d|", 42, 42) == 12 && SAME(Text, "   42|42   |"));
    CHECK(sprintf_s(Text, 10, "%I64d", 1234567890123i64) == -1 || Text[0] == 0);
    CHECK(swprintf(Wide, L"%hs", "narrow") == 6 && SAMEW(Wide, L"narrow"));
    CHECK(swprintf_s(Wide, 20, L"%p", (PVOID)0x1F) == 16 && Wide[15] == L'F');
    return Checks;
}

EXPORT ULONG Numbers(void)
{
    char *End;
    wchar_t *WideEnd;

    CHECK(atoi(" -12x") == -12);
    CHECK(_wtoi(L"77") == 77);
    CHECK(_strtoui64("ffffffffff", &End, 16) == 0xFFFFFFFFFFui64);
    CHECK(wcstoul(L"ff", &WideEnd, 16) == 255);
    CHECK(SAME(_itoa(-255, Text, 10), "-255") && SAMEW(_itow(255, Wide, 16), L"ff"));
    CHECK(_itoa_s(255, Text, 3, 16) == 0 && SAME(Text, "ff") && _itoa_s(255, Text, 2, 16) == ERANGE);
    CHECK(_itow_s(-1, Wide, 20, 10) == 0 && SAMEW(Wide, L"-1"));
    CHECK(_i64toa_s(-1234567890123i64, Text, 20, 10) == 0 && SAME(Text, "-1234567890123"));
    CHECK(_i64tow_s(0x123456789Ai64, Wide, 20, 16) == 0 && SAMEW(Wide, L"123456789a"));
    CHECK(_ui64toa_s(~0ui64, Text, 30, 10) == 0 && SAME(Text, "18446744073709551615"));
    CHECK(_ui64tow_s(8, Wide, 20, 2) == 0 && SAMEW(Wide, L"1000"));
    CHECK(_ultoa_s(0xFFFFFFFFul, Text, 20, 10) == 0 && SAME(Text, "4294967295"));
    CHECK(_ultow_s(0xFFFFFFFFul, Wide, 20, 16) == 0 && SAMEW(Wide, L"ffffffff"));
    CHECK(_ltoa_s(-5, Text, 20, 10) == 0 && SAME(Text, "-5") && _ltow_s(-5, Wide, 20, 10) == 0 && SAMEW(Wide, L"-5"));
    return Checks;
}
"""
)


def test_the_c_library_answers_as_its_documentation_says(load):
    machine = load(DRIVER)

    for function in ("Characters", "Strings", "SafeStrings", "WideStrings", "Printing", "Numbers"):
        machine.check(function)
    assert machine.findings == []
