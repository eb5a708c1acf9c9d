"""Events become operations, and operations answer questions."""

import json
from typing import Any

import pytest

from harness.errors import GuestError, TestError
from harness.minifilter.events import Event, Phase, decode_event
from harness.minifilter.probe import parse_probe
from harness.minifilter.trace import Trace, group
from harness.nt import CallbackDataFlags, IrpMajor, NtStatus, OperationClass, PostopStatus, PreopStatus
from tests.minifilter.test_events import record

LABELS = ("above", "middle", "below")
PROBE = 1288
PRE, POST, RESUME = Phase.PRE, Phase.POST, Phase.RESUME_PRE


class Recorder:
    """Writes events as the minifilters would, one tick after the other."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, where: str, major: IrpMajor = IrpMajor.READ, data: int = 0xA0, **values: Any) -> Event:
        label, _, phase = where.partition(".")
        phase_value = {"pre": PRE, "post": POST, "resume": RESUME, "start": Phase.TEARDOWN_START}[phase]
        tick = len(self.events) + 1
        given = {"process": PROBE, "requestor_process": PROBE, "file_object": 0xF0, "irql": 0, **values}
        event = decode_event(
            label,
            record(
                given.pop("name", "data.bin"),
                phase_value=phase_value,
                major_value=major,
                callback_data=data,
                time_stamp=tick,
                performance_count=tick,
                sequence=tick,
                **given,
            ),
        )
        self.events.append(event)
        return event

    @property
    def trace(self) -> Trace:
        return Trace(LABELS, tuple(self.events), PROBE)


@pytest.fixture
def seen() -> Recorder:
    return Recorder()


def down_and_up(seen: Recorder, **values: Any) -> None:
    for where in ("above.pre", "middle.pre", "below.pre", "below.post", "middle.post", "above.post"):
        seen(where, **values)


def paths(seen: Recorder) -> list[list[str]]:
    return [operation.path for operation in group(LABELS, seen.events)]


def test_one_operation_is_what_all_filters_saw_of_one_callback_data(seen: Recorder):
    down_and_up(seen)

    assert paths(seen) == [["above.pre", "middle.pre", "below.pre", "below.post", "middle.post", "above.post"]]


def test_events_are_in_the_order_of_the_performance_counter_and_then_of_the_time_stamps():
    def event(label: str, count: int, stamp: int) -> str:
        values = {"phase_value": PRE, "performance_count": count, "time_stamp": stamp, "callback_data": 0xA0}
        return record("data.bin", **values).hex()

    # A processor whose time stamps are behind saw the operation last.
    events = {"above": [event("above", 7, 500)], "middle": [event("middle", 7, 501)], "below": [event("below", 8, 40)]}
    filters = {label: {"events": found, "dropped": 0, "outstanding": 0} for label, found in events.items()}
    document = {"version": 1, "process_id": PROBE, "thread_id": 1, "frequency": 10**7, "error": None, "steps": []}

    trace = Trace.of(parse_probe(json.dumps({**document, "filters": filters})), LABELS)

    assert [operation.path for operation in trace.operations] == [["above.pre", "middle.pre", "below.pre"]]


def test_an_address_used_again_is_another_operation(seen: Recorder):
    down_and_up(seen)
    down_and_up(seen)

    assert [len(path) for path in paths(seen)] == [6, 6]


def test_a_completed_operation_ends_though_nobody_below_saw_it(seen: Recorder):
    for where in ("above.pre", "middle.pre", "above.post", "below.pre", "below.post"):
        seen(where)

    assert paths(seen) == [["above.pre", "middle.pre", "above.post"], ["below.pre", "below.post"]]


def test_own_io_of_a_filter_at_an_address_that_is_then_used_from_above(seen: Recorder):
    seen("below.pre")
    seen("below.post")
    down_and_up(seen)

    assert [len(path) for path in paths(seen)] == [2, 6]


def test_operations_that_overlap_in_time_are_kept_apart(seen: Recorder):
    for where, data in (("above.pre", 1), ("above.pre", 2), ("below.pre", 2), ("below.pre", 1), ("above.post", 2)):
        seen(where, data=data)

    assert paths(seen) == [["above.pre", "below.pre"], ["above.pre", "below.pre", "above.post"]]


def test_an_address_used_for_another_major_function_is_another_operation(seen: Recorder):
    seen("middle.pre", IrpMajor.CREATE)
    seen("below.pre", IrpMajor.CLEANUP)

    assert [operation.major for operation in seen.trace.operations] == [IrpMajor.CREATE, IrpMajor.CLEANUP]


def test_an_operation_issued_again_stays_one_operation(seen: Recorder):
    seen("above.pre")
    seen("below.pre")
    seen("below.post")
    seen("below.pre", flags=CallbackDataFlags.REISSUED_IO)

    assert paths(seen) == [["above.pre", "below.pre", "below.post", "below.pre"]]


def test_a_draining_post_belongs_to_the_operation_it_was_copied_from(seen: Recorder):
    seen("above.pre", data=0xA0)
    seen("middle.pre", data=0xA0)
    seen("middle.post", data=0xBEEF, post_flags=1)
    seen("below.pre", data=0xA0)
    seen("below.post", data=0xA0)
    seen("above.post", data=0xA0)

    assert paths(seen) == [["above.pre", "middle.pre", "middle.post", "below.pre", "below.post", "above.post"]]


def test_a_post_called_twice_is_seen_twice(seen: Recorder):
    down_and_up(seen)
    seen("above.post")

    assert seen.trace.only(IrpMajor.READ).path.count("above.post") == 2


def test_pending_and_resuming_are_steps_of_the_path(seen: Recorder):
    for where in ("above.pre", "middle.pre", "middle.resume", "below.pre", "below.post", "above.post"):
        seen(where)

    assert paths(seen) == [["above.pre", "middle.pre", "middle.resume", "below.pre", "below.post", "above.post"]]


def test_a_filters_part_is_asked_by_its_label(seen: Recorder):
    seen("above.pre", returned_value=PreopStatus.SUCCESS_WITH_CALLBACK)
    seen("middle.pre", returned_value=PreopStatus.COMPLETE, status=NtStatus.ACCESS_DENIED)
    seen("above.post", status=NtStatus.ACCESS_DENIED)

    read = seen.trace.only(IrpMajor.READ, name="DATA.BIN")
    assert read.of("middle").pre.returned is PreopStatus.COMPLETE
    assert read.of("above").post.returned is PostopStatus.FINISHED_PROCESSING
    assert read.of("above").post.status == NtStatus.ACCESS_DENIED
    assert not read.of("below")


def test_a_callback_that_did_not_happen_is_told_with_the_timeline(seen: Recorder):
    seen("above.pre")
    seen("above.post", status=NtStatus.ACCESS_DENIED)

    with pytest.raises(TestError) as raised:
        _ = seen.trace.only(IrpMajor.READ).of("above").resume

    assert "above recorded 0 events 'resume' of READ data.bin" in str(raised.value)
    assert "0xC0000022 ACCESS_DENIED" in str(raised.value)
    assert getattr(raised.value.about, "path", None) == ["above.pre", "above.post"]


@pytest.mark.parametrize("times", [0, 2])
def test_only_means_exactly_one(seen: Recorder, times: int):
    for _ in range(times):
        down_and_up(seen)

    with pytest.raises(TestError, match=f"the minifilters recorded {times} of READ data.bin, not one"):
        seen.trace.only(IrpMajor.READ, name="data.bin")


def test_operations_are_chosen_by_name_class_and_filter(seen: Recorder):
    seen("above.pre", data=1, name="a.bin", class_value=OperationClass.FAST_IO)
    seen("below.pre", data=2, name="b.bin")

    assert len(seen.trace.all(name="A.BIN")) == 1
    assert [operation.name for operation in seen.trace.all(cls=OperationClass.FAST_IO)] == ["a.bin"]
    assert [operation.name for operation in seen.trace.all(filter="below")] == ["b.bin"]
    assert seen.trace.none(IrpMajor.WRITE)
    assert not seen.trace.none(IrpMajor.READ, name="a.bin")


def test_paging_io_and_other_processes_are_left_out_unless_asked_for(seen: Recorder):
    seen("above.pre", data=1, irp_flags=0x2)
    seen("above.pre", data=2, process=4, requestor_process=4)
    seen("above.pre", data=3)

    assert [operation.first.callback_data for operation in seen.trace.all()] == [3]
    assert [operation.first.callback_data for operation in seen.trace.all(paging=None)] == [1, 3]
    assert [operation.first.callback_data for operation in seen.trace.all(process="any")] == [2, 3]


def test_the_lifecycle_of_an_instance_is_no_operation(seen: Recorder):
    seen("middle.start")

    assert seen.trace.operations == []
    assert seen.trace.lifecycle("middle") == ["teardown-start"]


def test_the_timeline_is_read_from_left_to_right(seen: Recorder):
    seen("above.pre", length=512, offset=4096)
    seen("above.post", status=NtStatus.END_OF_FILE, irql=2)

    assert str(seen.trace).splitlines() == [
        "  t/us  thread  filter  callback  irql      returned               IoStatus",
        "READ data.bin, 512 bytes at 4096 (IRP)",
        "   0.0  1288:0  above   pre       PASSIVE   SUCCESS_WITH_CALLBACK  -",
        "   0.1  1288:0  above   post      DISPATCH  FINISHED_PROCESSING    0xC0000011 END_OF_FILE",
    ]


ANSWER = """{"version": 1, "process_id": 1288, "thread_id": 4, "frequency": 10000000, "error": null,
 "steps": [{"line": 3, "verb": "open", "name": "f", "status": 3221225506, "information": 0, "thread_id": 4,
            "begin": 10, "end": 20, "data": "", "outstanding": false},
           {"line": 4, "verb": "read", "name": "f", "status": 0, "information": 2, "thread_id": 4,
            "begin": 20, "end": 30, "data": "5a5a", "outstanding": false}],
 "filters": {"above": {"dropped": 1, "outstanding": 2, "events": []}}}"""


def test_steps_are_found_by_verb_and_name():
    result = parse_probe(ANSWER)

    assert result.step("open", "f").status == NtStatus.ACCESS_DENIED
    assert result.step("read").data == b"ZZ"
    assert result["f"].verb == "read"
    assert (result.filters["above"].dropped, result.filters["above"].outstanding) == (1, 2)


def test_a_step_that_was_not_run_is_told_with_those_that_were():
    with pytest.raises(TestError, match="the script ran 0 steps 'write f', not one") as raised:
        parse_probe(ANSWER).step("write", "f")

    assert "open f: 0xC0000022 ACCESS_DENIED" in str(raised.value)


@pytest.mark.parametrize("text", ["", "The system cannot find the file specified.", "[]", '{"version": 2}'])
def test_what_is_no_answer_of_fltprobe_is_shown(text: str):
    with pytest.raises(GuestError, match="did not answer with its JSON document"):
        parse_probe(text)
