"""A whole machine: the kernel with its I/O manager, filter manager, volumes and user-mode side."""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.reference.windows.fltmgr.filter_manager import FilterManager
from harness.reference.windows.fs.filesystem import FileSystem
from harness.reference.windows.io.io_manager import IoManager
from harness.reference.windows.kernel import Kernel
from harness.reference.windows.user.program import Programs
from harness.reference.windows.user.section_services import page_fault

if TYPE_CHECKING:
    from harness.reference.windows.io.volumes import Volume


class System(Kernel):
    """A kernel that files can be opened on."""

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
        self.io = IoManager(self)
        self.flt = FilterManager(self)
        self.programs = Programs(self)
        self.pager = partial(page_fault, self)
        self.volumes: list[Volume] = [
            self.io.add_volume(name, FileSystem(root)) for name, root in (volumes or {}).items()
        ]
