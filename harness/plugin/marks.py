"""The marks of a test: which rules it proves, on which stack of minifilters, registered how.

`rule("PRE-COMP-01", …)`           rules of the contract; an id the catalogue lacks stops the collection
`stack("observer@above", …)`       minifilters from top to bottom, each `driver[@label][#altitude]`
`spoils_guest("why")`              no other test gets the guest afterwards
`disturbed_by("what")`             what of Windows may turn it red: there it is tried once more (second_attempt.py)
`driver_options("label", operations=[…], contexts=[…], options=[…])`   what the service's Parameters key says
"""

from collections.abc import Generator, Iterable

import pytest

from harness.errors import ConfigurationError, did_you_mean

DRIVERS = pytest.StashKey[object]()  # harness.fleet.drivers.Drivers, whose import is not for every pytest run
MARKS = (
    "rule(*ids): rules of the contract that the test proves (`fltlab contract` lists them)",
    "stack(*minifilters): minifilters from top to bottom, each driver[@label][#altitude]",
    "spoils_guest(why): what the test leaves in its guest is not to be met by another test",
    "disturbed_by(*what): what of Windows may turn the test red: there it is tried once more, in a fresh guest",
    "driver_options(label, operations=, contexts=, options=, event_capacity=): registration of one minifilter",
)
RESERVED_LABELS = frozenset({"filter", "history", "io", "scripts", "trace", "witness"})  # attributes of `lab`
DRIVER_OPTION_KEYS = frozenset({"operations", "contexts", "options", "event_capacity"})


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks, so that --strict-markers knows them."""
    for mark in MARKS:
        config.addinivalue_line("markers", mark)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Refuse marks that cannot mean anything, before any guest starts: an error of the collection, as a typo is."""
    report = yield
    items = [item for item in report.result or () if isinstance(item, pytest.Item)]
    mistakes = list(dict.fromkeys(mistake for item in items for mistake in _mistakes(item)))
    if mistakes:
        report.outcome = "failed"
        report.longrepr = "\n".join(mistakes)
        report.__dict__["fltlab_wrong_use"] = True
        report.result = []
    return report


def labels_of(stack: Iterable[str]) -> list[str]:
    """The labels of a stack, top to bottom: `driver[@label][#altitude]`, the driver's name where none is given."""
    return [entry.split("#")[0].split("@")[-1] for entry in stack]


def _mistakes(item: pytest.Item) -> Iterable[str]:
    rules = [rule for mark in item.iter_markers("rule") for rule in mark.args]
    if rules:
        from harness.contract import load_catalogue

        known = {rule.id for rule in load_catalogue().rules}
        for rule in rules:
            if rule not in known:
                yield f"{item.nodeid}: there is no rule {rule!r} in the contract{did_you_mean(str(rule), known)}"
    stack = item.get_closest_marker("stack")
    labels = labels_of(stack.args) if stack else []
    for label in labels:
        if labels.count(label) > 1:
            yield f"{item.nodeid}: two minifilters of its stack are called {label!r}; give each a label: driver@label"
        if label in RESERVED_LABELS or not label.replace("-", "_").isidentifier():
            yield f"{item.nodeid}: {label!r} cannot be a label; choose another: driver@label"
    if stack and len(set(labels)) == len(labels):
        yield from (f"{item.nodeid}: {mistake}" for mistake in _stack_mistakes(item.config, stack.args))
    for mark in item.iter_markers("driver_options"):
        yield from _option_mistakes(item, mark, labels)


def _stack_mistakes(config: pytest.Config, entries: tuple[str, ...]) -> Iterable[str]:
    from harness.fleet.drivers import Drivers
    from harness.guest.stack import parse_stack, place
    from harness.plugin.options import settings

    try:
        if DRIVERS not in config.stash:
            config.stash[DRIVERS] = Drivers(settings(config).drivers)
        drivers = config.stash[DRIVERS]
        assert isinstance(drivers, Drivers)
        for entry in place(parse_stack(entries)):
            drivers.require(entry.driver)
    except ConfigurationError as error:
        yield str(error)


def _option_mistakes(item: pytest.Item, mark: pytest.Mark, labels: list[str]) -> Iterable[str]:
    label = mark.args[0] if len(mark.args) == 1 else None
    if label is None:
        yield f"{item.nodeid}: driver_options takes one label and then keywords"
    elif label not in labels:
        yield f"{item.nodeid}: driver_options names {label!r}, which its stack lacks{did_you_mean(label, labels)}"
    for key in mark.kwargs:
        if key not in DRIVER_OPTION_KEYS:
            yield f"{item.nodeid}: driver_options knows no {key!r}{did_you_mean(key, DRIVER_OPTION_KEYS)}"
