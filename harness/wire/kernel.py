"""What is said to a reference kernel's process, and what it says: requests, answers, and its state.

Requests and answers are lines of JSON on the process's standard input and output, each in an envelope; the state is
also what `fltlab-kernel status` prints, and what ends a command that the kernel did not survive.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from harness.wire.attempts import Attempts, Entrances, ListEntrances, TriedBatches
from harness.wire.codec import MalformedMessageError, from_data, to_data
from harness.wire.kernel_state import (
    Finding,
    KernelState,
    SeenCallbacks,
)
from harness.wire.programs import Await, End, Look, Progress, Start
from harness.wire.registry_edits import Edited, EditRegistry
from harness.wire.schedule import AskFollowed, Followed, GoBack, KeepPoint

VERSION = 1
STOPPED_MARK = "fltlab-kernel-stopped "
"""How the daemon begins the line on standard error with which a command ends that the kernel did not survive."""
STARTED_MARK = "fltlab-background-started "
"""How the daemon says on standard error that a program in the background is ready, or as ready as it gets."""
ASKED_IN_VAIN = "it asked the registry in vain for "
"""How a refusal to load says what of the registry the driver had asked for last and not found."""
OPENED_IN_VAIN = "it opened in vain "
"""How a refusal to load says which file the driver had opened last and not found."""
FINDINGS_MARK = "fltlab-kernel-findings "
"""How it begins the line with which a program ends that the kernel survived: how many findings its verifier has."""
CALLBACKS_MARK = "fltlab-kernel-callbacks "
"""How it begins the line with what the kernel has seen of watched minifilters meanwhile (`SeenCallbacks`)."""


# -- the registry


@dataclass(frozen=True)
class RegistryValue:
    """A value: its name, its REG_ type, and its data as the registry keeps it."""

    name: str
    type: str
    data: bytes = b""


@dataclass(frozen=True)
class RegistryKey:
    """A key with everything below it."""

    name: str
    values: tuple[RegistryValue, ...] = ()
    keys: "tuple[RegistryKey, ...]" = ()


# -- requests


@dataclass(frozen=True)
class Done:
    """A request was done.

    Whether drivers have changed the registry since it was last told or asked for, and whether any has registered to be
    called before it is changed.
    """

    registry_changed: bool = False
    registry_watched: bool = False


@dataclass(frozen=True)
class Attached:
    """The instance that was attached."""

    instance: str


@dataclass(frozen=True)
class FilterFacts:
    """A filter, as `fltmc filters` shows it."""

    name: str
    instances: int
    altitude: str
    frame: int = 0


@dataclass(frozen=True)
class Filters:
    """The registered filters."""

    filters: tuple[FilterFacts, ...] = ()


@dataclass(frozen=True)
class InstanceFacts:
    """An instance, as `fltmc instances` shows it."""

    filter: str
    volume: str
    altitude: str
    instance: str
    frame: int = 0
    features: int = 0


@dataclass(frozen=True)
class Instances:
    """The attached instances, highest altitude first."""

    instances: tuple[InstanceFacts, ...] = ()


@dataclass(frozen=True)
class VolumeFacts:
    """A volume, as `fltmc volumes` shows it."""

    dos_name: str
    name: str
    file_system: str


@dataclass(frozen=True)
class Volumes:
    """The mounted volumes."""

    volumes: tuple[VolumeFacts, ...] = ()


@dataclass(frozen=True)
class Drivers:
    """The services whose drivers are loaded, minifilters or not."""

    drivers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ended:
    """A program has ended.

    `remain` is what threads of it wait for that do not come back, `findings` how many the verifier has made so far.
    """

    exit_code: int
    stdout: bytes = b""
    remain: tuple[str, ...] = ()
    findings: int = 0
    registry_changed: bool = False
    seen: SeenCallbacks = field(default_factory=SeenCallbacks)


@dataclass(frozen=True)
class SetRegistry:
    """The registry below HKLM as it is now, and the files of the host that services' images are, by service."""

    machine: RegistryKey
    images: Mapping[str, str] = field(default_factory=dict)
    RESULT: ClassVar[type] = Done


@dataclass(frozen=True)
class GetRegistry:
    """Ask for the registry as drivers have left it."""

    RESULT: ClassVar[type] = RegistryKey


@dataclass(frozen=True)
class Load:
    """Load the driver of a service."""

    service: str
    RESULT: ClassVar[type] = Done


@dataclass(frozen=True)
class Unload:
    """Unload a minifilter; `mandatory` as when its service is stopped."""

    service: str
    mandatory: bool = False
    RESULT: ClassVar[type] = Done


@dataclass(frozen=True)
class Attach:
    """Attach an instance of a filter to a volume: by its name in the registry, or at an altitude."""

    service: str
    volume: str
    instance: str | None = None
    altitude: str | None = None
    RESULT: ClassVar[type] = Attached


@dataclass(frozen=True)
class Detach:
    """Detach an instance."""

    service: str
    volume: str
    instance: str | None = None
    RESULT: ClassVar[type] = Done


@dataclass(frozen=True)
class Dismount:
    """Dismount a volume, whatever is open on it; its next open mounts it again."""

    volume: str
    RESULT: ClassVar[type] = Done


@dataclass(frozen=True)
class RemoveDisk:
    """Take the disk of a volume out of the machine: by surprise, or if nobody minds."""

    volume: str
    surprise: bool = True
    RESULT: ClassVar[type] = Done


