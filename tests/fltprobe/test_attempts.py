"""Scripts are tried in a copy of the kernel, which stays as it is, and what each has reached is told."""

from collections.abc import Callable
from pathlib import Path

from harness.reference.process.copies import in_a_copy
from harness.reference.process.counting import count_drivers
from harness.reference.process.host import Host
from harness.wire.attempts import Attempts, Entrances, ListEntrances, Tried

from .conftest import Bench

OPEN = "open f V:\\a.txt access=rw disposition=create\n"


def test_the_kernel_stays_as_it_is_and_every_script_finds_it_so(make_bench: Callable[..., Bench]):
    bench = make_bench()
    counters = count_drivers(bench.system)
    bench.load("passthrough")
    host, before = Host(bench.system, counters), bench.system.trace.digest
    program, empty = str(bench.built["fltprobe"].sys), (str(bench.volume),)

    first = host.answer(Attempts(program, (OPEN, OPEN, "no script"), empty=empty, unload=("fltlab-passthrough",)))
    assert isinstance(first, Tried)
    learnt = tuple(number for attempt in first.attempts for number in attempt.news)
    again = host.answer(Attempts(program, (OPEN,), learnt, empty=empty))

    assert [attempt.exit_code for attempt in first.attempts] == [0, 0, 2, 0]
    assert first.attempts[0].news
    assert isinstance(again, Tried)
    assert again.attempts[0].news == ()
    assert bench.system.trace.digest == before
    assert "fltlab-passthrough" in bench.system.drivers.loaded
    entrances = host.answer(ListEntrances("fltlab-passthrough"))
    assert isinstance(entrances, Entrances)
    assert entrances.ports == ("\\fltlab-passthrough",)


def test_a_bug_check_is_the_copys_and_ends_it(make_bench: Callable[..., Bench]):
    bench = make_bench()
    counters = count_drivers(bench.system)
    bench.load("forgets-pended")
    host = Host(bench.system, counters)
    crash = f"filter forgets-pended\nrule forgets-pended major=read do=pend\n{OPEN}read f length=16\n"

    tried = host.answer(Attempts(str(bench.built["fltprobe"].sys), (crash, OPEN), empty=(str(bench.volume),)))

    assert isinstance(tried, Tried)
    assert any(attempt.findings or attempt.stop for attempt in tried.attempts)
    assert bench.system.stop is None
    assert bench.system.verifier.findings == []


def test_a_copy_that_does_not_come_to_its_end_is_ended(tmp_path: Path):
    def work(write: Callable[[bytes], object]) -> None:
        write(b"begun")
        while True:
            pass

    copied = in_a_copy(work, 0.2)

    assert (copied.written, copied.out_of_time) == (b"begun", True)
    assert in_a_copy(lambda write: write(b"done"), 10).written == b"done"
    assert in_a_copy(lambda _: (tmp_path / "missing").read_bytes(), 10).exit_code == 1
