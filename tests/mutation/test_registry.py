"""The mutants that a run may name, those that the kernel has, and those that guards name are the same."""

import pytest

from harness.contract import load_guards
from harness.fleet import mutants as named
from harness.reference.windows.fltmgr.passage import PassageEngine
from harness.reference.windows.kernel import Kernel
from harness.reference.windows.mutants import load_mutants


def test_every_mutant_that_a_run_may_name_is_a_class_of_the_kernel_and_says_what_it_breaks():
    assert dict(named.load_mutants()) == {name: breaking.__doc__ for name, breaking in load_mutants().items()}
    assert all(named.load_mutants().values())


def test_a_kernel_refuses_a_mutant_that_there_is_not():
    with pytest.raises(ValueError, match="no mutant is called 'no-such-break'; there are altitudes-compared-as-text, "):
        Kernel(mutants=["no-such-break"])


def test_every_mutant_that_a_guard_names_is_there():
    assert {guard.mutant for guard in load_guards() if guard.mutant} <= set(load_mutants())


def test_a_mutant_replaces_a_step_of_its_own_kernel_only():
    broken, sound = Kernel(mutants=["pre-not-called", "resume-context-lost"]), Kernel()

    assert type(sound.flt.engine) is PassageEngine
    steps = {name: getattr(type(broken.flt.engine), name) for name in ("call_pre", "resume", "call_post")}
    assert steps["call_pre"] is load_mutants()["pre-not-called"].__dict__["call_pre"]
    assert steps["resume"] is load_mutants()["resume-context-lost"].__dict__["resume"]
    assert steps["call_post"] is PassageEngine.call_post


def test_every_mutant_replaces_a_part_that_the_kernel_makes():
    """A part that the kernel makes by its own class would never be broken."""
    for name, breaking in load_mutants().items():
        kernel = Kernel(mutants=[name])
        parts = [kernel.io, kernel.flt, kernel.filter_services, *vars(kernel.flt).values()]
        assert any(isinstance(part, breaking) for part in parts), name
