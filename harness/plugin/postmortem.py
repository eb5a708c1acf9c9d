"""What is kept of a guest on which a test failed: `guest/` in the test's folder, saved while the guest is still there.

Serial log and QEMU's own, the display as a picture, QMP's status and events, the last WinRM exchanges, what the
reference kernel says of itself, memory and disk of the host; of a Windows guest that had a bug check its dump, and what
the dump says. `missing.json` says what could not be had, and why.
"""

import json
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.plugin.facts import FACTS
from harness.plugin.run import RUN, Run
from harness.report.records import SectionKind
from harness.wire.codec import decode
from harness.wire.kernel_state import KernelState
from harness.wire.trace import FILE_NAME as TRACE
from harness.wire.trace import Mark, Note, append

if TYPE_CHECKING:
    from harness.fleet.pool import Lease

LEASE = pytest.StashKey["Lease"]()
FOLDER = "guest"
CRASH = "crash.txt"  # harness.guest.windows.CRASH, whose import is not for every pytest run


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
            _keep(item, run, folder / FOLDER, report)
    report.__dict__.setdefault("fltlab", {})["folder"] = facts.folder
    return report


def _keep(item: pytest.Item, run: Run, folder: Path, report: pytest.TestReport) -> None:
    """Save it, pause it if that was asked for, and say on the report what is worth reading at once."""
    from harness.guest.remains import KERNEL, last_steps

    lease = item.stash.get(LEASE, None)
    _save(lease, folder, run.directory)
    crash = folder / CRASH
    if lease is not None and run.settings.pause_on_failure and not crash.exists():
        from harness.plugin.pause import pause

        pause(item, lease.guest, run.settings)
    steps = last_steps(folder / KERNEL)
    if steps:
        report.sections.insert(0, (SectionKind.KERNEL.value, "\n".join(steps)))
    trace = folder.parent / TRACE
    if steps and trace.is_file():
        stop = _stop(folder / KERNEL)
        append(trace, [*(Note("kernel", step) for step in steps), *([stop] if stop else [])])
    if crash.exists():
        report.sections.append((SectionKind.DUMP.value, crash.read_text(encoding="utf-8")))


def _save(lease: "Lease | None", folder: Path, run_directory: Path) -> None:
    from harness.guest.remains import save_guest
    from harness.machine.evidence import save_host

    folder.mkdir(parents=True)
    missing = save_host(folder, run_directory)
    if lease is None:
        missing["guest"] = "there was none: it did not come up"
    else:
        missing |= save_guest(lease.guest, folder)
    if missing:
        (folder / "missing.json").write_text(json.dumps(missing, indent=2) + "\n", encoding="utf-8")


def _stop(status: Path) -> Mark | None:
    """What a reference kernel says of its bug check or hang, as a mark in the trace."""
    state = decode(KernelState, status.read_text(encoding="utf-8"))
    stop = state.stop
    if stop is None:
        return None
    return Mark("violated" if stop.rule else state.state.value, stop.message, stop.rule or "", stop.driver or "")
