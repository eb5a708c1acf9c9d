"""What the filter manager keeps: filters, what they registered, their instances on volumes, and contexts' owners."""

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from harness.nt import InstanceTeardownFlags, IrpMajor, OperationClass, OperationRegistrationFlags
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.windows.fltmgr.altitude import Altitude
from harness.reference.windows.io.constants import FileObjectFlags, IrpFlags

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.contexts import Context
    from harness.reference.windows.fltmgr.filter_volumes import FilterVolume
    from harness.reference.windows.fltmgr.frames import Frame
    from harness.reference.windows.fltmgr.operation import Operation
    from harness.reference.windows.fltmgr.port_clients import ServerPort
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


class Rundown:
    """Counts what is in use; whoever takes an object away waits until nothing is."""

    def __init__(self, name: str) -> None:
        self.count = 0
        self.idle = Event(name, state=True)

    def enter(self) -> None:
        self.count += 1
        self.idle.state = False


class InstanceState(Enum):
    """Where an instance is in its life."""

    SETUP = "being set up"
    ATTACHED = "attached"
    TEARING_DOWN = "being torn down"
    GONE = "gone"


@dataclass(eq=False, slots=True)
class Filter:
    """A registered minifilter. `name` is its service's."""

    name: str
    address: int
    driver_object: int
    registration: Registration
    frame: "Frame"
    started: bool = False
    unloading: bool = False
    instances: "list[Instance]" = field(default_factory=list)
    ports: "list[ServerPort]" = field(default_factory=list)
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
    frame: "Frame"
    state: InstanceState = InstanceState.SETUP
    flags: int = 0
    scans_data: bool = False
    """FltRegisterForDataScan."""
    contexts: "dict[tuple[int, int], Context]" = field(default_factory=dict)
    """By type of context and identity of the object it is linked to."""
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

    def describe(self) -> str:
        """For findings."""
        return f"instance {self.name} of {self.filter.name} on {self.volume.dos_name}"

    def __repr__(self) -> str:
        return f"<Instance {self.name} of {self.filter.name} at {self.altitude_text}>"
