"""What the filter manager keeps: filters, what they registered, their instances, contexts, frames and devices.

Records that name one another; what is done with them is in the modules of their managers.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from harness.nt import ContextType, InstanceTeardownFlags, IrpMajor, OperationClass, OperationRegistrationFlags
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.windows.fltmgr.altitude import Altitude
from harness.reference.windows.io.constants import FILE_DEVICE_DISK_FILE_SYSTEM, FileObjectFlags, IrpFlags

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.operation import Operation
    from harness.reference.windows.io.request import Request
    from harness.reference.windows.io.volumes import Volume

TRANSFERS = frozenset({IrpMajor.READ, IrpMajor.WRITE})


@dataclass(frozen=True, slots=True)
class Callbacks:
    """One element of OperationRegistration."""

    major: int
    flags: int
    pre: int
    post: int

    def skips(self, request: "Request") -> bool:
        """Whether the registration's flags leave this request out (REG-08 to REG-11)."""
        if not self.flags:
            return False
        file = request.file
        flags = self.flags
        dasd = file is not None and bool(file.flags & FileObjectFlags.VOLUME_OPEN)
        if flags & OperationRegistrationFlags.SKIP_NON_DASD_IO and not dasd:
            return True
        if request.major not in TRANSFERS:
            return False
        irp = request.kind is OperationClass.IRP
        paging = irp and bool(request.irp_flags & IrpFlags.PAGING_IO)
        cached = not irp or not request.irp_flags & (IrpFlags.NOCACHE | IrpFlags.PAGING_IO)
        return (
            bool(flags & OperationRegistrationFlags.SKIP_PAGING_IO and paging)
            or bool(flags & OperationRegistrationFlags.SKIP_CACHED_IO and cached)
            or bool(
                flags & OperationRegistrationFlags.SKIP_NON_CACHED_NON_PAGING_IO and irp and not cached and not paging
            )
        )


@dataclass(frozen=True, slots=True)
class ContextDefinition:
    """One element of ContextRegistration."""

    kind: int
    flags: int
    cleanup: int
    size: int
    tag: int
    allocate: int
    free: int


@dataclass(frozen=True, slots=True)
class Registration:
    """What FltRegisterFilter was given."""

    flags: int
    operations: dict[int, Callbacks]
    contexts: tuple[ContextDefinition, ...]
    unload: int
    setup: int
    query_teardown: int
    teardown_start: int
    teardown_complete: int
    generate_name: int = 0
    normalize_name: int = 0
    normalize_cleanup: int = 0
    normalize_name_ex: int = 0


class Rundown:
    """Counts what is in use; whoever takes an object away waits until nothing is."""

    def __init__(self, name: str) -> None:
        self.count = 0
        self.idle = Event(name, state=True)

    def enter(self) -> None:
        self.count += 1
        self.idle.state = False


ContextTable = dict[tuple[int, int], "Context"]
"""Contexts by type and identity of the object that they are linked to."""


class InstanceState(Enum):
    """Where an instance is in its life."""

    SETUP = "being set up"
    ATTACHED = "attached"
    TEARING_DOWN = "being torn down"
    GONE = "gone"


@dataclass(eq=False, slots=True)
class Frame:
    """A frame. `lowest` is the altitude from which on minifilters are its own, None for the first frame."""

    number: int
    lowest: Altitude | None = None


@dataclass(eq=False, slots=True)
class FrameDevice:
    """A frame's device on one stack; `on` is None on a file system's control device."""

    frame: Frame
    address: int
    below: int
    on: "FilterVolume | None"


@dataclass(eq=False, slots=True)
class Filter:
    """A registered minifilter. `name` is its service's."""

    name: str
    address: int
    driver_object: int
    registration: Registration
    frame: Frame
    started: bool = False
    unloading: bool = False
    instances: "list[Instance]" = field(default_factory=list)
    contexts: "list[Context]" = field(default_factory=list)
    work: Rundown = field(default_factory=lambda: Rundown("the filter's queued work items"))
    teardown_reason: int = int(InstanceTeardownFlags.FILTER_UNLOAD)

    def describe(self) -> str:
        """For findings."""
        return f"filter {self.name}"

    def __repr__(self) -> str:
        return f"<Filter {self.name}>"


@dataclass(eq=False, slots=True)
class Instance:
    """A filter on a volume at an altitude."""

    filter: Filter
    on: "FilterVolume"
    name: str
    altitude: Altitude
    altitude_text: str
    address: int
    frame: Frame
    state: InstanceState = InstanceState.SETUP
    flags: int = 0
    scans_data: bool = False
    """FltRegisterForDataScan."""
    contexts: ContextTable = field(default_factory=dict)
    busy: Rundown = field(default_factory=lambda: Rundown("callbacks, pended operations and I/O of the instance"))
    pended: "list[Operation]" = field(default_factory=list)
    """Operations pended in pre or post and not resumed yet."""
    gone: Event = field(default_factory=lambda: Event("the instance to be gone"))

    @property
    def volume(self) -> "Volume":
        return self.on.volume

    @property
    def attached(self) -> bool:
        return self.state is InstanceState.ATTACHED

    @property
    def attached_or_setup(self) -> bool:
        """Whether its end has not begun."""
        return self.state in (InstanceState.SETUP, InstanceState.ATTACHED)

    def describe(self) -> str:
        """For findings."""
        return f"instance {self.name} of {self.filter.name} on {self.volume.dos_name}"

    def __repr__(self) -> str:
        return f"<Instance {self.name} of {self.filter.name} at {self.altitude_text}>"


class OwnCallbackData(NamedTuple):
    """What a minifilter has allocated callback data for (FltAllocateCallbackData)."""

    instance: Instance
    file_object: int
    thread: int
    """The KTHREAD that did, or reused it."""


@dataclass(eq=False, slots=True)
class Context:
    """An allocated context. `address` is what the filter points to."""

    filter: Filter
    kind: int
    definition: ContextDefinition
    address: int
    size: int
    references: int = 1
    table: ContextTable | None = None
    """Where it is linked; None if it is not."""
    key: tuple[int, int] = (0, 0)

    def describe(self) -> str:
        return f"the {ContextType(self.kind).name} context at {self.address:#x}"


@dataclass(eq=False, slots=True)
class FilterVolume:
    """A mounted volume as minifilters see it. `address` is its FLT_VOLUME.

    A volume that is dismounted and mounted again is another FLT_VOLUME. Until the last reference to it is given back,
    the old one stays where it is; nothing can be attached to it any more.
    """

    volume: "Volume"
    address: int
    vpb: int
    """The VPB of this mount: file objects of it point there."""
    instances: list[Instance] = field(default_factory=list)
    """Highest altitude first."""
    contexts: ContextTable = field(default_factory=dict)
    devices: dict[Frame, FrameDevice] = field(default_factory=dict)
    """The device of each frame on the volume's stack."""
    dismounted: bool = False

    @property
    def type(self) -> int:
        """FLT_FSTYPE_*, by the file system that has mounted it; FLT_FSTYPE_UNKNOWN for one from outside."""
        return self.volume.file_system.kind.type if self.volume.file_system is not None else 0

    @property
    def device_type(self) -> int:
        """The type of the file system's volume device."""
        return FILE_DEVICE_DISK_FILE_SYSTEM

    def __repr__(self) -> str:
        return f"<FLT_VOLUME {self.volume.dos_name}>"

    def describe(self) -> str:
        """For findings."""
        return f"volume {self.volume.dos_name}"
