/*
 * The half of ntstrsafe.h that is about UNICODE_STRING: the length is what counts, and no zero is needed at the end.
 *
 * Functions named Ex also tell what is left of the target, as a string of its own, and take flags (STRSAFE_*).
 */

#ifndef FLTLAB_NTUNICODESAFE_H
#define FLTLAB_NTUNICODESAFE_H

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

/* What a function answers for Target, of which Was bytes were told before; what is left of it, and what Flags say. */
NTSTRSAFEDDI
FltLabUnicodeStringEnd(PUNICODE_STRING Target, USHORT Was, PUNICODE_STRING Rest, ULONG Flags, NTSTATUS Status)
{
    if (Status == STATUS_BUFFER_OVERFLOW) {
        if (Flags & STRSAFE_FILL_ON_FAILURE) {
            RtlFillMemory(Target->Buffer, Target->MaximumLength, Flags & 0xFF);
            Target->Length = Flags & 0xFF ? Target->MaximumLength : 0;
        } else if (Flags & STRSAFE_NO_TRUNCATION) {
            Target->Length = Was;
        }
        if (Flags & STRSAFE_ZERO_LENGTH_ON_FAILURE) {
            Target->Length = 0;
        }
    } else if (NT_SUCCESS(Status) && (Flags & STRSAFE_FILL_BEHIND)) {
        RtlFillMemory((PUCHAR)Target->Buffer + Target->Length, Target->MaximumLength - Target->Length, Flags & 0xFF);
    }
    if (Rest != NULL && Status != STATUS_INVALID_PARAMETER) {
        Rest->Buffer = (PWCH)((PUCHAR)Target->Buffer + Target->Length);
        Rest->Length = 0;
        Rest->MaximumLength = Target->MaximumLength - Target->Length;
    }
    return Status;
}

