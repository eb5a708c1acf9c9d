"""A driver that loops while it calls the kernel, or takes all memory, ends as its own failure; the kernel goes on."""

from collections.abc import Callable
from typing import Any

import pytest

from harness.reference.machine.scheduler import engine
from harness.reference.machine.stop import HangKind, HangStop
from harness.reference.windows.kernel import Kernel
from harness.reference.windows.verifier.bug_check_stop import BugCheckKind, BugCheckStop

BODIES = {
    "it allocates and frees": "for (;;) ExFreePoolWithTag(ExAllocatePool2(POOL_FLAG_NON_PAGED, 64, TAG), TAG);",
    "it locks": "KSPIN_LOCK L; KIRQL Q; KeInitializeSpinLock(&L);"
    " for (;;) { KeAcquireSpinLock(&L, &Q); KeReleaseSpinLock(&L, Q); }",
    "it prints": 'for (;;) DbgPrint("still here\\n");',
    "it asks for the time": "for (;;) KeQueryPerformanceCounter(NULL);",
    "it raises": "for (;;) { __try { ExRaiseStatus(STATUS_UNSUCCESSFUL); } __except (1) { } }",
}
ENTRY = """NTSTATUS DriverEntry(PDRIVER_OBJECT D, PUNICODE_STRING P)
{ UNREFERENCED_PARAMETER(D); UNREFERENCED_PARAMETER(P);"""
WORK = """
static WORK_QUEUE_ITEM Item;
static VOID Routine(PVOID C) { UNREFERENCED_PARAMETER(C); %s }
%s
#pragma warning(suppress: 4996)
    ExInitializeWorkItem(&Item, Routine, NULL); ExQueueWorkItem(&Item, DelayedWorkQueue); return STATUS_SUCCESS; }
"""
DPC = """
static KDPC Dpc;
static VOID Routine(PKDPC A, PVOID B, PVOID C, PVOID E)
{ UNREFERENCED_PARAMETER(A); UNREFERENCED_PARAMETER(B); UNREFERENCED_PARAMETER(C); UNREFERENCED_PARAMETER(E); %s }
%s
    KeInitializeDpc(&Dpc, Routine, NULL); KeInsertQueueDpc(&Dpc, NULL, NULL); return STATUS_SUCCESS; }
"""
UNLOAD = """
static VOID Unload(PDRIVER_OBJECT D) { UNREFERENCED_PARAMETER(D); %s }
%s
    D->DriverUnload = Unload; return STATUS_SUCCESS; }
"""
PLACES = {
    "DriverEntry": "",
    "work item": WORK,
    "DPC": DPC,
    "unload": UNLOAD,
}


def source(place: str, body: str) -> str:
    if place == "DriverEntry":
        return f"{ENTRY} {body} }}"
    return PLACES[place] % (body, ENTRY)


CASES = [*(("DriverEntry", body) for body in BODIES), *((place, "it allocates and frees") for place in PLACES)]


@pytest.mark.parametrize(("place", "body"), CASES)
def test_a_loop_that_calls_the_kernel_is_the_drivers_failure(
    compile_driver: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch, place: str, body: str
):
    monkeypatch.setattr(engine, "RUNAWAY_CALLS", 20_000)
    kernel = Kernel()
    image = compile_driver(source(place, BODIES[body]), entry=False)

    def load_and_unload() -> None:
        assert kernel.run(kernel.drivers.load("test", image, None)) == 0
        kernel.settle()
        kernel.run(kernel.drivers.unload(kernel.drivers.loaded["test"]))

    with pytest.raises(HangStop) as stop:
        load_and_unload()

    assert stop.value.kind is HangKind.RUNAWAY
    assert stop.value.driver == "test"


def test_a_loop_that_waits_ends_in_guest_time_and_names_the_driver(
    compile_driver: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
):
    from harness.reference.windows.ntos import executive

    monkeypatch.setattr(executive, "LONGEST_REQUEST", 10_000_000)
    body = "LARGE_INTEGER T; T.QuadPart = -10000; for (;;) KeDelayExecutionThread(KernelMode, FALSE, &T);"
    kernel = Kernel()

    with pytest.raises(HangStop) as stop:
        kernel.run(kernel.drivers.load("test", compile_driver(source("DriverEntry", body), entry=False), None))

    assert stop.value.kind is HangKind.DEADLINE
    assert stop.value.driver == "test"


LONG = 'ULONG64 x = 1; for (ULONG n = 0; n < 200000000; n++) { __asm__ volatile("xor %1, %0" : "+r"(x) : "r"(3ULL)); }'


def test_a_loop_of_200_million_iterations_is_long_and_no_failure(compile_driver: Callable[..., bytes]):
    kernel = Kernel()
    image = compile_driver(source("DriverEntry", f"{LONG} return x ? STATUS_SUCCESS : STATUS_SUCCESS;"), entry=False)

    assert kernel.run(kernel.drivers.load("test", image, None)) == 0


def test_a_loop_without_end_and_without_calls_is_the_drivers_failure(
    compile_driver: Callable[..., bytes], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(engine, "PATIENCE", 1)
    monkeypatch.setattr(engine, "RUNAWAY_INSTRUCTIONS", 100_000)
    body = "volatile ULONG x = 1; while (x) { x |= 2; } return STATUS_SUCCESS;"
    kernel = Kernel()

    with pytest.raises(HangStop) as stop:
        kernel.run(kernel.drivers.load("test", compile_driver(source("DriverEntry", body), entry=False), None))

    assert (stop.value.kind, stop.value.driver) == (HangKind.RUNAWAY, "test")


def test_an_instruction_that_our_processor_lacks_is_our_failure(compile_driver: Callable[..., bytes]):
    body = '__asm__ volatile("vxorps %ymm0, %ymm0, %ymm0"); return STATUS_SUCCESS;'
    kernel = Kernel()

    with pytest.raises(BugCheckStop) as stop:
        kernel.run(kernel.drivers.load("test", compile_driver(source("DriverEntry", body), entry=False), None))

    assert stop.value.kind is BugCheckKind.MISSING_EXPORT
    assert "vxorps ymm0, ymm0, ymm0" in stop.value.message


MEMORY = """
EXPORT ULONG64 huge(ULONG64 size) { PVOID p = ExAllocatePool2(POOL_FLAG_NON_PAGED, size, TAG); return (ULONG64)p; }
EXPORT ULONG64 all(ULONG64 size) { ULONG64 n = 0; while (ExAllocatePool2(POOL_FLAG_PAGED, size, TAG)) n++; return n; }
EXPORT ULONG64 some(void)
{ PVOID p = ExAllocatePool2(POOL_FLAG_NON_PAGED, 100, TAG); if (p) ExFreePoolWithTag(p, TAG); return (ULONG64)p; }
"""


@pytest.mark.parametrize("size", [1 << 28, 1 << 32, 1 << 40, (1 << 63) - 1, (1 << 64) - 1])
def test_an_allocation_that_cannot_be_is_null_and_costs_nothing(load: Callable[..., Any], size: int):
    machine = load(MEMORY)
    before = machine.kernel.memory.tables.used

    assert machine.call("huge", size) == 0

    assert machine.call("some") != 0
    assert machine.kernel.memory.tables.used - before < 1 << 20


def test_a_driver_that_takes_all_memory_gets_null_and_the_kernel_goes_on(load: Callable[..., Any]):
    machine = load(MEMORY, memory_mib=64)

    assert machine.call("all", 1 << 20) > 10
    assert machine.call("all", 1 << 12) > 0
    assert machine.call("some") == 0

    assert machine.kernel.stop is None
    assert "test" in machine.unload()[0]
