"""Steps that speak to minifilters: connections, rules, what is held, attaching, loading."""

import pytest

from harness.minifilter.events import Phase
from harness.nt import IrpMajor, NtStatus, PreopStatus
from harness.wire import kernel as wire
from tests.fltprobe.conftest import Bench

ACCESS_DENIED = int(NtStatus.ACCESS_DENIED)
FLT_INSTANCE_NOT_FOUND = 0x801F0015  # HRESULTs
FLT_FILTER_NOT_FOUND = 0x801F0013
WITH_A_SPELLING = [
    major for major in IrpMajor if major not in {IrpMajor.POWER, IrpMajor.SYSTEM_CONTROL, IrpMajor.DEVICE_CHANGE}
]
PRE_READ = (Phase.PRE, IrpMajor.READ)
READ = "open f V:\\data.bin options=noncached\nread f offset=0 length=512\n"


@pytest.fixture
def data(bench: Bench) -> bytes:
    content = bytes(range(256)) * 4
    (bench.volume / "data.bin").write_bytes(content)
    return content


def test_every_connected_minifilter_reports_its_events(bench: Bench, data: bytes):
    bench.load("observer", "high")
    bench.load("observer", "low")

    result = bench("filter high\nfilter low \\fltlab-low\n" + READ)

    assert list(result.filters) == ["high", "low"]
    for label, report in result.filters.items():
        assert {event.filter for event in report.events} == {label}
        assert [event.phase for event in report.events if event.major is IrpMajor.READ] == [Phase.PRE, Phase.POST]
        assert (report.dropped, report.outstanding) == (0, 0)
        assert {event.process for event in report.events if (event.phase, event.major) == PRE_READ} == {
            result.process_id
        }


def test_each_script_begins_with_an_empty_ring_and_no_rules(bench: Bench, data: bytes):
    bench.load("completion")
    refuse = "rule completion major=read do=complete status=0xC0000022\n"

    first = bench("filter completion\n" + refuse + READ)
    second = bench("filter completion\n" + READ)

    assert (first.step("read").status, second.step("read").status) == (ACCESS_DENIED, 0)
    assert len([event for event in second.events if event.major is IrpMajor.READ]) == 2


def test_a_query_that_comes_as_an_irp_meets_the_rules(bench: Bench, data: bytes):
    bench.load("completion")
    refuse = "rule completion major=query-information class=irp do=complete status=0xC0000022\n"

    result = bench("filter completion\n" + refuse + "open f V:\\data.bin\nquery f class=internal\n")

    assert result.step("query").status == ACCESS_DENIED
    (query,) = [event for event in result.events if event.major is IrpMajor.QUERY_INFORMATION]
    assert (query.irp_flags & 0x40, query.paging) == (0x40, False)  # IRP_INPUT_OPERATION


def test_more_events_than_one_reply_holds_are_all_drained(bench: Bench, data: bytes):
    bench.load("observer")

    result = bench("filter observer\n" + READ + "read f offset=0 length=512\n" * 400)

    reads = [event for event in result.events if event.major is IrpMajor.READ]
    assert len(reads) == 2 * 401
    assert [event.sequence for event in result.filters["observer"].events] == list(
        range(1, len(result.filters["observer"].events) + 1)
    )


def test_every_major_that_a_driver_can_register_can_be_named_in_a_rule(bench: Bench):
    bench.load("observer")
    known = bench.error("filter observer\nrule observer major=no").rpartition(": ")[2].split()

    assert known == [major.spelling for major in WITH_A_SPELLING]
    for major in WITH_A_SPELLING:
        bench(f"filter observer\nrule observer major={major.spelling}\n")


