/*
 * ntstrsafe.h: string functions that know how much room there is.
 *
 * mingw-w64's header of this name defines its functions once for each file that includes it, which does not link, and
 * has none for UNICODE_STRING. Functions ending in Cb count bytes, in Cch characters; all answer STATUS_SUCCESS,
 * STATUS_BUFFER_OVERFLOW (the text was cut) or STATUS_INVALID_PARAMETER, and end a string in a zero.
 */

#ifndef NTSTRSAFE_H
#define NTSTRSAFE_H

#include <stdarg.h>

typedef unsigned long DWORD; /* which the kit's header of this name declares, too */

#define NTSTRSAFE_MAX_CCH 2147483647
#define NTSTRSAFE_UNICODE_STRING_MAX_CCH (0xFFFF / sizeof(WCHAR))
#define NTSTRSAFE_PSTR PSTR
#define NTSTRSAFE_PWSTR PWSTR
#define NTSTRSAFE_PCSTR PCSTR
#define NTSTRSAFE_PCWSTR PCWSTR
#define NTSTRSAFEDDI static __inline NTSTATUS

#define STRSAFE_FILL_BEHIND_NULL 0x00000200
#define STRSAFE_IGNORE_NULLS 0x00000100
#define STRSAFE_FILL_ON_FAILURE 0x00000400
#define STRSAFE_NULL_ON_FAILURE 0x00000800
#define STRSAFE_NO_TRUNCATION 0x00001000
#define STRSAFE_ZERO_LENGTH_ON_FAILURE STRSAFE_NULL_ON_FAILURE

#ifdef __cplusplus
extern "C" {
#endif
int __cdecl _vsnprintf(char *Buffer, size_t Count, const char *Format, va_list Arguments);
int __cdecl _vsnwprintf(wchar_t *Buffer, size_t Count, const wchar_t *Format, va_list Arguments);
#ifdef __cplusplus
}
#endif

