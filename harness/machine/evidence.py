"""What is saved of a machine when something went wrong on it, while it is still there: logs, picture, QMP, host."""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import FltLabError
from harness.host.disk import free_mib
from harness.host.memory import read_memory
from harness.machine.state import ALIVE

if TYPE_CHECKING:
    from harness.machine.machine import Machine

EVENTS = 200


def machine_savers(machine: "Machine") -> dict[str, Callable[[Path], object]]:
    """What the machine can still give: by the file's name, how it is saved."""
    return {
        "serial.log": lambda path: shutil.copyfile(machine.serial_log, path),
        "qemu.log": lambda path: shutil.copyfile(machine.qemu_log, path),
        "qmp.json": lambda path: _save_qmp(machine, path),
        "screen.png": machine.screenshot,
    }


def save_host(folder: Path, run_directory: Path) -> dict[str, str]:
    """Save how much memory and disk the host had, and how busy it was."""

    def save(path: Path) -> None:
        memory = read_memory()
        facts = {
            "memory_mib": {"total": memory.total, "available": memory.available},
            "disk_free_mib": {str(run_directory): free_mib(run_directory)},
            "load": os.getloadavg(),
        }
        path.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")

    return save_each({"host.json": save}, folder)


def save_each(savers: Mapping[str, Callable[[Path], object]], folder: Path) -> dict[str, str]:
    """Save files, each by its own function; returns why any is missing: one that cannot be had costs no other."""
    missing: dict[str, str] = {}
    for name, save in savers.items():
        try:
            save(folder / name)
        except FltLabError as error:
            missing[name] = error.message
        except OSError as error:
            missing[name] = str(error)
    return missing


def _save_qmp(machine: "Machine", path: Path) -> None:
    facts: dict[str, object] = {"state": machine.state.value, "events": []}
    if machine.state in ALIVE:
        facts["status"] = machine.qmp.execute("query-status")
        facts["blocks"] = machine.qmp.execute("query-blockstats")
    facts["events"] = [
        {"name": event.name, "time": event.time, "data": dict(event.data)} for event in machine.events[-EVENTS:]
    ]
    path.write_text(json.dumps(facts, indent=2, default=str) + "\n", encoding="utf-8")
