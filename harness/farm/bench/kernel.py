"""What the reference kernel itself costs: reads and creates through minifilters, loads, memory; CPU time, no guest.

Each run is a kernel process of its own. `fltbench` does the I/O in it, in batches long enough that its start and end
do not count; what counts is the CPU time that the process takes, so that other work on the host changes little.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HostError
from harness.farm.bench.figures import Series
from harness.host.command import run_program, tail
from harness.host.directories import own_builds
from harness.minifilter.build import SUPPORT, BuiltDriver, build_drivers
from harness.wire import kernel as wire

NAMES = ("fltbench", "passthrough", "names")
THREE = ("370030.1", "370030.2", "370030.3")
"""Altitudes of three instances of `passthrough`."""
ENOUGH_S = 0.5
"""CPU time that a batch must take to be counted."""
FIRST_BATCH = 100
_NANOSECONDS = 1e9
_AGAINST_SECONDS = 900


@dataclass(frozen=True)
class Figure:
    """One key of the JSON: what it is, and whether more of it is better."""

    name: str
    unit: str
    more_is_better: bool


FIGURES: Mapping[str, Figure] = {
    "pairs_per_s": Figure("pre and post of passthrough under a full read path", "/s", True),
    "reads_per_s_unfiltered": Figure("cached reads without a filter", "/s", True),
    "reads_per_s_three": Figure("cached reads through three passthrough", "/s", True),
    "creates_per_s_named": Figure("creates with a filter that asks for the name", "/s", True),
    "load_ms": Figure("load and attach passthrough", "ms", False),
    "kernel_mib": Figure("memory of a kernel process with four drivers (RSS)", "MiB", False),
}
"""`pairs_per_s` is three times `reads_per_s_three`: each pair bears a third of the read."""


def measure_kernel(runs: int, against: Path | None, tell: Callable[[str], None]) -> Iterator[Series]:
    """Measure `runs` times; with another checkout of fltlab in turn with it, as `against.…`."""
    built = build_drivers(SUPPORT, own_builds(), NAMES)
    sides: dict[str, list[Mapping[str, float]]] = {"": []}
    if against is not None:
        sides["against."] = []
    for number in range(1, runs + 1):
        sides[""].append(_once(built))
        if against is not None:
            sides["against."].append(_of_checkout(against))
        said = "; ".join(f"{side}{_short(values[-1])}" for side, values in sides.items())
        tell(f"run {number} of {runs}: {said}")
    for side, measured in sides.items():
        group = "the reference kernel" + (f" of {against}" if side else "")
        for key, figure in FIGURES.items():
            values = tuple(values[key] for values in measured)
            yield Series(f"{side}{key}", figure.name, group, figure.unit, values, figure.more_is_better)


def _short(values: Mapping[str, float]) -> str:
    return f"{values['pairs_per_s']:.0f} pairs/s"


def _of_checkout(checkout: Path) -> Mapping[str, float]:
    """One run of another checkout's own bench."""
    command: list[str | Path] = [checkout / "fltlab", "bench", "kernel", "--runs", "1", "--json"]
    said = run_program(
        command,
        purpose=f"measure the kernel of {checkout}",
        timeout=_AGAINST_SECONDS,
        hint="--against takes the directory of a checkout of fltlab that has `bench kernel`",
    )
    try:
        document = json.loads(said)
        return {key: float(document[key]) for key in FIGURES}
    except (ValueError, KeyError, TypeError) as error:
        raise HostError(f"the bench of {checkout} did not answer with its figures", details=tail(said.decode())) from (
            error
        )


def _once(built: Mapping[str, BuiltDriver]) -> dict[str, float]:
    """All figures, in one kernel that is thrown away."""
    figures: dict[str, float] = {}
    with _started() as kernel:
        program = built["fltbench"].sys
        kernel.ask(wire.Status())  # it has started: the imports of a process are none of what is measured
        figures["reads_per_s_unfiltered"] = kernel.rate(program, "read")
        loads = [kernel.load(built["passthrough"].sys, f"passthrough{altitude[-1]}", altitude) for altitude in THREE]
        figures["load_ms"] = 1e3 * sorted(loads)[1]
        figures["reads_per_s_three"] = kernel.rate(program, "read")
        figures["pairs_per_s"] = len(THREE) * figures["reads_per_s_three"]
        for altitude in THREE:
            kernel.ask(wire.Detach(f"passthrough{altitude[-1]}", "V:"))
        kernel.load(built["names"].sys, "names", "370040")
        figures["creates_per_s_named"] = kernel.rate(program, "create")
        figures["kernel_mib"] = kernel.memory_mib
    return figures


