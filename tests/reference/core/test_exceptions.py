"""Structured exceptions in guest code."""

from collections.abc import Callable

import pytest

from harness.nt import BugCheck
from harness.reference.windows.kernel import Kernel
from harness.reference.windows.verifier.bug_check_stop import BugCheckKind, BugCheckStop

SOURCE = r"""
static volatile ULONG Steps;
static void Step(ULONG Digit) { Steps = Steps * 10 + Digit; }
#define NOWHERE ((volatile ULONG *)0x12340)

EXPORT ULONG PlainDereference(void)
{
    __try { return *NOWHERE; }
    __except (EXCEPTION_EXECUTE_HANDLER) { return GetExceptionCode(); }
}

static LONG Remember(PEXCEPTION_POINTERS Pointers, ULONG_PTR *Address)
{
    *Address = Pointers->ExceptionRecord->ExceptionInformation[1] |
               Pointers->ExceptionRecord->ExceptionInformation[0] << 32;
    return EXCEPTION_EXECUTE_HANDLER;
}

EXPORT ULONG_PTR FaultingWrite(void)
{
    ULONG_PTR Address = 0;
    __try { *NOWHERE = 7; }
    __except (Remember(GetExceptionInformation(), &Address)) { return Address; }
    return 0;
}

EXPORT ULONG NestedFinally(void)
{
    Steps = 0;
    __try {
        __try {
            __try { Step(1); *NOWHERE = 1; Step(9); }
            __finally { Step(AbnormalTermination() ? 2 : 9); }
            Step(9);
        }
        __finally { Step(3); }
    }
    __except (Step(4), EXCEPTION_EXECUTE_HANDLER) { Step(5); }
    return Steps;
}

EXPORT ULONG OrdinaryFinally(void)
{
    Steps = 0;
    __try { Step(1); } __finally { Step(AbnormalTermination() ? 9 : 2); }
    return Steps;
}

DECLSPEC_NOINLINE static void Raise(NTSTATUS Status) { Step(1); ExRaiseStatus(Status); }
DECLSPEC_NOINLINE static void Through(NTSTATUS Status)
{
    __try { Raise(Status); Step(9); } __finally { Step(2); }
}

EXPORT ULONG RaisedAcrossFunctions(NTSTATUS Status)
{
    Steps = 0;
    __try { Through(Status); }
    __except (GetExceptionCode() == STATUS_DISK_FULL ? EXCEPTION_EXECUTE_HANDLER : EXCEPTION_CONTINUE_SEARCH)
    {
        Step(3);
    }
    return Steps;
}

EXPORT ULONG RaisedInFinally(void)
{
    Steps = 0;
    __try {
        __try {
            __try { Step(1); *NOWHERE = 1; }
            __finally {
                Step(2);
                if (Steps != 0) Raise(STATUS_DISK_FULL);
            }
        }
        __finally { Step(3); }
    }
    __except (EXCEPTION_EXECUTE_HANDLER) { Step(GetExceptionCode() == STATUS_DISK_FULL ? 4 : 9); }
    return Steps;
}

EXPORT ULONG RaisedInHandler(void)
{
    Steps = 0;
    __try {
        __try { *NOWHERE = 1; }
        __except (EXCEPTION_EXECUTE_HANDLER) { Step(1); ExRaiseStatus(STATUS_DISK_FULL); }
    }
    __except (EXCEPTION_EXECUTE_HANDLER) { Step(GetExceptionCode() == STATUS_DISK_FULL ? 2 : 9); }
    return Steps;
}

EXPORT ULONG ManyFaults(ULONG Count)
{
    ULONG Caught = 0, Index;
    for (Index = 0; Index < Count; Index += 1) {
        __try { Caught += *NOWHERE; } __except (EXCEPTION_EXECUTE_HANDLER) { Caught += 1; }
    }
    return Caught;
}

EXPORT ULONG DivideByZero(ULONG Zero)
{
    __try { return 1000 / *(volatile ULONG *)&Zero; }
    __except (EXCEPTION_EXECUTE_HANDLER) { return GetExceptionCode(); }
}

EXPORT ULONG NonCanonical(void)
{
    __try { return *(volatile ULONG *)0x8000000000000000; }
    __except (EXCEPTION_EXECUTE_HANDLER) { return GetExceptionCode(); }
}

EXPORT ULONG CopyFromNowhere(ULONG Size)
{
    UCHAR Buffer[64];
    __try { memcpy(Buffer, (void *)NOWHERE, Size); return 0; }
    __except (EXCEPTION_EXECUTE_HANDLER) { return GetExceptionCode(); }
}

EXPORT ULONG ProbeKernelAddress(void)
{
    __try { ProbeForRead((void *)&Steps, 4, 4); return 0; }
    __except (EXCEPTION_EXECUTE_HANDLER) { return GetExceptionCode(); }
}

EXPORT ULONG ExportTouchesNowhere(void)
{
    UNICODE_STRING Text = { 8, 8, (PWSTR)NOWHERE };
    UNICODE_STRING Copy = { 0, 0, NULL };
    __try { return RtlCompareUnicodeString(&Text, &Copy, FALSE); }
    __except (EXCEPTION_EXECUTE_HANDLER) { return GetExceptionCode(); }
}

EXPORT ULONG Unhandled(void) { return *NOWHERE; }

EXPORT ULONG KernelFault(void)
{
    __try { return *(volatile ULONG *)0xFFFFB12345678000; }
    __except (EXCEPTION_EXECUTE_HANDLER) { return 1; }
}

EXPORT ULONG KeepsRegisters(ULONG A, ULONG B, ULONG C, ULONG D)
{
    ULONG Sum = A, Index;
    for (Index = 0; Index < B; Index += 1) {
        __try { Sum += C; *NOWHERE = Sum; } __except (EXCEPTION_EXECUTE_HANDLER) { Sum += D; }
    }
    return Sum;
}

NTKERNELAPI NTSTATUS KeExpandKernelStackAndCallout(void (*Callout)(PVOID), PVOID Parameter, SIZE_T Size);
static void Callout(PVOID Parameter) { Step(2); *NOWHERE = 1; Step(9); UNREFERENCED_PARAMETER(Parameter); }
EXPORT ULONG FaultBelowAnExport(void)
{
    Steps = 0;
    __try { Step(1); KeExpandKernelStackAndCallout(Callout, NULL, 0x1000); Step(9); }
    __except (EXCEPTION_EXECUTE_HANDLER) { Step(3); }
    return Steps;
}
EXPORT void Breakpoint(void) { DbgBreakPoint(); }
EXPORT void FailFast(void) { __asm__ volatile("int $0x29" : : "c"(2)); }
EXPORT void Illegal(void) { __asm__ volatile("ud2"); }
"""

