"""`--cluster`: tests are collected here as always, and run by the workers of a Dask cluster.

What becomes of them comes back as pytest's own reports, so that journal, reports, exit code, -x, --lf and all else are
those of a run on one machine. The processes on the workers are `cluster_process.py`.
"""

import os
import shlex
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

from harness.cluster.connection import LOCAL, connected, require_address, require_dask
from harness.errors import ConfigurationError, FltLabError
from harness.fleet import options
from harness.host.leftovers import remove
from harness.plugin.facts import is_of_command
from harness.plugin.live import LIVE
from harness.plugin.recording import GIVEN_UP, RECORDER
from harness.plugin.run import RUN

if TYPE_CHECKING:
    from harness.cluster.store import Store

TITLE = "machines"
STORE_VARIABLE = "FLTLAB_STORE"


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register what shares the tests out, if that is asked for and can be."""
    address = config.getoption(options.CLUSTER.name)
    if address is None or hasattr(config, "workerinput"):
        return
    try:
        require_dask()
        address = require_address(address, insecure=bool(config.getoption(options.INSECURE.name)))
        _require_shareable(config, address)
        store = _store(config) if address != LOCAL else None
    except ConfigurationError as error:
        raise pytest.UsageError(str(error)) from error
    config.pluginmanager.register(Cluster(config, address, store), "fltlab-cluster")


def _store(config: pytest.Config) -> "Store":
    """The store of a cluster of several machines; ConfigurationError where none is given, or makes no sense."""
    from harness.cluster.store import Store

    url = config.getoption(options.STORE.name) or os.environ.get(STORE_VARIABLE)
    if not url:
        raise ConfigurationError(
            "a cluster with a scheduler needs a place where its machines have files in common",
            hint=f"--store URL, or {STORE_VARIABLE}: a directory that all of them mount, s3://…, sftp://… "
            "(docs/cluster.md)",
        )
    from harness.plugin.cluster_job import require_no_secret

    require_no_secret(config)
    return Store(str(url))


def _require_shareable(config: pytest.Config, address: str) -> None:
    """Raise ConfigurationError for what does not go with a cluster."""
    option = config.option
    wanted = {
        "-n": getattr(option, "numprocesses", None),
        "--pdb": option.usepdb or option.trace,
        "-s": option.capture == "no",
        options.PAUSE.flag: config.getoption(options.PAUSE.name),
        options.RECORD.flag: config.getoption(options.RECORD.name),
        options.REPLAY.flag: config.getoption(options.REPLAY.name),
        f"an address and {options.COVERAGE.flag}": address != LOCAL and config.getoption(options.COVERAGE.name),
    }
    for flag, given in wanted.items():
        if given:
            raise ConfigurationError(f"--cluster does not go with {flag}")
    workers = config.getoption(options.WORKERS.name)
    if workers is not None and workers < 1:
        raise ConfigurationError(f"--workers takes a number from 1, not {workers}")
    if workers is not None and address != LOCAL:
        raise ConfigurationError("--workers is for a cluster on this machine: one with a scheduler has those it has")


class Cluster:
    """Has the tests of a session run by a cluster."""

    def __init__(self, config: pytest.Config, address: str, store: "Store | None") -> None:
        """`store` is None where the workers see the files of this machine."""
        self._config = config
        self._store = store
        self._address = address
        self._session: pytest.Session | None = None
        self._items: dict[str, pytest.Item] = {}
        self._machines: dict[str, Any] = {}
        self._running: dict[str, str] = {}
        """The machines of the tests that run, by node id."""
        self._reporter: Any = config.pluginmanager.get_plugin("terminalreporter")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Take the place of pytest's own loop, but for what ends it before the first test."""
        collected = not session.testsfailed or session.config.option.continue_on_collection_errors
        if not session.items or not collected or session.config.option.collectonly:
            return None
        self._session = session
        self._items = {item.nodeid: item for item in session.items}
        if self._reporter is not None:
            self._reporter.showfspath = False  # files interleave
        session.config.stash[RUN].prepare()
        recorder: Any = session.config.pluginmanager.get_plugin(RECORDER)
        try:
            self._run(session)
        except FltLabError as error:
            # Of a run that ends with this exit code pytest tells no summary, which would say so.
            again = shlex.join(["fltlab", "run", "--resume", str(session.config.stash[RUN].path)])
            can_go_on = bool(recorder.records) and is_of_command(session.config)
            pytest.exit(f"{error}\n  to finish: {again}" if can_go_on else str(error), error.exit_code)
        finally:
            recorder.put_in_order(item.nodeid for item in session.items)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
        return True

    def _run(self, session: pytest.Session) -> None:
        from harness.cluster.coordinator import Coordinator
        from harness.cluster.dashboard import dashboard_of
        from harness.cluster.groups import cut
        from harness.cluster.needs import needs_of, windows_images_of
        from harness.cluster.policy import Board
        from harness.host.memory import processors
        from harness.plugin.cluster_job import job_of, planned

        run = session.config.stash[RUN]
        workers = self._config.getoption(options.WORKERS.name) or processors()
        dashboard = bool(self._config.getoption(options.DASHBOARD.name))
        tests = planned(session.items, run.path.parent)
        job = job_of(session, self._store.url if self._store is not None else None)
        for path in (job.delivery or {}).get("secrets", ()):
            self.says(f"{path} looks secret, and is not sent to the workers")
        with connected(self._address, workers, dashboard=dashboard) as client:
            link = dashboard_of(client, self._address)
            if link and (dashboard or self._address != LOCAL):
                self.says(f"dashboard: {link}")
            there = client.scheduler_info(n_workers=-1)["workers"].values()
            count = max(1, sum(worker["nthreads"] for worker in there))
            needs = needs_of(run.settings, windows_images_of(run.settings))
            board = Board(cut(tests, needs, count), (one.image for one in needs.values() if one.image))
            coordinator = Coordinator(client, job, board, self)
            self._machines = coordinator.machines
            coordinator.run()

    # -- what the coordinator tells

    def begun(self, nodeid: str, worker: str) -> None:
        """A worker begins a test."""
        self._running[nodeid] = worker
        self._show(nodeid)

    def _show(self, nodeid: str) -> None:
        """Tell who looks at the terminal how many tests run where."""
        live = self._config.stash.get(LIVE, None)
        if live is not None:
            counts = Counter(self._running.values())
            live.runs("  ".join([*(f"{host}: {counts[host]}" for host in sorted(counts)), nodeid.partition("::")[2]]))

    def result(self, nodeid: str, reports: Sequence[dict[str, Any]], worker: str, files: str | None) -> None:
        """All phases of a test, as if it had run here."""
        item = self._items[nodeid]
        if files is not None and self._store is not None:
            run = self._config.stash[RUN]
            with run.storing():
                folder = run.test_folder(nodeid)
                remove(folder)
                self._store.fetch_into(files, folder)
        self._running.pop(nodeid, None)
        item.ihook.pytest_runtest_logstart(nodeid=nodeid, location=item.location)
        for data in reports:
            item.ihook.pytest_runtest_logreport(report=_restored(self._config, data))
        item.ihook.pytest_runtest_logfinish(nodeid=nodeid, location=item.location)

    def given_up(self, nodeid: str, why: str, details: Sequence[str]) -> None:
        """A test that has no result and gets none: an error."""
        item = self._items[nodeid]
        item.ihook.pytest_runtest_logstart(nodeid=nodeid, location=item.location)
        self._running.pop(nodeid, None)
        keywords = dict.fromkeys(item.keywords, 1)
        report: Any = pytest.TestReport(nodeid, item.location, keywords, "failed", why, "???")  # type: ignore[arg-type]
        report.longrepr = "\n".join([why, *details])
        setattr(report, GIVEN_UP, True)
        item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=nodeid, location=item.location)

    def says(self, text: str) -> None:
        """A line for the user."""
        if self._reporter is not None:
            self._reporter.ensure_newline()
            self._reporter.write_line(f"fltlab: {text}")

    def stops(self) -> bool:
        """Whether pytest wants no further test: -x, --stepwise."""
        assert self._session is not None
        return bool(self._session.shouldfail or self._session.shouldstop)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """What each machine has done."""
        if len(self._machines) < 2 and not any(machine.lost for machine in self._machines.values()):
            return
        terminalreporter.section(TITLE)
        for host, machine in sorted(self._machines.items()):
            lost = f", {machine.lost} lost" if machine.lost else ""
            terminalreporter.write_line(
                f"{host}: {machine.tests} tests, {machine.seconds:.1f} s, workers: {len(machine.workers)}{lost}"
            )


def _restored(config: pytest.Config, data: dict[str, Any]) -> Any:
    """A report that has been JSON on its way: what pytest has as tuples is tuples again."""
    data["location"] = tuple(data["location"])
    data["sections"] = [tuple(section) for section in data["sections"]]
    data["user_properties"] = [tuple(one) for one in data["user_properties"]]
    if isinstance(data["longrepr"], list):
        data["longrepr"] = tuple(data["longrepr"])
    return config.hook.pytest_report_from_serializable(config=config, data=data)
