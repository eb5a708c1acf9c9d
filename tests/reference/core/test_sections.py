"""Sections of an image are what they say: pageable ones are not for raised IRQL, INIT is gone after DriverEntry."""

import pytest

from harness.reference.windows.verifier.bug_check_stop import BugCheckStop

DRIVER = """
static volatile ULONG One = 1; /* so that the compiler cannot do the calls itself */

__declspec(code_seg("PAGE")) __declspec(noinline) static ULONG Paged(ULONG Value)
{
    return Value + One;
}

__declspec(code_seg("INIT")) __declspec(noinline) static ULONG Early(ULONG Value)
{
    return Value + One + One;
}

static ULONG AtEntry;

NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    UNREFERENCED_PARAMETER(Driver);
    UNREFERENCED_PARAMETER(Path);
    AtEntry = Early(40);
    return STATUS_SUCCESS;
}

EXPORT ULONG SeenAtEntry(void)
{
    return AtEntry;
}

EXPORT ULONG CallEarly(void)
{
    return Early(40);
}

EXPORT ULONG CallPagedAt(KIRQL Irql)
{
    KIRQL Old;
    ULONG Value;
    KeRaiseIrql(Irql, &Old);
    Value = Paged(41);
    KeLowerIrql(Old);
    return Value;
}

EXPORT ULONG WriteIntoCode(void)
{
    *(volatile UCHAR *)(ULONG_PTR)&CallEarly = 0xC3;
    return 0;
}

EXPORT ULONG CallData(void)
{
    return ((ULONG (*)(void))(ULONG_PTR)&AtEntry)();
}
"""


@pytest.fixture
def machine(load):
    return load(DRIVER, entry=False)


@pytest.mark.parametrize("irql", [0, 1])
def test_pageable_code_runs_below_dispatch_level(machine, irql):
    assert machine.call("CallPagedAt", irql) == 42


def test_init_code_runs_in_driver_entry(machine):
    assert machine.call("SeenAtEntry") == 42


@pytest.mark.parametrize(
    ("function", "args"),
    [("CallPagedAt", (2,)), ("CallEarly", ()), ("WriteIntoCode", ()), ("CallData", ())],
)
def test_what_a_section_is_not_for_stops_the_machine_and_names_the_driver(machine, function, args):
    with pytest.raises(BugCheckStop) as stop:
        machine.call(function, *args)
    assert stop.value.driver == "test"
