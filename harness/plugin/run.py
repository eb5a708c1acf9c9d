"""A run's directory and its settings, shared by all workers of one pytest run.

The directory is named when pytest starts and made when the first test needs it: a pytest run that has no test on a
guest leaves nothing behind. Workers of pytest-xdist are told the name.
"""

import re
import shutil
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigurationError
from harness.plugin.options import Settings, settings
from harness.report.provenance import FILE_NAME as RUN_JSON
from harness.report.provenance import new_run_id

RUN = pytest.StashKey["Run"]()
WORKER_KEY = "fltlab_run"


class Run:
    """One run: its settings, its id, its directory."""

    def __init__(self, config: pytest.Config, run_id: str, *, is_worker: bool, worker: str = "") -> None:
        self.id = run_id
        self.is_worker = is_worker
        self.worker = worker
        self.settings: Settings = settings(config)
        self._default = Path(config.invocation_params.dir) / "runs" / run_id

    @property
    def path(self) -> Path:
        """Where the directory of this run is, or will be."""
        return self.settings.out or self._default

    @cached_property
    def directory(self) -> Path:
        """The run's directory, made on first use. What an earlier run left in `--out DIR` is replaced."""
        path = self.path
        if self.is_worker:
            path.mkdir(parents=True, exist_ok=True)
            return path
        if path.is_dir() and any(path.iterdir()):
            if not (path / RUN_JSON).is_file():
                raise ConfigurationError(
                    f"--out {path} is not empty, and holds no earlier run that could be replaced",
                    hint="an empty or a new directory",
                )
            shutil.rmtree(path)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def test_folder(self, nodeid: str) -> Path:
        """The folder of one test's files, made on first use."""
        folder = self.directory / "tests" / folder_name(nodeid)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def guest_folder(self, number: int, name: str) -> Path:
        """The folder of one guest of this process; made by whoever has something to keep."""
        return self.directory / "guests" / f"{number}-{name}{self.worker and f'-{self.worker}'}"


def folder_name(nodeid: str) -> str:
    """A node id as the name of one folder: `completion/test_completion.py::test_a[x]` loses what paths dislike."""
    return re.sub(r"[^\w.\-]+", "-", nodeid.replace("::", "--").replace("/", "-")).strip("-")[:180]


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Name the run; a worker takes the name from the process that started it."""
    told: dict[str, Any] = getattr(config, "workerinput", {})
    config.stash[RUN] = Run(
        config, told.get(WORKER_KEY) or new_run_id(), is_worker=bool(told), worker=told.get("workerid", "")
    )


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist which run it belongs to."""
    node.workerinput[WORKER_KEY] = node.config.stash[RUN].id
