"""Programs compiled from C in the tests, and a host of a reference kernel to run them in."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.minifilter.build import SUPPORT, BuiltDriver, build_drivers
from harness.minifilter.toolchain import Compilation, find_toolchain
from harness.reference.process.host import Host
from harness.reference.windows.kernel import Kernel
from harness.wire import kernel as wire

ROOT = Path(__file__).parents[3]
PRELUDE = """
#include "nt.h"
void *memset(void *To, int Value, size_t Count);
static HANDLE Output(void)
{
    return ((PROBE_PEB *)NtCurrentTeb()->ProcessEnvironmentBlock)->ProcessParameters->StandardOutput;
}
static void Print(const char *Text)
{
    IO_STATUS_BLOCK Block;
    ULONG Length = 0;

    while (Text[Length] != 0) {
        Length++;
    }
    NtWriteFile(Output(), NULL, NULL, NULL, &Block, (PVOID)Text, Length, NULL, NULL);
}
"""

Compile = Callable[[str], Path]


@dataclass(frozen=True)
class Ended:
    """What became of a program."""

    exit_code: int
    output: bytes
    remain: list[str]


@dataclass
class Machine:
    """A host of a kernel with one volume."""

    host: Host
    system: Kernel
    volume: Path

    def ask(self, request: wire.Request) -> Any:
        """The answer to a request that succeeds."""
        answer = self.host.answer(request)
        assert not isinstance(answer, wire.Refused | wire.Stopped), answer
        return answer

    def register(self, service: str, image: Path, key: dict[str, Any]) -> None:
        """Register a service, without loading it."""
        self.system.registry.load(f"{self.system.registry.SERVICES}\\{service}", key)
        self.system.service_images[service.lower()] = image

    def load(self, service: str, image: Path, key: dict[str, Any]) -> None:
        """Register a service and load its driver."""
        self.register(service, image, key)
        self.ask(wire.Load(service))

    def run(self, image: Path, stdin: bytes = b"", args: tuple[str, ...] = ()) -> Ended:
        ended = self.ask(wire.Run(str(image), args, stdin))
        return Ended(ended.exit_code, ended.stdout, list(ended.remain))


@pytest.fixture(scope="session")
def compile_program(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """Compile C text, which begins after PRELUDE, to a console program that starts at `Main`."""
    toolchain = find_toolchain()
    include = ROOT / "drivers" / "include"
    libraries: list[Path] = []

    def compile_text(text: str) -> Path:
        folder = tmp_path_factory.mktemp("program")
        if not libraries:
            for name in ("ntdll", "fltlib"):
                libraries.append(folder / f"{name}.lib")
                toolchain.import_library(include / f"{name}.def", libraries[-1])
        source = folder / "program.c"
        source.write_text(PRELUDE + text)
        headers = (include, ROOT / "drivers" / "fltprobe")
        toolchain.compile(Compilation(source, folder / "program.obj", folder, headers, kernel=False))
        toolchain.link(
            ["program.obj"], [str(path) for path in libraries], "program.exe", entry="Main", kernel=False, cwd=folder
        )
        return folder / "program.exe"

    return compile_text


@pytest.fixture(scope="session")
def built() -> dict[str, BuiltDriver]:
    """The drivers and the program that the tests here load."""
    names = ["observer", "passthrough", "pending", "forgets-pended", "fltprobe"]
    return build_drivers(SUPPORT, ROOT / "build" / "drivers", names)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    volume = tmp_path / "volume"
    volume.mkdir()
    system = Kernel(volumes={"V:": volume})
    return Machine(Host(system), system, volume)


def service_key(name: str, altitude: str, **parameters: list[str]) -> dict[str, Any]:
    """A service's registry key with one instance, in the form that `load` takes."""
    instance = {"Altitude": {"type": "REG_SZ", "value": altitude}, "Flags": {"type": "REG_DWORD", "value": 1}}
    instances = {"DefaultInstance": {"type": "REG_SZ", "value": name}, name: {"key": instance}}
    values = {key: {"type": "REG_MULTI_SZ", "value": value} for key, value in parameters.items()}
    return {"Parameters": {"key": {"Instances": {"key": instances}, **values}}}
