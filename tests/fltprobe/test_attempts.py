"""Scripts are tried in a copy of the kernel, which stays as it is, and what each has reached is told."""

from collections.abc import Callable
from pathlib import Path

from harness.reference.process.copies import in_a_copy
from harness.reference.process.counting import count_drivers
from harness.reference.process.host import Host
from harness.wire.attempts import Attempts, Entrances, ListEntrances, Tried, TriedBatches

from .conftest import Bench

OPEN = "open f V:\\a.txt access=rw disposition=create\n"


def tried(host: Host, asked: Attempts) -> Tried:
    answer = host.answer(asked)
    assert isinstance(answer, TriedBatches)
    return answer.batches[0]


def test_the_kernel_stays_as_it_is_and_every_script_finds_it_so(make_bench: Callable[..., Bench]):
    bench = make_bench()
    counters = count_drivers(bench.system)
    bench.load("passthrough")
    host = Host(bench.system, counters)
    program, empty = str(bench.built["fltprobe"].sys), (str(bench.volume),)

    first = tried(host, Attempts(program, ((OPEN, OPEN, "no script"),), empty=empty, unload=("fltlab-passthrough",)))
    learnt = tuple(number for attempt in first.attempts for number in attempt.news)
    before = bench.system.trace.digest
    again = tried(host, Attempts(program, ((OPEN,),), learnt, empty=empty))

    assert [attempt.exit_code for attempt in first.attempts] == [0, 0, 2, 0]
    assert first.attempts[0].news
    assert again.attempts[0].news == ()
    assert bench.system.trace.digest == before
    assert "fltlab-passthrough" in bench.system.drivers.loaded
    entrances = host.answer(ListEntrances("fltlab-passthrough"))
    assert isinstance(entrances, Entrances)
    assert entrances.ports == ("\\fltlab-passthrough",)


def test_what_a_script_has_reached_is_its_own_also_where_several_share_a_process(make_bench: Callable[..., Bench]):
    bench = make_bench()
    counters = count_drivers(bench.system)
    bench.load("passthrough")
    host = Host(bench.system, counters)
    nothing, wrong = "sleep 0\n", f"{OPEN}read g length=1\n"
    scripts = (nothing, OPEN, nothing, wrong, OPEN, nothing)

    batch = tried(host, Attempts(str(bench.built["fltprobe"].sys), (scripts,), empty=(str(bench.volume),)))

    assert [attempt.exit_code for attempt in batch.attempts] == [0, 0, 0, 2, 0, 0]
    assert [bool(attempt.news) for attempt in batch.attempts] == [False, True, False, True, True, False]


def test_a_bug_check_is_the_copys_and_ends_it(make_bench: Callable[..., Bench]):
    bench = make_bench()
    counters = count_drivers(bench.system)
    bench.load("forgets-pended")
    host = Host(bench.system, counters)
    crash = f"filter forgets-pended\nrule forgets-pended major=read do=pend\n{OPEN}read f length=16\n"

    asked = Attempts(str(bench.built["fltprobe"].sys), ((crash, OPEN),), empty=(str(bench.volume),))

    assert any(attempt.findings or attempt.stop for attempt in tried(host, asked).attempts)
    assert bench.system.stop is None
    assert bench.system.verifier.findings == []


def test_copies_at_the_same_time_do_not_see_each_others_files(make_bench: Callable[..., Bench]):
    bench = make_bench()
    counters = count_drivers(bench.system)
    bench.load("passthrough")
    host = Host(bench.system, counters)
    scripts = tuple(f"open f V:\\{name}.txt access=rw disposition=create\nclose f\n" * 2 for name in "abcabc")
    batches = (scripts, scripts, scripts)

    answer = host.answer(Attempts(str(bench.built["fltprobe"].sys), batches, empty=(str(bench.volume),)))

    assert isinstance(answer, TriedBatches)
    assert len(answer.batches) == len(batches)
    assert {len(batch.attempts) for batch in answer.batches} == {len(scripts)}
    assert all(batch == answer.batches[0] for batch in answer.batches)
    assert [path.name for path in bench.volume.iterdir()] == ["c.txt"]


def test_a_copy_that_does_not_come_to_its_end_is_ended(tmp_path: Path):
    def work(write: Callable[[bytes], object]) -> None:
        write(b"begun")
        while True:
            pass

    copied = in_a_copy(work, 0.2)

    assert (copied.written, copied.out_of_time) == (b"begun", True)
    assert in_a_copy(lambda write: write(b"done"), 10).written == b"done"
    assert in_a_copy(lambda _: (tmp_path / "missing").read_bytes(), 10).exit_code == 1
