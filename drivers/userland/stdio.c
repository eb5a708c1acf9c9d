/*
 * stdio.c: streams. What is printed goes out with every line's end, so that whoever waits for a line sees it.
 */

#include "userland.h"

#define BUFFER 0x400
#define PRINTED 0x2000
#define SEEN_END 0x10
#define WENT_WRONG 0x20

/* As the headers of mingw-w64 have it for msvcrt: stdin, stdout and stderr are three of these in a row. */
typedef struct _STREAM {
    char *Reserved1;
    int Count;
    char *Reserved2;
    int State;
    int Number;
    int Reserved3;
    int Reserved4;
    char *Temporary;
} STREAM;

typedef struct _REAL {
    HANDLE Handle;
    volatile LONG Lock;
    ULONG Used;
    char Buffer[BUFFER];
} REAL;

static STREAM Standard[3] = {{.Number = 0}, {.Number = 1}, {.Number = 2}};
static REAL Reals[32];

static REAL *
Real(const STREAM *Stream)
{
    REAL *Found = &Reals[Stream->Number];

    if (Stream->Number < 3) {
        Found->Handle = Parameters()->Standard[Stream->Number];
    }
    return Found;
}

static void
Enter(REAL *Stream)
{
    while (__sync_lock_test_and_set(&Stream->Lock, 1)) {
        Sleep(0);
    }
}

static BOOL
Flush(REAL *Stream)
{
    ULONG Used = Stream->Used;

    Stream->Used = 0;
    return Used == 0 || WriteFile(Stream->Handle, Stream->Buffer, Used, NULL, NULL);
}

EXPORT size_t
fwrite(const void *Data, size_t Size, size_t Count, STREAM *Stream)
{
    REAL *To = Real(Stream);
    const char *Text = Data;
    size_t Index;

    Enter(To);
    for (Index = 0; Index < Size * Count; Index++) {
        To->Buffer[To->Used++] = Text[Index];
        if (To->Used == BUFFER || Text[Index] == '\n') {
            if (!Flush(To)) {
                Stream->State |= WENT_WRONG;
            }
        }
    }
    if (Stream->Number == 2) {
        Flush(To);
    }
    __sync_lock_release(&To->Lock);
    return Count;
}

EXPORT int
fflush(STREAM *Stream)
{
    if (Stream == NULL) {
        FlushStreams();
    } else {
        Enter(Real(Stream));
        Flush(Real(Stream));
        __sync_lock_release(&Real(Stream)->Lock);
    }
    return 0;
}

void
FlushStreams(void)
{
    ULONG Index;

    for (Index = 0; Index < ARRAYSIZE(Reals); Index++) {
        if (Reals[Index].Used != 0) {
            Flush(&Reals[Index]);
        }
    }
}

EXPORT STREAM *
__iob_func(void)
{
    return Standard;
}

EXPORT STREAM *
__acrt_iob_func(unsigned int Index)
{
    return &Standard[Index];
}

EXPORT int
fputs(const char *Text, STREAM *Stream)
{
    fwrite(Text, 1, strlen(Text), Stream);
    return 0;
}

EXPORT int
puts(const char *Text)
{
    fputs(Text, &Standard[1]);
    fputs("\n", &Standard[1]);
    return 0;
}

EXPORT int
fputc(int Character, STREAM *Stream)
{
    char Byte = (char)Character;

    fwrite(&Byte, 1, 1, Stream);
    return Character;
}

EXPORT int
putc(int Character, STREAM *Stream)
{
    return fputc(Character, Stream);
}

EXPORT int
putchar(int Character)
{
    return fputc(Character, &Standard[1]);
}

EXPORT int
fputws(const WCHAR *Text, STREAM *Stream)
{
    char *Narrow = NarrowCopy(Text);

    fputs(Narrow, Stream);
    Release(Narrow);
    return 0;
}

EXPORT int
_putws(const WCHAR *Text)
{
    fputws(Text, &Standard[1]);
    return fputc('\n', &Standard[1]);
}

EXPORT int
vfprintf(STREAM *Stream, const char *Format, va_list Arguments)
{
    char *Text = Allocate(PRINTED);
    int Length = _vsnprintf(Text, PRINTED - 1, Format, Arguments);

    Length = Length < 0 ? (int)strlen(Text) : Length;
    fwrite(Text, 1, (size_t)Length, Stream);
    Release(Text);
    return Length;
}

EXPORT int
vfwprintf(STREAM *Stream, const WCHAR *Format, va_list Arguments)
{
    WCHAR *Text = Allocate(PRINTED * sizeof(WCHAR));
    int Length = _vsnwprintf(Text, PRINTED - 1, Format, Arguments);

    fputws(Text, Stream);
    Release(Text);
    return Length;
}

EXPORT int
vprintf(const char *Format, va_list Arguments)
{
    return vfprintf(&Standard[1], Format, Arguments);
}

