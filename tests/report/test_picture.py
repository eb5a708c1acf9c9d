"""A trace as the viewer takes it: every callback in words, joined to its operation and to the step that caused it."""

from harness.minifilter.events import Phase
from harness.nt import IrpMajor, NtStatus, OperationClass, PreopStatus
from harness.report.picture import picture_of
from harness.wire.trace import Callback, Header, Io, Mark, Minifilter, Note, Operation, Pended, Print, Step, Trace

CREATE, IRP, DENIED = int(IrpMajor.CREATE), int(OperationClass.IRP), int(NtStatus.ACCESS_DENIED)


def callback(number: int, label: str, phase: Phase, **facts: object) -> Callback:
    known = {"major": CREATE, "operation_class": IRP, "name": "a.bin", "process": 8, "thread": 4}
    return Callback(number, 1, 2, label, int(phase), performance_count=100 + 10 * number, **{**known, **facts})


TRACE = Trace(
    Header("test", "reference", "reference", 1),
    minifilters=(Minifilter("above", "observer", "370030.5"), Minifilter("completion", "completion", "370020.5")),
    ios=(Io(1, "write prepare0\nopen f V:\\a.bin\n", prepared=1, process=8, frequency=10_000_000),),
    steps=(Step(1, 2, "open", "f", int(NtStatus.ACCESS_DENIED), begin=105, end=160),),
    operations=(
        Operation(1, 1, int(IrpMajor.CLOSE), prepares=True),
        Operation(2, 1, CREATE, name="a.bin", requestor_process=8, requestor_thread=4, step=2),
    ),
    callbacks=(
        Callback(9, 1, 1, "above", int(Phase.PRE), performance_count=50),
        callback(10, "above", Phase.PRE),
        callback(11, "completion", Phase.PRE, returned=int(PreopStatus.COMPLETE), status=DENIED),
        callback(12, "above", Phase.POST, irql=2, status=DENIED, flags=0x80000001, file_object=2**63),
    ),
    pended=(Pended(2, "completion", 11, 12),),
    prints=(Print(1, "hello\n", performance_count=205, component=101, level=3, operation=2),),
    notes=(Note("kernel", "the end"),),
    marks=(Mark("failed", "it was not so", operation=2, callback=12, came=("a",), must=("b",)),),
)


def column(name: str) -> list:
    picture = picture_of(TRACE)
    return [picture["texts"][place] for place in picture["callbacks"][name]]


def test_callbacks_are_told_in_words_and_times_count_from_the_first_of_the_tests_own():
    assert column("callback") == ["pre", "pre", "post"]
    assert column("returned") == ["SUCCESS_WITH_CALLBACK", "COMPLETE", "FINISHED_PROCESSING"]
    assert column("status") == ["", "0xC0000022 ACCESS_DENIED", "0xC0000022 ACCESS_DENIED"]
    assert column("irql") == ["PASSIVE", "PASSIVE", "DISPATCH"]
    assert column("title")[0] == "CREATE a.bin (IRP)"
    assert picture_of(TRACE)["callbacks"]["time"] == [0.0, 1.0, 2.0]


def test_what_prepares_the_test_is_not_in_the_picture():
    picture = picture_of(TRACE)

    assert picture["callbacks"]["id"] == [10, 11, 12]
    assert [operation[0] for operation in picture["operations"]] == [2]


def test_the_viewer_is_told_where_an_operation_goes_from_each_callback():
    assert picture_of(TRACE)["callbacks"]["turns"] == [1, 2, 0]


def test_lanes_are_the_stack_from_top_to_bottom_and_callbacks_stand_in_them():
    picture = picture_of(TRACE)

    assert [(lane["label"], lane["driver"], lane["altitude"]) for lane in picture["lanes"]] == [
        ("above", "observer", "370030.5"),
        ("completion", "completion", "370020.5"),
    ]
    assert picture["callbacks"]["lane"] == [0, 1, 0]
    assert picture["pended"] == [[2, 1, 11, 12]]


def test_addresses_and_flags_come_as_texts_that_lose_nothing():
    picture = picture_of(TRACE)
    texts = [picture["texts"][place] for place in picture["callbacks"]["details"][2]]
    facts = dict(zip(texts[::2], texts[1::2], strict=True))

    assert facts["file object"] == "0x8000000000000000"
    assert facts["data flags"] == "IRP_OPERATION, DIRTY"


def test_steps_prints_notes_and_marks_are_there():
    picture = picture_of(TRACE)

    assert picture["ios"][0]["steps"][0][:2] == [2, "0xC0000022 ACCESS_DENIED"]
    assert picture["operations"][0][2] == 2
    assert picture["prints"] == [[0.5, 1, 2, "0:0", "hello", 0]]
    assert picture["notes"] == [["kernel", "the end"]]
    assert picture["marks"][0]["callback"] == 12


def test_a_trace_without_callbacks_has_its_script():
    picture = picture_of(Trace(Header("test"), ios=(Io(1, "open f\n", error="bug check"),)))

    assert picture["ios"][0]["lines"] == ["open f"]
    assert picture["ios"][0]["error"] == "bug check"
    assert picture["callbacks"]["id"] == []
