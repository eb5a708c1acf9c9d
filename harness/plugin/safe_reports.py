"""What a test says is made safe before anybody sees it: the terminal, a worker's channel, the journal.

A test may repeat what a guest said in an assertion, a skip, a witness or on standard output. pytest-xdist breaks on a
lone surrogate, a terminal obeys an ESC. The node id stays as it is: tests are found again by it.
"""

from collections.abc import Generator

import pytest
from _pytest._code import code as pytest_code

from harness.plugin.facts import FACTS
from harness.text import safe


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Make safe what the other plugins have put together: this one is registered last, and so comes after them."""
    report = yield
    if FACTS in item.stash:
        nodeid = report.nodeid
        report.__dict__.update(
            (name, made_safe(value)) for name, value in report.__dict__.items() if name != "user_properties"
        )
        report.nodeid = nodeid
    return report


def made_safe(value: object) -> object:
    """The same with every text in it safe; what pytest shows of an exception is changed in place."""
    if isinstance(value, str):
        return safe(value)
    if isinstance(value, dict):
        return {name: made_safe(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [made_safe(inner) for inner in value]
    if type(value) is tuple:
        return tuple(made_safe(inner) for inner in value)
    if type(value).__module__ == pytest_code.__name__ and hasattr(value, "__dict__"):
        for name, inner in vars(value).items():
            object.__setattr__(value, name, made_safe(inner))
    return value
