"""What a hundred tests say alike is shown once: at the end of a run equal errors are one message, and the names below.

Only what is printed is folded: reports, the journal and the counts have every test.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

FOLDED = ("error", "failed")
LEAST = 3
"""How many must say the same before it is folded."""
NAMED = 5
_UNFOLD = pytest.StashKey[list[Any]]()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Generator[None, None, None]:
    """Fold before the reporter prints its long texts; its short summary has every test again."""
    with _folded(terminalreporter.stats) as unfold:
        config.stash[_UNFOLD] = [unfold]
        yield


class _Unfold:
    """Runs where the reporter has printed the long texts and not the short ones yet."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_terminal_summary(self, config: pytest.Config) -> None:
        for unfold in config.stash.get(_UNFOLD, []):
            unfold()


def pytest_configure(config: pytest.Config) -> None:
    """Take the place in the middle, too."""
    config.pluginmanager.register(_Unfold(), "fltlab-unfold")


@contextmanager
def _folded(stats: dict[str, list[Any]]) -> Iterator[Any]:
    whole = {outcome: stats[outcome] for outcome in FOLDED if outcome in stats}

    def unfold() -> None:
        stats.update(whole)

    try:
        for outcome, reports in whole.items():
            stats[outcome] = fold(reports)
        yield unfold
    finally:
        unfold()


def fold(reports: list[Any]) -> list[Any]:
    """The first report of each text; those that stand for others name them."""
    alike: dict[tuple[str, str], list[Any]] = {}
    for report in reports:
        alike.setdefault((str(getattr(report, "when", "")), report.longreprtext or report.nodeid), []).append(report)
    shown: list[Any] = []
    for same in alike.values():
        if len(same) < LEAST:
            shown += same
            continue
        first, others = same[0], [report.nodeid for report in same[1:]]
        more = [f"and {len(others) - NAMED} more"] if len(others) > NAMED else []
        title = f"the same of {len(others)} other tests"
        if title not in dict(first.sections):
            first.sections.append((title, "\n".join([*others[:NAMED], *more])))
        shown.append(first)
    return sorted(shown, key=reports.index)
