/*
 * text.c: comparing, converting and reading the words of a script.
 */

#include "probe.h"

BOOLEAN
SameText(const char *Left, const char *Right)
{
    while (*Left != '\0' && *Left == *Right) {
        Left++;
        Right++;
    }
    return *Left == *Right;
}

/* Whether the first characters are the same; a shorter text is another one. */
BOOLEAN
SameStart(const char *Left, const char *Right, SIZE_T Length)
{
    SIZE_T At = 0;

    while (At < Length && Left[At] == Right[At] && Left[At] != '\0') {
        At++;
    }
    return At == Length;
}

SIZE_T
TextLength(const char *Text)
{
    SIZE_T Length = 0;

    while (Text[Length] != '\0') {
        Length++;
    }
    return Length;
}

/* Decimal, or hexadecimal after 0x. */
BOOLEAN
ParseNumber(const char *Text, ULONGLONG *Result)
{
    ULONGLONG Base = 10;
    ULONGLONG Sum = 0;

    if (Text[0] == '0' && (Text[1] == 'x' || Text[1] == 'X')) {
        Base = 16;
        Text += 2;
    }
    if (*Text == '\0') {
        return FALSE;
    }
    for (; *Text != '\0'; Text++) {
        ULONGLONG Digit;

        if (*Text >= '0' && *Text <= '9') {
            Digit = (ULONGLONG)(*Text - '0');
        } else if (*Text >= 'a' && *Text <= 'f') {
            Digit = (ULONGLONG)(*Text - 'a') + 10;
        } else if (*Text >= 'A' && *Text <= 'F') {
            Digit = (ULONGLONG)(*Text - 'A') + 10;
        } else {
            return FALSE;
        }
        if (Digit >= Base || Sum > (MAXULONGLONG - Digit) / Base) {
            return FALSE;
        }
        Sum = Sum * Base + Digit;
    }
    *Result = Sum;
    return TRUE;
}

const char *
NumberText(ULONGLONG Value, ULONG Base)
{
    char *Text = Allocate(24);
    ULONG At = 23;

    do {
        Text[--At] = "0123456789ABCDEF"[Value % Base];
        Value /= Base;
    } while (Value != 0);
    return Text + At;
}

#define NO_CHARACTER 0xFFFFFFFFu

/* The next character of UTF-8, shortest form only and no surrogates; NO_CHARACTER if there is none. */
static ULONG
NextCharacter(const char **Text)
{
    const UCHAR *Byte = (const UCHAR *)*Text;
    ULONG Least;
    ULONG Code;
    ULONG More;

    if (*Byte < 0x80) {
        Code = *Byte;
        More = 0;
        Least = 0;
    } else if ((*Byte & 0xE0) == 0xC0) {
        Code = *Byte & 0x1Fu;
        More = 1;
        Least = 0x80;
    } else if ((*Byte & 0xF0) == 0xE0) {
        Code = *Byte & 0x0Fu;
        More = 2;
        Least = 0x800;
    } else if ((*Byte & 0xF8) == 0xF0) {
        Code = *Byte & 0x07u;
        More = 3;
        Least = 0x10000;
    } else {
        return NO_CHARACTER;
    }
    for (Byte++; More > 0; Byte++, More--) {
        if ((*Byte & 0xC0) != 0x80) {
            return NO_CHARACTER;
        }
        Code = (Code << 6) | (*Byte & 0x3Fu);
    }
    *Text = (const char *)Byte;
    return Code < Least || Code > 0x10FFFF || (Code >= 0xD800 && Code < 0xE000) ? NO_CHARACTER : Code;
}

BOOLEAN
IsUtf8(const char *Text)
{
    while (*Text != '\0') {
        if (NextCharacter(&Text) == NO_CHARACTER) {
            return FALSE;
        }
    }
    return TRUE;
}

/* UTF-8 to UTF-16; every line of a script has been checked to be UTF-8, and to fit into a UNICODE_STRING. */
PWSTR
Wide(const char *Text, PUNICODE_STRING String)
{
    PWSTR Result = Allocate((TextLength(Text) + 1) * sizeof(WCHAR));
    ULONG At = 0;

    while (*Text != '\0') {
        ULONG Code = NextCharacter(&Text);

        if (Code >= 0x10000) {
            Code -= 0x10000;
            Result[At++] = (WCHAR)(0xD800 + (Code >> 10));
            Code = 0xDC00 + (Code & 0x3FF);
        }
        Result[At++] = (WCHAR)Code;
    }
    if (String != NULL) {
        String->Buffer = Result;
        String->Length = (USHORT)(At * sizeof(WCHAR));
        String->MaximumLength = (USHORT)((At + 1) * sizeof(WCHAR));
    }
    return Result;
}

const char *
Join(const char *First, const char *Second)
{
    SIZE_T FirstLength = TextLength(First);
    SIZE_T SecondLength = TextLength(Second);
    char *Result = Allocate(FirstLength + SecondLength + 1);

    memcpy(Result, First, FirstLength);
    memcpy(Result + FirstLength, Second, SecondLength + 1);
    return Result;
}
