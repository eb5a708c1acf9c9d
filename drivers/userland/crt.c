/*
 * crt.c: the C runtime: memory, arguments, the way in. Strings and formats are ntdll's, under the same names.
 */

#include "userland.h"

typedef void(__cdecl *ROUTINE)(void);
typedef int(__cdecl *INITIALIZER)(void);
typedef int(__cdecl *COMPARISON)(const void *, const void *);

static int ArgumentCount;
static char **NarrowArguments;
static WCHAR **WideArguments;
static int FileMode;
static int CommitMode;
static int Errno;
static unsigned int Seed = 1;
static char *EmptyEnvironment[1];
static WCHAR *EmptyWideEnvironment[1];

#undef __argv
#undef __argc
#undef _fmode
#undef _commode
#undef _acmdln
#undef _wcmdln
EXPORT char **__argv;
EXPORT int __argc;
EXPORT char *_acmdln;
EXPORT WCHAR *_wcmdln;
EXPORT int _fmode;
EXPORT int _commode;
EXPORT char **__initenv = EmptyEnvironment;
EXPORT WCHAR **__winitenv = EmptyWideEnvironment;

/* -- memory */

EXPORT void *
memcpy(void *To, const void *From, size_t Count)
{
    void *Result = To;

    __asm__ volatile("rep movsb" : "+D"(To), "+S"(From), "+c"(Count) : : "memory");
    return Result;
}

EXPORT void *
memset(void *To, int Value, size_t Count)
{
    void *Result = To;

    __asm__ volatile("rep stosb" : "+D"(To), "+c"(Count) : "a"(Value) : "memory");
    return Result;
}

EXPORT void *
memmove(void *To, const void *From, size_t Count)
{
    UCHAR *Target = To;
    const UCHAR *Source = From;

    if (Target <= Source || Target >= Source + Count) {
        return memcpy(To, From, Count);
    }
    while (Count > 0) {
        Count--;
        Target[Count] = Source[Count];
    }
    return To;
}

EXPORT int
memcmp(const void *Left, const void *Right, size_t Count)
{
    size_t Index = 0;

    while (Index < Count && ((const UCHAR *)Left)[Index] == ((const UCHAR *)Right)[Index]) {
        Index++;
    }
    return Index == Count ? 0 : ((const UCHAR *)Left)[Index] - ((const UCHAR *)Right)[Index];
}

EXPORT void *
malloc(size_t Size)
{
    return Allocate(Size);
}

EXPORT void *
calloc(size_t Count, size_t Size)
{
    return Allocate(Count * Size);
}

EXPORT void *
realloc(void *Block, size_t Size)
{
    return Reallocate(Block, Size);
}

EXPORT void
free(void *Block)
{
    Release(Block);
}

EXPORT char *
_strdup(const char *Text)
{
    return memcpy(Allocate(strlen(Text) + 1), Text, strlen(Text) + 1);
}

EXPORT WCHAR *
_wcsdup(const WCHAR *Text)
{
    SIZE_T Size = (wcslen(Text) + 1) * sizeof(WCHAR);

    return memcpy(Allocate(Size), Text, Size);
}

EXPORT void
qsort(void *Base, size_t Count, size_t Size, COMPARISON Compare)
{
    UCHAR *Items = Base;
    UCHAR *Kept = Allocate(Size);
    size_t Index;

    for (Index = 1; Index < Count; Index++) {
        size_t At = Index;

        memcpy(Kept, Items + Index * Size, Size);
        for (; At > 0 && Compare(Items + (At - 1) * Size, Kept) > 0; At--) {
            memcpy(Items + At * Size, Items + (At - 1) * Size, Size);
        }
        memcpy(Items + At * Size, Kept, Size);
    }
    Release(Kept);
}

/* -- arguments, as CommandLineToArgvW cuts them */

static WCHAR **
CutLine(const WCHAR *At, int *Count)
{
    SIZE_T Length = wcslen(At) + 1;
    WCHAR **Result = Allocate((Length / 2 + 2) * sizeof(WCHAR *));
    WCHAR *To = Allocate(Length * sizeof(WCHAR));

    *Count = 0;
    while (*At != 0) {
        BOOL Quoted = FALSE;

        while (*At == L' ' || *At == L'\t') {
            At++;
        }
        if (*At == 0) {
            break;
        }
        Result[(*Count)++] = To;
        for (; *At != 0 && (Quoted || (*At != L' ' && *At != L'\t')); At++) {
            if (*At == L'\\' && At[1] == L'"') {
                *To++ = *++At;
            } else if (*At == L'"') {
                Quoted = !Quoted;
            } else {
                *To++ = *At;
            }
        }
        *To++ = 0;
    }
    return Result;
}