EXPORT int
vwprintf(const WCHAR *Format, va_list Arguments)
{
    return vfwprintf(&Standard[1], Format, Arguments);
}

EXPORT int
printf(const char *Format, ...)
{
    FORMATTED(vfprintf, &Standard[1]);
}

EXPORT int
fprintf(STREAM *Stream, const char *Format, ...)
{
    FORMATTED(vfprintf, Stream);
}

EXPORT int
wprintf(const WCHAR *Format, ...)
{
    FORMATTED(vfwprintf, &Standard[1]);
}

EXPORT int
fwprintf(STREAM *Stream, const WCHAR *Format, ...)
{
    FORMATTED(vfwprintf, Stream);
}

/* -- files */

EXPORT STREAM *
fopen(const char *Path, const char *Mode)
{
    STREAM *Stream = Allocate(sizeof(STREAM));
    BOOL Writes = Mode[0] != 'r';
    DWORD Access = Mode[1] == '+' || (Mode[1] != 0 && Mode[2] == '+') ? GENERIC_READ | GENERIC_WRITE
                   : Writes                                           ? GENERIC_WRITE
                                                                      : GENERIC_READ;
    DWORD Disposition = Mode[0] == 'r' ? OPEN_EXISTING : Mode[0] == 'w' ? CREATE_ALWAYS : OPEN_ALWAYS;
    LARGE_INTEGER Zero = {.QuadPart = 0};
    int Number;

    for (Number = 3; Number < (int)ARRAYSIZE(Reals) && Reals[Number].Handle != NULL; Number++) {
    }
    if (Number == (int)ARRAYSIZE(Reals)) {
        Release(Stream);
        return NULL;
    }
    Reals[Number].Handle = CreateFileA(Path, Access, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, Disposition, 0, NULL);
    if (Reals[Number].Handle == INVALID_HANDLE_VALUE) {
        Reals[Number].Handle = NULL;
        Release(Stream);
        return NULL;
    }
    if (Mode[0] == 'a') {
        SetFilePointerEx(Reals[Number].Handle, Zero, NULL, FILE_END);
    }
    Stream->Number = Number;
    return Stream;
}

EXPORT int
fopen_s(STREAM **Stream, const char *Path, const char *Mode)
{
    *Stream = fopen(Path, Mode);
    return *Stream != NULL ? 0 : GetLastError() == ERROR_FILE_NOT_FOUND ? 2 : 13; /* ENOENT, EACCES */
}

EXPORT STREAM *
_wfopen(const WCHAR *Path, const WCHAR *Mode)
{
    char *NarrowPath = NarrowCopy(Path), *NarrowMode = NarrowCopy(Mode);
    STREAM *Stream = fopen(NarrowPath, NarrowMode);

    Release(NarrowPath);
    Release(NarrowMode);
    return Stream;
}

EXPORT int
_wfopen_s(STREAM **Stream, const WCHAR *Path, const WCHAR *Mode)
{
    *Stream = _wfopen(Path, Mode);
    return *Stream != NULL ? 0 : GetLastError() == ERROR_FILE_NOT_FOUND ? 2 : 13;
}

EXPORT int
fclose(STREAM *Stream)
{
    REAL *Found = Real(Stream);

    Flush(Found);
    if (Stream->Number >= 3) {
        CloseHandle(Found->Handle);
        Found->Handle = NULL;
        Release(Stream);
    }
    return 0;
}

EXPORT size_t
fread(void *Data, size_t Size, size_t Count, STREAM *Stream)
{
    DWORD Got = 0;

    if (!ReadFile(Real(Stream)->Handle, Data, (DWORD)(Size * Count), &Got, NULL) || Got < Size * Count) {
        Stream->State |= SEEN_END;
    }
    return Size != 0 ? Got / Size : 0;
}

EXPORT int
fgetc(STREAM *Stream)
{
    UCHAR Byte;

    return fread(&Byte, 1, 1, Stream) == 1 ? Byte : -1;
}

EXPORT int
getchar(void)
{
    return fgetc(&Standard[0]);
}

EXPORT char *
fgets(char *Text, int Size, STREAM *Stream)
{
    int Length = 0;
    int Character = 0;

    while (Length < Size - 1 && Character != '\n' && (Character = fgetc(Stream)) >= 0) {
        Text[Length++] = (char)Character;
    }
    Text[Length] = '\0';
    return Length > 0 ? Text : NULL;
}

EXPORT int
feof(STREAM *Stream)
{
    return Stream->State & SEEN_END;
}

EXPORT int
ferror(STREAM *Stream)
{
    return Stream->State & WENT_WRONG;
}

EXPORT int
setvbuf(STREAM *Stream, char *Buffer, int Mode, size_t Size)
{
    (void)Stream;
    (void)Buffer;
    (void)Mode;
    (void)Size;
    return 0;
}
