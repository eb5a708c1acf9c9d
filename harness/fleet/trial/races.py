"""The driver under other schedules: two threads on one file, and its unload in the midst, again and again.

It comes last, in a guest of its own: the kernel goes back to where the driver had just been attached.
"""

from collections.abc import Callable
from dataclasses import dataclass

from harness.errors import FltLabError
from harness.fleet.schedules.exploration import Explored, explore, follow
from harness.fleet.schedules.search import Mode
from harness.guest import Guest, GuestState
from harness.guest.crash import parse_findings
from harness.guest.probe import run_probe
from harness.guest.registration import word
from harness.machine.deadlines import Wait
from harness.report.cause import cause_of
from harness.wire.kernel_state import Finding
from harness.wire.schedule import Followed, Move, Plan


def script(service: str) -> str:
    """Opens, writes, reads, a query, a rename and an unload, which meet each other."""
    lines = [
        r"open a V:\raced.bin access=rw,delete disposition=overwrite-if",
        r"open b V:\raced.bin access=rw options=noncached",
        "write a offset=0 length=8192 fill=0x5A",
        r"spawn o open c V:\raced.bin access=rw",
        r"open d V:\raced.bin access=read",
        "spawn w write a offset=0 length=4096 fill=0x5B",
        "read b offset=0 length=4096",
        "wait w",
        "wait o",
        r"spawn q query-path V:\raced.bin",
        "spawn f flush a",
        "read b offset=4096 length=512",
        "wait q",
        "wait f",
        "spawn x read b offset=0 length=512",
        "close c",
        "close d",
        f"unload {word(service)}",
        "wait x",
        "close b",
        "close a",
    ]
    return "\n".join(lines) + "\n"


@dataclass
class TriedSchedules:
    """The driver as a subject of exploration."""

    guest: Guest
    service: str
    empty: Callable[[], None]
    """Empties V:."""
    failure: str = ""
    """What went wrong in the last attempt, in full."""

    def begin(self) -> None:
        """Keep the point that every attempt begins at."""
        self.guest.keep_point((self.service,))

    def attempt(self, plan: Plan) -> str | None:
        """Run the script once and unload the driver; why that failed."""
        self.empty()
        self.guest.go_back(plan)
        self.failure = ""
        try:
            _, result = run_probe(self.guest, script(self.service))
            told = self.guest.findings
            late = next((step for step in result.steps if step.outstanding), None)
            command = f"{self.guest.profile.kernel_audit} {word(self.service)}"
            found = parse_findings(self.guest.succeed(command, timeout=Wait.KERNEL_STATUS))
            new = self._findings() if told else ()
            self.failure = next((one.text for one in (*new, *found)), f"does not end: {late}" if late else "")
        except FltLabError as error:
            if self.guest.state is GuestState.READY or not error.is_failure:
                raise
            self.failure = error.message
        return cause_of(self.failure.splitlines()[0]) if self.failure else None

    def followed(self) -> Followed:
        """How the kernel went."""
        return self.guest.followed()

    def _findings(self) -> tuple[Finding, ...]:
        state = self.guest.kernel_status()
        return state.findings if state is not None else ()


def race(subject: TriedSchedules, count: int, seed: int, mode: Mode, moves: tuple[Move, ...] | None) -> Explored:
    """Explore so many schedules, or follow the one that is given."""
    subject.begin()
    return explore(subject, count, seed, mode) if moves is None else follow(subject, moves)
