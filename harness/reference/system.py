"""A whole machine: the kernel with its I/O manager, filter manager, volumes and user-mode side."""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.reference.flt import load_exports as load_filter_manager
from harness.reference.flt.manager import FilterManager
from harness.reference.io import load_exports as load_io_manager
from harness.reference.io.manager import IoManager
from harness.reference.kernel import Kernel
from harness.reference.user import load_exports as load_user_mode
from harness.reference.user.program import Programs
from harness.reference.user.sections import page_fault
from harness.reference.volume.filesystem import FileSystem

if TYPE_CHECKING:
    from harness.reference.io.devices import Volume

load_io_manager()
load_filter_manager()
load_user_mode()


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
