"""Races are found by exploring, shrunk to what they need and told; what is mended holds; bad schedules are refused."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ConfigurationError
from harness.farm.bench.schedules import MENDED, RACY, build, found_in, names, subject
from harness.fleet.schedules.exploration import explore, follow
from harness.fleet.schedules.schedule_file import Schedule, read_schedule
from harness.fleet.schedules.search import Search
from harness.fleet.schedules.shrink import shrink
from harness.fleet.schedules.story import story
from harness.fleet.settings import parse_schedules, parse_seeds
from harness.minifilter.build import BuiltDriver
from harness.minifilter.package import PACKAGE_FILE
from harness.wire.codec import MalformedMessageError
from harness.wire.schedule import Chosen, Decision, Followed, Move, Place, Plan, Switch, moves_text, parse_moves

ACTORS = st.sampled_from(["t56", "t1288", "d0", "d1"])
PLACES = st.builds(Place, ACTORS, st.sampled_from(["", "racy+0x1176", "my-driver.x+0x20"]), st.integers(1, 99))
MOVES = st.one_of(
    st.builds(Switch, PLACES, st.one_of(ACTORS, st.just("time"))),
    st.builds(Chosen, st.sampled_from(["posted", "disk-time", "allocation fails"]), st.integers(1, 99), st.integers(0)),
)
ENOUGH = 60
OF_EACH_KIND = {
    "freed-by-both": "two threads in the driver's code",
    "referenced-after-lookup": "two switches",
    "given-up-wait": "a worker thread, and time that passes",
    "cancel-against-completion": "a cancel",
    "message-at-unload": "an unload",
}
"""Races of the kinds that there are; `fltlab bench schedules` has all of them, and the mended ones under 200."""


@pytest.fixture(scope="module")
def racy() -> dict[str, BuiltDriver]:
    found = ("unlocked-list", *OF_EACH_KIND)
    return build([*found, "unlocked-list" + MENDED, "message-at-unload" + MENDED])


def test_every_racy_driver_has_a_mended_twin():
    assert set(OF_EACH_KIND) < set(names())
    assert [name for name in names() if not (RACY / name / "mended" / PACKAGE_FILE).is_file()] == []


@pytest.mark.parametrize("name", OF_EACH_KIND)
def test_a_race_is_found_within_few_schedules(racy: dict[str, BuiltDriver], name: str):
    with subject(racy, name) as racing:
        assert racing.attempt(Plan()) is None  # nobody is interrupted: nothing happens

        found = explore(racing, ENOUGH, seed=1).found

        assert found is not None
        assert 1 <= len(found.moves) <= found.longer


@pytest.mark.parametrize("name", ["unlocked-list", "message-at-unload"])
def test_the_mended_twin_holds(racy: dict[str, BuiltDriver], name: str):
    assert found_in(racy, name + MENDED, 20).found is None


def test_what_was_found_is_told_with_both_stacks_and_happens_again(racy: dict[str, BuiltDriver]):
    with subject(racy, "unlocked-list") as racing:
        explored = explore(racing, ENOUGH, seed=1)
        assert explored.found is not None

        again = follow(racing, explored.found.moves)

    assert again.found is not None
    assert (again.found.cause, again.found.turns) == (explored.found.cause, explored.found.turns)
    assert len(explored.found.moves) == 1
    lines = story(explored, {"unlocked-list": racy["unlocked-list"].sys})
    assert "is interrupted at Push unlocked_list.c:24 < PostCreate unlocked_list.c:41" in lines[1]
    assert "goes on at PostCreate unlocked_list.c" in lines[2]


def test_the_plain_schedule_is_the_same_every_time(racy: dict[str, BuiltDriver]):
    with subject(racy, "unlocked-list") as racing:
        runs = []
        for _ in range(2):
            assert racing.attempt(Plan()) is None
            runs.append(racing.followed())

    assert runs[0] == runs[1]
    assert runs[0].decisions


@given(st.lists(MOVES, max_size=8))
def test_moves_come_back_from_their_text(moves: list[Move]):
    assert parse_moves(moves_text(moves)) == tuple(moves)


@pytest.mark.parametrize("text", ["x", "t1@a+0x1>t2", "t1#1>x2", "t1#1>", "posted#1", "posted=1", "t1#-1>t2"])
def test_what_is_no_move_is_refused(text: str):
    with pytest.raises(MalformedMessageError, match="is no switch"):
        parse_moves(text)


@given(st.sets(st.integers(0, 40), min_size=1, max_size=4), st.integers(41, 60))
def test_shrinking_leaves_just_what_is_needed(needed: set[int], most: int):
    moves = tuple(Chosen("a", number, 0) for number in range(most))
    wanted = {moves[number] for number in needed}

    assert set(shrink(moves, lambda part: wanted <= set(part), most=10_000)) == wanted


def test_switches_are_few_before_many_and_none_comes_twice():
    search = Search(1)
    decisions = tuple(Decision(f"t1@a+0x{number:x}#1", ("t1", "t2")) for number in range(1, 5))
    tried: list[tuple[str, ...]] = []
    for _ in range(40):
        plan = search.next()
        assert plan is not None
        search.learn(plan, Followed(plan.moves, decisions))
        if plan.random is None:
            tried.append(plan.moves)

    assert [len(moves) for moves in tried] == sorted(len(moves) for moves in tried)
    assert len(set(tried)) == len(tried) == 1 + 4 + 6 + 4 + 1  # each set of the four places once


def test_a_schedule_file_comes_back(tmp_path: Path):
    schedule = Schedule(parse_moves("t56@racy+0x1176#1>t64,posted#2=1"), {"racy": "ab" * 32}, 7)
    path = tmp_path / "schedule.txt"
    path.write_text(schedule.text())

    assert read_schedule(str(path)) == schedule
    assert read_schedule("t1#3>d0") == Schedule((Switch(Place("t1", "", 3), "d0"),), {})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no schedule"),
        (b"\xff\xfe", "is no schedule"),
        (b"{}", "is no schedule"),
        (b"fltlab schedule 9\n", "is a schedule of version '9'"),
        (b"fltlab schedule 1\ndriver racy xyz\n", "is damaged in line 2"),
        (b"fltlab schedule 1\nseed\n", "is damaged in line 2"),
        (b"fltlab schedule 1\nseed 1\nt1@a+0x1#1>", "is damaged in line 3"),
    ],
)
def test_a_damaged_schedule_file_is_refused_with_its_line(tmp_path: Path, content: bytes, said: str):
    path = tmp_path / "schedule.txt"
    path.write_bytes(content)

    with pytest.raises(ConfigurationError, match=said):
        read_schedule(str(path))


def test_a_schedule_of_other_drivers_is_refused():
    schedule = Schedule((), {"racy": "ab" * 32})

    schedule.require({"racy": "ab" * 32, "observer": "00"})
    with pytest.raises(ConfigurationError, match="of the driver racy, which is not in the stack"):
        schedule.require({"observer": "00"})
    with pytest.raises(ConfigurationError, match="of another build of racy"):
        schedule.require({"racy": "cd" * 32})
    with pytest.raises(ConfigurationError, match=r"nowhere\.txt cannot be read"):
        read_schedule("nowhere.txt")


def test_a_schedule_with_places_that_no_driver_here_has_is_refused():
    schedule = read_schedule("t60@racy+0x1111#1>t68,posted#2=1,d1#3>time")

    schedule.require_places(["racy"])
    with pytest.raises(ConfigurationError, match="has a place in racy, where this test is not interrupted"):
        schedule.require_places(["other"])


def test_how_many_schedules_is_a_number_and_on_this_machine():
    assert [parse_schedules(text, ["reference-local"])[0] for text in ("1", "pct:20", "bounded:300")] == [1, 20, 300]
    for text in ("0", "-1", "many", "pct:", "other:3", "1000001", ""):
        with pytest.raises(ConfigurationError, match="--schedules takes a number"):
            parse_schedules(text, ["reference-local"])
    with pytest.raises(ConfigurationError, match="the schedules of windows-11 cannot be chosen") as refused:
        parse_schedules("10", ["reference-local", "windows-11"])
    assert refused.value.hint == "give --guest reference-local"


def test_seeds_are_a_range_and_on_this_machine():
    assert parse_seeds("1..200", ["reference-local"]) == range(1, 201)
    assert parse_seeds("7..7", ["reference-local"]) == range(7, 8)
    for text in ("", "5", "2..1", "a..b", "1..", "-1..3", "0..1000000"):
        with pytest.raises(ConfigurationError, match=r"--seeds takes A\.\.B"):
            parse_seeds(text, ["reference-local"])
    with pytest.raises(ConfigurationError, match="the schedules of reference cannot be chosen"):
        parse_seeds("1..2", ["reference"])