/* The functions for one type of character: its letter, type, and the function that formats it. */
#define FLTLAB_STRSAFE(Letter, Type, Format)                                                                           \
    NTSTRSAFEDDI RtlStringCchLength##Letter(const Type *Text, size_t Maximum, size_t *Length)                          \
    {                                                                                                                  \
        size_t At = 0;                                                                                                 \
                                                                                                                       \
        while (Text != NULL && At < Maximum && Text[At] != 0) {                                                        \
            At++;                                                                                                      \
        }                                                                                                              \
        if (Text == NULL || Maximum > NTSTRSAFE_MAX_CCH || At == Maximum) {                                            \
            if (Length != NULL) {                                                                                      \
                *Length = 0;                                                                                           \
            }                                                                                                          \
            return STATUS_INVALID_PARAMETER;                                                                           \
        }                                                                                                              \
        if (Length != NULL) {                                                                                          \
            *Length = At;                                                                                              \
        }                                                                                                              \
        return STATUS_SUCCESS;                                                                                         \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCbLength##Letter(const Type *Text, size_t Maximum, size_t *Length)                           \
    {                                                                                                                  \
        NTSTATUS Status = RtlStringCchLength##Letter(Text, Maximum / sizeof(Type), Length);                            \
                                                                                                                       \
        if (Length != NULL) {                                                                                          \
            *Length *= sizeof(Type);                                                                                   \
        }                                                                                                              \
        return Status;                                                                                                 \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCchCopyN##Letter(Type *Target, size_t Room, const Type *Text, size_t Count)                  \
    {                                                                                                                  \
        size_t At = 0;                                                                                                 \
                                                                                                                       \
        if (Room == 0 || Room > NTSTRSAFE_MAX_CCH) {                                                                   \
            return STATUS_INVALID_PARAMETER;                                                                           \
        }                                                                                                              \
        while (At < Room && At < Count && Text[At] != 0) {                                                             \
            Target[At] = Text[At];                                                                                     \
            At++;                                                                                                      \
        }                                                                                                              \
        if (At == Room) {                                                                                              \
            Target[Room - 1] = 0;                                                                                      \
            return STATUS_BUFFER_OVERFLOW;                                                                             \
        }                                                                                                              \
        Target[At] = 0;                                                                                                \
        return STATUS_SUCCESS;                                                                                         \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCbCopyN##Letter(Type *Target, size_t Room, const Type *Text, size_t Bytes)                   \
    {                                                                                                                  \
        return RtlStringCchCopyN##Letter(Target, Room / sizeof(Type), Text, Bytes / sizeof(Type));                     \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCchCopy##Letter(Type *Target, size_t Room, const Type *Text)                                 \
    {                                                                                                                  \
        return RtlStringCchCopyN##Letter(Target, Room, Text, NTSTRSAFE_MAX_CCH);                                       \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCbCopy##Letter(Type *Target, size_t Room, const Type *Text)                                  \
    {                                                                                                                  \
        return RtlStringCchCopy##Letter(Target, Room / sizeof(Type), Text);                                            \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCchCatN##Letter(Type *Target, size_t Room, const Type *Text, size_t Count)                   \
    {                                                                                                                  \
        size_t Length;                                                                                                 \
        NTSTATUS Status = RtlStringCchLength##Letter(Target, Room, &Length);                                           \
                                                                                                                       \
        return NT_SUCCESS(Status) ? RtlStringCchCopyN##Letter(Target + Length, Room - Length, Text, Count) : Status;   \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCbCatN##Letter(Type *Target, size_t Room, const Type *Text, size_t Bytes)                    \
    {                                                                                                                  \
        return RtlStringCchCatN##Letter(Target, Room / sizeof(Type), Text, Bytes / sizeof(Type));                      \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCchCat##Letter(Type *Target, size_t Room, const Type *Text)                                  \
    {                                                                                                                  \
        return RtlStringCchCatN##Letter(Target, Room, Text, NTSTRSAFE_MAX_CCH);                                        \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCbCat##Letter(Type *Target, size_t Room, const Type *Text)                                   \
    {                                                                                                                  \
        return RtlStringCchCat##Letter(Target, Room / sizeof(Type), Text);                                             \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCchVPrintf##Letter(Type *Target, size_t Room, const Type *Text, va_list Arguments)           \
    {                                                                                                                  \
        int Length;                                                                                                    \
                                                                                                                       \
        if (Room == 0 || Room > NTSTRSAFE_MAX_CCH) {                                                                   \
            return STATUS_INVALID_PARAMETER;                                                                           \
        }                                                                                                              \
        Length = Format(Target, Room - 1, Text, Arguments);                                                            \
        if (Length < 0 || (size_t)Length > Room - 1) {                                                                 \
            Target[Room - 1] = 0;                                                                                      \
            return STATUS_BUFFER_OVERFLOW;                                                                             \
        }                                                                                                              \
        Target[Length] = 0;                                                                                            \
        return STATUS_SUCCESS;                                                                                         \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCbVPrintf##Letter(Type *Target, size_t Room, const Type *Text, va_list Arguments)            \
    {                                                                                                                  \
        return RtlStringCchVPrintf##Letter(Target, Room / sizeof(Type), Text, Arguments);                              \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCchPrintf##Letter(Type *Target, size_t Room, const Type *Text, ...)                          \
    {                                                                                                                  \
        va_list Arguments;                                                                                             \
        NTSTATUS Status;                                                                                               \
                                                                                                                       \
        va_start(Arguments, Text);                                                                                     \
        Status = RtlStringCchVPrintf##Letter(Target, Room, Text, Arguments);                                           \
        va_end(Arguments);                                                                                             \
        return Status;                                                                                                 \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCbPrintf##Letter(Type *Target, size_t Room, const Type *Text, ...)                           \
    {                                                                                                                  \
        va_list Arguments;                                                                                             \
        NTSTATUS Status;                                                                                               \
                                                                                                                       \
        va_start(Arguments, Text);                                                                                     \
        Status = RtlStringCbVPrintf##Letter(Target, Room, Text, Arguments);                                            \
        va_end(Arguments);                                                                                             \
        return Status;                                                                                                 \
    }                                                                                                                  \
    /* Ex: also where the text ends, and how much room is left. Flags fill what is behind it, or a failure. */         \
    NTSTRSAFEDDI FltLabStringEnd##Letter(Type *Target, size_t Room, Type **End, size_t *Left, ULONG Flags,             \
                                         NTSTATUS Status)                                                              \
    {                                                                                                                  \
        size_t Length = 0;                                                                                             \
                                                                                                                       \
        if (!NT_SUCCESS(Status) && Room != 0) {                                                                        \
            if (Flags & (STRSAFE_NULL_ON_FAILURE | STRSAFE_NO_TRUNCATION)) {                                           \
                Target[0] = 0;                                                                                         \
            }                                                                                                          \
        }                                                                                                              \
        if (Room != 0) {                                                                                               \
            RtlStringCchLength##Letter(Target, Room, &Length);                                                         \
        }                                                                                                              \
        if (NT_SUCCESS(Status) && (Flags & STRSAFE_FILL_BEHIND_NULL)) {                                                \
            RtlFillMemory(Target + Length + 1, (Room - Length - 1) * sizeof(Type), Flags & 0xFF);                      \
        }                                                                                                              \
        if (End != NULL) {                                                                                             \
            *End = Target + Length;                                                                                    \
        }                                                                                                              \
        if (Left != NULL) {                                                                                            \
            *Left = Room - Length;                                                                                     \
        }                                                                                                              \
        return Status;                                                                                                 \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCchCopyEx##Letter(Type *Target, size_t Room, const Type *Text, Type **End, size_t *Left,     \
                                            ULONG Flags)                                                               \
    {                                                                                                                  \
        return FltLabStringEnd##Letter(Target, Room, End, Left, Flags, RtlStringCchCopy##Letter(Target, Room, Text));  \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCchCatEx##Letter(Type *Target, size_t Room, const Type *Text, Type **End, size_t *Left,      \
                                           ULONG Flags)                                                                \
    {                                                                                                                  \
        return FltLabStringEnd##Letter(Target, Room, End, Left, Flags, RtlStringCchCat##Letter(Target, Room, Text));   \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCchPrintfEx##Letter(Type *Target, size_t Room, Type **End, size_t *Left, ULONG Flags,        \
                                              const Type *Text, ...)                                                   \
    {                                                                                                                  \
        va_list Arguments;                                                                                             \
        NTSTATUS Status;                                                                                               \
                                                                                                                       \
        va_start(Arguments, Text);                                                                                     \
        Status = RtlStringCchVPrintf##Letter(Target, Room, Text, Arguments);                                           \
        va_end(Arguments);                                                                                             \
        return FltLabStringEnd##Letter(Target, Room, End, Left, Flags, Status);                                        \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCbCopyEx##Letter(Type *Target, size_t Room, const Type *Text, Type **End, size_t *Left,      \
                                           ULONG Flags)                                                                \
    {                                                                                                                  \
        NTSTATUS Status = RtlStringCchCopyEx##Letter(Target, Room / sizeof(Type), Text, End, Left, Flags);             \
                                                                                                                       \
        if (Left != NULL) {                                                                                            \
            *Left *= sizeof(Type);                                                                                     \
        }                                                                                                              \
        return Status;                                                                                                 \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCbPrintfEx##Letter(Type *Target, size_t Room, Type **End, size_t *Left, ULONG Flags,         \
                                             const Type *Text, ...)                                                    \
    {                                                                                                                  \
        va_list Arguments;                                                                                             \
        NTSTATUS Status;                                                                                               \
                                                                                                                       \
        va_start(Arguments, Text);                                                                                     \
        Status = RtlStringCbVPrintf##Letter(Target, Room, Text, Arguments);                                            \
        va_end(Arguments);                                                                                             \
        Status = FltLabStringEnd##Letter(Target, Room / sizeof(Type), End, Left, Flags, Status);                       \
        if (Left != NULL) {                                                                                            \
            *Left *= sizeof(Type);                                                                                     \
        }                                                                                                              \
        return Status;                                                                                                 \
    }

FLTLAB_STRSAFE(A, char, _vsnprintf)
FLTLAB_STRSAFE(W, WCHAR, _vsnwprintf)

/*
 * UNICODE_STRING: the length is what counts, and no zero is needed at the end.
 */

NTSTRSAFEDDI
RtlUnicodeStringValidateEx(PCUNICODE_STRING Text, ULONG Flags)
{
    if (Text == NULL) {
        return Flags & STRSAFE_IGNORE_NULLS ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER;
    }
    if (Text->Length % sizeof(WCHAR) != 0 || Text->MaximumLength % sizeof(WCHAR) != 0 ||
        Text->Length > Text->MaximumLength || (Text->Buffer == NULL && Text->MaximumLength != 0)) {
        return STATUS_INVALID_PARAMETER;
    }
    return STATUS_SUCCESS;
}

NTSTRSAFEDDI
RtlUnicodeStringValidate(PCUNICODE_STRING Text)
{
    return RtlUnicodeStringValidateEx(Text, 0);
}

NTSTRSAFEDDI
RtlUnicodeStringInitEx(PUNICODE_STRING Target, PCWSTR Text, ULONG Flags)
{
    size_t Length = 0;

    UNREFERENCED_PARAMETER(Flags);
    Target->Length = Target->MaximumLength = 0;
    Target->Buffer = (PWCH)Text;
    if (Text == NULL) {
        return STATUS_SUCCESS;
    }
    if (!NT_SUCCESS(RtlStringCchLengthW(Text, NTSTRSAFE_UNICODE_STRING_MAX_CCH, &Length))) {
        Target->Buffer = NULL;
        return STATUS_INVALID_PARAMETER;
    }
    Target->Length = (USHORT)(Length * sizeof(WCHAR));
    Target->MaximumLength = Target->Length + sizeof(WCHAR);
    return STATUS_SUCCESS;
}

NTSTRSAFEDDI
RtlUnicodeStringInit(PUNICODE_STRING Target, PCWSTR Text)
{
    return RtlUnicodeStringInitEx(Target, Text, 0);
}

/* Append Bytes of Text at At bytes. */
NTSTRSAFEDDI
FltLabUnicodeStringPut(PUNICODE_STRING Target, USHORT At, const WCHAR *Text, size_t Bytes)
{
    NTSTATUS Status = RtlUnicodeStringValidate(Target);
    size_t Room;

    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Room = Target->MaximumLength - At;
    if (Bytes > Room) {
        Bytes = Room;
        Status = STATUS_BUFFER_OVERFLOW;
    }
    if (Bytes != 0) {
        RtlMoveMemory((PUCHAR)Target->Buffer + At, Text, Bytes);
    }
    Target->Length = (USHORT)(At + Bytes);
    return Status;
}

static __inline size_t
FltLabBytesOf(PCWSTR Text, size_t MaximumCharacters)
{
    size_t At = 0;

    while (Text != NULL && At < MaximumCharacters && Text[At] != 0) {
        At++;
    }
    return At * sizeof(WCHAR);
}

NTSTRSAFEDDI
RtlUnicodeStringCopyString(PUNICODE_STRING Target, PCWSTR Text)
{
    return FltLabUnicodeStringPut(Target, 0, Text, FltLabBytesOf(Text, NTSTRSAFE_MAX_CCH));
}

NTSTRSAFEDDI
RtlUnicodeStringCchCopyStringN(PUNICODE_STRING Target, PCWSTR Text, size_t Count)
{
    return FltLabUnicodeStringPut(Target, 0, Text, FltLabBytesOf(Text, Count));
}

NTSTRSAFEDDI
RtlUnicodeStringCbCopyStringN(PUNICODE_STRING Target, PCWSTR Text, size_t Bytes)
{
    return RtlUnicodeStringCchCopyStringN(Target, Text, Bytes / sizeof(WCHAR));
}

NTSTRSAFEDDI
RtlUnicodeStringCopy(PUNICODE_STRING Target, PCUNICODE_STRING Text)
{
    return FltLabUnicodeStringPut(Target, 0, Text->Buffer, Text->Length);
}

NTSTRSAFEDDI
RtlUnicodeStringCbCopyN(PUNICODE_STRING Target, PCUNICODE_STRING Text, size_t Bytes)
{
    return FltLabUnicodeStringPut(Target, 0, Text->Buffer, Bytes < Text->Length ? Bytes : Text->Length);
}

NTSTRSAFEDDI
RtlUnicodeStringCchCopyN(PUNICODE_STRING Target, PCUNICODE_STRING Text, size_t Count)
{
    return RtlUnicodeStringCbCopyN(Target, Text, Count * sizeof(WCHAR));
}

NTSTRSAFEDDI
RtlUnicodeStringCatString(PUNICODE_STRING Target, PCWSTR Text)
{
    return FltLabUnicodeStringPut(Target, Target->Length, Text, FltLabBytesOf(Text, NTSTRSAFE_MAX_CCH));
}

NTSTRSAFEDDI
RtlUnicodeStringCchCatStringN(PUNICODE_STRING Target, PCWSTR Text, size_t Count)
{
    return FltLabUnicodeStringPut(Target, Target->Length, Text, FltLabBytesOf(Text, Count));
}

NTSTRSAFEDDI
RtlUnicodeStringCat(PUNICODE_STRING Target, PCUNICODE_STRING Text)
{
    return FltLabUnicodeStringPut(Target, Target->Length, Text->Buffer, Text->Length);
}

NTSTRSAFEDDI
RtlUnicodeStringCbCatN(PUNICODE_STRING Target, PCUNICODE_STRING Text, size_t Bytes)
{
    return FltLabUnicodeStringPut(Target, Target->Length, Text->Buffer, Bytes < Text->Length ? Bytes : Text->Length);
}

NTSTRSAFEDDI
RtlUnicodeStringVPrintf(PUNICODE_STRING Target, PCWSTR Format, va_list Arguments)
{
    NTSTATUS Status = RtlUnicodeStringValidate(Target);
    size_t Room;
    int Length;

    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Room = Target->MaximumLength / sizeof(WCHAR);
    Length = _vsnwprintf(Target->Buffer, Room, Format, Arguments);
    if (Length < 0 || (size_t)Length > Room) {
        Target->Length = (USHORT)(Room * sizeof(WCHAR));
        return STATUS_BUFFER_OVERFLOW;
    }
    Target->Length = (USHORT)(Length * sizeof(WCHAR));
    return STATUS_SUCCESS;
}

NTSTRSAFEDDI
RtlUnicodeStringPrintf(PUNICODE_STRING Target, PCWSTR Format, ...)
{
    va_list Arguments;
    NTSTATUS Status;

    va_start(Arguments, Format);
    Status = RtlUnicodeStringVPrintf(Target, Format, Arguments);
    va_end(Arguments);
    return Status;
}

/* Ex: also what is left of the target, as a string of its own; flags as above, of which none fills. */
NTSTRSAFEDDI
FltLabUnicodeStringRest(PUNICODE_STRING Target, PUNICODE_STRING Rest, ULONG Flags, NTSTATUS Status)
{
    if (!NT_SUCCESS(Status) && (Flags & (STRSAFE_NO_TRUNCATION | STRSAFE_ZERO_LENGTH_ON_FAILURE)) != 0) {
        Target->Length = 0;
    }
    if (Rest != NULL) {
        Rest->Buffer = (PWCH)((PUCHAR)Target->Buffer + Target->Length);
        Rest->Length = 0;
        Rest->MaximumLength = Target->MaximumLength - Target->Length;
    }
    return Status;
}

NTSTRSAFEDDI
RtlUnicodeStringCopyStringEx(PUNICODE_STRING Target, PCWSTR Text, PUNICODE_STRING Rest, ULONG Flags)
{
    return FltLabUnicodeStringRest(Target, Rest, Flags, RtlUnicodeStringCopyString(Target, Text));
}

NTSTRSAFEDDI
RtlUnicodeStringCopyEx(PUNICODE_STRING Target, PCUNICODE_STRING Text, PUNICODE_STRING Rest, ULONG Flags)
{
    return FltLabUnicodeStringRest(Target, Rest, Flags, RtlUnicodeStringCopy(Target, Text));
}

NTSTRSAFEDDI
RtlUnicodeStringCatEx(PUNICODE_STRING Target, PCUNICODE_STRING Text, PUNICODE_STRING Rest, ULONG Flags)
{
    return FltLabUnicodeStringRest(Target, Rest, Flags, RtlUnicodeStringCat(Target, Text));
}

#endif /* NTSTRSAFE_H */
