/*
 * runtime.c: what the compiler refers to by itself.
 */

#include <fltkernel.h>

/* Named by every object that uses floating point. */
int _fltused = 0x9875;

int __cdecl _purecall(void);

/* A pure virtual function is called. */
int __cdecl _purecall(void)
{
    KeBugCheckEx(KMODE_EXCEPTION_NOT_HANDLED, (ULONG_PTR)STATUS_NOT_IMPLEMENTED, 0, 0, 0);
}

EXCEPTION_DISPOSITION __cdecl __CxxFrameHandler3(PEXCEPTION_RECORD Record, PVOID Frame, PCONTEXT Context,
                                                 PVOID Dispatch);

/* The kernel has no C++ exceptions: one that comes through such a frame goes on, and destructs nothing. */
EXCEPTION_DISPOSITION __cdecl __CxxFrameHandler3(PEXCEPTION_RECORD Record, PVOID Frame, PCONTEXT Context,
                                                 PVOID Dispatch)
{
    UNREFERENCED_PARAMETER(Record);
    UNREFERENCED_PARAMETER(Frame);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Dispatch);
    return ExceptionContinueSearch;
}
