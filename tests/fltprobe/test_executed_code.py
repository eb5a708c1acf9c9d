"""What ran of a driver is counted by the processor, on any host alike, and the run does not notice."""

from collections.abc import Callable

import pytest

from harness.minifilter.build import BuiltDriver
from harness.reference.machine.cpu import native
from harness.reference.machine.cpu.block_counter import BlockCounter, Executed, ImageCounters
from harness.reference.process.counting import count_drivers
from harness.report.coverage.line_coverage import Ran
from harness.report.coverage.measured import Subject, lines_of_drivers

from .conftest import Bench

OPEN = r"open f V:\a.txt access=rw disposition=create options=noncached"
READ = "read f offset=0 length=4096"


def calls_of(name: str, built: BuiltDriver, executed: list[Executed]) -> int:
    ran = Ran()
    for one in executed:
        ran.add(one.spans, one.ends)
    measured = lines_of_drivers({Subject.of(built): ran})
    (calls,) = (file.functions[name][1] for file in measured.files if name in file.functions)
    return calls


def run_and_take(bench: Bench, counters: ImageCounters, *lines: str) -> list[Executed]:
    counters.take()
    bench("\n".join(lines))
    return counters.take()["fltlab-passthrough"]


def test_every_callback_of_a_driver_is_a_call_of_its_function(make_bench: Callable[..., Bench]):
    bench = make_bench()
    counters = count_drivers(bench.system)
    bench.load("passthrough")
    driver = bench.built["passthrough"]

    few = calls_of("PassthroughPreOperation", driver, run_and_take(bench, counters, OPEN, READ))
    many = calls_of(
        "PassthroughPreOperation", driver, run_and_take(bench, counters, OPEN.replace("a.", "b."), *[READ] * 6)
    )

    assert few > 0
    assert many == few + 5


def test_machine_code_and_python_count_alike_and_leave_the_run_as_it_is(
    make_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
):
    found, digests = [], []
    for machine_code in (True, False):
        with monkeypatch.context() as patched:
            patched.setattr(BlockCounter, "hook", _hook(BlockCounter.hook, machine_code=machine_code))
            bench = make_bench()
            counters = count_drivers(bench.system)
            bench.load("passthrough")
            found.append((run_and_take(bench, counters, OPEN, READ), bytes(counters.edges)))
        digests.append(bench.system.trace.digest)
    plain = make_bench()
    plain.load("passthrough")
    plain(f"{OPEN}\n{READ}")

    assert found[0] == found[1]
    assert found[0][0][0].spans
    assert digests == [plain.system.trace.digest] * 2


def _hook(hook: Callable[..., object], *, machine_code: bool) -> Callable[[BlockCounter], object]:
    return lambda counter: hook(counter, machine_code=machine_code)


def test_machine_code_and_python_answer_alike_what_the_irql_and_the_time_are(
    make_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
):
    answers = []
    for here in (True, False):
        with monkeypatch.context() as patched:
            patched.setattr(native, "HERE", here and native.HERE)
            bench = make_bench()
            bench.load("passthrough")
            probed = bench(f"{OPEN}\n{READ}")
        answers.append((probed.steps, bench.system.trace.digest))

    assert answers[0][0]
    assert answers[0] == answers[1]
