"""The list of mutants and the kernel's code say the same."""

import re
from pathlib import Path

import pytest

from harness.contract import load_guards
from harness.reference.windows.kernel import Kernel
from harness.reference.windows.mutants import load_mutants

REFERENCE = Path(__file__).resolve().parents[2] / "harness" / "reference"


def test_every_mutant_of_the_list_is_built_into_the_kernel_and_the_other_way_round():
    asked = {
        name for path in REFERENCE.rglob("*.py") for name in re.findall(r"mutant\(\"([a-z-]+)\"\)", path.read_text())
    }

    assert asked == set(load_mutants())


def test_a_kernel_refuses_a_mutant_that_there_is_not():
    with pytest.raises(ValueError, match="no mutant is called 'no-such-break'; there are pre-not-called, "):
        Kernel(mutants=["no-such-break"])


def test_every_mutant_that_a_guard_names_is_there():
    assert {guard.mutant for guard in load_guards() if guard.mutant} <= set(load_mutants())
