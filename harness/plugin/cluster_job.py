"""What a cluster is told of a run of pytest: its tests as a plan, and what its workers need for them."""

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.cluster.groups import PlannedTest
from harness.errors import ConfigurationError, FltLabError
from harness.fleet import options
from harness.fleet.guest_name import GuestName
from harness.fleet.providers import kind_of
from harness.guest import GuestKind
from harness.guest.verifier import Level
from harness.plugin.facts import LAB_FIXTURE, LEASE_FIXTURE, is_of_command
from harness.plugin.options import settings
from harness.plugin.run import RUN, Run
from harness.shipped import SHIPPED

_SECRET = re.compile(r"passw|secret|token|api_?key|credential")


def planned(items: Sequence[pytest.Item], former_runs: Path) -> list[PlannedTest]:
    """The tests of a session, with how long they will take by the runs in a directory."""
    from harness.cluster.durations import former_durations

    known = former_durations(former_runs)
    tests = [(item.nodeid, guest := _guest(item), _template(item, guest)) for item in items]
    return [PlannedTest(nodeid, guest, template, known.of(nodeid, guest)) for nodeid, guest, template in tests]


def job_of(session: pytest.Session, store: str | None) -> Any:
    """What the workers of a run are told; with a store, what they need is put there."""
    from harness.cluster.job import Job, code_hash, own_version
    from harness.cluster.needs import image_of, windows_images_of
    from harness.host.memory import read_memory

    run: Run = session.config.stash[RUN]
    about: dict[str, Any] = {
        "run": run.id,
        "version": own_version(),
        "directory": str(run.started_in),
        "out": str(run.directory),
        "needs_qemu": any(map(image_of, run.settings.guests)),
    }
    told = {"run": run.id, "arguments": list(run.arguments), "of_command": is_of_command(session.config)}
    if store is None:
        return Job(code="", session={**told, "options": {}}, memory_mib=read_memory().available, **about)
    from harness.cluster.deliveries import send
    from harness.cluster.sealed import RunKey
    from harness.cluster.store import Store

    key = RunKey.new()
    delivery = send(Store(store), _directories(session.config), _built(session), windows_images_of(run.settings), key)
    return Job(
        code=code_hash(),
        session={**told, **_elsewhere(session.config)},
        delivery=delivery.to_data(),
        key=key.to_text(),
        **about,
    )


def require_no_secret(config: pytest.Config) -> None:
    """Raise ConfigurationError for an option that must not travel: what was typed reaches every worker."""
    for name, value in vars(config.option).items():
        if _SECRET.search(name.lower()) and isinstance(value, str) and value:
            raise ConfigurationError(
                f"the option {name} looks like a secret, and what was typed reaches every worker of the cluster",
                hint="give it to the workers in their environment",
            )


def _elsewhere(config: pytest.Config) -> dict[str, Any]:
    """Arguments and options of pytest on another machine, where nothing is found by looking around."""
    run = config.stash[RUN]
    arguments = [*run.arguments, f"--rootdir={config.rootpath}"]
    arguments += ["-c", str(config.inipath)] if config.inipath is not None else []
    given = config.getoption(options.FILE_SYSTEM_DRIVER.name)
    driver = "=".join(map(str, run.settings.file_system_driver or ())) if given else None
    chosen = {
        options.DRIVERS.name: [str(path) for path in run.settings.drivers],
        options.FILE_SYSTEM_DRIVER.name: driver,
        options.IMAGE_DIR.name: None,
    }
    return {"arguments": arguments, "options": chosen}


def _directories(config: pytest.Config) -> list[Path]:
    """What workers must have of this machine: the tree of the suites, and drivers; fltlab's own they have."""
    run = config.stash[RUN]
    wanted = [config.rootpath, *run.settings.drivers, *(run.settings.file_system_driver or ())]
    if config.rootpath in {Path("/"), Path.home()}:
        raise ConfigurationError(
            f"the tree of the suites is {config.rootpath}, and all of it would have to reach the workers",
            hint="put a pytest.ini beside the suites: what is below it is their tree",
        )
    kept: list[Path] = []
    for path in sorted(wanted, key=lambda path: len(path.parts)):
        if not any(path.is_relative_to(other) for other in (SHIPPED, *kept)):
            kept.append(path)
    return kept


def _built(session: pytest.Session) -> dict[str, Any]:
    """The drivers of all stacks, built here; of one that does not build, its tests will say so."""
    from harness.fleet.drivers import PROBE, Drivers
    from harness.plugin.scenes import stack_of

    run = session.config.stash[RUN]
    plans = [stack_of(item, run.settings) for item in session.items if LAB_FIXTURE in _fixtures(item)]
    if not plans:
        return {}
    drivers = Drivers(run.settings.drivers)
    built: dict[str, Any] = {}
    for name in dict.fromkeys(name for plan in plans for name in (*plan.drivers, PROBE)):
        with contextlib.suppress(FltLabError):
            built |= drivers.build([name])
    return built


def _fixtures(item: pytest.Item) -> Sequence[str]:
    return getattr(item, "fixturenames", ())


def _guest(item: pytest.Item) -> str:
    """The name of the guest that a test runs on; "" if it has none."""
    if LEASE_FIXTURE not in _fixtures(item):
        return ""
    callspec = getattr(item, "callspec", None)
    chosen = callspec.params.get("fltlab_guest_name") if callspec is not None else None
    return str(chosen or settings(item.config).guests[0])


def _template(item: pytest.Item, guest: str) -> str:
    """The same text for tests that can use one template: what stands in their guest before they begin.

    A guest without one, and a Windows whose template has no drivers in it, serve all tests of a file in turn.
    """
    name = GuestName.parse(guest)
    frozen_with_stack = guest and (kind_of(guest) is GuestKind.REFERENCE or name.verifier not in {"", Level.OFF})
    if LAB_FIXTURE not in _fixtures(item) or not frozen_with_stack:
        return ""
    marks = [mark for name in ("stack", "driver_options") for mark in item.iter_markers(name)]
    return "; ".join(f"{mark.name}{mark.args}{sorted(mark.kwargs.items())}" for mark in marks)
