"""A run as the report's reader would meet it, made by hand: a test of every kind, and a trace as long as one likes."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness.minifilter.events import Phase
from harness.nt import IrpMajor, NtStatus, OperationClass, PostopStatus, PreopStatus
from harness.report.html import RuleText, write_html
from harness.report.provenance import GuestFacts, Provenance
from harness.report.records import Blame, Outcome, Section, SectionKind, TestRecord, Witness
from harness.report.summary import summarise
from harness.wire.trace import (
    FILE_NAME,
    Callback,
    Header,
    Io,
    Mark,
    Minifilter,
    Note,
    Operation,
    Pended,
    Print,
    Record,
    Ring,
    Step,
    write_trace,
)

PROBE = 1288
STACK = (
    Minifilter("above", "observer", "370030.5", "fltlab-above"),
    Minifilter("pending", "pending", "370020.5", "fltlab-pending"),
    Minifilter("below", "observer", "370010.5", "fltlab-below"),
)
DOWN_AND_UP = [(0, Phase.PRE), (1, Phase.PRE), (2, Phase.PRE), (2, Phase.POST), (1, Phase.POST), (0, Phase.POST)]
RULES = {
    "PRE-COMP-04": RuleText(
        "The filter that completes an operation does not get its own post callback for it.",
        "ifs/completing.md",
        "https://learn.example/completing",
        "completion",
        "guarantee",
    ),
    "PRE-PEND-02": RuleText(
        "Every pended operation is resumed once.",
        "ifs/pending.md",
        "https://learn.example/pending",
        "pending",
        "obligation",
    ),
    "IRQL-05": RuleText(
        "A post may run at DISPATCH_LEVEL.", "ifs/irql.md", "https://learn.example/irql", "irql", "guarantee"
    ),
    "REG-01": RuleText(
        "What is registered is called.", "ifs/reg.md", "https://learn.example/reg", "registration", "guarantee"
    ),
}
PROVENANCE = Provenance(
    id="20261128-060000-0001",
    started="2026-11-28T06:00:00+00:00",
    finished="2026-11-28T06:00:09+00:00",
    command=("fltlab", "run"),
    versions={"fltlab": "0.1.0", "python": "3.11.2"},
    host={"system": "Linux", "cores": "2"},
    options={},
    seed=7,
    guests={"reference": GuestFacts("reference", "reference", "ab" * 32, "7.2.22", "tcg")},
    drivers={"pending": "cd" * 32},
)


def callback(number: int, operation: int, lane: int, phase: Phase, **facts: object) -> Callback:
    known = {
        "performance_count": 1000 + 12 * number,
        "time_stamp": 5000 + 40 * number,
        "process": PROBE,
        "thread": 4,
        "requestor_process": PROBE,
        "requestor_thread": 4,
        "major": int(IrpMajor.READ),
        "operation_class": int(OperationClass.IRP),
        "name": "data.bin",
        "length": 4096,
        "file_object": 0xFFFF9B0000014E90,
        "callback_data": 0xFFFF9B0000010FC0,
    }
    return Callback(number, 1, operation, STACK[lane].label, int(phase), **{**known, **facts})


def passes(operations: int) -> Iterator[Record]:
    """`operations` reads that go down through all filters and up again, six callbacks each, on three threads."""
    yield from STACK
    script = "\n".join(
        ["write prepare0", "open f V:\\data.bin", *("read f length=4096" for _ in range(min(operations, 500)))]
    )
    yield Io(1, f"{script}\n", prepared=1, process=PROBE, thread=4, began="2026-11-28T06:00:01.000+00:00", seconds=0.5)
    for place in range(min(operations, 500)):
        yield Step(1, 3 + place, "read", "f", 0, 4096, begin=1000 + 72 * place, end=1060 + 72 * place)
    for place in range(operations):
        thread = 4 + 4 * (place % 3)
        yield Operation(
            place + 1, 1, int(IrpMajor.READ), 0, 1, "data.bin", 0, 4096, PROBE, thread, step=3 + min(place, 499)
        )
        for turn, (lane, phase) in enumerate(DOWN_AND_UP):
            irql = 2 if place % 7 == 3 and phase is Phase.POST else 0
            yield callback(6 * place + turn + 1, place + 1, lane, phase, thread=thread, irql=irql)


def wrong_path() -> Iterator[Record]:
    """A create that a filter completes, whose post callback is called all the same."""
    create = {"major": int(IrpMajor.CREATE), "name": "secret.txt", "length": 0}
    denied = {"status": int(NtStatus.ACCESS_DENIED)}
    yield from STACK
    yield Io(1, "write prepare0\nfilter above\nopen secret V:\\secret.txt access=read\n", prepared=2, process=PROBE)
    yield Step(1, 3, "open", "secret", int(NtStatus.ACCESS_DENIED), begin=1000, end=1100)
    yield Operation(1, 1, int(IrpMajor.CREATE), 0, 1, "secret.txt", 0, 0, PROBE, 4, step=3)
    yield callback(1, 1, 0, Phase.PRE, **create)
    yield callback(2, 1, 1, Phase.PRE, returned=int(PreopStatus.COMPLETE), **create, **denied)
    yield callback(3, 1, 1, Phase.POST, changed={"length": 4096}, **create, **denied)
    yield callback(4, 1, 0, Phase.POST, **create, **denied)
    yield Print(1, "guard: refuses \x1b[31msecret.txt\n", performance_count=1030, component=101, level=3, operation=1)
    came = ("above.pre", "pending.pre", "pending.post", "above.post")
    text = "pending.post came, where above.post must come"
    yield Mark("failed", text, "PRE-COMP-04", "", 1, 3, came, ("above.pre", "pending.pre", "above.post"))


def held() -> Iterator[Record]:
    """Two scripts; in the second, reads that a filter holds, one of them for ever, and finds the kernel reports."""
    yield from STACK
    yield Io(1, "open f V:\\data.bin\n", process=PROBE)
    yield Operation(1, 1, int(IrpMajor.CREATE), 0, 1, "data.bin", 0, 0, PROBE, 4, step=1)
    yield callback(1, 1, 0, Phase.PRE, major=0)
    yield callback(2, 1, 0, Phase.POST, major=0)
    yield Io(2, "read f length=4096 async=one\nread f length=512 async=two\nwait one\n", process=PROBE)
    yield Step(2, 1, "read", "f", int(NtStatus.PENDING), begin=1030, end=1060)
    yield Step(2, 2, "read", "f", int(NtStatus.PENDING), begin=1061, end=1120, outstanding=True)
    yield Ring(2, "pending", outstanding=1)
    for number, step in ((2, 1), (3, 2)):
        yield Operation(number, 2, int(IrpMajor.READ), 0, 1, "data.bin", 0, 4096, PROBE, 4, step=step)
    pends = {"returned": int(PreopStatus.PENDING)}
    yield replace(callback(3, 2, 0, Phase.PRE), io=2)
    yield replace(callback(4, 2, 1, Phase.PRE, **pends), io=2)
    yield replace(callback(5, 3, 0, Phase.PRE), io=2)
    yield replace(callback(6, 3, 1, Phase.PRE, **pends), io=2)
    yield replace(callback(7, 2, 1, Phase.RESUME_PRE, thread=8, process=4), io=2)
    yield replace(callback(8, 2, 2, Phase.PRE, thread=8, process=4), io=2)
    yield replace(callback(9, 2, 2, Phase.POST, thread=12, process=4, irql=2), io=2)
    yield replace(
        callback(10, 2, 0, Phase.POST, thread=12, process=4, irql=2, returned=int(PostopStatus.FINISHED_PROCESSING)),
        io=2,
    )
    yield Pended(2, "pending", 4, 7)
    yield Pended(3, "pending", 6)
    yield Mark("violated", "READ \\data.bin was pended and never resumed", "PRE-PEND-02", "fltlab-pending", 3, 6)
    yield Note("kernel", "196 56 READ data.bin fltlab-pending@370020.5: pre")


def record(name: str, outcome: Outcome, suite: str, rules: tuple[str, ...], **facts: object) -> TestRecord:
    return TestRecord(
        nodeid=f"suites/{suite}/test_{suite}.py::{name}",
        outcome=outcome,
        seconds=0.25,
        suite=suite,
        name=name,
        guest="reference",
        guest_kind="reference",
        rules=rules,
        stack=("observer@above", "pending", "observer@below"),
        **facts,
    )


RECORDS = [
    record("test_a_read_passes[x/y & z=1]", Outcome.PASSED, "registration", ("REG-01",), folder="tests/passes"),
    record(
        "test_a_completed_create_gets_no_post_of_its_own",
        Outcome.FAILED,
        "completion",
        ("PRE-COMP-04",),
        message="pending.post came, where above.post must come",
        sections=(
            Section(SectionKind.FAILURE, "test.py:3: in test\n    assert create.path == STOPPED"),
            Section(SectionKind.TIMELINE, "CREATE secret.txt"),
            Section(SectionKind.AGAIN, "fltlab run 'suites/completion/test_completion.py::test' --seed 7"),
        ),
        blame=Blame.ASSERTION,
        cause="pending.post came, where above.post must come",
        folder="tests/wrong",
    ),
    record(
        "test_every_pended_operation_is_resumed",
        Outcome.FAILED,
        "pending",
        ("PRE-PEND-02",),
        message="PRE-PEND-02 violated: fltlab-pending READ \\data.bin was pended and never resumed",
        blame=Blame.DRIVER,
        violated=("PRE-PEND-02",),
        cause="fltlab-pending: PRE-PEND-02",
        folder="tests/held",
    ),
    record(
        "test_a_post_may_run_at_dispatch",
        Outcome.NOT_WITNESSED,
        "irql",
        ("IRQL-05",),
        witnesses=(Witness("a post ran at DISPATCH_LEVEL", seen=False),),
    ),
    record("test_lost", Outcome.ERROR, "irql", ("IRQL-05",), message="the guest never answered", blame=Blame.OTHER),
    record("test_left_out", Outcome.SKIPPED, "irql", ("IRQL-05",), message="needs Windows 11"),
]


def write_report(directory: Path, records: list[TestRecord], operations: int = 4) -> Path:
    """Write the page of a run; `operations` is how many there are in the trace of the test that passed."""
    for folder, trace in (("passes", passes(operations)), ("wrong", wrong_path()), ("held", held())):
        (directory / "tests" / folder).mkdir(parents=True, exist_ok=True)
        write_trace(directory / "tests" / folder / FILE_NAME, Header("test", "reference", "reference", 7), trace)
    guarded = frozenset({"REG-01"})
    return write_html(directory, PROVENANCE, records, summarise(records, guarded, 9.0), guarded, RULES)
