"""What is kept of a guest on which a test failed: `guest/` in the test's folder, saved while the guest is still there.

Serial log and QEMU's own, the display as a picture, QMP's status and events, the last WinRM exchanges, what the
reference kernel says of itself, memory and disk of the host. `missing.json` says what could not be had, and why.
"""

import json
from collections.abc import Callable, Generator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.plugin.facts import FACTS
from harness.plugin.run import RUN

if TYPE_CHECKING:
    from harness.guest import Guest
    from harness.plugin.pool import Lease

LEASE = pytest.StashKey["Lease"]()
FOLDER = "guest"
KERNEL_SECONDS = 10.0


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
    from harness.machine.evidence import save_each, save_machine
    from harness.machine.machine import Machine

    def winrm(path: Path) -> None:
        exchanges = [asdict(exchange) for exchange in guest.exchanges]
        path.write_text(json.dumps(exchanges, indent=2) + "\n", encoding="utf-8")

    def kernel(path: Path) -> None:
        path.write_text(json.dumps(guest.last_kernel_status(KERNEL_SECONDS), indent=2) + "\n", encoding="utf-8")

    savers: dict[str, Callable[[Path], object]] = {"winrm.json": winrm}
    if guest.profile.kernel_status is not None:
        savers["kernel.json"] = kernel
    if isinstance(guest.body, DaemonProcess):
        log = guest.body.log
        savers["daemon.log"] = lambda path: path.write_bytes(log.read_bytes())
    missing = save_each(savers, folder)
    if isinstance(guest.body, Machine):
        missing |= save_machine(guest.body, folder)
    return missing