@contextmanager
def _started() -> "Iterator[_Kernel]":
    with tempfile.TemporaryDirectory(prefix="fltlab-bench-") as folder, tempfile.TemporaryFile() as errors:
        volume = Path(folder) / "volume"
        volume.mkdir()
        process = subprocess.Popen(
            [sys.executable, "-m", "harness.reference.process.host", "--volume", volume],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=SUPPORT.parent,
        )
        try:
            yield _Kernel(process)
        except _Ended as ended:
            errors.seek(0)
            raise HostError("the kernel's process ended in the middle", details=tail(errors.read().decode())) from ended
        finally:
            process.kill()
            process.communicate()


class _Ended(Exception):
    """The kernel's process is not there any more."""


class _Kernel:
    """A kernel process and the clock of its CPU time."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._keys: list[wire.RegistryKey] = []
        self._images: dict[str, str] = {}

    def ask(self, request: wire.Request) -> Any:
        """The answer to one request; HostError if it is refused."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(wire.envelope(1, request).encode())
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise _Ended from error
        line = self._process.stdout.readline()
        if not line:
            raise _Ended
        _, answer = wire.opened(line)
        if isinstance(answer, wire.Refused | wire.Stopped):
            said = answer.message if isinstance(answer, wire.Refused) else answer.state.message
            raise HostError(f"the kernel refused {type(request).__name__} in the bench", details=(said,))
        return answer

    def load(self, image: Path, service: str, altitude: str) -> float:
        """Load a minifilter and attach it; seconds of CPU time."""
        self._keys.append(service_key(service, altitude))
        self._images[service] = str(image)
        below = wire.RegistryKey("Services", keys=tuple(self._keys))
        for name in ("CurrentControlSet", "SYSTEM", "MACHINE"):
            below = wire.RegistryKey(name, keys=(below,))
        before = self.seconds
        self.ask(wire.SetRegistry(below, self._images))
        self.ask(wire.Load(service))
        self.ask(wire.Attach(service, "V:"))
        return self.seconds - before

    def rate(self, program: Path, verb: str) -> float:
        """How many a second, in CPU time; the first batch only warms up, the next find how many are enough."""
        count = FIRST_BATCH
        self._batch(program, verb, count)
        while True:
            taken = self._batch(program, verb, count)
            if taken >= ENOUGH_S:
                return count / taken
            count = max(2 * count, int(1.3 * count * ENOUGH_S / max(taken, 1e-3)) if taken > ENOUGH_S / 10 else 0)

    def _batch(self, program: Path, verb: str, count: int) -> float:
        """Do so many; seconds of CPU time."""
        before = self.seconds
        ended = self.ask(wire.Run(str(program), (), f"{verb} {count}".encode()))
        if ended.exit_code:
            code = f"{ended.exit_code & 0xFFFF_FFFF:#010x}"
            raise HostError(f"fltbench failed in the bench: {verb} {count} ended with {code}")
        return self.seconds - before

    @property
    def seconds(self) -> float:
        """CPU time of the process so far."""
        told = Path(f"/proc/{self._process.pid}/schedstat").read_text(encoding="ascii")
        return int(told.split()[0]) / _NANOSECONDS

    @property
    def memory_mib(self) -> float:
        """Memory of the process that is in RAM."""
        status = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024


def service_key(service: str, altitude: str) -> wire.RegistryKey:
    """The registry key of a service with one instance, which attaches when it is told to."""
    number = wire.RegistryValue("Flags", "REG_DWORD", (1).to_bytes(4, "little"))
    instance = wire.RegistryKey(service, (wire.RegistryValue("Altitude", "REG_SZ", _text(altitude)), number))
    default = wire.RegistryValue("DefaultInstance", "REG_SZ", _text(service))
    instances = wire.RegistryKey("Instances", (default,), (instance,))
    return wire.RegistryKey(service, keys=(wire.RegistryKey("Parameters", keys=(instances,)),))


def _text(value: str) -> bytes:
    return (value + "\0").encode("utf-16-le")
