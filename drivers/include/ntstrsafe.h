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
#define STRSAFE_FILL_BEHIND STRSAFE_FILL_BEHIND_NULL
#define STRSAFE_IGNORE_NULLS 0x00000100
#define STRSAFE_FILL_ON_FAILURE 0x00000400
#define STRSAFE_NULL_ON_FAILURE 0x00000800
#define STRSAFE_NO_TRUNCATION 0x00001000
#define STRSAFE_ZERO_LENGTH_ON_FAILURE STRSAFE_NULL_ON_FAILURE
#define STRSAFE_FILL_BYTE(Byte) ((ULONG)(((Byte) & 0xFF) | STRSAFE_FILL_BEHIND_NULL))
#define STRSAFE_FAILURE_BYTE(Byte) ((ULONG)(((Byte) & 0xFF) | STRSAFE_FILL_ON_FAILURE))
#define STRSAFE_GET_FILL_PATTERN(Flags) ((int)((Flags) & 0xFF))

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
        if (!NT_SUCCESS(Status) && Room != 0 && Target != NULL) {                                                      \
            if (Flags & STRSAFE_FILL_ON_FAILURE) {                                                                     \
                RtlFillMemory(Target, Room * sizeof(Type), Flags & 0xFF);                                              \
                Target[Room - 1] = 0;                                                                                  \
            }                                                                                                          \
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
    NTSTRSAFEDDI FltLabStringEndCb##Letter(Type *Target, size_t Room, Type **End, size_t *Left, ULONG Flags,           \
                                           NTSTATUS Status)                                                            \
    {                                                                                                                  \
        Status = FltLabStringEnd##Letter(Target, Room / sizeof(Type), End, Left, Flags, Status);                       \
        if (Left != NULL) {                                                                                            \
            *Left = *Left * sizeof(Type) + Room % sizeof(Type);                                                        \
        }                                                                                                              \
        return Status;                                                                                                 \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCchCopyEx##Letter(Type *Target, size_t Room, const Type *Text, Type **End, size_t *Left,     \
                                            ULONG Flags)                                                               \
    {                                                                                                                  \
        NTSTATUS Status = RtlStringCchCopy##Letter(Target, Room, Text);                                                \
                                                                                                                       \
        return FltLabStringEnd##Letter(Target, Room, End, Left, Flags, Status);                                        \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCchCopyNEx##Letter(Type *Target, size_t Room, const Type *Text, size_t Count, Type **End,    \
                                             size_t *Left, ULONG Flags)                                                \
    {                                                                                                                  \
        NTSTATUS Status = RtlStringCchCopyN##Letter(Target, Room, Text, Count);                                        \
                                                                                                                       \
        return FltLabStringEnd##Letter(Target, Room, End, Left, Flags, Status);                                        \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCchCatEx##Letter(Type *Target, size_t Room, const Type *Text, Type **End, size_t *Left,      \
                                           ULONG Flags)                                                                \
    {                                                                                                                  \
        NTSTATUS Status = RtlStringCchCat##Letter(Target, Room, Text);                                                 \
                                                                                                                       \
        return FltLabStringEnd##Letter(Target, Room, End, Left, Flags, Status);                                        \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCchCatNEx##Letter(Type *Target, size_t Room, const Type *Text, size_t Count, Type **End,     \
                                            size_t *Left, ULONG Flags)                                                 \
    {                                                                                                                  \
        NTSTATUS Status = RtlStringCchCatN##Letter(Target, Room, Text, Count);                                         \
                                                                                                                       \
        return FltLabStringEnd##Letter(Target, Room, End, Left, Flags, Status);                                        \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCchVPrintfEx##Letter(Type *Target, size_t Room, Type **End, size_t *Left, ULONG Flags,       \
                                               const Type *Text, va_list Arguments)                                    \
    {                                                                                                                  \
        NTSTATUS Status = RtlStringCchVPrintf##Letter(Target, Room, Text, Arguments);                                  \
                                                                                                                       \
        return FltLabStringEnd##Letter(Target, Room, End, Left, Flags, Status);                                        \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCchPrintfEx##Letter(Type *Target, size_t Room, Type **End, size_t *Left, ULONG Flags,        \
                                              const Type *Text, ...)                                                   \
    {                                                                                                                  \
        va_list Arguments;                                                                                             \
        NTSTATUS Status;                                                                                               \
                                                                                                                       \
        va_start(Arguments, Text);                                                                                     \
        Status = RtlStringCchVPrintfEx##Letter(Target, Room, End, Left, Flags, Text, Arguments);                       \
        va_end(Arguments);                                                                                             \
        return Status;                                                                                                 \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCbCopyEx##Letter(Type *Target, size_t Room, const Type *Text, Type **End, size_t *Left,      \
                                           ULONG Flags)                                                                \
    {                                                                                                                  \
        NTSTATUS Status = RtlStringCbCopy##Letter(Target, Room, Text);                                                 \
                                                                                                                       \
        return FltLabStringEndCb##Letter(Target, Room, End, Left, Flags, Status);                                      \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCbCopyNEx##Letter(Type *Target, size_t Room, const Type *Text, size_t Count, Type **End,     \
                                            size_t *Left, ULONG Flags)                                                 \
    {                                                                                                                  \
        NTSTATUS Status = RtlStringCbCopyN##Letter(Target, Room, Text, Count);                                         \
                                                                                                                       \
        return FltLabStringEndCb##Letter(Target, Room, End, Left, Flags, Status);                                      \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCbCatEx##Letter(Type *Target, size_t Room, const Type *Text, Type **End, size_t *Left,       \
                                          ULONG Flags)                                                                 \
    {                                                                                                                  \
        NTSTATUS Status = RtlStringCbCat##Letter(Target, Room, Text);                                                  \
                                                                                                                       \
        return FltLabStringEndCb##Letter(Target, Room, End, Left, Flags, Status);                                      \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCbCatNEx##Letter(Type *Target, size_t Room, const Type *Text, size_t Count, Type **End,      \
                                           size_t *Left, ULONG Flags)                                                  \
    {                                                                                                                  \
        NTSTATUS Status = RtlStringCbCatN##Letter(Target, Room, Text, Count);                                          \
                                                                                                                       \
        return FltLabStringEndCb##Letter(Target, Room, End, Left, Flags, Status);                                      \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCbVPrintfEx##Letter(Type *Target, size_t Room, Type **End, size_t *Left, ULONG Flags,        \
                                              const Type *Text, va_list Arguments)                                     \
    {                                                                                                                  \
        NTSTATUS Status = RtlStringCbVPrintf##Letter(Target, Room, Text, Arguments);                                   \
                                                                                                                       \
        return FltLabStringEndCb##Letter(Target, Room, End, Left, Flags, Status);                                      \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlStringCbPrintfEx##Letter(Type *Target, size_t Room, Type **End, size_t *Left, ULONG Flags,         \
                                             const Type *Text, ...)                                                    \
    {                                                                                                                  \
        va_list Arguments;                                                                                             \
        NTSTATUS Status;                                                                                               \
                                                                                                                       \
        va_start(Arguments, Text);                                                                                     \
        Status = RtlStringCbVPrintfEx##Letter(Target, Room, End, Left, Flags, Text, Arguments);                        \
        va_end(Arguments);                                                                                             \
        return Status;                                                                                                 \
    }

FLTLAB_STRSAFE(A, char, _vsnprintf)
FLTLAB_STRSAFE(W, WCHAR, _vsnwprintf)

#include "ntunicodesafe.h"

#endif /* NTSTRSAFE_H */
