"""Whoever waits for an image or a template is told so, and others are not."""

import threading

import pytest

from harness.fleet.progress import heard_by, say
from harness.fleet.settings import LOCAL_GUEST
from harness.report.journal import Journal
from harness.report.records import Outcome, TestRecord

WAITS = """
    import pytest
    from harness.fleet.progress import say

    @pytest.fixture
    def something_slow():
        say("unpacking the reference guest")

    def test_of_a_user(something_slow):
        print("of the test")
"""


def test_what_takes_long_is_said_although_output_is_captured(pytester: pytest.Pytester):
    pytester.makepyfile(WAITS)

    ran = pytester.runpytest_subprocess("-p", "no:cacheprovider")

    assert "fltlab: unpacking the reference guest …" in ran.outlines
    assert "of the test" not in ran.stdout.str()


@pytest.mark.parametrize(("seconds", "told"), [(75, True), (3, False)])
def test_how_long_it_will_take_is_said_if_it_took_long_before(pytester: pytest.Pytester, seconds: float, told: bool):
    pytester.makepyfile(test_one="def test_one(lab): pass")
    earlier = pytester.path / "runs" / "20261128-060000-0001"
    earlier.mkdir(parents=True)
    with Journal(earlier) as journal:
        record = TestRecord("test_one.py::test_one", Outcome.PASSED, seconds, "one", "test_one", guest=LOCAL_GUEST)
        journal.append(record)

    ran = pytester.runpytest_subprocess("-p", "no:cacheprovider", "--guest", LOCAL_GUEST)

    assert ("fltlab: about 1 min 15 s, by the run 20261128-060000-0001" in ran.outlines) is told
    assert ran.ret == 0


@pytest.mark.parametrize("words", [["-q"], ["-n", "1"]])
def test_it_is_not_said_to_who_wants_quiet_or_has_no_terminal(pytester: pytest.Pytester, words: list[str]):
    pytester.makepyfile(WAITS)

    ran = pytester.runpytest_subprocess(*words, "-p", "no:cacheprovider")

    assert ran.ret == 0
    assert "unpacking" not in ran.stdout.str()


def test_what_begins_beside_a_test_is_told_to_listeners_and_they_may_leave_it():
    told: list[tuple[str, bool]] = []
    with heard_by(lambda text: told.append((text, threading.current_thread() is threading.main_thread()))):
        beside = threading.Thread(target=say, args=("beside",))
        beside.start()
        beside.join()
        say("here")
    say("nobody listens")

    assert told == [("beside", False), ("here", True)]
