"""Unicorn's question after every memory access is left out, and asked again where code is watched."""

import ctypes
import platform

import pytest

from harness.reference.machine.cpu import exit_checks, native
from harness.reference.machine.cpu.exit_checks import ExitChecks

HERE = native.HERE and platform.libc_ver()[0] == "glibc"


@pytest.mark.skipif(not HERE, reason="machine code of x86-64 and a table of linkage as glibc has it")
def test_the_place_is_found_in_the_unicorn_that_is_installed():
    assert exit_checks._slot()


@pytest.mark.skipif(not HERE, reason="machine code of x86-64")
def test_they_are_left_out_until_somebody_needs_them_and_then_for_good():
    entry = ctypes.c_uint64(0x1234)
    checks = ExitChecks(ctypes.addressof(entry))

    checks.spare()
    spared = entry.value
    checks.need()
    needed = entry.value
    checks.spare()

    assert spared not in {0, 0x1234}
    assert needed == entry.value == 0x1234


def test_where_the_place_is_not_known_all_stays_as_it_is():
    checks = ExitChecks(0)

    checks.spare()
    checks.need()
