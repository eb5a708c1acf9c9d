"""What fltprobe answered goes into the raw trace, whole, and comes back out of it."""

import pytest

from harness.minifilter.events import Phase
from harness.minifilter.prints import Print, Prints
from harness.minifilter.probe import FilterReport, ProbeResult, Step
from harness.minifilter.trace import Trace
from harness.minifilter.tracing import Asked, IoRun, TraceWriter, Unanswered, event_of, probe_result
from harness.nt import IrpMajor, PreopStatus
from harness.wire import trace as wire
from tests.minifilter.test_trace import LABELS, PROBE, Recorder, down_and_up


def step(line: int, begin: int, end: int, thread: int = 4) -> Step:
    return Step(line, "read", "f", 0, 4096, thread, begin, end, b"ZZ", outstanding=False)


def answered(seen: Recorder, *steps: Step, since: int = 0, prints: Prints | None = None) -> IoRun:
    reports = {
        label: FilterReport(tuple(event for event in seen.events if event.filter == label), 0, 1) for label in LABELS
    }
    result = ProbeResult(PROBE, 4, steps, reports, 10_000_000, None)
    trace = Trace.of(result, LABELS, since=since)
    asked = Asked("open f\nread f\n", prepared=1, began="2026-11-28T06:00:00.000+00:00", seconds=0.5)
    return IoRun(asked, result, Trace(trace.labels, trace.events, trace.process, prints or Prints()))


def traced(*scripts: IoRun | Unanswered, writer: TraceWriter | None = None) -> wire.Trace:
    writer = writer or TraceWriter()
    records = [record for number, io in enumerate(scripts, start=1) for record in writer.records(number, io)]

    def of(kind: type) -> tuple:
        return tuple(record for record in records if isinstance(record, kind))

    return wire.Trace(
        wire.Header("test"),
        ios=of(wire.Io),
        steps=of(wire.Step),
        rings=of(wire.Ring),
        operations=of(wire.Operation),
        callbacks=of(wire.Callback),
        pended=of(wire.Pended),
        prints=of(wire.Print),
        notes=of(wire.Note),
    )


@pytest.fixture
def seen() -> Recorder:
    return Recorder()


def test_every_step_and_every_event_comes_back(seen: Recorder):
    down_and_up(seen, offset=512, irp_flags=1, name="data.bin")
    seen("above.start", data=0)
    io = answered(seen, step(2, 0, 9))

    trace = traced(io)
    back = probe_result(trace, trace.ios[0])

    assert back.steps == io.result.steps
    assert back.filters == io.result.filters
    assert (back.process_id, back.thread_id, back.frequency, back.error) == (PROBE, 4, 10_000_000, None)
    assert [event_of(callback) for callback in trace.callbacks] == seen.events


def test_operations_and_callbacks_are_numbered_through_all_scripts(seen: Recorder):
    down_and_up(seen)
    down_and_up(seen, data=0xB0)
    io = answered(seen)

    trace = traced(io, io)

    assert [operation.id for operation in trace.operations] == [1, 2, 3, 4]
    assert [callback.id for callback in trace.callbacks] == list(range(1, 25))
    assert {callback.operation for callback in trace.callbacks if callback.io == 2} == {3, 4}


def test_an_operation_names_the_step_that_caused_it(seen: Recorder):
    down_and_up(seen, requestor_thread=4)
    down_and_up(seen, data=0xB0, requestor_thread=5)
    down_and_up(seen, data=0xC0, requestor_process=99)
    # The second step is done by another thread while the first is still under way.
    io = answered(seen, step(2, 1, 20), step(3, 2, 20, thread=5))

    assert [operation.step for operation in traced(io).operations] == [2, 3, None]


def test_what_prepares_the_test_is_told_apart(seen: Recorder):
    down_and_up(seen)
    down_and_up(seen, data=0xB0)

    operations = traced(answered(seen, since=7)).operations

    assert [operation.prepares for operation in operations] == [True, False]


def test_an_operation_that_is_held_is_told_with_who_let_it_go(seen: Recorder):
    seen("above.pre")
    seen("middle.pre", returned_value=PreopStatus.PENDING)
    seen("middle.resume", returned_value=PreopStatus.SUCCESS_NO_CALLBACK)
    seen("above.pre", IrpMajor.WRITE, 0xB0)
    seen("middle.pre", IrpMajor.WRITE, 0xB0, returned_value=PreopStatus.PENDING)

    assert traced(answered(seen)).pended == (wire.Pended(1, "middle", 2, 3), wire.Pended(2, "middle", 5, 0))


def test_parameters_that_a_filter_changed_are_named_with_what_they_were(seen: Recorder):
    seen("above.pre", length=4096)
    seen("middle.pre", length=4096)
    seen("below.pre", length=512, flags=0x80000000)

    changed = [callback.changed for callback in traced(answered(seen)).callbacks]

    assert changed == [{}, {}, {"length": 4096, "flags": 0}]


def test_a_print_stands_in_the_operation_that_was_under_way(seen: Recorder):
    down_and_up(seen)
    inside = Print(3, 3, 101, 3, 4, PROBE, 5, "hello")
    early = Print(0, 0, 101, 3, 4, PROBE, 5, "early")

    trace = traced(answered(seen, prints=Prints((early,), (inside,), ("1 more was lost",))))

    assert [(item.text, item.operation, item.before) for item in trace.prints] == [
        ("early", 0, True),
        ("hello", 1, False),
    ]
    assert trace.notes == (wire.Note("prints", "1 more was lost"),)


def test_a_script_without_an_answer_is_kept_with_the_reason():
    trace = traced(Unanswered(Asked("open f\n"), "bug check"))

    assert (trace.ios[0].script, trace.ios[0].error) == ("open f\n", "bug check")
    assert trace.callbacks == ()


def test_the_last_callback_of_a_filter_is_found_by_its_number(seen: Recorder):
    down_and_up(seen)
    seen("middle.start", data=0)
    io, writer = answered(seen), TraceWriter()
    trace = traced(io, writer=writer)

    operation, callback = writer.last_of("middle", io.trace.events)

    assert (operation, event_of(trace.callbacks[callback - 1]).phase) == (1, Phase.POST)
    assert writer.last_of("nobody", io.trace.events) == (0, 0)
