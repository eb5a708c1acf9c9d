"""Who runs what, and what becomes of it when workers die."""

import random
from collections import Counter

import pytest

from harness.cluster.groups import Group, Needs, Offer, PlannedTest, cut
from harness.cluster.policy import DEATHS, Board


def some_tests(count: int, *, file: str = "t.py", guest: str = "g", template: str = "s", seconds: float = 1.0):
    return [PlannedTest(f"{file}::test_{guest}_{template}_{n}", guest, template, seconds) for n in range(count)]


def group(name: str, seconds: float = 1.0, count: int = 1, **needs: object) -> Group:
    planned = some_tests(count, file=name, template=str(needs.pop("template", "")), seconds=seconds / count)
    return Group(name, tuple(planned), Needs(**needs))


def offer(worker: str, machine: str = "", **more: object) -> Offer:
    return Offer(worker, machine or f"on {worker}", **{"memory_mib": 4096, **more})


def run_through(board: Board, worker: str) -> list[str]:
    """Have a worker run everything that it is given, and finish it."""
    names = []
    while (given := board.take(worker)) is not None:
        names.append(given.name)
        for test in given.tests:
            board.begins(worker, test.nodeid)
            assert board.accept(test.nodeid, worker)
        board.finished(worker)
    return names


# -- groups


def test_groups_are_of_one_file_guest_and_template_and_none_is_longer_than_a_share():
    planned = [
        *some_tests(100, seconds=1.0),
        *some_tests(5, template="other"),
        *some_tests(5, guest="h"),
        *some_tests(5, file="u.py"),
    ]

    groups = cut(planned, {"g": Needs(image="i")}, workers=2)

    assert all(len({(test.file, test.guest, test.template) for test in one.tests}) == 1 for one in groups)
    assert Counter(test for one in groups for test in one.tests) == Counter(planned)
    assert max(one.seconds for one in groups) <= 115 / 2 / 12
    assert [one.seconds for one in groups] == sorted((one.seconds for one in groups), reverse=True)
    assert len({one.name for one in groups}) == len(groups)
    assert {one.needs.image for one in groups if one.guest == "g"} == {"i"}


def test_a_short_run_is_not_cut_into_crumbs():
    assert len(cut(some_tests(20, seconds=0.05), {}, workers=8)) == 1


def test_the_tests_of_a_group_keep_their_order():
    planned = some_tests(50)
    pieces = sorted(cut(planned, {}, workers=2), key=lambda one: planned.index(one.tests[0]))

    assert [test for one in pieces for test in one.tests] == planned


# -- who gets what


def test_the_longest_is_begun_first():
    board = Board([group("short", 1), group("long", 9), group("middle", 4)])
    board.join(offer("w"))

    assert run_through(board, "w") == ["long", "middle", "short"]
    assert board.done


def test_a_worker_gets_only_what_it_can_run_and_the_reasons_are_said():
    board = Board(
        [
            group("big", memory_mib=8192),
            group("kvm", kvm=True, template="k"),
            group("image", image="windows-11", template="i"),
            group("small", template="s"),
        ]
    )
    board.join(offer("w"))

    assert run_through(board, "w") == ["small"]
    assert {one.name for one in board.homeless()} == {"big", "kvm", "image"}
    reasons = {one.name: board.reasons(one.needs) for one in board.homeless()}
    assert reasons == {
        "big": ("w: it has 4096 MiB for a guest, and 8192 MiB are needed",),
        "kvm": ("w: it has no KVM",),
        "image": ("w: it has no image windows-11, and the store has none",),
    }
    board.join(offer("v", memory_mib=8192, kvm=True, images=frozenset({"windows-11"})))
    assert not list(board.homeless())
    assert sorted(run_through(board, "v")) == ["big", "image", "kvm"]


def test_a_machine_goes_on_with_the_template_that_it_has():
    planned = [*some_tests(8, template="a"), *some_tests(9, template="b")]
    board = Board(cut(planned, {"g": Needs(template_seconds=30)}, workers=4))
    board.join(offer("w"))
    board.join(offer("v"))

    taken = []
    for _ in range(4):
        for worker in ("w", "v"):
            given = board.take(worker)
            assert given is not None
            taken.append((worker, given.template))
            for test in given.tests:
                board.accept(test.nodeid, worker)
            board.finished(worker)

    assert set(taken) == {("w", "b"), ("v", "a")}


def test_others_join_in_where_the_rest_takes_longer_than_a_template():
    board = Board(cut(some_tests(100), {"g": Needs(template_seconds=5)}, workers=4))
    for name in "abcd":
        board.join(offer(name))

    assert [board.take(name) is not None for name in "abcd"] == [True] * 4


def test_nobody_makes_a_template_for_what_is_soon_done():
    board = Board(cut(some_tests(4), {"g": Needs(template_seconds=30)}, workers=4))
    board.join(offer("w"))
    board.join(offer("v"))

    assert board.take("w") is not None
    assert board.take("v") is None


def test_an_image_is_fetched_where_it_is_worth_it_and_by_somebody_in_any_case():
    here = [group(f"here {n}", 10, template=f"h{n}", image="here", image_seconds=60) for n in range(2)]
    there = [group(f"there {n}", 10, template=f"t{n}", image="there", image_seconds=60) for n in range(2)]
    board = Board([*here, *there], obtainable={"there"})
    for name in "abcd":
        board.join(offer(name, images=frozenset({"here"})))

    given = [board.take(name) for name in "abcd"]

    assert [one.needs.image for one in given if one is not None].count("there") == 1


# -- deaths


