"""A machine whose volume W: is a disk with labfs on it (labfs/labfs.h has its layout), below the filter manager."""

from collections.abc import Callable
from pathlib import Path
from struct import Struct
from typing import Any

import pytest

from harness.minifilter.build import SUPPORT, BuiltDriver, build_drivers
from harness.minifilter.probe import ProbeResult, parse_probe
from harness.minifilter.trace import Trace
from harness.reference.process.host import Host
from harness.reference.windows.kernel import Kernel
from harness.wire import kernel as wire

FILES = {"data.bin": b"Z" * 8192, "hello.txt": b"hello, world"}
SECTOR, ENTRIES, SLOT = 512, 32, 0x80000
SUPERBLOCK = Struct("<II32s")
ENTRY = Struct("<qqIHH96s8x")
MAGIC = 0x5346424C
FIRST_SLOT = SECTOR + ENTRIES * ENTRY.size


def make_image(path: Path, files: dict[str, bytes]) -> None:
    """A disk with these files."""
    image = bytearray(FIRST_SLOT + ENTRIES * SLOT)
    SUPERBLOCK.pack_into(image, 0, MAGIC, 0x1AB0F500, "labfs".encode("utf-16-le"))
    for index, (name, content) in enumerate(files.items()):
        encoded = name.encode("utf-16-le")
        ENTRY.pack_into(image, SECTOR + index * ENTRY.size, 1, 1, len(content), 0x20, len(encoded), encoded)
        image[FIRST_SLOT + index * SLOT : FIRST_SLOT + index * SLOT + len(content)] = content
    path.write_bytes(image)


def read_image(path: Path) -> dict[str, bytes]:
    """The files on a disk: what a check from outside finds."""
    image = path.read_bytes()
    assert SUPERBLOCK.unpack_from(image)[0] == MAGIC
    files: dict[str, bytes] = {}
    for index in range(ENTRIES):
        _, _, size, _, length, name = ENTRY.unpack_from(image, SECTOR + index * ENTRY.size)
        if length:
            at = FIRST_SLOT + index * SLOT
            files[name[:length].decode("utf-16-le")] = image[at : at + size]
    return files


class Bench:
    """A reference kernel with labfs on W:, and minifilters above it."""

    def __init__(self, labfs: bytes, built: dict[str, BuiltDriver], image: Path, seed: int) -> None:
        self.image = image
        self.kernel = Kernel(disks={"W:": image}, seed=seed)
        assert self.kernel.run(self.kernel.drivers.load("labfs", labfs), "load labfs") == 0
        self._host = Host(self.kernel)
        self._built = built
        self._services: list[str] = []

    def load(self, driver: str, label: str) -> None:
        """Load a minifilter and attach it to W:, which is mounted then; later ones lie lower."""
        self("open d W:\\ access=read options=directory\nclose d\n")
        name = f"fltlab-{label}"
        instance = {
            "Altitude": {"type": "REG_SZ", "value": f"3700{90 - len(self._services)}.5"},
            "Flags": {"type": "REG_DWORD", "value": 1},
        }
        instances = {"DefaultInstance": {"type": "REG_SZ", "value": name}, name: {"key": instance}}
        registry = {
            "Instances": {"key": instances},
            "Parameters": {"key": {"Instances": {"key": instances}}},
        }
        self._services.append(name)
        self.kernel.registry.load(f"{self.kernel.registry.SERVICES}\\{name}", registry)
        self.kernel.service_images[name] = self._built[driver].sys
        self.ask(wire.Load(name))
        self.ask(wire.Attach(name, "W:"))

    def ask(self, request: wire.Request) -> Any:
        answer = self._host.answer(request)
        assert not isinstance(answer, wire.Refused | wire.Stopped), answer
        return answer

    def __call__(self, script: str) -> ProbeResult:
        """Run a script, which connects to the minifilters first."""
        connect = "".join(f"filter {name.removeprefix('fltlab-')}\n" for name in self._services)
        ended = self.ask(wire.Run(str(self._built["fltprobe"].sys), (), (connect + script).encode()))
        return parse_probe(ended.stdout.decode())

    def trace(self, result: ProbeResult) -> Trace:
        return Trace.of(result, [name.removeprefix("fltlab-") for name in self._services])


@pytest.fixture(scope="session")
def labfs(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return build_drivers(Path(__file__).parent, tmp_path_factory.mktemp("labfs"))["labfs"].sys.read_bytes()


@pytest.fixture(scope="session")
def minifilters() -> dict[str, BuiltDriver]:
    return build_drivers(SUPPORT, SUPPORT.parent / "build" / "drivers", ["passthrough", "observer", "fltprobe"])


@pytest.fixture
def boot(labfs: bytes, minifilters: dict[str, BuiltDriver], tmp_path: Path) -> Callable[..., Bench]:
    def make(seed: int = 1) -> Bench:
        make_image(tmp_path / "disk.img", FILES)
        return Bench(labfs, minifilters, tmp_path / "disk.img", seed)

    return make


@pytest.fixture
def bench(boot: Callable[..., Bench]) -> Bench:
    return boot()


@pytest.fixture
def files_on_disk(bench: Bench) -> Callable[[], dict[str, bytes]]:
    return lambda: read_image(bench.image)


@pytest.fixture(scope="session")
def empty_image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("image") / "disk.img"
    make_image(path, {})
    return path.read_bytes()
