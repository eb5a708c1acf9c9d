/*
 * section.c: sections over files, and mapped views of them.
 *
 * A view is touched with plain loads and stores: an in-page error ends the program, as it would any other.
 */

#include "probe.h"

static ULONG
Protection(const PROBE_LINE *Line)
{
    const char *Text = Value(Line, "protect");

    if (Text == NULL || SameText(Text, "readwrite")) {
        return PAGE_READWRITE;
    }
    if (SameText(Text, "read")) {
        return PAGE_READONLY;
    }
    if (SameText(Text, "writecopy")) {
        return PAGE_WRITECOPY;
    }
    ScriptError(Line, "protect= is readwrite, read or writecopy, not", Text);
}

/* section <name> <file> [protect=] [size=] */
void
SectionVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    const char *Name = Word(Line, 1, "a name and a file");
    PROBE_NAME *File = FindName(Line, NameFile, Word(Line, 2, "a file"));
    ULONG Protect = Protection(Line);
    ACCESS_MASK Access = SECTION_MAP_READ | SECTION_QUERY | (Protect == PAGE_READWRITE ? SECTION_MAP_WRITE : 0);
    LARGE_INTEGER Size;
    HANDLE Section;

    Size.QuadPart = (LONGLONG)Number(Line, "size", 0);
    Step->Status =
        NtCreateSection(&Section, Access, NULL, Size.QuadPart != 0 ? &Size : NULL, Protect, SEC_COMMIT, File->Handle);
    if (Step->Status >= 0) {
        NewName(Line, NameSection, Name)->Handle = Section;
    }
}

/* map <view> <section> [protect=] [length=] */
void
MapVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    const char *Name = Word(Line, 1, "a name and a section");
    PROBE_NAME *Section = FindName(Line, NameSection, Word(Line, 2, "a section"));
    PVOID Base = NULL;
    SIZE_T Size = (SIZE_T)Number(Line, "length", 0);
    PROBE_NAME *View;

    Step->Status = NtMapViewOfSection(Section->Handle, NtCurrentProcess(), &Base, 0, 0, NULL, &Size, 2 /* ViewUnmap */,
                                      0, Protection(Line));
    if (Step->Status >= 0) {
        View = NewName(Line, NameView, Name);
        View->Address = Base;
        View->Size = Size;
        Step->Information = Size;
    }
}

static volatile UCHAR *
Range(const PROBE_LINE *Line, ULONGLONG *Length)
{
    PROBE_NAME *View = FindName(Line, NameView, Word(Line, 1, "a view"));
    ULONGLONG Offset = Number(Line, "offset", 0);

    *Length = Number(Line, "length", 1);
    if (View->Address == NULL || Offset > View->Size || *Length > View->Size - Offset) {
        ScriptError(Line, "that is outside of the view", View->Name);
    }
    return (volatile UCHAR *)View->Address + Offset;
}

/* peek <view> offset= length= */
void
PeekVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    ULONGLONG Length;
    volatile UCHAR *From = Range(Line, &Length);
    ULONGLONG Index;

    for (Index = 0; Index < Length; Index++) {
        UCHAR Byte = From[Index];

        if (Index < STEP_DATA_LENGTH) {
            Step->Data[Index] = Byte;
            Step->DataLength = (ULONG)Index + 1;
        }
    }
    Step->Information = Length;
    Step->Status = STATUS_SUCCESS;
}

/* poke <view> offset= length= fill= */
void
PokeVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    ULONGLONG Length;
    volatile UCHAR *To = Range(Line, &Length);
    UCHAR Fill = (UCHAR)Number(Line, "fill", 0);
    ULONGLONG Index;

    for (Index = 0; Index < Length; Index++) {
        To[Index] = Fill;
    }
    Step->Information = Length;
    Step->Status = STATUS_SUCCESS;
}

/* unmap <view> */
void
UnmapVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *View = FindName(Line, NameView, Word(Line, 1, "a view"));

    Step->Status = NtUnmapViewOfSection(NtCurrentProcess(), View->Address);
    View->Address = NULL;
}

/* close-section <section> */
void
CloseSectionVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *Section = FindName(Line, NameSection, Word(Line, 1, "a section"));

    Step->Status = NtClose(Section->Handle);
    Section->Handle = NULL;
}
