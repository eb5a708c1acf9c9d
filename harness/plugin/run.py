"""A run's directory and its settings, shared by all workers of one pytest run.

The directory is named when pytest starts and made when the first test needs it: a pytest run that has no test on a
guest leaves nothing behind. Workers of pytest-xdist are told the name.
"""

import contextlib
import json
import shlex
import shutil
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigurationError, ExitCode, HostError
from harness.fleet.options import RESUME
from harness.fleet.settings import Settings
from harness.host.disk import why_not_written
from harness.plugin.options import settings
from harness.report.provenance import new_run_id
from harness.report.resume import UnfinishedRun, find_run, read_unfinished
from harness.report.run_directory import RunDirectory
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
        self._taken: RunDirectory | None = None
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
        return self.path

    def prepare(self) -> None:
        """Take the directory, once, before any worker puts something there; end pytest if it is not ours to have."""
        if self._taken is not None or self.is_worker:
            return
        try:
            with self.storing():
                self._taken = RunDirectory.take(self.path, keep=self.unfinished is not None)
        except ConfigurationError as error:
            pytest.exit(str(error), ExitCode.USAGE)
        if self.unfinished is not None:
            self._forget_what_is_run_again(self.unfinished)

    def release(self) -> None:
        """Let others have the directory."""
        if self._taken is not None:
            self._taken.release()
            self._taken = None

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
            details, remedy = why_not_written(error, self.path)
            self.broken = HostError(
                "the files of the run cannot be written, so it ends here",
                details=(*details, f"results so far are kept in {self.path}"),
                hint=f"{remedy}, then: {shlex.join(['fltlab', 'run', '--resume', str(self.path)])}",
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


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Take the run's directory before the first test, if there is one whose result goes there."""
    from harness.plugin.facts import is_ours  # a plugin of its own: pytest loads it, and wants to be the first

    if any(map(is_ours, session.items)) and not session.config.option.collectonly:
        session.config.stash[RUN].prepare()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Let others have the directory."""
    if RUN in config.stash:
        config.stash[RUN].release()


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
    from harness.plugin.facts import OF_COMMAND, is_of_command

    node.workerinput[WORKER_KEY] = run.id
    node.workerinput[OF_COMMAND] = is_of_command(node.config)
    node.workerinput[FINISHED_KEY] = json.dumps(sorted(run.finished))
