"""Instruments connect to probes: they see what they are for, and the run is the same with them."""

from harness.reference.machine.probes import Probe

DRIVER = """
EXPORT ULONG Work(ULONG Count)
{
    PVOID Block = ExAllocatePool2(POOL_FLAG_NON_PAGED, 64, TAG);

    DbgPrint("at work: %u", Count);
    ExFreePool(Block);
    return Count;
}
"""


def test_whoever_is_connected_is_told_until_it_disconnects():
    probe: Probe[[int]] = Probe()
    seen: list[int] = []
    probe(1)
    disconnect = probe.connect(seen.append)
    probe.connect(lambda value: seen.append(-value))

    probe(2)
    disconnect()
    probe(3)

    assert seen == [2, -2, -3]


def test_calls_and_switches_are_seen_and_change_nothing(load):
    plain, watched = load(DRIVER), load(DRIVER)
    calls: list[str] = []
    switches: list[int] = []
    watched.kernel.probes.called.connect(lambda export, stack_pointer: calls.append(export.name))
    watched.kernel.probes.switched.connect(lambda processor, execution: switches.append(processor.number))

    for machine in (plain, watched):
        machine.call("Work", 7)

    assert calls[:2] == ["ExAllocatePool2", "DbgPrint"]
    assert switches
    assert plain.kernel.trace.digest == watched.kernel.trace.digest


def test_the_verifier_tells_what_it_finds(load):
    machine = load(DRIVER)
    found: list[tuple[str | None, str | None, str]] = []
    machine.kernel.probes.found.connect(lambda *what: found.append(what))

    finding = machine.kernel.verifier.report("POOL-01", "test", "a finding")

    assert found == [("POOL-01", "test", "a finding")]
    assert machine.kernel.verifier.findings == [finding]


def test_the_trace_shows_what_happened_in_text(load):
    machine = load(DRIVER)
    machine.call("Work", 7)
    machine.kernel.probes.happened((0x1234, "of three", "parts"))

    assert machine.kernel.trace.entries[-2].what == "DbgPrint at work: 7"
    assert machine.kernel.trace.entries[-1].what == "0x1234 of three parts"
