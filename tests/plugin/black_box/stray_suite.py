"""Run by tests/plugin/test_chains.py: each of these tests ends in a bug check."""

import pytest

pytestmark = pytest.mark.stack("stray")


@pytest.mark.parametrize("how", ["null", "wild", "user", "odd", "pool", "stack", "dpc", "argument"])
def test_opens(lab, how):
    lab.io(rf"open f V:\{how} access=read disposition=open-if")
