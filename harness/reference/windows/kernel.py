"""The reference kernel: the executive with its I/O manager, filter manager, volumes and user-mode side.

Only the modules that define exports (`@export`) take a `Kernel`; nobody imports them, they are found by walking the
rooms (exports.py).
"""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.reference.windows.exports import load_exports
from harness.reference.windows.fltmgr.filter_manager import FilterManager
from harness.reference.windows.fs.filesystem import FileSystem
from harness.reference.windows.io.driver_table import DriverTable
from harness.reference.windows.io.io_manager import IoManager
from harness.reference.windows.ntos.ex import executive_locks
from harness.reference.windows.ntos.executive import Executive
from harness.reference.windows.ntos.kd import debug_print
from harness.reference.windows.ntos.ke import event_exports, timer_exports
from harness.reference.windows.user.program import Programs
from harness.reference.windows.user.section_services import page_fault

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.filter_services import Service
    from harness.reference.windows.io.volumes import Volume

load_exports()


class Kernel(Executive):
    """A whole machine; without `volumes` there is none that files could be opened on."""

    def __init__(
        self,
        *,
        volumes: Mapping[str, Path] | None = None,
        seed: int = 0,
        processors: int = 2,
        mutants: Iterable[str] = (),
        policy: Mapping[str, str] | None = None,
        memory_mib: int = 192,
    ) -> None:
        super().__init__(seed=seed, processors=processors, mutants=mutants, policy=policy, memory_mib=memory_mib)
        self.drivers = DriverTable(self)
        self.services: dict[str, Service] = {}
        """Minifilters that are registered, by lower-case name of their service: what FilterLoad can load."""
        self.locks.on_change = partial(executive_locks.mirror, self)
        self.processes.on_thread_end.append(partial(event_exports.abandon_mutexes, self))
        self.drivers.on_remove.append(partial(timer_exports.report_leaks, self))
        self.drivers.on_remove.append(partial(debug_print.report_callbacks, self))
        self.io = IoManager(self)
        self.flt = FilterManager(self)
        self.programs = Programs(self)
        self.pager = partial(page_fault, self)
        self.volumes: list[Volume] = [
            self.io.add_volume(name, FileSystem(root)) for name, root in (volumes or {}).items()
        ]
