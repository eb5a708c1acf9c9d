"""`fltlab bench schedules`: the races of drivers/racy, found by exploring, by seeds, and not in their mended twins.

Each driver is explored in a kernel process of its own, spoken with as the guest daemon does.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HostError
from harness.farm.bench.kernel import service_key
from harness.fleet.schedules.exploration import Explored, explore
from harness.fleet.schedules.search import Mode
from harness.host.directories import own_builds
from harness.minifilter.build import SUPPORT, BuiltDriver, build_drivers
from harness.minifilter.package import PACKAGE_FILE
from harness.report.cause import cause_of
from harness.shipped import DRIVERS
from harness.wire import kernel as wire
from harness.wire.schedule import AskFollowed, Followed, GoBack, KeepPoint, Plan

RACY = DRIVERS / "racy"
SCRIPT = "race.io"
MENDED = "-mended"
_ALTITUDE = "370030"


@dataclass(frozen=True)
class Race:
    """What came of one racy driver."""

    name: str
    found: int | None
    """Which schedule found it; None: none did."""
    switches: int
    cause: str
    seeds: int
    """How many seeds alone did, of as many as schedules were tried."""
    mended: int
    """Under how many schedules its mended twin held."""
    mended_failed: str
    """Why it did not under another one; empty if it never failed."""


def names() -> list[str]:
    """The racy drivers."""
    return sorted(path.parent.name for path in RACY.glob(f"*/{SCRIPT}"))


def script_of(name: str) -> str:
    """The I/O script that makes the race of a driver possible, of its mended twin too."""
    text = (RACY / name.removesuffix(MENDED) / SCRIPT).read_text(encoding="utf-8")
    return text.replace("{service}", name)


def build(wanted: Sequence[str]) -> dict[str, BuiltDriver]:
    """These drivers, and fltprobe."""
    return build_drivers(SUPPORT, own_builds(), [*wanted, "fltprobe"])


def measure_schedules(wanted: Sequence[str], count: int, seeds: int) -> Iterator[Race]:
    """Explore each of these racy drivers and its twin under `count` schedules, and try it with so many seeds."""
    built = build([each for name in wanted for each in (name, name + MENDED)])
    for name in wanted:
        with subject(built, name) as racy:
            explored = explore(racy, count, seed=1)
        by_seed = sum(fails_by_itself(built, name, seed) for seed in range(1, seeds + 1))
        with subject(built, name + MENDED) as mended:
            held = explore(mended, count, seed=1)
        found = explored.found
        yield Race(
            name,
            found.number if found else None,
            len(found.moves) if found else 0,
            found.cause if found else "",
            by_seed,
            held.tried - (held.found is not None),
            held.found.cause if held.found else "",
        )


def fails_by_itself(built: dict[str, BuiltDriver], name: str, seed: int) -> bool:
    """Whether a driver's race shows in the one run that a seed has."""
    with subject(built, name, seed) as racy:
        return racy.attempt(None) is not None


def found_in(built: dict[str, BuiltDriver], name: str, count: int, mode: Mode = Mode.BOTH) -> Explored:
    """What exploring one driver finds."""
    with subject(built, name) as racy:
        return explore(racy, count, seed=1, mode=mode)


@contextmanager
def subject(built: dict[str, BuiltDriver], name: str, seed: int = 1) -> "Iterator[KernelSubject]":
    """A kernel process with the driver loaded, at the point from which its script is run."""
    assert (RACY / name.removesuffix(MENDED) / PACKAGE_FILE).is_file()
    with tempfile.TemporaryDirectory(prefix="fltlab-race-") as folder, tempfile.TemporaryFile() as errors:
        command = [sys.executable, "-m", "harness.reference.process.host", "--volume", folder, "--seed", str(seed)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, cwd=SUPPORT.parent)
        try:
            yield KernelSubject(process, Path(folder), name, built)
        except EOFError as ended:
            errors.seek(0)
            said = errors.read().decode(errors="replace").splitlines()[-10:]
            raise HostError(f"the kernel's process ended under {name}", details=tuple(said)) from ended
        finally:
            process.kill()
            process.communicate()


class KernelSubject:
    """A script above one driver, in a kernel that goes back to where it began."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", volume: Path, name: str, built: dict[str, BuiltDriver]
    ) -> None:
        self._process, self._volume, self._name = process, volume, name
        self._run = wire.Run(str(built["fltprobe"].sys), (), script_of(name).encode())
        below = wire.RegistryKey("Services", keys=(service_key(name, _ALTITUDE),))
        for key in ("CurrentControlSet", "SYSTEM", "MACHINE"):
            below = wire.RegistryKey(key, keys=(below,))
        self._done(wire.SetRegistry(below, {name: str(built[name].sys)}))
        self._done(wire.Load(name))
        self._done(wire.Attach(name, "V:"))
        self._done(KeepPoint((name,)))

    def attempt(self, plan: Plan | None) -> str | None:
        """Run the script once, and unload the driver; why that failed. Without a plan as the seed has it."""
        for file in self._volume.iterdir():
            file.unlink()
        self._done(GoBack(plan))
        ended = self._ask(self._run)
        found = self._ask(wire.Audit((self._name,))) if isinstance(ended, wire.Ended) else ended
        if isinstance(found, wire.Stopped):
            return cause_of(found.state.message.splitlines()[0])
        if found.findings:
            return cause_of(found.findings[0].text)
        if ended.findings:
            return cause_of(self._ask(wire.Status()).findings[0].text)
        if ended.remain or ended.exit_code:
            return cause_of(f"exit code {ended.exit_code:#x}; {'; '.join(ended.remain)}")
        return None

    def followed(self) -> Followed:
        """How the kernel went in that."""
        followed = self._ask(AskFollowed())
        assert isinstance(followed, Followed)
        return followed

    def _done(self, request: wire.Request) -> None:
        answer = self._ask(request)
        if isinstance(answer, wire.Refused | wire.Stopped):
            said = answer.message if isinstance(answer, wire.Refused) else answer.state.message
            raise HostError(f"the kernel refused {type(request).__name__} of {self._name}", details=(said,))

    def _ask(self, request: wire.Request) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(wire.envelope(1, request).encode())
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise EOFError
        return wire.opened(line)[1]
