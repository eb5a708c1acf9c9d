"""What is fuzzed: a reference kernel of this machine with the driver loaded, and attempts in copies of it."""

import contextlib
from collections.abc import Iterator, Sequence

from harness.errors import ConfigurationError, GuestError
from harness.fleet.drivers import PROBE, Drivers, build_alone
from harness.fleet.fuzz.case import Case, script_of
from harness.fleet.fuzz.vocabulary import Door
from harness.fleet.trial.candidate import Candidate
from harness.guest import KernelOptions, LocalGuest
from harness.guest.deploy import Deployment, DriverUnderTest
from harness.guest.probe import PROGRAM
from harness.guest.registration import word
from harness.guest.stack import NamedEntry, StackEntry, place
from harness.machine.deadlines import Deadlines, Wait
from harness.machine.watchdog import watchdog
from harness.minifilter.build import BuiltDriver
from harness.text import read_json
from harness.wire.attempts import Attempts, Entrances, ListEntrances, Tried, TriedBatches
from harness.wire.codec import encode, from_data

SECONDS = 20
"""How long one case may take by the host's clock; the kernel's own limits come first."""
SECONDS_EACH = 0.5


class Target:
    """A kernel with the driver loaded and attached."""

    def __init__(self, guest: LocalGuest, service: str) -> None:
        self._guest = guest
        self.service = service

    def entrances(self) -> Entrances:
        """The ports and devices of the driver."""
        return from_data(Entrances, self._ask(f"entrances {word(self.service)}", encode(ListEntrances(self.service))))

    def side_by_side(
        self, batches: Sequence[Sequence[Case]], learnt: Sequence[int] = (), *, unload: bool = False
    ) -> Sequence[Tried]:
        """Try batches of cases, each in a copy of its own; with `unload` the driver is unloaded behind the last.

        As many run at the same time as there are processors; what comes of each does not depend on that.
        """
        each = SECONDS + int(SECONDS_EACH * max(map(len, batches)))
        asked = Attempts(
            PROGRAM,
            tuple(tuple(map(script_of, cases)) for cases in batches),
            tuple(learnt),
            unload=(self.service,) if unload else (),
            seconds=each,
        )
        return from_data(TriedBatches, self._ask("attempts", encode(asked), each * len(batches))).batches

    def _ask(self, what: str, message: str, seconds: float = 0) -> object:
        patience = Deadlines().of(Wait.IO_SCRIPT) + seconds
        result = self._guest.run(f"fltlab-kernel {what}", message.encode(), patience)
        if not result.ok:
            raise GuestError("the guest daemon does not try scripts", details=result.describe())
        return read_json(result.output)


@contextlib.contextmanager
def target_of(candidate: Candidate, seed: int) -> Iterator[tuple[Target, BuiltDriver]]:
    """A kernel of this machine with a driver loaded. DriverError if it does not load."""
    built, probe = build_alone(candidate.package), Drivers(()).build([PROBE])[PROBE]
    name = candidate.package.name
    (placed,) = place([StackEntry(name, name, candidate.altitude)])
    entry = NamedEntry(
        *(placed.driver, placed.label, placed.altitude),
        *(candidate.service, candidate.instance, candidate.attaches_by_itself),
    )
    with contextlib.ExitStack() as scoped:
        folder = scoped.enter_context(watchdog().scratch_directory("fltlab-fuzz-"))
        guest = LocalGuest(folder, kernel=KernelOptions(seed=seed, coverage=True))
        scoped.callback(guest.close)
        Deployment(guest, [DriverUnderTest(entry, built)], {PROGRAM: probe.sys.read_bytes()}).deploy()
        yield Target(guest, entry.service), built


def require_doors(doors: Sequence[Door], found: Entrances, driver: str) -> None:
    """Raise ConfigurationError if the driver lacks what is to be fuzzed."""
    lacking = {Door.PORT: found.ports, Door.IOCTL: found.devices}
    words = {
        Door.PORT: "has created no communication port",
        Door.IOCTL: "has created no device that user mode could open by a name",
    }
    for door in doors:
        if door in lacking and not lacking[door]:
            others = [f"--{other}" for other in Door if other not in lacking or lacking[other]]
            raise ConfigurationError(
                f"--{door}: {driver} {words[door]}",
                details=("looked at the kernel once the driver was loaded and attached",),
                hint=f"what can be fuzzed: {', '.join(others)}",
            )
