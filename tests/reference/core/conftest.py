"""Small drivers, compiled from C in the tests, and a reference kernel to run them in."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.minifilter.toolchain import Compilation, find_toolchain
from harness.reference.machine.scheduler.requests import Call
from harness.reference.windows.io.driver_table import Driver
from harness.reference.windows.kernel import Kernel

ROOT = Path(__file__).parents[3]
PRELUDE = """
#include <ntifs.h>
#define EXPORT __declspec(dllexport)
#define TAG 'tseT'
DRIVER_INITIALIZE DriverEntry;
static ULONG Checks;
#define CHECK(Condition)                                                              \\
    do {                                                                              \\
        Checks++;                                                                     \\
        if (!(Condition)) DbgPrint("line %d is not true: %s\\n", __LINE__, #Condition); \\
    } while (0)
"""
ENTRY = """
NTSTATUS DriverEntry(PDRIVER_OBJECT Driver, PUNICODE_STRING Path)
{
    UNREFERENCED_PARAMETER(Driver);
    UNREFERENCED_PARAMETER(Path);
    return STATUS_SUCCESS;
}
"""

Compile = Callable[..., bytes]


@dataclass
class Machine:
    """A kernel with one driver in it, whose exported functions the test calls."""

    kernel: Kernel
    driver: Driver
    log: list[str] = field(default_factory=list)

    def start(self, function: str, *args: int, name: str = "") -> Any:
        """A thread that runs an exported function."""
        return self.kernel.spawn(self._call(function, *args), name or function)

    def call(self, function: str, *args: int) -> int:
        """Run an exported function in a thread of its own; rax."""
        return int(self.kernel.run(self._call(function, *args), function))

    def check(self, function: str, *args: int) -> None:
        """Run a function that CHECKs conditions and returns how many it has checked: all must be true."""
        before = len(self.kernel.log)
        checked = self.call(function, *args)
        assert [line for line in self.kernel.log[before:] if "is not true" in line] == []
        assert checked & 0xFFFF_FFFF > 0

    def _call(self, function: str, *args: int):
        return (yield Call(self.address(function), *args))

    def address(self, function: str) -> int:
        return self.driver.image.base + self.driver.image.exports[function]

    def unload(self) -> list[str]:
        """Unload the driver; the findings' texts."""
        self.kernel.run(self.kernel.drivers.unload(self.driver))
        return self.findings

    @property
    def findings(self) -> list[str]:
        return [finding.text for finding in self.kernel.verifier.findings]


@pytest.fixture(scope="session")
def compile_driver(tmp_path_factory: pytest.TempPathFactory) -> Compile:
    """Compile C text to a driver image; `entry=False` if the text has its own DriverEntry."""
    toolchain = find_toolchain()
    include = ROOT / "drivers" / "include"
    library: list[Path] = []
    known: dict[tuple[str, bool], bytes] = {}

    def compile_text(text: str, *, entry: bool = True) -> bytes:
        key = (text, entry)
        if key not in known:
            folder = tmp_path_factory.mktemp("driver")
            if not library:
                for name in ("ntoskrnl", "cng", "hal"):
                    library.append(folder / f"{name}.lib")
                    toolchain.import_library(include / f"{name}.def", library[-1])
            source = folder / "driver.c"
            source.write_text(PRELUDE + text + (ENTRY if entry else ""))
            toolchain.compile(Compilation(source, folder / "driver.obj", folder, (include,)))
            toolchain.link(
                ["driver.obj"],
                [str(path) for path in library],
                "driver.sys",
                entry="DriverEntry",
                kernel=True,
                cwd=folder,
            )
            known[key] = (folder / "driver.sys").read_bytes()
        return known[key]

    return compile_text


@pytest.fixture
def load(compile_driver: Compile) -> Callable[..., Machine]:
    """Load C text as the driver `test` into a new kernel."""

    def load_text(
        text: str, *, entry: bool = True, registry: Mapping[str, Any] | None = None, **options: Any
    ) -> Machine:
        kernel = Kernel(**options)
        image = compile_driver(text, entry=entry)
        status = kernel.run(kernel.drivers.load("test", image, registry))
        assert status == 0, hex(status)
        return Machine(kernel, kernel.drivers.loaded["test"])

    return load_text
