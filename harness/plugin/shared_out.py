"""What `fltlab run` has by itself where it shares a tree of suites out among processes.

The command imports this before pytest, so nothing here may import a plugin: pytest warns of one it cannot rewrite.
"""

import pytest

from harness.errors import FltLabError


class SharedOut:
    """What `fltlab run` has chosen by itself, said, and made ready."""

    def __init__(self, workers: int) -> None:
        self._workers = workers

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self, config: pytest.Config) -> None:
        """Have the image and the first template made here, where a terminal is told: that may take minutes."""
        from harness.fleet.providers import provider_for
        from harness.plugin.options import settings

        chosen = settings(config)
        try:
            for name in chosen.guests:
                provider_for(name, chosen).prepare()
        except FltLabError as error:
            pytest.exit(str(error), error.exit_code)

    def pytest_report_header(self) -> str:
        """Among how many processes, and how to have it otherwise."""
        return f"fltlab: shared out among {self._workers} processes (-n 0: one test after the other, in one)"
