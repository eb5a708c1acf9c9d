"""What drivers print with DbgPrint: captured by a minifilter, taken by fltprobe."""

import pytest

from harness.minifilter.prints import Print
from harness.minifilter.probe import ProbeResult
from harness.minifilter.trace import Trace
from harness.nt import NtStatus
from harness.wire import kernel as wire
from tests.fltprobe.conftest import Bench

PRINT = "filter above prints\ndebug-print above\n"


def prints_of(result: ProbeResult, label: str) -> list[Print]:
    report = result.filters[label].prints
    assert report is not None
    assert (report.lost, report.status) == (0, 0)
    return list(report.prints)


def test_prints_come_with_their_source_and_the_clock_of_the_events(bench: Bench):
    bench.load("observer", "above", CapturePrints=1)
    (bench.volume / "data.bin").write_bytes(b"x" * 512)

    result = bench(f"{PRINT}open f V:\\data.bin\n")
    plain, error = prints_of(result, "above")

    assert (plain.text, plain.source) == ("fltlab: printed by fltlab-above\n", "")
    assert (error.line, error.source) == ("fltlab: error of fltlab-above", "DEFAULT ERROR")
    assert (error.component, error.level) == (101, 0)
    assert plain.process == result.process_id
    step = result.step("debug-print")
    assert step.begin <= plain.performance_count <= error.performance_count <= step.end
    assert plain.time_stamp < error.time_stamp < min(event.time_stamp for event in result.events)


def test_prints_wait_for_the_first_script_that_asks(bench: Bench):
    bench.load("observer", "above", CapturePrints=1)

    unasked = bench("filter above\ndebug-print above\n")
    asked = bench("filter above prints\nsleep 1\n")
    again = bench("filter above prints\n")

    assert unasked.filters["above"].prints is None
    assert [item.line for item in prints_of(asked, "above")][:1] == ["fltlab: printed by fltlab-above"]
    assert again.filters["above"].prints is None
    trace = Trace.of(asked, ["above"], since=asked.step("sleep").begin)
    assert (len(trace.printed.before), trace.prints) == (2, ())


def test_another_driver_is_heard_and_only_one_captures(bench: Bench):
    bench.load("observer", "above", CapturePrints=1)
    bench.load("observer", "below")

    result = bench("filter above prints\nfilter below prints\ndebug-print below\n")

    assert prints_of(result, "above")[0].line == "fltlab: printed by fltlab-below"
    assert result.filters["below"].prints is None


def test_full_ring_keeps_the_oldest_and_counts_the_rest(bench: Bench):
    bench.load("observer", "above", CapturePrints=1)
    bench("filter above\n" + "debug-print above\n" * 140)

    result = bench("filter above prints\n")

    report = result.filters["above"].prints
    assert report is not None
    assert (len(report.prints), report.lost) == (256, 24)
    trace = Trace.of(result, ["above"])
    assert trace.printed.notes == ("24 more prints were lost: the ring of above was full",)
    bench("filter above\ndebug-print above\n")
    assert len(prints_of(bench("filter above prints\n"), "above")) == 2  # the places are free again


def test_driver_loads_and_says_so_where_the_kernel_has_no_such_export(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    implemented = bench.system.exports.is_implemented
    monkeypatch.setattr(
        bench.system.exports,
        "is_implemented",
        lambda module, name: name != "DbgSetDebugPrintCallback" and implemented(module, name),
    )
    bench.load("observer", "above", CapturePrints=1)

    report = bench("filter above prints\ndebug-print above\n").filters["above"].prints

    assert report is not None
    assert report.status == 0xC000007A == NtStatus.PROCEDURE_NOT_FOUND
    assert report.prints == ()


def test_callback_is_taken_off_when_the_driver_goes(bench: Bench):
    bench.load("observer", "above", CapturePrints=1)
    assert len(bench.system.print_callbacks) == 1

    bench.ask(wire.Unload("fltlab-above"))

    assert bench.system.print_callbacks == []
    assert bench.system.verifier.findings == []


def test_driver_that_is_not_told_to_capture_has_no_callback(bench: Bench):
    bench.load("observer", "above")

    assert bench.system.print_callbacks == []
    assert bench("filter above prints\ndebug-print above\n").filters["above"].prints is None


def test_the_filter_manager_says_why_it_refuses_to_post(bench: Bench):
    bench.load("observer", "above", CapturePrints=1)
    bench.load("pending")
    (bench.volume / "data.bin").write_bytes(b"x" * 4096)

    result = bench(
        "filter above prints\nfilter pending\nrule pending major=read do=pend mechanism=deferred paging=yes\n"
        "open f V:\\data.bin\nsection s f protect=read\nmap v s protect=read\npeek v offset=0 length=16\n"
    )

    told = next(item for item in prints_of(result, "above") if item.source)
    assert told.source == "FLTMGR ERROR"
    assert told.line == (
        "FltQueueDeferredIoWorkItem refuses, FLT_NOT_SAFE_TO_POST_OPERATION: the operation is paging I/O"
    )
