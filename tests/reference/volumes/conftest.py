"""A kernel with the watcher attached to every volume; fltprobe's scripts, and what the watcher has told since."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.minifilter.build import SUPPORT, BuiltDriver, build_drivers
from harness.minifilter.probe import ProbeResult, parse_probe
from harness.nt import status_name
from harness.reference.process.host import Host
from harness.reference.windows.fs.kinds import KINDS
from harness.reference.windows.fs.system_tree import make_system_tree
from harness.reference.windows.kernel import Kernel, Medium
from harness.wire import kernel as wire

OURS = ("watcher", "keeper")


class Machine:
    """A kernel, its volumes' directories, and a service for each driver that is asked for."""

    def __init__(self, built: Mapping[str, BuiltDriver], **options: Any) -> None:
        self.kernel = Kernel(seed=1, **options)
        self._host = Host(self.kernel)
        self._built = built
        self._told = 0

    def ask(self, request: wire.Request) -> Any:
        """The answer, which is no refusal."""
        answer = self._host.answer(request)
        assert not isinstance(answer, wire.Refused | wire.Stopped), answer
        return answer

    def refusal(self, request: wire.Request) -> int:
        """The NTSTATUS of a refusal."""
        answer = self._host.answer(request)
        assert isinstance(answer, wire.Refused), answer
        return answer.ntstatus & 0xFFFF_FFFF

    def load(self, driver: str, *, altitude: str = "370090", flags: int = 0, **numbers: int) -> None:
        """Load a driver by a service of its name: `fltlab-` before that of one of fltlab's own."""
        image = self._built[driver].sys
        driver = driver if driver in OURS else f"fltlab-{driver}"
        registry = self.kernel.registry
        instance = {"Altitude": {"type": "REG_SZ", "value": altitude}, "Flags": {"type": "REG_DWORD", "value": flags}}
        instances = {"DefaultInstance": {"type": "REG_SZ", "value": driver}, driver: {"key": instance}}
        parameters = {key: {"type": "REG_DWORD", "value": number} for key, number in numbers.items()}
        registry.load(
            f"{registry.SERVICES}\\{driver}",
            {"Instances": {"key": instances}, "Parameters": {"key": {"Instances": {"key": instances}, **parameters}}},
        )
        self.kernel.service_images[driver] = image
        self.ask(wire.Load(driver))

    def play(self, text: str) -> ProbeResult:
        """Run `step => STATUS` lines; a line without an arrow may end as it likes."""
        steps = [line.strip().partition("=>") for line in text.strip().splitlines()]
        script = "\n".join(step for step, _, _ in steps).encode()
        ended = self.ask(wire.Run(str(self._built["fltprobe"].sys), (), script))
        result = parse_probe(ended.stdout.decode())
        assert (ended.exit_code, result.error) == (0, None)
        by_line = {(done.line, done.verb): status_name(done.status).partition(" ")[2] for done in result.steps}
        seen = [(step, by_line[number, step.split()[0]]) for number, (step, arrow, _) in enumerate(steps, 1) if arrow]
        assert seen == [(step, status.strip()) for step, arrow, status in steps if arrow]
        return result

    def told(self, *kinds: str) -> list[str]:
        """What the watcher has told since this was asked last; only of some kinds, if any are given."""
        lines, self._told = self.kernel.log[self._told :], len(self.kernel.log)
        texts = [line.partition(" ")[2].strip() for line in lines if line.startswith("watcher ")]
        return [text for text in texts if not kinds or text.split()[0] in kinds]

    @property
    def findings(self) -> list[str]:
        return [finding.text for finding in self.kernel.verifier.findings]


@pytest.fixture(scope="session")
def built_for_volumes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, BuiltDriver]:
    ours = build_drivers(Path(__file__).parent, tmp_path_factory.mktemp("volumes"))
    names = ["fltprobe", "legacy", "pending"]
    return {**ours, **build_drivers(SUPPORT, SUPPORT.parent / "build" / "drivers", names)}


@pytest.fixture
def machine(tmp_path: Path, built_for_volumes: Mapping[str, BuiltDriver]) -> Callable[..., Machine]:
    """Make a machine with volumes of some names, `V:` or `W:fat32`; C: has the files of a system."""

    def make(*names: str, removable: str = "", **options: Any) -> Machine:
        volumes = {}
        for name, _, kind in (text.partition(":") for text in names or ("V:",)):
            root = tmp_path / name
            root.mkdir()
            if name == "C":
                make_system_tree(root)
            volumes[f"{name}:"] = Medium(root, KINDS[kind or "ntfs"], removable == name)
        return Machine(built_for_volumes, volumes=volumes, **options)

    return make
