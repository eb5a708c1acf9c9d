"""Scripts that follow each other in one process: each begins as if its process were new; the last one is reported."""

from collections.abc import Callable

import pytest

from harness.nt import NtStatus
from harness.reference.windows.user.streams import InputPipe
from tests.fltprobe.conftest import Bench

NEXT = "---\n"
OPEN = "open f V:\\a disposition=open-if access=rw\n"


def test_a_line_of_three_dashes_ends_a_script_and_the_last_is_reported(bench: Bench):
    result = bench(f"{OPEN}write f text=one\n{NEXT}{OPEN}read f length=3\n")

    assert [(step.line, step.verb) for step in result.steps] == [(1, "open"), (2, "read")]
    assert result.step("read").data == b"one"


@pytest.mark.parametrize(
    ("left", "then"),
    [
        ("open f V:\\a disposition=open-if access=rw share=none\n", "open f V:\\a access=rw share=none"),
        (OPEN + "lock f offset=0 length=9\n", "open f V:\\a access=rw\nlock f offset=0 length=9"),
        (
            OPEN + "set f class=end-of-file value=8192\nsection s f\nmap v s\nclose-section s\nclose f\n",
            "open f V:\\a access=rw\nset f class=end-of-file value=0",
        ),
    ],
    ids=["open", "locked", "mapped"],
)
def test_what_a_script_has_left_is_gone_when_the_next_begins(bench: Bench, left: str, then: str):
    """And was not, without the line between."""
    together = bench(f"{left}{then.replace(' f', ' g')}\n")
    apart = bench(f"{left}{NEXT}{then}\n")

    assert together.steps[-1].status != NtStatus.SUCCESS
    assert [step.status for step in apart.steps] == [NtStatus.SUCCESS] * len(apart.steps)


def test_names_connections_and_deadlines_begin_anew(make_bench: Callable[..., Bench]):
    bench = make_bench()
    bench.load("passthrough")
    script = "filter passthrough\ndeadline 1\nimpersonate anonymous\n"

    result = bench(f"{script}{NEXT}filter passthrough\nsleep 100\n{OPEN}")

    assert [step.status for step in result.steps] == [NtStatus.SUCCESS] * 3
    assert bench.error(f"{OPEN}{NEXT}read f length=1\n").endswith("no `open` line names this file: f")


def test_what_is_pending_is_cancelled(bench: Bench):
    notify = "open d V:\\ access=list options=directory,overlapped\nnotify d async=n\n"

    ran = bench.run(f"{notify}{NEXT}{OPEN}")

    assert (ran.exit_code, ran.remain) == (0, ())
    assert ran.statuses() == [NtStatus.SUCCESS]


def test_a_process_waits_for_the_next_script_as_long_as_it_takes(bench: Bench):
    k, pipe = bench.system, InputPipe(f"{OPEN}{NEXT}".encode(), is_open=True)
    program = k.programs.start(str(bench.built["fltprobe"].sys), bench.built["fltprobe"].sys.read_bytes(), (), pipe)
    k.run_while(lambda: not pipe.is_awaited)
    over: list[bool] = []
    k.timer(10 * 60 * 10_000_000, lambda: over.append(True))
    k.run_while(lambda: not over)

    assert program.exit_status is None
    pipe.feed(k, OPEN.encode(), last=True)
    k.run_while(lambda: not program.ended.state)
    assert program.exit_status == 0


def test_a_script_that_comes_in_pieces_is_one(bench: Bench):
    long = "# " + "x" * 4000 + "\n"

    result = bench(long * 20 + f"{OPEN}{NEXT}" + long * 20 + OPEN)

    assert [step.line for step in result.steps] == [21]