ACCESS_VIOLATION = 0xC0000005


@pytest.fixture
def machine(load):
    return load(SOURCE)


@pytest.mark.parametrize(
    ("function", "args", "expected"),
    [
        ("PlainDereference", (), ACCESS_VIOLATION),
        ("FaultingWrite", (), 0x12340 | 1 << 32),
        ("NestedFinally", (), 14235),
        ("OrdinaryFinally", (), 12),
        ("RaisedAcrossFunctions", (0xC000007F,), 123),
        ("RaisedInFinally", (), 12134),
        ("RaisedInHandler", (), 12),
        ("ManyFaults", (50,), 50),
        ("DivideByZero", (0,), 0xC0000094),
        ("NonCanonical", (), ACCESS_VIOLATION),
        ("CopyFromNowhere", (64,), ACCESS_VIOLATION),
        ("ProbeKernelAddress", (), ACCESS_VIOLATION),
        ("ExportTouchesNowhere", (), ACCESS_VIOLATION),
        ("KeepsRegisters", (5, 3, 10, 100), 335),
        ("FaultBelowAnExport", (), 123),
    ],
)
def test_handlers_run_as_on_windows(machine, function, args, expected):
    assert machine.call(function, *args) & 0xFFFFFFFFFFFF == expected


def test_an_exception_that_no_filter_takes_is_a_bug_check_naming_the_driver(machine):
    with pytest.raises(BugCheckStop) as stop:
        machine.call("RaisedAcrossFunctions", 0xC0000022)
    assert stop.value.code is BugCheck.SYSTEM_THREAD_EXCEPTION_NOT_HANDLED
    assert stop.value.driver == "test"
    assert stop.value.parameters[0] == 0xC0000022


def test_an_unhandled_fault_says_what_was_touched(machine):
    with pytest.raises(BugCheckStop, match="reading 0x12340"):
        machine.call("Unhandled")


def test_a_fault_at_a_kernel_address_cannot_be_caught(machine):
    with pytest.raises(BugCheckStop) as stop:
        machine.call("KernelFault")
    assert stop.value.code is BugCheck.PAGE_FAULT_IN_NONPAGED_AREA
    assert stop.value.parameters[0] == 0xFFFFB12345678000
    assert stop.value.driver == "test"


@pytest.mark.parametrize(
    ("function", "code"),
    [
        ("FailFast", BugCheck.KERNEL_SECURITY_CHECK_FAILURE),
        ("Breakpoint", BugCheck.SYSTEM_THREAD_EXCEPTION_NOT_HANDLED),
        ("Illegal", BugCheck.SYSTEM_THREAD_EXCEPTION_NOT_HANDLED),
    ],
)
def test_traps_that_nobody_handles_stop_the_machine(machine, function, code):
    with pytest.raises(BugCheckStop) as stop:
        machine.call(function)
    assert stop.value.code is code
    assert stop.value.driver == "test"


def test_a_stopped_kernel_raises_its_first_stop_again(machine):
    with pytest.raises(BugCheckStop) as first:
        machine.call("FailFast")
    with pytest.raises(BugCheckStop) as second:
        machine.call("OrdinaryFinally")
    assert second.value is first.value


def test_a_driver_that_jumps_into_user_mode_with_a_stack_of_user_mode_is_the_drivers_end(
    compile_driver: Callable[..., bytes],
):
    """There is no code of user mode below that the exception could go on to."""
    body = '__asm__ volatile("movq $0x20000, %rsp\\n movq $0x30000, %rax\\n jmp *%rax");'
    image = compile_driver(
        f"NTSTATUS DriverEntry(PDRIVER_OBJECT D, PUNICODE_STRING P) {{ UNREFERENCED_PARAMETER(D);"
        f" UNREFERENCED_PARAMETER(P); {body} return 0; }}",
        entry=False,
    )
    kernel = Kernel()

    with pytest.raises(BugCheckStop) as stop:
        kernel.run(kernel.drivers.load("test", image, None))

    assert stop.value.kind is BugCheckKind.DRIVER
