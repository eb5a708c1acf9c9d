/*
 * section.c: sections over files, and mapped views of them.
 *
 * A view is touched with plain loads and stores; what the memory manager raises, an in-page error say, is the status.
 */

#include "probe.h"

static ULONG
Protection(const PROBE_LINE *Line)
{
    const char *Text = Value(Line, "protect");

    return Text != NULL ? OneOf(Line, "protect=", Text, ProtectWords) : PAGE_READWRITE;
}

/* The rights that a section needs so that views of a protection can be mapped. */
static ACCESS_MASK
SectionAccess(ULONG Protect)
{
    BOOLEAN Writes = Protect == PAGE_READWRITE || Protect == PAGE_EXECUTE_READWRITE;

    return SECTION_MAP_READ | SECTION_QUERY | (Writes ? SECTION_MAP_WRITE : 0) |
           (Protect >= PAGE_EXECUTE ? SECTION_MAP_EXECUTE : 0);
}

/* section <name> <file> [protect=] [size=] [image] */
void
SectionVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    const char *Name = Line->Words[1];
    PROBE_NAME *File = FindName(Line, NameFile, Line->Words[2]);
    ULONG Protect = Protection(Line);
    LARGE_INTEGER Size;
    HANDLE Section = NULL;

    Size.QuadPart = (LONGLONG)Number(Line, "size", 0);
    Step->Status = STATUS_INVALID_HANDLE; /* without a file a section would be of the page file */
    if (File->Handle != NULL) {
        Step->Status = NtCreateSection(&Section, SectionAccess(Protect), NULL, Size.QuadPart != 0 ? &Size : NULL,
                                       Protect, Has(Line, "image") ? SEC_IMAGE : SEC_COMMIT, File->Handle);
    }
    NewName(Line, NameSection, Name)->Handle = Step->Status >= 0 ? Section : NULL;
}

/* map <view> <section> [protect=] [offset=] [length=] */
void
MapVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    const char *Name = Line->Words[1];
    PROBE_NAME *Section = FindName(Line, NameSection, Line->Words[2]);
    PVOID Base = NULL;
    SIZE_T Size = (SIZE_T)Number(Line, "length", 0);
    LARGE_INTEGER Offset;
    PROBE_NAME *View;

    Offset.QuadPart = (LONGLONG)Number(Line, "offset", 0);
    Step->Status = NtMapViewOfSection(Section->Handle, NtCurrentProcess(), &Base, 0, 0, &Offset, &Size,
                                      2 /* ViewUnmap */, 0, Protection(Line));
    View = NewName(Line, NameView, Name);
    if (Step->Status >= 0) {
        View->Size = Step->Information = Size;
        View->Address = Base;
    }
}

/* The bytes of a view that a step is about; FALSE, and a status, for a view that is not mapped. */
static BOOLEAN
Range(const PROBE_LINE *Line, PROBE_STEP *Step, volatile UCHAR **First, ULONGLONG *Length)
{
    PROBE_NAME *View = FindName(Line, NameView, Line->Words[1]);
    ULONGLONG Offset = Number(Line, "offset", 0);

    *Length = Number(Line, "length", 1);
    *First = (volatile UCHAR *)View->Address + Offset;
    if (View->Address == NULL) {
        Step->Status = STATUS_NOT_MAPPED_VIEW;
        return FALSE;
    }
    if (Offset > View->Size || *Length > View->Size - Offset) {
        ScriptError(Line, "that is outside of the view", View->Name);
    }
    return TRUE;
}

/* peek <view> offset= [length=]; Information is how far it got */
void
PeekVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    volatile UCHAR *From;
    PUCHAR Seen;
    ULONGLONG Length;

    if (!Range(Line, Step, &From, &Length)) {
        return;
    }
    Seen = Allocate((SIZE_T)Length + 1);
    Step->Status = STATUS_SUCCESS;
    __try {
        while (Step->Information < Length) {
            Seen[Step->Information] = From[Step->Information];
            Step->Information++;
        }
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        Step->Status = (NTSTATUS)GetExceptionCode();
    }
    SetData(Step, Seen, (SIZE_T)Step->Information, (SIZE_T)Length);
}

/* poke <view> offset= [length=] fill=; Information is how far it got */
void
PokeVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    UCHAR Fill = (UCHAR)NumberUpTo(Line, "fill", 0, 0xFF);
    volatile UCHAR *To;
    ULONGLONG Length;

    if (!Range(Line, Step, &To, &Length)) {
        return;
    }
    Step->Status = STATUS_SUCCESS;
    __try {
        while (Step->Information < Length) {
            To[Step->Information] = Fill;
            Step->Information++;
        }
    } __except (EXCEPTION_EXECUTE_HANDLER) {
        Step->Status = (NTSTATUS)GetExceptionCode();
    }
}

/* unmap <view> */
void
UnmapVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *View = FindName(Line, NameView, Line->Words[1]);

    Step->Status =
        View->Address != NULL ? NtUnmapViewOfSection(NtCurrentProcess(), View->Address) : STATUS_NOT_MAPPED_VIEW;
    View->Address = NULL;
}

/* close-section <section> */
void
CloseSectionVerb(PROBE_LINE *Line, PROBE_STEP *Step)
{
    PROBE_NAME *Section = FindName(Line, NameSection, Line->Words[1]);

    Step->Status = NtClose(Section->Handle);
    Section->Handle = NULL;
}
