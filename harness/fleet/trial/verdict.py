"""What comes of a trial: the options it was begun with, what was seen and found, and how it ended."""

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from harness.errors import DriverError, ExitCode, FltLabError
from harness.fleet.schedules.exploration import Explored
from harness.fleet.schedules.schedule_file import Schedule
from harness.fleet.schedules.search import Mode
from harness.fleet.settings import DEFAULT_SEED, LOCAL_GUEST
from harness.fleet.trial.candidate import Candidate
from harness.fleet.trial.sightings import Sightings
from harness.fleet.trial.transparency import Change, Difference, summarize
from harness.fleet.trial.workload import WORKLOAD, Part
from harness.guest import GuestKind
from harness.minifilter.registry import RegistryValue
from harness.report.coverage.measured import Measured
from harness.wire.kernel_state import Finding, WatchedFilter


class Ended(Enum):
    """How a trial ended."""

    CLEAN = "clean"
    FINDINGS = "findings"
    SAW_NOTHING = "saw nothing"
    """The workload ran, and the driver was shown none of it: nobody knows what it would have done."""
    COULD_NOT_RUN = "could not run"

    @property
    def code(self) -> ExitCode:
        """What the command returns."""
        codes = {Ended.CLEAN: ExitCode.PASSED, Ended.FINDINGS: ExitCode.FAILED}
        return codes.get(self, ExitCode.HOST)


@dataclass(frozen=True)
class TrialOptions:
    """What a user may choose."""

    guest: str = LOCAL_GUEST
    seed: int = DEFAULT_SEED
    registry: tuple[RegistryValue, ...] = ()
    image_directory: Path | None = None
    service: tuple[str, ...] = ()
    """The driver's user-mode service: a program of this machine, and its arguments."""
    parts: tuple[Part, ...] = WORKLOAD
    coverage: Path | None = None
    """The file that says which lines of the driver ran."""
    schedules: int = 0
    """Under how many schedules it is tried in the end."""
    exploration: Mode = Mode.BOTH
    schedule: Schedule | None = None
    """The one schedule that it is tried under."""
    hard: bool = True
    """Whether the driver is also unloaded under load, loaded again, and given no memory."""


@dataclass
class Verdict:
    """What came of a trial; filled in while it goes on."""

    candidate: Candidate
    options: TrialOptions
    kind: GuestKind
    sha256: str = ""
    loaded: str = "no"
    attached: str = "no"
    elsewhere: tuple[str, ...] = ()
    """Volumes that it is attached to, where it is not attached to that of the workload."""
    registered: WatchedFilter | None = None
    """What it is registered for, where its kernel tells."""
    detached: str = "not tried"
    unloaded: str = "not tried"
    parts: int = 0
    steps: int = 0
    sightings: Sightings = field(default_factory=Sightings)
    differences: list[Difference] = field(default_factory=list)
    refusals: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What the filter manager refused the driver, and why, by the part of the workload; each once."""
    findings: list[Finding] = field(default_factory=list)
    leaks: list[Finding] = field(default_factory=list)
    """What the kernel found when the driver was unloaded."""
    stage: str = "the workload"
    """What was done to the driver last."""
    in_hard_part: bool = False
    hard: list[str] = field(default_factory=list)
    """What came of the hard part, a sentence each."""
    hard_findings: list[Finding] = field(default_factory=list)
    explored: Explored | None = None
    """What came of other schedules, where that was asked for."""
    race: tuple[str, ...] = ()
    """How the driver fails under one of them: the failure, and who did what."""
    hang: str = ""
    """The step that did not end, if one did not."""
    stop: FltLabError | None = None
    """What ended the trial before its end."""
    seconds: float = 0.0
    measured: Measured | None = None
    """What ran of the driver's sources, where that is asked for."""

    where: dict[str, str] = field(default_factory=dict)
    """Function and line of the addresses in the driver that are told."""

    @property
    def told(self) -> str:
        """What is told of the driver with addresses in it."""
        every = [*self.findings, *self.leaks, *self.hard_findings]
        return "\n".join([*(line for one in every for line in (one.text, *one.chain)), str(self.stop or "")])

    @property
    def changes(self) -> list[Change]:
        """What came out differently, each kind once."""
        return summarize(self.differences, self.candidate.package.changes)

    @property
    def ended(self) -> Ended:
        """The whole in one word."""
        if self.stop is not None and not isinstance(self.stop, DriverError):
            return Ended.COULD_NOT_RUN
        if self.loaded != "yes" and not self.stop_is_crash:
            return Ended.COULD_NOT_RUN
        unmeant = any(change.allowed is None for change in self.changes)
        found = self.findings or self.leaks or self.hard_findings or self.race
        if self.stop is not None or self.hang or found or unmeant:
            return Ended.FINDINGS
        return Ended.SAW_NOTHING if self.blind else Ended.CLEAN

    @property
    def is_attached(self) -> bool:
        """Whether it is attached to the volume of the workload."""
        return self.attached.startswith("at ")

    @property
    def blind(self) -> bool:
        """Whether the workload went by without it, though there is something that it is registered for."""
        registered = self.registered is None or bool(self.registered.majors)
        return bool(self.parts) and registered and not (self.is_attached and self.sightings.rows())

    stop_is_crash: bool = False
    """The kernel did not survive: a bug check, a deadlock or a hang, and not a load that was refused."""