/* Put Bytes of Text at At bytes; what does not fit is cut, unless Flags say that nothing may be written then. */
NTSTRSAFEDDI
FltLabUnicodeStringPut(PUNICODE_STRING Target, USHORT At, const WCHAR *Text, size_t Bytes, PUNICODE_STRING Rest,
                       ULONG Flags)
{
    NTSTATUS Status = RtlUnicodeStringValidate(Target);
    USHORT Was;
    size_t Room;

    if (!NT_SUCCESS(Status)) {
        return Target == NULL && (Flags & STRSAFE_IGNORE_NULLS) && Bytes == 0 ? STATUS_SUCCESS : Status;
    }
    Was = Target->Length;
    Room = Target->MaximumLength - At;
    if (Bytes > Room) {
        Bytes = Flags & STRSAFE_NO_TRUNCATION ? 0 : Room;
        Status = STATUS_BUFFER_OVERFLOW;
    }
    if (Bytes != 0) {
        RtlMoveMemory((PUCHAR)Target->Buffer + At, Text, Bytes);
    }
    Target->Length = (USHORT)(At + Bytes);
    return FltLabUnicodeStringEnd(Target, Was, Rest, Flags, Status);
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

static __inline size_t
FltLabBytesIn(PCUNICODE_STRING Text, size_t Maximum)
{
    size_t Bytes = Text != NULL ? Text->Length : 0;

    return Bytes < Maximum ? Bytes : Maximum;
}

/* The functions of one verb, which writes at At: of a string or a text, whole or of so many characters or bytes. */
#define FLTLAB_UNICODE_STRING(Verb, At)                                                                                \
    NTSTRSAFEDDI RtlUnicodeString##Verb##Ex(PUNICODE_STRING Target, PCUNICODE_STRING Text, PUNICODE_STRING Rest,       \
                                            ULONG Flags)                                                               \
    {                                                                                                                  \
        return FltLabUnicodeStringPut(Target, At, Text != NULL ? Text->Buffer : NULL, FltLabBytesIn(Text, MAXUSHORT),  \
                                      Rest, Flags);                                                                    \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlUnicodeString##Verb(PUNICODE_STRING Target, PCUNICODE_STRING Text)                                 \
    {                                                                                                                  \
        return RtlUnicodeString##Verb##Ex(Target, Text, NULL, 0);                                                      \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlUnicodeStringCch##Verb##NEx(PUNICODE_STRING Target, PCUNICODE_STRING Text, size_t Count,           \
                                                PUNICODE_STRING Rest, ULONG Flags)                                     \
    {                                                                                                                  \
        return FltLabUnicodeStringPut(Target, At, Text != NULL ? Text->Buffer : NULL,                                  \
                                      FltLabBytesIn(Text, Count * sizeof(WCHAR)), Rest, Flags);                        \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlUnicodeStringCch##Verb##N(PUNICODE_STRING Target, PCUNICODE_STRING Text, size_t Count)             \
    {                                                                                                                  \
        return RtlUnicodeStringCch##Verb##NEx(Target, Text, Count, NULL, 0);                                           \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlUnicodeStringCb##Verb##NEx(PUNICODE_STRING Target, PCUNICODE_STRING Text, size_t Count,            \
                                               PUNICODE_STRING Rest, ULONG Flags)                                      \
    {                                                                                                                  \
        return FltLabUnicodeStringPut(Target, At, Text != NULL ? Text->Buffer : NULL, FltLabBytesIn(Text, Count),      \
                                      Rest, Flags);                                                                    \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlUnicodeStringCb##Verb##N(PUNICODE_STRING Target, PCUNICODE_STRING Text, size_t Count)              \
    {                                                                                                                  \
        return RtlUnicodeStringCb##Verb##NEx(Target, Text, Count, NULL, 0);                                            \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlUnicodeString##Verb##StringEx(PUNICODE_STRING Target, PCWSTR Text, PUNICODE_STRING Rest,           \
                                                  ULONG Flags)                                                         \
    {                                                                                                                  \
        return FltLabUnicodeStringPut(Target, At, Text, FltLabBytesOf(Text, NTSTRSAFE_MAX_CCH), Rest, Flags);          \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlUnicodeString##Verb##String(PUNICODE_STRING Target, PCWSTR Text)                                   \
    {                                                                                                                  \
        return RtlUnicodeString##Verb##StringEx(Target, Text, NULL, 0);                                                \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlUnicodeStringCch##Verb##StringNEx(PUNICODE_STRING Target, PCWSTR Text, size_t Count,               \
                                                      PUNICODE_STRING Rest, ULONG Flags)                               \
    {                                                                                                                  \
        return FltLabUnicodeStringPut(Target, At, Text, FltLabBytesOf(Text, Count), Rest, Flags);                      \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlUnicodeStringCch##Verb##StringN(PUNICODE_STRING Target, PCWSTR Text, size_t Count)                 \
    {                                                                                                                  \
        return RtlUnicodeStringCch##Verb##StringNEx(Target, Text, Count, NULL, 0);                                     \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlUnicodeStringCb##Verb##StringNEx(PUNICODE_STRING Target, PCWSTR Text, size_t Count,                \
                                                     PUNICODE_STRING Rest, ULONG Flags)                                \
    {                                                                                                                  \
        return FltLabUnicodeStringPut(Target, At, Text, FltLabBytesOf(Text, Count / sizeof(WCHAR)), Rest, Flags);      \
    }                                                                                                                  \
    NTSTRSAFEDDI RtlUnicodeStringCb##Verb##StringN(PUNICODE_STRING Target, PCWSTR Text, size_t Count)                  \
    {                                                                                                                  \
        return RtlUnicodeStringCb##Verb##StringNEx(Target, Text, Count, NULL, 0);                                      \
    }

FLTLAB_UNICODE_STRING(Copy, 0)
FLTLAB_UNICODE_STRING(Cat, Target != NULL ? Target->Length : 0)

NTSTRSAFEDDI
RtlUnicodeStringVPrintfEx(PUNICODE_STRING Target, PUNICODE_STRING Rest, ULONG Flags, PCWSTR Format, va_list Arguments)
{
    NTSTATUS Status = RtlUnicodeStringValidate(Target);
    USHORT Was;
    size_t Room;
    int Length;

    if (!NT_SUCCESS(Status)) {
        return Status;
    }
    Was = Target->Length;
    Room = Target->MaximumLength / sizeof(WCHAR);
    Length = _vsnwprintf(Target->Buffer, Room, Format, Arguments);
    if (Length < 0 || (size_t)Length > Room) {
        Length = (int)Room;
        Status = STATUS_BUFFER_OVERFLOW;
    }
    Target->Length = (USHORT)(Length * sizeof(WCHAR));
    return FltLabUnicodeStringEnd(Target, Was, Rest, Flags, Status);
}

NTSTRSAFEDDI
RtlUnicodeStringVPrintf(PUNICODE_STRING Target, PCWSTR Format, va_list Arguments)
{
    return RtlUnicodeStringVPrintfEx(Target, NULL, 0, Format, Arguments);
}

NTSTRSAFEDDI
RtlUnicodeStringPrintfEx(PUNICODE_STRING Target, PUNICODE_STRING Rest, ULONG Flags, PCWSTR Format, ...)
{
    va_list Arguments;
    NTSTATUS Status;

    va_start(Arguments, Format);
    Status = RtlUnicodeStringVPrintfEx(Target, Rest, Flags, Format, Arguments);
    va_end(Arguments);
    return Status;
}

NTSTRSAFEDDI
RtlUnicodeStringPrintf(PUNICODE_STRING Target, PCWSTR Format, ...)
{
    va_list Arguments;
    NTSTATUS Status;

    va_start(Arguments, Format);
    Status = RtlUnicodeStringVPrintfEx(Target, NULL, 0, Format, Arguments);
    va_end(Arguments);
    return Status;
}

/* A UNICODE_STRING as a text that ends in a zero. */
NTSTRSAFEDDI
RtlStringCchCopyUnicodeStringEx(PWSTR Target, size_t Room, PCUNICODE_STRING Text, PWSTR *End, size_t *Left, ULONG Flags)
{
    PCWSTR From = Text != NULL && Text->Buffer != NULL ? Text->Buffer : L"";

    return RtlStringCchCopyNExW(Target, Room, From, FltLabBytesIn(Text, MAXUSHORT) / sizeof(WCHAR), End, Left, Flags);
}

NTSTRSAFEDDI
RtlStringCchCopyUnicodeString(PWSTR Target, size_t Room, PCUNICODE_STRING Text)
{
    return RtlStringCchCopyUnicodeStringEx(Target, Room, Text, NULL, NULL, 0);
}

NTSTRSAFEDDI
RtlStringCbCopyUnicodeStringEx(PWSTR Target, size_t Room, PCUNICODE_STRING Text, PWSTR *End, size_t *Left, ULONG Flags)
{
    NTSTATUS Status = RtlStringCchCopyUnicodeString(Target, Room / sizeof(WCHAR), Text);

    return FltLabStringEndCbW(Target, Room, End, Left, Flags, Status);
}

NTSTRSAFEDDI
RtlStringCbCopyUnicodeString(PWSTR Target, size_t Room, PCUNICODE_STRING Text)
{
    return RtlStringCchCopyUnicodeString(Target, Room / sizeof(WCHAR), Text);
}

#define RtlUnalignedStringCchLengthW RtlStringCchLengthW
#define RtlUnalignedStringCbLengthW RtlStringCbLengthW

#endif /* FLTLAB_NTUNICODESAFE_H */
