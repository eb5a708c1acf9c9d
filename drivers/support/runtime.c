/*
 * runtime.c: what the compiler refers to by itself. Each is here only for a driver that has none of its own, as it is
 * with a library: the linker takes the alternate name where nobody defines the first.
 */

#include <fltkernel.h>

#pragma comment(linker, "/alternatename:_fltused=FltLabFloatUsed")
#pragma comment(linker, "/alternatename:_purecall=FltLabPureCall")
#pragma comment(linker, "/alternatename:__CxxFrameHandler3=FltLabFrameHandler")

/* Named by every object that uses floating point. */
int FltLabFloatUsed = 0x9875;

int __cdecl FltLabPureCall(void);

/* A pure virtual function is called. */
int __cdecl FltLabPureCall(void)
{
    KeBugCheckEx(KMODE_EXCEPTION_NOT_HANDLED, (ULONG_PTR)STATUS_NOT_IMPLEMENTED, 0, 0, 0);
}

EXCEPTION_DISPOSITION __cdecl FltLabFrameHandler(PEXCEPTION_RECORD Record, PVOID Frame, PCONTEXT Context,
                                                 PVOID Dispatch);

/* The kernel has no C++ exceptions: one that comes through such a frame goes on, and destructs nothing. */
EXCEPTION_DISPOSITION __cdecl FltLabFrameHandler(PEXCEPTION_RECORD Record, PVOID Frame, PCONTEXT Context,
                                                 PVOID Dispatch)
{
    UNREFERENCED_PARAMETER(Record);
    UNREFERENCED_PARAMETER(Frame);
    UNREFERENCED_PARAMETER(Context);
    UNREFERENCED_PARAMETER(Dispatch);
    return ExceptionContinueSearch;
}
