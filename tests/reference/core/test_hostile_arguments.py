"""Whatever a driver hands to an export, the end is an answer or a verdict on the driver: never a fault of the kernel.

Each call is made in a fork of one kernel, so that none sees what another has left. The seeds are few here.
"""

import random
import resource
from collections.abc import Callable
from typing import Any

import pytest

from harness.reference.machine.cpu.exceptions import GuestException
from harness.reference.machine.loader.exports import FLTMGR, HAL, NTOSKRNL, Export, all_exports
from harness.reference.machine.stop import HangStop
from harness.reference.process.audit import AuditError, in_a_fork
from harness.reference.windows.verifier.bug_check_stop import BugCheckKind, BugCheckStop

DRIVER = """
typedef ULONG64 (*ROUTINE)(ULONG64, ULONG64, ULONG64, ULONG64, ULONG64, ULONG64, ULONG64, ULONG64, ULONG64, ULONG64);
static UCHAR Memory[4096];
static UNICODE_STRING Lone = {4, 4, L"\\xD800\\xD800"};
static UNICODE_STRING Odd = {3, 3, L"ab"};
static UNICODE_STRING Wild = {0xFFFE, 0xFFFE, (PWCH)(ULONG_PTR)0xFFFFF12345678900};
static LIST_ENTRY Cycle = {&Cycle, &Cycle};
static CHAR Wide[] = "%2000000000d%*s%n%S";

EXPORT ULONG64 place(ULONG which)
{
    switch (which) {
    case 0: return (ULONG64)(ULONG_PTR)Memory;
    case 1: return (ULONG64)(ULONG_PTR)&Lone;
    case 2: return (ULONG64)(ULONG_PTR)&Odd;
    case 3: return (ULONG64)(ULONG_PTR)&Wild;
    case 4: return (ULONG64)(ULONG_PTR)&Cycle;
    case 5: return (ULONG64)(ULONG_PTR)Wide;
    default: return (ULONG64)(ULONG_PTR)ExAllocatePoolWithTag(NonPagedPoolNx, 64, TAG);
    }
}

EXPORT ULONG64 invoke(ROUTINE f, ULONG64 *a)
{
    ULONG64 answer = f(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9]);
    return answer + (Memory[0] & 0);
}

EXPORT ULONG64 room(void) { return (ULONG64)(ULONG_PTR)ExAllocatePoolWithTag(NonPagedPoolNx, 128, TAG); }
"""
NUMBERS = [0, 1, 2, 3, 0x10, 0x1001, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1, (1 << 64) - 1]
WILD = [0x7FFE0000, 0x10000, 0xFFFFF12345678901, 0x8000000000001234, 0xFFFFFFFFFFFFFFF8, 0xCDCDCDCDCDCDCDCD]
STOPS_ON_PURPOSE = {"KeBugCheck", "KeBugCheckEx", "DbgBreakPoint", "DbgBreakPointWithStatus"}
CHANGES_IRQL = {"KeRaiseIrql", "KeRaiseIrqlToDpcLevel", "KeRaiseIrqlToSynchLevel", "KfRaiseIrql"}
"""Of these the thread dies, when nothing of the driver is on its stack any more."""
CALLS = 120
SECONDS = 60


def exports() -> list[Export]:
    known = {(item.module, item.name): item for item in all_exports() if item.module in (NTOSKRNL, FLTMGR, HAL)}
    return [known[key] for key in sorted(known) if key[1] not in STOPS_ON_PURPOSE | CHANGES_IRQL]


@pytest.fixture
def outcome(load: Callable[..., Any]) -> Callable[[Export, list[int]], str]:
    machine = load(DRIVER)
    kernel = machine.kernel

    def ends(export: Export, arguments: list[int]) -> str:
        address = kernel.exports.address_of(export.module, export.name)

        def call() -> bytes:
            resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
            room = machine.call("room")
            for place, value in enumerate(arguments):
                kernel.memory.write_u64(room + 8 * place, value)
            try:
                machine.call("invoke", address, room)
            except BugCheckStop as stop:
                blamed = stop.driver == "test" or stop.kind is BugCheckKind.MISSING_EXPORT
                if stop.kind is BugCheckKind.KERNEL_FAULT or not blamed:
                    return f"{stop.kind}: {stop}".encode()
            except HangStop as stop:
                return b"" if stop.driver in ("test", None) else f"hang: {stop}".encode()
            except GuestException:
                return b""
            return b""

        try:
            return in_a_fork(call).decode()
        except AuditError as error:
            return f"no end within {SECONDS} s of CPU time: {error}"

    ends.places = [machine.call("place", which) for which in range(7)]  # type: ignore[attr-defined]
    return ends


@pytest.mark.parametrize("seed", [1, 2])
def test_no_argument_is_a_fault_of_the_kernel(outcome: Any, seed: int):
    draw = random.Random(seed)
    values = [*NUMBERS, *WILD, *outcome.places, *outcome.places]

    wrong = {}
    for export in draw.sample(exports(), CALLS):
        arguments = [draw.choice(values) for _ in range(10)]
        end = outcome(export, arguments)
        if end:
            wrong[export.name] = end

    assert wrong == {}
