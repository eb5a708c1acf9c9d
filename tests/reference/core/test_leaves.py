"""Exports as machine code: they are what their source says, and do what the Python functions of their names do."""

from pathlib import Path

import pytest

from harness.minifilter.build import SUPPORT, build_drivers
from harness.reference.machine.loader.exports import FLTMGR, NTOSKRNL, find_export
from harness.reference.process.host import Host
from harness.reference.process.stops import stop_message
from harness.reference.windows.kernel import Kernel
from harness.reference.windows.leaves import LEAVES, assemble, blob
from harness.reference.windows.verifier.bug_check_stop import BugCheckStop
from harness.wire import kernel as wire
from tests.reference.user.conftest import Machine as Hosted
from tests.reference.user.conftest import service_key

DRIVER = """
static KSPIN_LOCK First, Second;

EXPORT VOID Prepare(VOID)
{
    KeInitializeSpinLock(&First);
    KeInitializeSpinLock(&Second);
}

EXPORT ULONG Nested(ULONG Count)
{
    KIRQL Irql;

    while (Count-- > 0) {
        KeAcquireSpinLock(&First, &Irql);
        KeAcquireSpinLockAtDpcLevel(&Second);
        KeReleaseSpinLockFromDpcLevel(&Second);
        KeReleaseSpinLock(&First, Irql);
    }
    return KeGetCurrentIrql();
}

EXPORT ULONG Crossed(VOID)
{
    KIRQL Irql;

    KeAcquireSpinLock(&First, &Irql);
    KeAcquireSpinLockAtDpcLevel(&Second);
    KeReleaseSpinLockFromDpcLevel(&First);
    KeReleaseSpinLock(&Second, Irql);
    return KeGetCurrentIrql();
}

EXPORT ULONG Queued(VOID)
{
    KLOCK_QUEUE_HANDLE Outer, Inner;

    KeAcquireInStackQueuedSpinLock(&First, &Outer);
    KeAcquireInStackQueuedSpinLockAtDpcLevel(&Second, &Inner);
    KeReleaseInStackQueuedSpinLockFromDpcLevel(&Inner);
    KeReleaseInStackQueuedSpinLock(&Outer);
    return KeGetCurrentIrql();
}

EXPORT ULONG Twice(VOID)
{
    KIRQL Irql;

    KeAcquireSpinLock(&First, &Irql);
    KeAcquireSpinLockAtDpcLevel(&First);
    return 1; /* no tail call: the driver is to be on the stack */
}

EXPORT ULONG NeverTaken(VOID)
{
    KeReleaseSpinLock(&First, PASSIVE_LEVEL);
    return 1; /* no tail call: the driver is to be on the stack */
}

EXPORT ULONG Nowhere(VOID)
{
    KIRQL Irql;

    KeAcquireSpinLock((PKSPIN_LOCK)(ULONG_PTR)0xFFFF888800000000, &Irql);
    return 1; /* no tail call: the driver is to be on the stack */
}

EXPORT ULONG NoThread(VOID)
{
    return HandleToULong(PsGetThreadId((PETHREAD)&First)) + 1;
}

EXPORT ULONG Moved(ULONG Length, ULONG Distance)
{
    static UCHAR Bytes[512];
    ULONG Index, Wrong = 0;

    for (Index = 0; Index < sizeof(Bytes); Index++) {
        Bytes[Index] = (UCHAR)(Index * 7);
    }
    RtlMoveMemory(Bytes + 100 + Distance - 64, Bytes + 100, Length);
    for (Index = 0; Index < Length; Index++) {
        Wrong += Bytes[100 + Distance - 64 + Index] != (UCHAR)((100 + Index) * 7);
    }
    RtlFillMemory(Bytes + 1, Length, 0x5A);
    for (Index = 1; Index <= Length; Index++) {
        Wrong += Bytes[Index] != 0x5A;
    }
    return Wrong + (Bytes[0] != 0);
}
"""


def test_the_machine_code_is_what_its_source_assembles_to():
    assert assemble.text() == Path(blob.__file__).read_text()


def test_every_counted_leaf_stands_for_a_python_function():
    counted = [name for name, (_, is_counted) in LEAVES.entries.items() if is_counted]

    assert counted
    assert [name for name in counted if not (find_export(NTOSKRNL, name) or find_export(FLTMGR, name))] == []


@pytest.mark.parametrize("leaves", [True, False])
@pytest.mark.parametrize("function", ["Crossed", "Queued"])
def test_spin_locks_end_at_the_irql_they_began_at(load, function, leaves):
    machine = load(DRIVER, leaves=leaves)

    machine.call("Prepare")
    assert machine.call("Nested", 20) == 0
    assert machine.call(function) == 0
    kernel = machine.kernel
    assert [kernel.spin_locks.held_on(processor) for processor in kernel.processors] == [[], []]


@pytest.mark.parametrize("function", ["Twice", "NeverTaken", "Nowhere", "NoThread"])
def test_a_misuse_is_judged_in_the_same_words_with_leaves_and_without(load, function):
    stops = []
    for leaves in (True, False):
        machine = load(DRIVER, leaves=leaves)
        machine.call("Prepare")
        machine.call("Nested", 1)
        with pytest.raises(BugCheckStop) as stop:
            machine.call(function)
        stops.append((stop_message(stop.value), machine.kernel.trace.digest))

    assert stops[0] == stops[1]
    assert stops[0][0].driver == "test"


def test_a_driver_that_calls_leaves_only_is_preempted_at_the_same_calls(load):
    digests = []
    for leaves in (True, False):
        machine = load(DRIVER, leaves=leaves, seed=3)
        machine.call("Prepare")
        threads = [machine.start("Nested", 200) for _ in range(3)]
        for thread in threads:
            machine.kernel.run_until(thread)
        digests.append((machine.kernel.trace.digest, machine.kernel.now))

    assert digests[0] == digests[1]


@pytest.mark.parametrize("distance", [0, 57, 64, 65, 72, 128])
@pytest.mark.parametrize("length", [0, 1, 7, 8, 63, 64, 65, 130, 200])
def test_memory_is_moved_and_filled_whole_whatever_its_length_and_overlap(leaf_driver, length, distance):
    assert leaf_driver.call("Moved", length, distance) == 0


@pytest.fixture(scope="module")
def leaf_driver(compile_driver):
    from harness.reference.windows.kernel import Kernel
    from tests.reference.core.conftest import Machine

    kernel = Kernel()
    assert kernel.run(kernel.drivers.load("test", compile_driver(DRIVER), None)) == 0
    return Machine(kernel, kernel.drivers.loaded["test"])


@pytest.mark.parametrize("seed", [0, 7])
def test_io_through_minifilters_leaves_the_same_digest_with_leaves_and_without(seed, tmp_path):
    built = build_drivers(SUPPORT, SUPPORT.parent / "build" / "drivers", ["observer", "passthrough", "fltbench"])
    digests = []
    for leaves in (True, False):
        volume = tmp_path / f"volume-{leaves}"
        volume.mkdir()
        system = Kernel(volumes={"V:": volume}, seed=seed, leaves=leaves)
        machine = Hosted(Host(system), system, volume)
        for name, altitude in (("passthrough", "370030"), ("observer", "370010")):
            machine.load(name, built[name].sys, service_key(name, altitude))
            machine.ask(wire.Attach(name, "V:"))
        for script in (b"read 60", b"create 20"):
            machine.run(built["fltbench"].sys, script)
        digests.append((system.trace.digest, system.now, system.traps.calls))

    assert digests[0][:2] == digests[1][:2]
    assert digests[0][2] < digests[1][2] / 2  # and it is not the same way that led there
