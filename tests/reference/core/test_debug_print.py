"""DbgPrint, the Debug Print Filter, and the callbacks of DbgSetDebugPrintCallback."""

import pytest

from harness.nt import Irql, NtStatus
from harness.reference.windows.verifier.bug_check_stop import BugCheckStop

PRINTS = r"""
#define COMPONENT_OF_NOBODY 150
typedef VOID (*PRINT_CALLBACK)(PSTRING Output, ULONG ComponentId, ULONG Level);
NTSYSAPI NTSTATUS NTAPI DbgSetDebugPrintCallback(PRINT_CALLBACK Callback, BOOLEAN Enable);
static volatile struct { ULONG Calls, Length, Component, Level, Irql; UCHAR First, Last; } Seen;
static volatile ULONG SecondCalls;
static KSPIN_LOCK Lock;
static VOID OnPrint(PSTRING Output, ULONG ComponentId, ULONG Level)
{
    Seen.Calls++;
    Seen.Length = Output->Length;
    Seen.Component = ComponentId;
    Seen.Level = Level;
    Seen.Irql = KeGetCurrentIrql();
    Seen.First = Output->Length ? (UCHAR)Output->Buffer[0] : 0;
    Seen.Last = Output->Length ? (UCHAR)Output->Buffer[Output->Length - 1] : 0;
}
static VOID OnPrintToo(PSTRING Output, ULONG ComponentId, ULONG Level)
{
    UNREFERENCED_PARAMETER(Output); UNREFERENCED_PARAMETER(ComponentId); UNREFERENCED_PARAMETER(Level);
    SecondCalls++;
    DbgPrint("from inside");
}
static VOID OnPrintLocks(PSTRING Output, ULONG ComponentId, ULONG Level)
{
    KIRQL Old;
    UNREFERENCED_PARAMETER(Output); UNREFERENCED_PARAMETER(ComponentId); UNREFERENCED_PARAMETER(Level);
    KeAcquireSpinLock(&Lock, &Old);
    KeReleaseSpinLock(&Lock, Old);
}
EXPORT NTSTATUS set(ULONG Which, BOOLEAN Enable)
{
    PRINT_CALLBACK Callbacks[] = {NULL, OnPrint, OnPrintToo, OnPrintLocks};
    return DbgSetDebugPrintCallback(Callbacks[Which], Enable);
}
EXPORT ULONG print(ULONG Number) { DbgPrint("one %u\n", Number); return KeGetCurrentIrql(); }
EXPORT ULONG print_ex(ULONG Component, ULONG Level) { return (ULONG)DbgPrintEx(Component, Level, "two"); }
EXPORT ULONG print_high(VOID)
{
    KIRQL Old;
    ULONG Irql;
    KeRaiseIrql(5, &Old);
    DbgPrint("high");
    Irql = KeGetCurrentIrql();
    KeLowerIrql(Old);
    return Irql;
}
EXPORT ULONG print_long(VOID) { DbgPrint("%s%s", Text, Text); return 0; }
EXPORT ULONG calls(VOID) { return Seen.Calls; }
EXPORT ULONG second(VOID) { return SecondCalls; }
EXPORT ULONG length(VOID) { return Seen.Length; }
EXPORT ULONG source(VOID) { return Seen.Component << 8 | Seen.Level; }
EXPORT ULONG irql(VOID) { return Seen.Irql; }
EXPORT ULONG ends(VOID) { return (ULONG)Seen.First << 8 | Seen.Last; }
""".replace("static KSPIN_LOCK", f'static const char Text[] = "{"x" * 400}";\nstatic KSPIN_LOCK')
PLAIN, PRINTING, LOCKING = 1, 2, 3


@pytest.fixture
def driver(load):
    return load(PRINTS)


def test_callback_gets_counted_text_with_component_and_level(driver) -> None:
    assert driver.call("set", PLAIN, 1) == NtStatus.SUCCESS
    assert driver.call("print", 7) == Irql.PASSIVE
    assert driver.call("length") == len("one 7\n")
    assert driver.call("ends") == ord("o") << 8 | ord("\n")
    assert driver.call("source") == 101 << 8 | 3
    assert driver.call("irql") == Irql.HIGH
    driver.call("set", PLAIN, 0)
    driver.call("print", 8)
    assert driver.call("calls") == 1
    assert driver.kernel.log == ["one 7\n", "one 8\n"]
    assert driver.unload() == []


def test_no_callback_is_an_invalid_parameter(driver) -> None:
    assert driver.call("set", 0, 1) & 0xFFFFFFFF == NtStatus.INVALID_PARAMETER


def test_print_at_raised_irql_goes_back_to_it(driver) -> None:
    driver.call("set", PLAIN, 1)
    assert driver.call("print_high") == 5
    assert driver.call("calls") == 1


def test_every_callback_is_called_and_what_one_prints_calls_none(driver) -> None:
    driver.call("set", PRINTING, 1)
    driver.call("set", PLAIN, 1)
    driver.call("print", 1)
    assert (driver.call("second"), driver.call("calls")) == (1, 1)
    assert driver.kernel.log == ["one 1\n", "from inside"]


@pytest.mark.parametrize(
    ("component", "level", "seen"), [(101, 3, 1), (77, 2, 1), (150, 0, 1), (150, 3, 0), (150, 0x8, 0), (101, 4, 0)]
)
def test_filter_lets_errors_of_everybody_through_and_the_rest_of_four_components(
    driver, component, level, seen
) -> None:
    driver.call("set", PLAIN, 1)
    driver.call("print_ex", component, level)
    assert driver.call("calls") == seen


def test_one_call_transmits_512_bytes(driver) -> None:
    driver.call("set", PLAIN, 1)
    driver.call("print_long")
    assert driver.call("length") == 512


def test_callback_that_takes_a_spin_lock_stops_the_machine(driver) -> None:
    driver.call("set", LOCKING, 1)
    with pytest.raises(BugCheckStop, match=r"KeAcquireSpinLock.* was called at IRQL 15"):
        driver.call("print", 1)


def test_callback_that_stays_registered_is_reported_at_unload(driver) -> None:
    driver.call("set", PLAIN, 1)
    assert "debug print callback" in driver.unload()[0]
    assert driver.kernel.print_callbacks == []
