/*
 * exit.c: the C runtime's way out.
 */

#include "userland.h"

#define MOST_AT_EXIT 64

typedef void(__cdecl *ROUTINE)(void);

static ROUTINE AtExit[MOST_AT_EXIT];
static volatile LONG AtExitCount;

EXPORT int
atexit(ROUTINE Routine)
{
    LONG Index = __sync_fetch_and_add(&AtExitCount, 1);

    if (Index >= MOST_AT_EXIT) {
        return -1;
    }
    AtExit[Index] = Routine;
    return 0;
}

EXPORT _onexit_t
_onexit(_onexit_t Routine)
{
    return atexit((ROUTINE)(PVOID)Routine) == 0 ? Routine : NULL;
}

void
RunAtExit(void)
{
    while (AtExitCount > 0) {
        LONG Index = __sync_sub_and_fetch(&AtExitCount, 1);

        if (Index < MOST_AT_EXIT && AtExit[Index] != NULL) {
            AtExit[Index]();
        }
    }
}

EXPORT void
exit(int Code)
{
    ExitProcess((UINT)Code);
}

EXPORT void
_exit(int Code)
{
    FlushStreams();
    for (;;) {
        TerminateProcess(HERE, (UINT)Code);
    }
}

EXPORT void
_cexit(void)
{
    RunAtExit();
    FlushStreams();
}

EXPORT void
_c_exit(void)
{
}

EXPORT void
abort(void)
{
    for (;;) {
        TerminateProcess(HERE, 3);
    }
}

EXPORT void
_amsg_exit(int Number)
{
    (void)Number;
    for (;;) {
        TerminateProcess(HERE, 255);
    }
}

EXPORT int
_XcptFilter(unsigned long Code, struct _EXCEPTION_POINTERS *Pointers)
{
    (void)Code;
    (void)Pointers;
    return EXCEPTION_CONTINUE_SEARCH;
}