void
SplitArguments(int *Count, char ***Narrow, WCHAR ***Wide)
{
    int Index;

    if (WideArguments == NULL) {
        WideArguments = CutLine(GetCommandLineW(), &ArgumentCount);
        NarrowArguments = Allocate(((SIZE_T)ArgumentCount + 1) * sizeof(char *));
        for (Index = 0; Index < ArgumentCount; Index++) {
            NarrowArguments[Index] = NarrowCopy(WideArguments[Index]);
        }
        __argc = ArgumentCount;
        __argv = NarrowArguments;
        _acmdln = GetCommandLineA();
        _wcmdln = GetCommandLineW();
    }
    *Count = ArgumentCount;
    *Narrow = NarrowArguments;
    *Wide = WideArguments;
}

EXPORT int
__getmainargs(int *Count, char ***Arguments, char ***Environment, int Wildcards, void *StartInfo)
{
    WCHAR **Wide;

    (void)Wildcards;
    (void)StartInfo;
    SplitArguments(Count, Arguments, &Wide);
    *Environment = EmptyEnvironment;
    return 0;
}

EXPORT int
__wgetmainargs(int *Count, WCHAR ***Arguments, WCHAR ***Environment, int Wildcards, void *StartInfo)
{
    char **Narrow;

    (void)Wildcards;
    (void)StartInfo;
    SplitArguments(Count, &Narrow, Arguments);
    *Environment = EmptyWideEnvironment;
    return 0;
}

EXPORT char ***
__p__environ(void)
{
    static char **Environment = EmptyEnvironment;

    return &Environment;
}

EXPORT WCHAR ***
__p__wenviron(void)
{
    static WCHAR **Environment = EmptyWideEnvironment;

    return &Environment;
}

/* -- the way in */

EXPORT void
_initterm(ROUTINE *First, ROUTINE *Last)
{
    for (; First < Last; First++) {
        if (*First != NULL) {
            (*First)();
        }
    }
}

EXPORT int
_initterm_e(INITIALIZER *First, INITIALIZER *Last)
{
    int Result = 0;

    for (; First < Last && Result == 0; First++) {
        Result = *First != NULL ? (*First)() : 0;
    }
    return Result;
}

EXPORT void
__set_app_type(int Type)
{
    (void)Type;
}

EXPORT int *
__p__fmode(void)
{
    return &FileMode;
}

EXPORT int *
__p__commode(void)
{
    return &CommitMode;
}

EXPORT void
__setusermatherr(void *Handler)
{
    (void)Handler;
}

EXPORT void
_lock(int Number)
{
    (void)Number;
}

EXPORT void
_unlock(int Number)
{
    (void)Number;
}

EXPORT void *
signal(int Number, void *Handler)
{
    (void)Number;
    (void)Handler;
    return NULL;
}

EXPORT int *
_errno(void)
{
    return &Errno;
}

EXPORT char *
getenv(const char *Name)
{
    (void)Name;
    return NULL;
}

EXPORT char *
setlocale(int Category, const char *Locale)
{
    static char C[] = "C";

    (void)Category;
    (void)Locale;
    return C;
}

EXPORT int
rand(void)
{
    Seed = Seed * 214013 + 2531011;
    return (int)(Seed >> 16 & 0x7FFF);
}

EXPORT void
srand(unsigned int New)
{
    Seed = New;
}

EXPORT long long
_time64(long long *Time)
{
    LARGE_INTEGER Now;

    NtQuerySystemTime(&Now);
    Now.QuadPart = (Now.QuadPart - 116444736000000000LL) / 10000000;
    if (Time != NULL) {
        *Time = Now.QuadPart;
    }
    return Now.QuadPart;
}

EXPORT uintptr_t
_beginthreadex(void *Security, unsigned int Stack, LPTHREAD_START_ROUTINE Routine, void *Parameter, unsigned int Flags,
               unsigned int *Id)
{
    return (uintptr_t)CreateThread(Security, Stack, Routine, Parameter, Flags, (LPDWORD)Id);
}

EXPORT void
_endthreadex(unsigned int Code)
{
    ExitThread(Code);
}
