"""fltprobe as it is built, run by a reference kernel in this process: a script takes a few milliseconds."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.minifilter.build import SUPPORT, BuiltDriver, build_drivers
from harness.minifilter.probe import ProbeResult, parse_probe
from harness.reference.process.host import Host
from harness.reference.windows.kernel import Kernel
from harness.wire import kernel as wire

DRIVERS = [
    *("fltprobe", "observer", "passthrough", "completion", "pending", "synchronize", "fastio", "forgets-pended"),
]


@dataclass(frozen=True)
class Run:
    """One run of fltprobe."""

    exit_code: int
    result: ProbeResult
    remain: tuple[str, ...]

    def statuses(self, verb: str | None = None) -> list[int]:
        return [step.status for step in self.result.all(verb)]


class Bench:
    """A reference kernel with volume V:, and the services that a test gives it."""

    def __init__(self, folder: Path, built: dict[str, BuiltDriver], seed: int = 0, **options: Any) -> None:
        self.volume = folder
        self.system = Kernel(volumes={"V:": folder}, seed=seed, **options)
        self._host = Host(self.system)
        self.built = built
        self._services: list[str] = []

    def register(self, driver: str, label: str | None = None, **numbers: int) -> str:
        """Register a service for a driver, with DWORDs among its parameters; later ones lie lower. Its name."""
        name = f"fltlab-{label or driver}"
        instance = {
            "Altitude": {"type": "REG_SZ", "value": f"3700{90 - len(self._services)}.5"},
            "Flags": {"type": "REG_DWORD", "value": 1},
        }
        instances = {"DefaultInstance": {"type": "REG_SZ", "value": name}, name: {"key": instance}}
        parameters = {key: {"type": "REG_DWORD", "value": number} for key, number in numbers.items()}
        registry = {
            "Instances": {"key": instances},
            "Parameters": {"key": {"Instances": {"key": instances}, **parameters}},
        }
        self._services.append(name)
        self.system.registry.load(f"{self.system.registry.SERVICES}\\{name}", registry)
        self.system.service_images[name] = self.built[driver].sys
        return name

    def load(self, driver: str, label: str | None = None, **numbers: int) -> None:
        """Load a driver and attach it to V:."""
        name = self.register(driver, label, **numbers)
        self.ask(wire.Load(name))
        self.ask(wire.Attach(name, "V:"))

    def ask(self, request: wire.Request) -> Any:
        answer = self._host.answer(request)
        assert not isinstance(answer, wire.Refused | wire.Stopped), answer
        return answer

    def run(self, script: str | bytes) -> Run:
        """Run a script, whatever comes of it."""
        stdin = script.encode() if isinstance(script, str) else script
        ended = self.ask(wire.Run(str(self.built["fltprobe"].sys), (), stdin))
        return Run(ended.exit_code, parse_probe(ended.stdout.decode()), ended.remain)

    def __call__(self, script: str) -> ProbeResult:
        """Run a script that has nothing wrong with it, to its end."""
        ran = self.run(script)
        assert (ran.exit_code, ran.result.error) == (0, None)
        return ran.result

    def error(self, script: str | bytes) -> str:
        """What is wrong with a script."""
        ran = self.run(script)
        assert ran.exit_code == 2
        assert ran.result.error
        return ran.result.error


@pytest.fixture(scope="session")
def built() -> dict[str, BuiltDriver]:
    own = build_drivers(Path(__file__).parent / "drivers", SUPPORT.parent / "build" / "fltprobe-tests")
    return {**build_drivers(SUPPORT, SUPPORT.parent / "build" / "drivers", DRIVERS), **own}


@pytest.fixture
def make_bench(tmp_path: Path, built: dict[str, BuiltDriver]) -> Callable[..., Bench]:
    def make(seed: int = 0, **options: Any) -> Bench:
        folder = tmp_path / f"volume{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        return Bench(folder, built, seed, **options)

    return make


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench()
