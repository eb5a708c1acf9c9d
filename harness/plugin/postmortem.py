"""What is kept of a guest on which a test failed: `guest/` in the test's folder, saved while the guest is still there.

Serial log and QEMU's own, the display as a picture, QMP's status and events, the last WinRM exchanges, what the
reference kernel says of itself, memory and disk of the host; of a Windows guest that had a bug check its dump, and what
the dump says. `missing.json` says what could not be had, and why.
"""

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.errors import GuestError
from harness.plugin.facts import FACTS
from harness.plugin.run import RUN
from harness.report.records import SectionKind
from harness.wire.trace import FILE_NAME as TRACE
from harness.wire.trace import Mark, Note, append

if TYPE_CHECKING:
    from harness.guest import Guest
    from harness.guest.windows import WindowsBody
    from harness.plugin.pool import Lease

LEASE = pytest.StashKey["Lease"]()
FOLDER = "guest"
CRASH = "crash.txt"
KERNEL = "kernel.json"
_LAST_STEPS = 12


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Save what there is, once for each test: at its first failure."""
    report = yield
    facts = item.stash.get(FACTS, None)
    if facts is None or not report.failed or not facts.guest:
        return report
    run = item.config.stash[RUN]
    with run.storing():
        folder = run.test_folder(item.nodeid)
        facts.folder = str(folder.relative_to(run.directory))
        if not (folder / FOLDER).exists():
            _save(item.stash.get(LEASE, None), folder / FOLDER, run.directory)
            lease = item.stash.get(LEASE, None)
            if lease is not None and run.settings.pause_on_failure and not (folder / FOLDER / CRASH).exists():
                from harness.plugin.pause import pause

                pause(item, lease.guest, run.settings)
            steps = last_steps(folder / FOLDER / KERNEL)
            if steps:
                report.sections.insert(0, (SectionKind.KERNEL.value, "\n".join(steps)))
            if steps and (folder / TRACE).is_file():
                stop = _stop(folder / FOLDER / KERNEL)
                append(folder / TRACE, [*(Note("kernel", step) for step in steps), *([stop] if stop else [])])
            crash = folder / FOLDER / CRASH
            if crash.exists():
                report.sections.append((SectionKind.DUMP.value, crash.read_text(encoding="utf-8")))
    report.__dict__.setdefault("fltlab", {})["folder"] = facts.folder
    return report


def _save(lease: "Lease | None", folder: Path, run_directory: Path) -> None:
    from harness.machine.evidence import save_host

    folder.mkdir(parents=True)
    missing = save_host(folder, run_directory)
    if lease is None:
        missing["guest"] = "there was none: it did not come up"
    else:
        missing |= save_guest(lease.guest, folder)
    if missing:
        (folder / "missing.json").write_text(json.dumps(missing, indent=2) + "\n", encoding="utf-8")


def save_guest(guest: "Guest", folder: Path) -> dict[str, str]:
    """Save what a guest, and the machine or process it runs in, can still give."""
    from harness.guest.local import DaemonProcess
    from harness.guest.windows import WindowsBody
    from harness.machine.evidence import save_each, save_machine
    from harness.machine.machine import Machine

    def winrm(path: Path) -> None:
        exchanges = [asdict(exchange) for exchange in guest.exchanges]
        path.write_text(json.dumps(exchanges, indent=2) + "\n", encoding="utf-8")

    def kernel(path: Path) -> None:
        path.write_text(json.dumps(guest.last_kernel_status(), indent=2) + "\n", encoding="utf-8")

    savers: dict[str, Callable[[Path], object]] = {"winrm.json": winrm}
    if guest.profile.kernel_status is not None:
        savers[KERNEL] = kernel
    if isinstance(guest.body, DaemonProcess):
        log = guest.body.log
        savers["daemon.log"] = lambda path: path.write_bytes(log.read_bytes())
    missing = save_each(savers, folder)
    body = guest.body
    machine = body.machine if isinstance(body, WindowsBody) else body
    if isinstance(machine, Machine):
        missing |= save_machine(machine, folder)
    if isinstance(body, WindowsBody) and body.crash is not None:  # last: the machine may end for it
        missing |= save_each({CRASH: lambda path: _save_crash(body, path)}, folder)
    return missing


def last_steps(status: Path) -> list[str]:
    """What a reference kernel that has stopped did last, one thing each; empty for one that runs."""
    if not status.is_file():
        return []
    document = json.loads(status.read_text(encoding="utf-8"))
    if document.get("state") not in {"bugcheck", "hang"}:
        return []
    return list(map(str, document.get("trace", ())[-_LAST_STEPS:]))


def _stop(status: Path) -> Mark | None:
    """What a reference kernel says of its bug check or hang, as a mark in the trace."""
    document = json.loads(status.read_text(encoding="utf-8"))
    state = document["state"]
    stop = document.get(state)
    if not isinstance(stop, Mapping):
        return None
    rule = str(stop.get("rule") or "")
    return Mark("violated" if rule else state, str(stop.get("message") or ""), rule, str(stop.get("driver") or ""))


def _save_crash(body: "WindowsBody", path: Path) -> None:
    """Save the dump of a bug check beside what it says, as text and as JSON."""
    crash = body.save_crash(path.parent)
    if crash is None:
        raise GuestError("the guest had a bug check, and this kind of guest gives no dump")
    path.with_suffix(".json").write_text(json.dumps(crash.as_json(), indent=2) + "\n", encoding="utf-8")
    path.write_text("\n".join(crash.lines()) + "\n", encoding="utf-8")