def test_the_results_of_a_dead_worker_stand_and_the_rest_is_repeated_elsewhere():
    board = Board([group("one", 4, count=4)])
    board.join(offer("w"))
    board.join(offer("v"))
    given = board.take("w")
    assert given is not None
    board.accept(given.tests[0].nodeid, "w")
    board.begins("w", given.tests[1].nodeid)

    lost = board.died("w")

    assert [one.tests for one in lost.repeated] == [given.tests[1:2], given.tests[2:]]
    assert lost.given_up == ()
    board.join(offer("w"))
    assert board.take("w") is None  # another machine is there for it
    assert run_through(board, "v") == [one.name for one in lost.repeated]
    assert board.done


def test_a_machine_that_is_alone_repeats_its_own():
    board = Board([group("one", 4, count=4)])
    board.join(offer("w"))
    board.take("w")
    board.died("w")
    board.join(offer("w"))

    assert len(run_through(board, "w")) == 2
    assert board.done


def test_a_test_that_kills_its_workers_is_given_up_and_no_other_with_it():
    board = Board([group("one", 3, count=3)])
    killer = board.left[1]
    given_up = []
    for n in range(10):
        board.join(offer(f"w{n}"))
        while (given := board.take(f"w{n}")) is not None:
            for test in given.tests:
                board.begins(f"w{n}", test.nodeid)
                if test == killer:
                    given_up += board.died(f"w{n}").given_up
                    break
                board.accept(test.nodeid, f"w{n}")
            else:
                board.finished(f"w{n}")
                continue
            break

    assert given_up == [killer]
    assert board.done


def test_a_result_counts_once_whoever_sends_it():
    board = Board([group("one", 2, count=2)])
    board.join(offer("w"))
    board.join(offer("v"))
    first, second = board.left
    board.take("w")
    board.died("w")  # the network was cut; it lives

    assert board.accept(first.nodeid)  # and its results come after all
    again = board.take("v")
    assert again is not None
    assert again.tests == (second,)
    assert not board.accept(first.nodeid, "v")
    assert board.accept(second.nodeid, "v")
    assert board.finished("v").repeated == ()
    assert board.done


def test_a_worker_that_leaves_a_test_without_a_result_has_died_of_it():
    board = Board([group("one", 2, count=2)])
    missing = board.left[1]
    for n in range(DEATHS):
        board.join(offer(f"w{n}"))
        given = board.take(f"w{n}")
        assert given is not None
        for test in given.tests:
            if test != missing:
                board.accept(test.nodeid, f"w{n}")
        lost = board.finished(f"w{n}")

    assert lost.given_up == (missing,)
    assert board.done


def test_a_machine_that_lacks_something_is_not_asked_again_for_the_same():
    board = Board([group("one", template="a"), group("two", template="b"), group("other", template="c", kvm=True)])
    board.join(offer("w", kvm=True))
    given = board.take("w")
    while given is not None and given.needs.kvm:
        board.accept(given.tests[0].nodeid)
        board.finished("w")
        given = board.take("w")

    board.refused("w", "its disk is full")

    assert run_through(board, "w") in (["other"], [])
    assert {one.name for one in board.homeless()} == {"one", "two"}
    assert board.reasons(Needs()) == ("w: its disk is full",)
    board.join(offer("v"))
    assert sorted(run_through(board, "v")) == ["one", "two"]


def test_a_machine_whose_workers_all_die_again_and_again_is_set_aside_while_there_are_others():
    board = Board([group(f"group {n}", 2, count=2, template=str(n)) for n in range(20)])
    board.join(offer("good"))
    set_aside = []
    for _ in range(3):
        board.join(offer("bad"))
        assert board.take("bad") is not None
        set_aside.append(board.died("bad").set_aside)
    board.join(offer("bad"))

    assert set_aside == ["", "", "on bad"]
    assert board.take("bad") is None
    run_through(board, "good")
    assert board.done


@pytest.mark.parametrize("seed", range(30))
def test_nothing_is_lost_and_nothing_counts_twice_whatever_happens(seed: int):
    draw = random.Random(seed)
    planned = [
        test
        for guest in "gh"
        for template in "st"
        for test in some_tests(draw.randrange(1, 40), guest=guest, template=template, seconds=draw.random() * 3)
    ]
    killers = set(draw.sample([test.nodeid for test in planned], 2))
    needs = {"g": Needs(image="i", image_seconds=5, template_seconds=2), "h": Needs()}
    board = Board(cut(planned, needs, workers=4), obtainable={"i"})
    counted: Counter[str] = Counter()
    given_up: set[str] = set()
    running: dict[str, list[PlannedTest]] = {}
    spare = iter(range(100_000))
    while not board.done:
        while len(board.idle) + len(running) < 4:
            board.join(offer(f"w{next(spare)}", machine=f"m{draw.randrange(3)}"))
        for name in board.idle:
            given = board.take(name)
            if given is not None:
                running[name] = list(given.tests)
        assert running, "work is left, workers are there, and nobody has any"
        name = draw.choice(sorted(running))
        if not running[name]:
            del running[name]
            assert board.finished(name).repeated == ()
            continue
        test = running[name].pop(0)
        board.begins(name, test.nodeid)
        if test.nodeid in killers or draw.random() < 0.05:
            given_up |= {lost.nodeid for lost in board.died(name).given_up}
            del running[name]
            late = draw.random() < 0.3 and test.nodeid not in killers
            counted[test.nodeid] += late and board.accept(test.nodeid)
        else:
            counted[test.nodeid] += board.accept(test.nodeid, name)

    assert {test.nodeid for test in planned} == set(+counted) | given_up
    assert not set(+counted) & given_up
    assert max(counted.values()) == 1
    assert given_up >= killers
