"""Whoever waits for an image or a template is told so, and others are not."""

import threading

import pytest

from harness.fleet.progress import heard_by, say

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
