"""Small minifilters, built from the folder of a test, and fltprobe's scripts beside them, in one kernel."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.minifilter.build import SUPPORT, build_drivers
from harness.reference.process.host import Host
from harness.reference.windows.kernel import Kernel
from harness.wire import kernel as wire


class Minifilters:
    """A kernel with V: and some minifilters, by their names and the altitudes of their instances by name."""

    def __init__(self, sources: Path, folder: Path, drivers: Mapping[str, Mapping[str, str]], **options: Any) -> None:
        built = build_drivers(sources, folder / "out", list(drivers))
        self._probe = build_drivers(SUPPORT, SUPPORT.parent / "build" / "drivers", ["fltprobe"])["fltprobe"].sys
        self.root = folder / "volume"
        self.root.mkdir()
        self.kernel = Kernel(volumes={"V:": self.root}, seed=1, **options)
        self._host = Host(self.kernel)
        self._names = list(drivers)
        registry = self.kernel.registry
        for name, altitudes in drivers.items():
            instances: dict[str, Any] = {"DefaultInstance": {"type": "REG_SZ", "value": next(iter(altitudes))}}
            for instance, altitude in altitudes.items():
                values = {"Altitude": {"type": "REG_SZ", "value": altitude}, "Flags": {"type": "REG_DWORD", "value": 0}}
                instances[instance] = {"key": values}
            registry.load(f"{registry.SERVICES}\\{name}", {"Instances": {"key": instances}})
            self.kernel.service_images[name] = built[name].sys
            self._ask(wire.Load(name))

    def _ask(self, request: wire.Request) -> Any:
        answer = self._host.answer(request)
        assert not isinstance(answer, wire.Refused | wire.Stopped), answer
        return answer

    def run(self, script: bytes) -> wire.Ended:
        """Run a script to its end."""
        ended: wire.Ended = self._ask(wire.Run(str(self._probe), (), script))
        return ended

    def unload(self) -> list[str]:
        """Unload all; the texts of all findings."""
        for name in reversed(self._names):
            self._ask(wire.Unload(name))
        return [finding.text for finding in self.kernel.verifier.findings]