@dataclass(frozen=True)
class SetDisk:
    """How the disk of a volume is from now on; by default as it should be.

    `failing` transfers ("read", "write") end with `status`, so many of them (0: all); every transfer takes
    `milliseconds` longer; a `full` disk has no room for what is not there yet. `through`: what is written is on the
    host's own disk before it is done, and what is read past the cache comes from there.
    """

    volume: str
    failing: tuple[str, ...] = ()
    status: int = 0
    count: int = 0
    milliseconds: int = 0
    full: bool = False
    through: bool = False
    RESULT: ClassVar[type] = Done


@dataclass(frozen=True)
class ListFilters:
    """Ask for the filters."""

    RESULT: ClassVar[type] = Filters


@dataclass(frozen=True)
class ListInstances:
    """Ask for the instances."""

    RESULT: ClassVar[type] = Instances


@dataclass(frozen=True)
class ListVolumes:
    """Ask for the volumes."""

    RESULT: ClassVar[type] = Volumes


@dataclass(frozen=True)
class ListDrivers:
    """Ask for the loaded drivers."""

    RESULT: ClassVar[type] = Drivers


@dataclass(frozen=True)
class Run:
    """Run a program, a file of the host, to its end."""

    image: str
    args: tuple[str, ...] = ()
    stdin: bytes = b""
    RESULT: ClassVar[type] = Ended


@dataclass(frozen=True)
class Watch:
    """Have the callbacks of these services' minifilters recorded, from the next program on."""

    services: tuple[str, ...]
    RESULT: ClassVar[type] = Done


@dataclass(frozen=True)
class Starved:
    """How many allocations have failed for simulated want of memory so far."""

    failed: int = 0


@dataclass(frozen=True)
class Starve:
    """Have one in `every` allocations of these services' drivers fail, by the choices of the run; 0: none any more."""

    services: tuple[str, ...]
    every: int
    RESULT: ClassVar[type] = Starved


@dataclass(frozen=True)
class Findings:
    """What the verifier has found."""

    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Audit:
    """Ask what these services' drivers would leave behind if they were unloaded now, in this order; they stay loaded.

    A stop under their unloading is told as if the kernel had stopped; it goes on all the same. `for_good`: they are
    unloaded indeed, as nobody wants the kernel afterwards, and no fork of it is made.
    """

    services: tuple[str, ...]
    for_good: bool = False
    RESULT: ClassVar[type] = Findings


@dataclass(frozen=True)
class ImageCoverage:
    """What has run of a driver's image; offsets are from its begin.

    `spans` are (begin, end, times) of code that ran equally often. `ends` are (end of a basic block, how often the
    code right behind it came next, how often other code did).
    """

    service: str
    spans: tuple[tuple[int, ...], ...] = ()
    ends: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Coverage:
    """What has run of the drivers that are loaded, or have been, since this was asked last."""

    images: tuple[ImageCoverage, ...] = ()


@dataclass(frozen=True)
class TakeCoverage:
    """Ask what has run; of a kernel that has stopped, too. Refused by one that was not started to count."""

    RESULT: ClassVar[type] = Coverage


@dataclass(frozen=True)
class Status:
    """Ask for the kernel's state."""

    RESULT: ClassVar[type] = KernelState


@dataclass(frozen=True)
class Shutdown:
    """End the process."""

    RESULT: ClassVar[type] = Done


Request = (
    SetRegistry | GetRegistry | EditRegistry | Load | Unload | Attach | Detach | Dismount | RemoveDisk | SetDisk
    | ListFilters | ListInstances
    | ListVolumes | ListDrivers | Run | Watch | Starve | Audit | TakeCoverage
    | Attempts | ListEntrances | KeepPoint | GoBack | AskFollowed | Start | Look | Await | End | Status | Shutdown
)  # fmt: skip


# -- answers


@dataclass(frozen=True)
class Refused:
    """A request was refused with an NTSTATUS; the kernel goes on."""

    ntstatus: int
    message: str = ""


@dataclass(frozen=True)
class Stopped:
    """The kernel has stopped, now or before."""

    state: KernelState


Answer = (
    Done
    | Edited
    | Starved
    | Attached
    | Filters
    | Instances
    | Volumes
    | Drivers
    | Ended
    | Progress
    | Findings
    | Coverage
    | Entrances
    | TriedBatches
    | Followed
    | KernelState
    | RegistryKey
    | Refused
    | Stopped
)

_TYPES: Mapping[str, Any] = {kind.__name__: kind for kind in (*Request.__args__, *Answer.__args__)}


# -- envelopes


def envelope(number: int, message: Request | Answer) -> str:
    """A message on its way, as one line: the number ties an answer to its request."""
    body = to_data(message)
    return json.dumps({"version": VERSION, "id": number, "is": type(message).__name__, "body": body}) + "\n"


def opened_request(line: str | bytes) -> tuple[int, Request]:
    """The number and the request of a line. MalformedMessageError if it is none."""
    number, message = opened(line)
    if not isinstance(message, Request):
        raise MalformedMessageError(f"{type(message).__name__} is no request")
    return number, message


def opened(line: str | bytes) -> tuple[int, Any]:
    """The number and the message of a line. MalformedMessageError if it is none, or one of another version."""
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        raise MalformedMessageError(f"no JSON: {line[:200]!r}") from None
    if not isinstance(data, dict) or not isinstance(data.get("id"), int):
        raise MalformedMessageError(f"no envelope: {line[:200]!r}")
    if data.get("version") != VERSION:
        raise MalformedMessageError(f"version {data.get('version')!r} of the messages, and this side speaks {VERSION}")
    kind = _TYPES.get(str(data.get("is")))
    if kind is None:
        raise MalformedMessageError(f"no message is called {data.get('is')!r}")
    return int(data["id"]), from_data(kind, data.get("body"))
