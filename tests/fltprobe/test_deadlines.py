"""Time and threads: no script runs for ever, and what it knows at its end is reported whatever hangs."""

from collections.abc import Callable

import pytest

from harness.minifilter.events import Phase
from harness.nt import IrpMajor, NtStatus
from harness.wire import kernel as wire
from tests.fltprobe.conftest import Bench

HOLD = "filter pending\nrule pending major=read do=pend mechanism=thread hold=yes\n"
SEEDS = pytest.mark.parametrize("seed", range(5))


@pytest.fixture(autouse=True)
def data(bench: Bench) -> None:
    (bench.volume / "data.bin").write_bytes(bytes(1024))


def test_a_step_that_does_not_end_is_reported_as_outstanding_with_all_events(bench: Bench):
    bench.load("pending")

    ran = bench.run(HOLD + "deadline 50\nopen f V:\\data.bin options=noncached\nread f offset=0 length=512\nclose f\n")

    assert (ran.exit_code, ran.result.error, ran.remain) == (4, None, ())
    read = ran.result.step("read")
    assert (read.outstanding, read.status, read.end) == (True, NtStatus.PENDING, 0)
    assert ran.result.all("close") == []
    assert ran.result.filters["pending"].outstanding == 1
    assert [event.phase for event in ran.result.events if event.major is IrpMajor.READ] == [Phase.PRE]


@pytest.mark.parametrize(
    ("options", "words", "verb"), [("noncached", "", "read"), ("noncached,overlapped", "async=lost\nwait lost", "wait")]
)
def test_a_driver_that_never_resumes_costs_the_deadline_and_is_reported(
    bench: Bench, options: str, words: str, verb: str
):
    bench.load("forgets-pended")

    ran = bench.run(
        "filter forgets-pended\nrule forgets-pended major=read do=pend\n"
        f"open f V:\\data.bin options={options}\nread f offset=0 length=512 {words}\n"
    )

    assert (ran.exit_code, ran.result.step(verb).outstanding) == (4, True)
    assert ran.remain
    assert [item.rule for item in bench.ask(wire.Status()).findings] == ["PRE-PEND-02"]


def test_the_deadline_is_for_each_step(bench: Bench):
    result = bench("deadline 20\n" + "sleep 15\n" * 10)
    assert result.frequency == 10_000_000
    assert all(step.end - step.begin >= 15 * 10_000 for step in result.all("sleep"))

    ran = bench.run("deadline 20\nsleep 15\nsleep 25\nsleep 1")
    assert (ran.exit_code, [step.outstanding for step in ran.result.steps]) == (4, [False, False, True])


def test_without_a_deadline_line_a_step_has_ten_seconds(bench: Bench):
    assert bench.run("sleep 9990").exit_code == 0
    assert bench.run("sleep 10010").exit_code == 4


def test_a_deadline_passes_while_the_ring_is_being_asked(bench: Bench):
    bench.load("observer")

    ran = bench.run(r"""
        filter observer
        open f V:\data.bin
        deadline 100
        expect-events observer major=write count=1 timeout=5000
    """)

    assert (ran.exit_code, ran.result.step("expect-events").outstanding) == (4, True)
    assert {event.major for event in ran.result.events} >= {IrpMajor.CREATE}


@SEEDS
def test_what_is_held_at_the_end_is_let_go_after_the_report(make_bench: Callable[..., Bench], seed: int):
    bench = make_bench(seed + 1)
    (bench.volume / "data.bin").write_bytes(bytes(1024))
    bench.load("pending")
    reading = "open f V:\\data.bin options=noncached\nspawn reading read f offset=0 length=512\n"
    script = HOLD + reading + "expect-held pending count=1\n"

    ran = bench.run(script)

    assert (ran.exit_code, ran.remain) == (0, ())
    assert ran.result.filters["pending"].outstanding == 1
    assert ran.result.step("read").outstanding
    assert not ran.result.step("spawn").outstanding
    assert bench.run(script).exit_code == 0


@SEEDS
def test_spawned_steps_run_beside_the_others(make_bench: Callable[..., Bench], seed: int):
    bench = make_bench(seed + 1)
    (bench.volume / "data.bin").write_bytes(b"x" * 512)
    bench.load("pending")

    result = bench(
        HOLD
        + r"""
        open  f V:\data.bin options=noncached
        spawn one read f offset=0 length=512
        open  g V:\data.bin options=noncached
        spawn two read g offset=0 length=512
        expect-held pending count=2
        release pending
        wait  one
        wait  two
    """
    )

    reads = result.all("read")
    assert len({step.thread for step in reads} | {result.thread_id}) == 3
    assert [(step.status, step.information, step.data) for step in result.all("wait")] == [(0, 512, b"x" * 64)] * 2
    assert {event.thread for event in result.events if event.phase is Phase.PRE and event.major is IrpMajor.READ} == {
        step.thread for step in reads
    }


@SEEDS
def test_a_script_may_end_in_many_threads_at_once(make_bench: Callable[..., Bench], seed: int):
    bench = make_bench(seed + 1)

    ran = bench.run("deadline 5\n" + "".join(f"spawn s{n} sleep {n}\n" for n in range(40)) + "sleep 5\nsleep 50\n")

    assert ran.exit_code == 4
    assert len(ran.result.all("spawn")) == 40


def test_a_mistake_in_a_spawned_step_names_its_line(bench: Bench):
    assert bench.error("spawn one read f length=1\nwait one") == "line 1: no `open` line names this file: f"
