"""Every free decision is in one log, and the log given again is the same run; the guest's own randomness is apart."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.minifilter.build import SUPPORT, build_drivers
from harness.reference.machine.choices import Choices, Draw, ReplayError
from harness.reference.process.host import Host
from harness.reference.windows.kernel import Kernel
from harness.wire import kernel as wire

SCRIPT = rb"""
open f V:\data.bin access=rw disposition=overwrite-if options=noncached,overlapped
write f offset=0 length=4096 fill=0x5A async=first
write f offset=4096 length=4096 fill=0x5B async=second
wait first
wait second
read f offset=0 length=8192 async=third
wait third
"""


def run_script(folder: Path, **options: object) -> Kernel:
    built = build_drivers(SUPPORT, SUPPORT.parent / "build" / "drivers", ["fltprobe"])
    folder.mkdir()
    kernel = Kernel(volumes={"V:": folder}, **options)  # type: ignore[arg-type]
    answer = Host(kernel).answer(wire.Run(str(built["fltprobe"].sys), (), SCRIPT))
    assert isinstance(answer, wire.Ended)
    assert answer.exit_code == 0
    return kernel


def test_the_log_of_a_run_given_to_another_seed_is_the_same_run(tmp_path: Path):
    first = run_script(tmp_path / "first", seed=1)
    other = run_script(tmp_path / "other", seed=2)

    again = run_script(tmp_path / "again", seed=2, replay=list(first.choices))

    assert {draw.kind for draw in first.choices} >= {"preemption", "interrupt", "disk-time"}
    assert list(again.choices) == list(first.choices) != list(other.choices)
    assert again.trace.digest == first.trace.digest != other.trace.digest


def test_a_log_that_ends_early_is_gone_on_with_by_the_seed(tmp_path: Path):
    whole = list(run_script(tmp_path / "whole", seed=1).choices)
    half = whole[: len(whole) // 2]

    one, two = (run_script(tmp_path / str(number), seed=5, replay=half) for number in range(2))

    assert list(one.choices)[: len(half)] == half
    assert one.trace.digest == two.trace.digest


def test_the_guests_own_randomness_does_not_depend_on_the_decisions():
    one, two = Kernel(seed=3), Kernel(seed=3)
    one.choices.one_of("anything", 1000)

    assert one.random.getrandbits(64) == two.random.getrandbits(64)


def test_the_log_of_another_run_is_refused_where_they_differ():
    choices = Choices(0, [Draw("interrupt", 2, 1)])

    with pytest.raises(ReplayError, match="draw 0 of the log is interrupt among 2, but the run decides preemption"):
        choices.distance("preemption", 40, 1024)


@given(st.integers(), st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 50)), max_size=50))
def test_draws_stay_within_their_options_and_replay(seed: int, asked: list[tuple[str, int]]):
    def draw(choices: Choices) -> list[int]:
        return [choices.one_of(kind, options) for kind, options in asked]

    first = Choices(seed)
    taken = draw(first)

    assert all(0 <= value < options for value, (_, options) in zip(taken, asked, strict=True))
    assert draw(Choices(seed + 1, first)) == taken
    assert [Draw.parse(str(one)) for one in first] == list(first)


@pytest.mark.parametrize("line", ["", "kind", "kind 2", "kind x 1", "kind 2 2", "kind 2 -1", "kind 2 1 1"])
def test_a_line_that_is_no_draw_is_refused(line: str):
    with pytest.raises(ValueError, match="draw"):
        Draw.parse(line)


def test_a_range_and_a_chance_cover_what_they_say():
    choices = Choices(0)

    assert {choices.between("range", 3, 5) for _ in range(100)} == {3, 4, 5}
    assert {choices.chance("half", 0.5) for _ in range(100)} == {True, False}
    assert not any(choices.chance("never", 0.0) for _ in range(100))
    assert {choices.distance("far", 5, 4) for _ in range(200)} == {1, 2, 3, 4}
