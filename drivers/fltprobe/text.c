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

/* UTF-8 to UTF-16; a byte that is no UTF-8 becomes U+FFFD. */
PWSTR
Wide(const char *Text, PUNICODE_STRING String)
{
    SIZE_T Length = TextLength(Text);
    PWSTR Result = Allocate((Length + 1) * sizeof(WCHAR));
    ULONG At = 0;
    const UCHAR *Byte = (const UCHAR *)Text;

    while (*Byte != 0) {
        ULONG Code = 0xFFFD;
        ULONG More = 0;

        if (*Byte < 0x80) {
            Code = *Byte;
        } else if ((*Byte & 0xE0) == 0xC0) {
            Code = *Byte & 0x1Fu;
            More = 1;
        } else if ((*Byte & 0xF0) == 0xE0) {
            Code = *Byte & 0x0Fu;
            More = 2;
        } else if ((*Byte & 0xF8) == 0xF0) {
            Code = *Byte & 0x07u;
            More = 3;
        }
        for (Byte++; More > 0 && (*Byte & 0xC0) == 0x80; Byte++, More--) {
            Code = (Code << 6) | (*Byte & 0x3Fu);
        }
        if (More > 0) {
            Code = 0xFFFD;
        }
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
