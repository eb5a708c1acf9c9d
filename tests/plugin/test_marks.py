"""A mark that cannot mean anything stops the collection, before any guest starts."""

import pytest

from harness.errors import ExitCode


@pytest.mark.parametrize(
    ("marks", "complaint"),
    [
        ('rule("PRE-COMP-1")', "there is no rule 'PRE-COMP-1' in the contract; did you mean 'PRE-COMP-1"),
        ('stack("observer@above", "observer@above")', "two minifilters of its stack are called 'above'"),
        ('stack("observer@io")', "'io' cannot be a label"),
        ('driver_options("above", operations=["read"])', "driver_options names 'above', which its stack lacks"),
        ('driver_options(operations=["read"])', "driver_options takes one label"),
    ],
)
def test_a_mark_without_meaning_is_refused(pytester: pytest.Pytester, marks: str, complaint: str):
    pytester.makepyfile(f"import pytest\n@pytest.mark.{marks}\ndef test_it(): pass")

    result = pytester.runpytest()

    assert result.ret == ExitCode.USAGE
    assert complaint in result.stdout.str()


def test_an_unknown_driver_option_names_the_nearest(pytester: pytest.Pytester):
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.stack("observer@above")
        @pytest.mark.driver_options("above", operation=["read"])
        def test_it():
            pass
        """
    )

    result = pytester.runpytest()

    assert result.ret == ExitCode.USAGE
    assert "driver_options knows no 'operation'; did you mean 'operations'?" in result.stdout.str()


def test_marks_are_known_to_strict_pytest(pytester: pytest.Pytester):
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.rule("PRE-COMP-01")
        @pytest.mark.stack("observer@above")
        @pytest.mark.driver_options("above", operations=["read pre"])
        def test_it():
            pass
        """
    )

    assert pytester.runpytest("--strict-markers").ret == 0


def test_a_wrong_mark_in_a_worker_of_xdist_stops_the_run_as_well(pytester: pytest.Pytester):
    pytester.makepyfile('import pytest\n@pytest.mark.rule("NO-99")\ndef test_it(): pass')

    result = pytester.runpytest_subprocess("-n", "1")

    assert result.ret == ExitCode.USAGE
    assert "there is no rule 'NO-99'" in result.stdout.str()


def test_what_a_test_left_by_hand_no_other_meets(pytester: pytest.Pytester):
    pytester.makepyfile(
        r"""
        import pytest
        from harness.guest.errors import CommandFailed

        LEFT = r"C:\fltlab\left.txt"

        @pytest.mark.spoils_guest("it leaves a file")
        def test_one(guest):
            guest.put(b"left", LEFT)

        def test_two(guest):
            with pytest.raises(CommandFailed):
                guest.get(LEFT)
            guest.put(b"left", LEFT)

        def test_three(guest):
            with pytest.raises(CommandFailed):
                guest.get(LEFT)
        """
    )

    pytester.runpytest("--strict-markers", "--guest", "reference-local", "-p", "no:randomly").assert_outcomes(passed=3)
