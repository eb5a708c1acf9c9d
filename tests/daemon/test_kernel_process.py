"""WinRM goes on answering whatever becomes of the reference kernel's process."""

import os
import signal
from pathlib import Path

import pytest

from harness.errors import FltLabError, GuestError
from harness.guest import KernelOptions, LocalGuest
from harness.guest.winrm import WinRmSession
from tests.processes import children, kill, stop


def kernel_of(guest: LocalGuest) -> int:
    """The kernel's process: the nursery's child."""
    assert guest.run("fltlab-kernel status").ok
    (nursery,) = children(guest.pid)
    (kernel,) = children(nursery)
    return kernel


@pytest.fixture
def guest(folder: Path):
    with LocalGuest(folder) as guest:
        yield guest


def test_a_restarted_kernel_has_the_options_it_was_given(guest: LocalGuest):
    guest.restart_kernel(KernelOptions(seed=99, mutants=("pre-not-called",)))

    status = guest.kernel_status()

    assert status is not None
    assert (status.seed, status.mutants) == (99, ("pre-not-called",))


def test_a_killed_kernel_is_told_and_winrm_still_answers(guest: LocalGuest):
    kernel = kernel_of(guest)
    kill(kernel)

    with pytest.raises(GuestError, match="process of the reference kernel has ended") as error:
        guest.run("fltmc filters")

    assert "-9" in str(error.value)
    guest.restart_kernel()
    assert guest.run("fltmc filters").ok


def test_a_kernel_that_hangs_is_busy_and_winrm_still_answers(guest: LocalGuest):
    kernel = kernel_of(guest)
    stop(kernel)

    with pytest.raises(FltLabError):
        guest.run("fltmc filters", timeout=1.0)

    with WinRmSession(guest.endpoint, "another") as other:
        assert other.run("echo still here").output == "still here\n"
    os.kill(kernel, signal.SIGCONT)


def test_a_killed_nursery_is_replaced(guest: LocalGuest):
    assert guest.run("fltlab-kernel status").ok
    (nursery,) = children(guest.pid)
    kill(nursery)

    assert guest.run("fltlab-kernel restart").ok
    assert guest.run("fltmc filters").ok
    assert nursery not in children(guest.pid)