def test_a_rule_acts_on_what_it_names_as_often_as_it_says(bench: Bench, data: bytes):
    bench.load("completion")

    result = bench(
        "filter completion\n"
        "rule completion major=read class=irp name=data.bin skip=1 max=1 do=complete status=0xC0000022 information=7\n"
        + READ
        + "read f offset=0 length=512\nread f offset=0 length=512\n"
    )

    assert [step.status for step in result.all("read")] == [0, ACCESS_DENIED, 0]
    completed = [
        event for event in result.events if event.returned == PreopStatus.COMPLETE and event.phase is Phase.PRE
    ]
    assert [(event.rule_id, event.status, event.information) for event in completed] == [(1, ACCESS_DENIED, 7)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("rule observer do=pend", "the minifilter refuses this rule, as it does not do what the rule says"),
        ("rule observer do=dance", "do=dance is none of: no-callback with-callback"),
        ("rule observer name=" + "x" * 33, "name= takes at most 32 characters"),
        ("rule observer status=0x100000000", "status= is at most 0xFFFFFFFF"),
        ("expect-events observer count=1 phase=middle", "phase=middle is none of: pre post resume-pre"),
        ("filter observer", "there is a `filter` line already for: observer"),
    ],
)
def test_a_rule_that_cannot_be_kept_ends_the_script(bench: Bench, line: str, message: str):
    bench.load("observer")

    assert bench.error(f"filter observer\n{line}").startswith(f"line 2: {message}")


def test_what_is_held_is_let_go_by_release(bench: Bench, data: bytes):
    bench.load("pending")

    result = bench(r"""
        filter pending
        rule pending major=read do=pend mechanism=queue resume=with-callback hold=yes
        open f V:\data.bin options=noncached,overlapped
        read f offset=0 length=512 async=one
        read f offset=512 length=512 async=two
        expect-held pending count=2
        expect-held pending count=3 timeout=5
        wait one timeout=5
        release pending rule=9
        release pending
        wait one
        wait two
        expect-held pending count=0
    """)

    held = result.all("expect-held")
    assert [(step.status, step.information) for step in held] == [(0, 2), (NtStatus.TIMEOUT, 2), (0, 0)]
    assert [(step.status, step.information) for step in result.all("release")] == [(0, 0), (0, 2)]
    assert [step.status for step in result.all("wait")] == [NtStatus.TIMEOUT, 0, 0]


def test_events_can_be_waited_for_and_are_reported_all_the_same(bench: Bench, data: bytes):
    bench.load("observer")

    result = bench(
        "filter observer\n"
        + READ
        + """
        expect-events observer major=read phase=pre count=1
        expect-events observer major=write count=1 timeout=3
        expect-events observer count=2 phase=post
        """
    )

    seen = result.all("expect-events")
    assert [(step.status, step.information) for step in seen[:2]] == [(0, 1), (NtStatus.TIMEOUT, 0)]
    assert seen[2].information >= 2
    assert {event.phase for event in result.events if event.major is IrpMajor.READ} == {Phase.PRE, Phase.POST}


def test_instances_are_attached_and_detached(bench: Bench, data: bytes):
    bench.load("observer")

    result = bench(
        "filter observer\ndetach observer\n"
        + READ
        + "attach observer volume=V:\nread f offset=0 length=512\ndetach nobody\n"
    )

    assert [step.status for step in result.all("attach") + result.all("detach")] == [0, 0, FLT_FILTER_NOT_FOUND]
    assert len([event for event in result.events if event.major is IrpMajor.READ]) == 2
    assert [event.phase for event in result.events if event.phase >= Phase.INSTANCE_SETUP] == [
        Phase.QUERY_TEARDOWN,
        Phase.TEARDOWN_START,
        Phase.TEARDOWN_COMPLETE,
        Phase.INSTANCE_SETUP,
    ]


def test_detaching_what_is_not_attached_fails(bench: Bench):
    bench.load("observer")

    assert [step.status for step in bench("detach observer\ndetach observer").steps] == [0, FLT_INSTANCE_NOT_FOUND]


def test_a_service_is_loaded_and_unloaded(bench: Bench, data: bytes):
    bench.register("observer")

    result = bench(
        "load fltlab-observer\nattach observer\nfilter observer\n"
        + READ
        + "unload fltlab-observer\nunload fltlab-observer"
    )

    assert [step.status for step in result.all("load") + result.all("attach")] == [0, 0]
    assert [step.status for step in result.all("unload")] == [0, FLT_FILTER_NOT_FOUND]
    assert [event.phase for event in result.events if event.major is IrpMajor.READ] == [Phase.PRE, Phase.POST]
    assert bench.ask(wire.ListFilters()).filters == ()
