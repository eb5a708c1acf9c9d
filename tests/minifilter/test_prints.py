"""What drivers printed: decoded, and put into the timeline where it was printed."""

import pytest

from harness.errors import GuestError
from harness.minifilter.prints import PRINT_SIZE, Print, PrintReport, decode_print, decode_prints, gather
from harness.minifilter.timeline import render
from harness.minifilter.trace import Trace
from tests.minifilter.test_trace import LABELS, PROBE, Recorder, down_and_up


@pytest.fixture
def seen() -> Recorder:
    return Recorder()


def printed(text: str, at: int, *, component: int = 101, level: int = 3, thread: int = 4) -> Print:
    return Print(at, at, component, level, thread, PROBE, len(text), text)


def record(text: bytes, full_length: int | None = None) -> bytes:
    numbers = ((7, 8), (70, 8), (47, 4), (1, 4), (5, 4), (4, 4), (len(text), 2), (full_length or len(text), 2))
    return b"".join(value.to_bytes(size, "little") for value, size in numbers) + text


def trace(seen: Recorder, *prints: Print, since: int = 0, lost: int = 0, status: int = 0) -> Trace:
    gathered = gather([("above", PrintReport(prints, lost, status))], since)
    return Trace(LABELS, tuple(seen.events), PROBE, gathered)


def test_record_is_decoded():
    item = decode_print("above", record(b"cannot\tread\r\n"))

    assert (item.time_stamp, item.performance_count, item.thread, item.process) == (7, 70, 5, 4)
    assert (item.source, item.line) == ("FLTMGR WARNING", "cannot read")


def test_text_that_was_cut_says_so():
    assert decode_print("above", record(b"x" * 468, 512)).line == "x" * 468 + " … (cut, 512 bytes)"


@pytest.mark.parametrize(
    ("component", "level", "source"), [(101, 3, ""), (150, 0, "component 150 ERROR"), (101, 8, "DEFAULT level 0x8")]
)
def test_source_is_told_where_it_is_not_that_of_dbgprint(component: int, level: int, source: str):
    assert printed("x", 1, component=component, level=level).source == source


@pytest.mark.parametrize("bad", [b"", record(b"four")[:-1], record(b"four") + b"x", record(b"x" * (PRINT_SIZE - 35))])
def test_record_of_a_wrong_length_is_refused(bad: bytes):
    with pytest.raises(GuestError, match="a wrong length"):
        decode_print("above", bad)


def test_what_is_not_hexadecimal_is_refused():
    with pytest.raises(GuestError, match="not hexadecimal"):
        decode_prints("above", ["xyz"])


def test_prints_stand_where_they_were_printed(seen: Recorder):
    down_and_up(seen, thread=4)  # ticks 1 to 6
    down_and_up(seen, data=0xB0, thread=5)  # 7 to 12
    prints = [
        printed("loading\n", 0),
        printed("refused\r\n", 2, thread=9),
        printed("late", 6, component=47, level=0),
        printed("after all", 30),
    ]
    shown = list(render(trace(seen).operations, prints=trace(seen, *prints, since=1, lost=3).printed))

    assert shown[1:3] == ["printed before the test's own I/O", "  -0.1  1288:4  DbgPrint  loading"]
    texts = [line for line in shown if "DbgPrint" in line or line.startswith("READ")]
    assert [text.split("DbgPrint  ")[-1] for text in texts] == [
        "loading",
        "READ data.bin, 0 bytes at 0 (IRP)",
        "refused",
        "FLTMGR ERROR: late",
        "READ data.bin, 0 bytes at 0 (IRP)",
        "after all",
    ]
    assert shown[-1] == "3 more prints were lost: the ring of above was full"


def test_print_goes_to_the_operation_its_thread_was_in(seen: Recorder):
    seen("above.pre", thread=4)
    seen("above.pre", data=0xB0, thread=5)
    seen("above.post", data=0xB0, thread=5)
    seen("above.post", thread=4)

    shown = list(render(trace(seen).operations, prints=trace(seen, printed("of four", 2, thread=4)).printed))

    first, second = (index for index, line in enumerate(shown) if line.startswith("READ"))
    (at,) = (index for index, line in enumerate(shown) if "of four" in line)
    assert first < at < second


def test_prints_are_shown_where_there_was_no_operation(seen: Recorder):
    shown = str(trace(seen, printed("alone", 5))).splitlines()

    assert shown[0] == "no operation was recorded"
    assert shown[-1].endswith("DbgPrint  alone")


def test_prints_change_no_operation(seen: Recorder):
    down_and_up(seen, thread=4)
    noisy = trace(seen, printed("x", 2), printed("y", 3))

    assert [operation.path for operation in noisy.operations] == [operation.path for operation in seen.trace.operations]
    assert [item.line for item in noisy.prints] == ["x", "y"]


def test_system_without_the_export_is_told(seen: Recorder):
    assert trace(seen, status=0xC000007A).printed.notes == (
        "above cannot capture DbgPrint: 0xC000007A PROCEDURE_NOT_FOUND",
    )
