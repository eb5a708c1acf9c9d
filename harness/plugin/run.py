"""A run's directory and its settings, shared by all workers of one pytest run.

The directory is named when pytest starts and made when the first test needs it: a pytest run that has no test on a
guest leaves nothing behind. Workers of pytest-xdist are told the name.
"""

import contextlib
import json
import shutil
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigurationError, ExitCode, HostError
from harness.fleet.options import RESUME
from harness.fleet.settings import Settings
from harness.host.disk import free_mib
from harness.plugin.options import settings
from harness.report.provenance import FILE_NAME as RUN_JSON
from harness.report.provenance import new_run_id
from harness.report.resume import UnfinishedRun, find_run, read_unfinished
from harness.text import file_name

RUN = pytest.StashKey["Run"]()
WORKER_KEY = "fltlab_run"
FINISHED_KEY = "fltlab_finished"


class Run:
    """One run: its settings, its id, its directory.

    `unfinished` is the interrupted run that this one finishes, if it does; a worker of pytest-xdist knows only which
    tests are `finished`.
    """

    def __init__(
        self,
        config: pytest.Config,
        run_id: str,
        *,
        is_worker: bool,
        worker: str = "",
        unfinished: UnfinishedRun | None = None,
        finished: frozenset[str] = frozenset(),
    ) -> None:
        self.id = run_id
        self.is_worker = is_worker
        self.worker = worker
        self.unfinished = unfinished
        self.finished = unfinished.finished if unfinished is not None else finished
        self.arguments = tuple(map(str, config.invocation_params.args))
        self.started_in = config.invocation_params.dir
        self.settings: Settings = settings(config)
        self._prepared = False
        self.broken: HostError | None = None
        self._default = Path(config.invocation_params.dir) / "runs" / run_id

    @property
    def path(self) -> Path:
        """Where the directory of this run is, or will be."""
        if self.unfinished is not None:
            return self.unfinished.directory
        return self.settings.out or self._default

    @cached_property
    def directory(self) -> Path:
        """The run's directory, made on first use. What an earlier run left in `--out DIR` is replaced."""
        self.prepare()
        self.path.mkdir(parents=True, exist_ok=True)
        return self.path

    def prepare(self) -> None:
        """Remove, once, what must not be there when the run begins; before any worker puts something there."""
        if self._prepared or self.is_worker:
            return
        self._prepared = True
        path = self.path
        if self.unfinished is not None:
            self._forget_what_is_run_again(self.unfinished)
        elif path.is_dir() and any(path.iterdir()):
            if not (path / RUN_JSON).is_file():
                raise ConfigurationError(
                    f"--out {path} is not empty, and holds no earlier run that could be replaced",
                    hint="an empty or a new directory",
                )
            shutil.rmtree(path)

    def test_folder(self, nodeid: str) -> Path:
        """The folder of one test's files, made on first use."""
        folder = self.directory / "tests" / folder_name(nodeid)
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def guest_folder(self, number: int, name: str) -> Path:
        """The folder of one guest of this process; made by whoever has something to keep."""
        folder = self.directory / "guests" / f"{number}-{name}{self.worker and f'-{self.worker}'}"
        # A run that is resumed has the folders of its first part.
        return self.guest_folder(number + 1, name) if folder.exists() else folder

    @staticmethod
    def _forget_what_is_run_again(unfinished: UnfinishedRun) -> None:
        """Remove the files of tests whose results do not stand, or that have none."""
        kept = {record.folder for record in unfinished.records}
        for folder in (unfinished.directory / "tests").glob("*"):
            if str(folder.relative_to(unfinished.directory)) not in kept:
                shutil.rmtree(folder)

    @contextlib.contextmanager
    def storing(self) -> Iterator[None]:
        """End the run with one message if its files cannot be written: what comes after would be lost."""
        try:
            yield
        except OSError as error:
            self.broken = HostError(
                "the files of the run cannot be written, so it ends here",
                details=(str(error), f"{self.path} has {free_mib(self.path)} MiB left; results so far are kept there"),
                hint=f"make room, then: fltlab run --resume {self.path}",
            )
            pytest.exit(str(self.broken), ExitCode.HOST)


def folder_name(nodeid: str) -> str:
    """A node id as the name of one folder: `completion/test_a.py::test_b` is `completion-test_a.py--test_b`.

    Only one without a dash of its own can be read back from that; any other ends with its hash.
    """
    return file_name(nodeid, None if "-" in nodeid else nodeid.replace("::", "--").replace("/", "-"))


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Name the run; a worker takes the name from the process that started it."""
    told: dict[str, Any] = getattr(config, "workerinput", {})
    if told:
        finished = frozenset(json.loads(told[FINISHED_KEY]))
        run = Run(config, told[WORKER_KEY], is_worker=True, worker=told["workerid"], finished=finished)
    else:
        unfinished = _unfinished(config)
        run = Run(
            config, unfinished.provenance.id if unfinished else new_run_id(), is_worker=False, unfinished=unfinished
        )
    config.stash[RUN] = run


def _unfinished(config: pytest.Config) -> UnfinishedRun | None:
    name = config.getoption(RESUME.name)
    if name is None:
        return None
    try:
        return read_unfinished(find_run(name, config.invocation_params.dir))
    except ConfigurationError as error:
        raise pytest.UsageError(str(error)) from error


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker of pytest-xdist which run it belongs to."""
    run: Run = node.config.stash[RUN]
    run.prepare()
    node.workerinput[WORKER_KEY] = run.id
    node.workerinput[FINISHED_KEY] = json.dumps(sorted(run.finished))
