"""The reference kernel: the executive with its I/O manager, filter manager, volumes and user-mode side.

The modules that define exports (`@export`) take a `Kernel`; they are found by walking the rooms (export_rooms.py).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from harness.reference.machine.choices import Draw
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.windows.cc.driver_streams import DriverStreams
from harness.reference.windows.cc.sections import Views
from harness.reference.windows.export_rooms import load_exports
from harness.reference.windows.fltmgr.filter_manager import FilterManager
from harness.reference.windows.fltmgr.filter_services import FilterServices
from harness.reference.windows.fs.filesystem import FileSystem
from harness.reference.windows.fs.kinds import NTFS, Kind
from harness.reference.windows.fs.ntfs_driver import LocalFileSystems
from harness.reference.windows.fsrtl.driver_notify import DriverNotify
from harness.reference.windows.fsrtl.driver_oplocks import DriverOplocks
from harness.reference.windows.fsrtl.file_locks import FileLocks
from harness.reference.windows.fsrtl.tunnel_cache import TunnelCaches
from harness.reference.windows.io.driver_table import DriverTable
from harness.reference.windows.io.io_manager import IoManager
from harness.reference.windows.ksecdd.cng_objects import CngHandles
from harness.reference.windows.ntos.ex.rundown import forget_freed
from harness.reference.windows.ntos.ex.timer_objects import ExecutiveTimer
from harness.reference.windows.ntos.executive import Executive
from harness.reference.windows.ntos.kd.debug_output import forget_callbacks
from harness.reference.windows.ntos.ke.shared_data import BOOT_TIME
from harness.reference.windows.ntos.mm.mdl import ReservedMapping
from harness.reference.windows.ntos.ob.objects import Object
from harness.reference.windows.ntos.ps.notify_routines import forget_routines
from harness.reference.windows.ntos.se.token_objects import thread_ended
from harness.reference.windows.user.address_space import Region
from harness.reference.windows.user.program import Programs
from harness.reference.windows.user.view_faults import page_fault

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.requests import KernelCode
    from harness.reference.machine.scheduler.timers import Timer
    from harness.reference.windows.cc.cache_map import CacheMap
    from harness.reference.windows.io.volumes import Volume

load_exports()


@dataclass(frozen=True)
class Medium:
    """What is on a volume: a directory of the host, as a kind of file system shows it."""

    root: Path
    kind: Kind = NTFS
    removable: bool = False


class Kernel(Executive):
    r"""A whole machine; without `volumes` there is none that files could be opened on.

    `volumes` are directories of the host by their DOS names, with NTFS unless a `Medium` says otherwise; `C:` is the
    system's own, where \SystemRoot leads to. `disks` are images that a file system must be loaded for.
    """

    def __init__(
        self,
        *,
        volumes: Mapping[str, Path | Medium] | None = None,
        disks: Mapping[str, Path] | None = None,
        seed: int = 0,
        processors: int = 2,
        mutants: Iterable[str] = (),
        policy: Mapping[str, str] | None = None,
        memory_mib: int = 192,
        leaves: bool = True,
        replay: Iterable[Draw] = (),
    ) -> None:
        super().__init__(
            seed=seed,
            processors=processors,
            mutants=mutants,
            policy=policy,
            memory_mib=memory_mib,
            leaves=leaves,
            replay=replay,
        )
        self.drivers = DriverTable(self)
        self.service_images: Final[dict[str, Path]] = {}
        """Files of the host that services' images are, by lower-case name; the rest is in the registry."""
        self.processes.on_thread_end.append(self.mutexes.abandon)
        self.drivers.on_remove.append(lambda driver: self.timers.report_leaks(driver.name, driver.image))
        self.drivers.on_remove.append(lambda driver: forget_callbacks(self, driver.image))
        self.drivers.on_remove.append(lambda driver: forget_routines(self, driver.image))
        self.drivers.on_remove.append(lambda driver: self.handle_callbacks.forget(self, driver.name))
        self.processes.on_thread_end.append(partial(thread_ended, self))
        self.drivers.on_remove.append(lambda driver: self.registry_callbacks.forget(driver.name))
        self.drivers.on_remove.append(lambda driver: forget_freed(self, driver.name))
        self.io = self.mutants.of(IoManager)(self, self.drivers)
        self.views = self.io.views = Views(self)
        self.flt = FilterManager(self, self.io)
        self.filter_services = self.mutants.of(FilterServices)(self.flt, self.drivers, self.service_images)
        self.placeholder_modes: dict[int, int] = {}
        """PHCM_* by thread and by process, of those that have set one."""
        self.once_waiters: dict[int, Event] = {}
        """Who waits for an initialization that runs once, by its RTL_RUN_ONCE."""
        self.cng = CngHandles()
        self.tunnels = TunnelCaches(self)
        self.executive_timers: dict[int, ExecutiveTimer] = {}
        """By address: what ExAllocateTimer gave."""
        self.etw_activities: dict[int, bytes] = {}
        """EtwActivityIdControl, by thread."""
        self.csq_cancel = self.file_mapping = 0
        """Guest addresses, once somebody has asked: the cancel routine of IoCsq, the generic mapping of files."""
        self.device_timers: dict[int, tuple[int, int]] = {}
        """IoInitializeTimer: routine and context, by device."""
        self.running_device_timers: dict[int, Timer] = {}
        self.mdl_pages: dict[int, int] = {}
        """MmAllocatePagesForMdl: the pages of an MDL."""
        self.reserved_mappings: dict[int, ReservedMapping] = {}
        """MmAllocateMappingAddress, by address."""
        self.attached: dict[int, int] = {}
        """Threads that KeAttachProcess has attached, with their saved state."""
        self.named_objects: dict[str, Object] = {}
        """Directories and links that are gone with their last handle, by name in small letters."""
        self.system_regions: list[Region] = []
        """User memory that drivers have allocated in the System process."""
        self.next_luid = 0x1_0000
        self.driver_oplocks = DriverOplocks(self)
        """The OPLOCKs that drivers keep for their files."""
        self.driver_notify = DriverNotify(self)
        """The notify lists that drivers keep for their volumes."""
        self.file_locks = FileLocks()
        """The FILE_LOCKs of file systems that are loaded as drivers."""
        self.programs = Programs(self, self.io, self.views)
        self.pager = partial(page_fault, self, self.views)
        media = {name: item if isinstance(item, Medium) else Medium(item) for name, item in (volumes or {}).items()}
        self.driver_streams = DriverStreams(self, self.io)
        """Streams of drivers that are cached or mapped."""
        self.cache_mdls: dict[int, tuple[CacheMap, list[int]]] = {}
        """MDLs of cached pages that drivers have, with their frames."""
        kinds = [item.kind for item in media.values()]
        self.local_file_systems = LocalFileSystems(self, self.io, kinds, self.driver_streams)
        self.volumes: list[Volume] = [
            self.io.add_volume(name, FileSystem(item.root, self.system_time, item.kind), removable=item.removable)
            for name, item in media.items()
        ]
        system = self.io.volume_named("C:")
        if system is not None:
            self.namespace.link(r"\SystemRoot", system.device_name + r"\Windows")
        for name, image in (disks or {}).items():
            self.io.add_disk(name, image)
        self.run(self._start(), "system start")

    def system_time(self) -> int:
        """KeQuerySystemTimePrecise: 100 ns since 1601."""
        return BOOT_TIME + self.clock.now

    def _start(self) -> "KernelCode":
        """The drivers of the system start, and its volumes are mounted."""
        yield from self.flt.frames.start()
        yield from self.local_file_systems.start()
        for volume in self.volumes:
            yield from self.io.file_systems.mount(volume.disk_device)
