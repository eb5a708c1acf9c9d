"""Kernel modules for the guest: found, decompressed, and put into the order in which they can be loaded."""

import lzma
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HostError


@dataclass(frozen=True)
class Module:
    """A kernel module: its name with underscores, its code, and the modules it needs first."""

    name: str
    code: bytes
    depends: tuple[str, ...]


class KernelModules:
    """The modules of one kernel, below `lib/modules/<release>`."""

    def __init__(self, directory: Path) -> None:
        self._files: dict[str, Path] = {}
        for path in directory.rglob("*.ko*"):
            self._files[_canonical(path.name.split(".ko")[0])] = path
        builtin = directory / "modules.builtin"
        lines = builtin.read_text(encoding="utf-8").splitlines() if builtin.exists() else []
        self._builtin = {_canonical(Path(line).name.removesuffix(".ko")) for line in lines}

    def closure(self, names: Iterable[str], loaded: Sequence[Module] = ()) -> list[Module]:
        """Return the named modules and all they need, each after those it needs; without those already loaded.

        A module that this kernel has built in is left out; raises HostError for one that it does not have at all.
        """
        order: dict[str, Module] = {}
        present = {module.name for module in loaded}

        def visit(name: str, wanted_by: str) -> None:
            if name in order or name in present or (name in self._builtin and name not in self._files):
                return
            module = self._read(name, wanted_by)
            for needed in module.depends:
                visit(needed, name)
            order[name] = module

        for name in names:
            visit(_canonical(name), "the image's recipe")
        return list(order.values())

    def _read(self, name: str, wanted_by: str) -> Module:
        path = self._files.get(name)
        if path is None:
            raise HostError(f"the guest's kernel has no module {name}, which {wanted_by} asks for")
        code = _decompress(path)
        found = re.search(rb"\0depends=([^\0]*)\0", code)
        depends = found[1].decode().split(",") if found and found[1] else []
        return Module(name, code, tuple(_canonical(needed) for needed in depends))


def _canonical(name: str) -> str:
    return name.replace("-", "_")


def _decompress(path: Path) -> bytes:
    if path.name.endswith(".ko"):
        return path.read_bytes()
    if path.name.endswith(".ko.xz"):
        return lzma.decompress(path.read_bytes())
    if path.name.endswith(".ko.zst"):
        return subprocess.run(["zstd", "-dcq", path], capture_output=True, check=True, timeout=60).stdout
    raise HostError(f"a kernel module is packed in a way fltlab does not know: {path.name}")
