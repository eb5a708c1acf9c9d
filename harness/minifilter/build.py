"""Building driver packages: compile, link, sign, check; only what changed, and safe when two processes build at once.

What is built lies in `out/<name>/`; `out/manifest.json` says from which inputs, every header that was read among them,
so that an unchanged driver costs the hashing of those. Object files are shared between drivers (objects.py).
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

from filelock import FileLock

from harness.errors import ConfigurationError, FltLabError, HostError
from harness.minifilter.check import require_good
from harness.minifilter.imports import INCLUDE, SUPPORT, definition_file
from harness.minifilter.layout import check_layout
from harness.minifilter.objects import COMMON, Files, Object, ObjectStore, file_sha256
from harness.minifilter.package import DriverPackage, PackageKind, find_packages, require_files
from harness.minifilter.sign import SigningCertificate, sign_image, signing_certificate
from harness.minifilter.toolchain import Toolchain, find_toolchain

__all__ = ["SUPPORT", "BuiltDriver", "build_drivers", "file_sha256"]

KEEP_UNUSED_S = 14 * 24 * 3600


@dataclass(frozen=True)
class BuiltDriver:
    """A driver or program that is ready to be deployed. `certificate` (DER) is what it is signed with."""

    name: str
    sys: Path
    pdb: Path | None
    certificate: Path | None
    sha256: str
    package: DriverPackage


class _Builder:
    """One run of the builder over one output directory; the caller holds its lock."""

    def __init__(self, root: Path, out: Path, toolchain: Toolchain, certificate: SigningCertificate) -> None:
        self.root = root
        self.out = out
        self.toolchain = toolchain
        self.certificate = certificate
        self.files = Files()
        self.objects = ObjectStore(root, out, toolchain, self.files)
        self.manifest: dict[str, Any] = self._read_manifest()

    def _digest(self, files: Sequence[Path], *more: str) -> str:
        digest = hashlib.sha256(json.dumps([self.toolchain.version, *more]).encode() + _own_text("toolchain.py"))
        for file in files:
            digest.update(f"\0{file.name}\0".encode() + file.read_bytes())
        return digest.hexdigest()

    def _read_manifest(self) -> dict[str, Any]:
        try:
            content = json.loads((self.out / "manifest.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError):
            return {}  # a damaged manifest costs a build, nothing else
        return content if isinstance(content, dict) else {}

    def prune(self) -> None:
        """Remove what no build has used for a while from the stores of object files and import libraries."""
        for entry in (*(self.out / ".objects").glob("*"), *(self.out / ".lib").glob("*")):
            if entry.stat().st_mtime < time.time() - KEEP_UNUSED_S:
                shutil.rmtree(entry)

    def write_manifest(self) -> None:
        path = self.out / "manifest.json"
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(self.manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        temporary.replace(path)

    def inputs(self, package: DriverPackage) -> str:
        """The hash of what `package` is built from, but for the files that the compiler reads."""
        described = package.model_dump_json(
            exclude={
                *("description", "altitude", "group", "control", "filter"),
                *("violates", "parameters", "changes", "tried"),
            }
        )
        if package.binary:
            files = [package.path(file) for file in (package.binary, package.pdb, package.certificate) if file]
            return self._digest(files, described)
        files = [definition_file(name) for name in package.imports] + [package.path(file) for file in package.libraries]
        files += [package.path(package.exports)] if package.exports is not None else []
        names = [str(source) for source in self.objects.sources(package)]
        own = (_own_text(name).decode() for name in ("build.py", "sign.py"))
        return self._digest(files, described, *names, self.certificate.fingerprint, *own)

    def current(self, package: DriverPackage) -> BuiltDriver | None:
        """What is built already, if it still is what its inputs say."""
        known = self.manifest.get(package.name)
        built = self._built(package)
        if known is None or known.get("inputs") != self.inputs(package) or not built.sys.is_file():
            return None
        if not self.files.unchanged(known.get("files", {})):
            return None
        if file_sha256(built.sys) != known.get("sha256") or (built.pdb is not None and not built.pdb.is_file()):
            return None
        return self._built(package, known["sha256"])

    def _built(self, package: DriverPackage, sha256: str = "") -> BuiltDriver:
        directory = self.out / package.name
        if package.binary:
            certificate = directory / package.certificate.name if package.certificate else None
            pdb = directory / f"{package.name}.pdb" if package.pdb else None
        else:
            certificate = directory / f"{package.name}.cer"
            pdb = directory / f"{package.name}.pdb"
        return BuiltDriver(package.name, directory / package.image_name, pdb, certificate, sha256, package)

    def library(self, name: str) -> Path:
        """The import library for `name`.def."""
        definition = definition_file(name)
        target = self.out / ".lib" / self._digest([definition])[:32] / f"{name}.lib"
        if not _used(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_suffix(".tmp")
            self.toolchain.import_library(definition, temporary)
            temporary.replace(target)
        return target

    def link(self, package: DriverPackage, objects: Sequence[Object]) -> None:
        """Link and sign; the directory of the driver is replaced by the new one at once."""
        kernel = package.kind is PackageKind.DRIVER
        work = self.out / f".{package.name}.new"
        linked = work / "unsigned"
        shutil.rmtree(work, ignore_errors=True)
        linked.mkdir(parents=True)
        # Everything lies in one directory while it is linked: a PDB keeps all paths, and is to be the same everywhere.
        inputs = _named(objects)
        libraries = {f"{name}.lib": self.library(name) for name in package.imports}
        libraries |= {file.name: package.path(file) for file in package.libraries}
        for name, origin in (inputs | libraries).items():
            shutil.copyfile(origin, linked / name)
        self.toolchain.link(
            list(inputs),
            list(libraries),
            package.image_name,
            entry=package.entry,
            kernel=kernel,
            cwd=linked,
            exports=package.path(package.exports) if package.exports is not None else None,
        )
        for name in inputs | libraries:
            (linked / name).unlink()
        (linked / f"{package.name}.pdb").replace(work / f"{package.name}.pdb")
        shutil.copyfile(self.certificate.der, work / f"{package.name}.cer")
        sign_image(self.toolchain, self.certificate, linked / package.image_name, work / package.image_name)
        require_good(work / package.image_name, package.directory.is_relative_to(SUPPORT), package.kind)
        self._install(work, package, {path: sha256 for item in objects for path, sha256 in item.files.items()})

    def copy(self, package: DriverPackage) -> None:
        """Put a driver that came as a binary beside those that are built."""
        work = self.out / f".{package.name}.new"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        assert package.binary
        require_good(package.path(package.binary), ours=False, kind=package.kind)
        shutil.copyfile(package.path(package.binary), work / package.image_name)
        if package.pdb:
            shutil.copyfile(package.path(package.pdb), work / f"{package.name}.pdb")
        if package.certificate:
            shutil.copyfile(package.path(package.certificate), work / package.certificate.name)
        self._install(work, package, {})

    def _install(self, work: Path, package: DriverPackage, files: Mapping[str, str]) -> None:
        target = self.out / package.name
        shutil.rmtree(target, ignore_errors=True)
        work.replace(target)
        self.manifest[package.name] = {
            "inputs": self.inputs(package),
            "sha256": file_sha256(target / package.image_name),
            "image": f"{package.name}/{package.image_name}",
            "files": files,
        }

    def build(self, packages: Sequence[DriverPackage]) -> dict[str, BuiltDriver]:
        found = {package.name: self.current(package) for package in packages}
        stale = [package for package in packages if found[package.name] is None]
        if any(package.sources for package in stale):
            check_layout(self.toolchain, INCLUDE, self.out / ".layout")
        objects = self.objects.compile([package for package in stale if package.sources])
        for package in stale:
            if package.binary:
                self.copy(package)
            else:
                self.link(package, objects[package.name])
            self.write_manifest()
        if stale:
            self.prune()
        return {package.name: self._built(package, self.manifest[package.name]["sha256"]) for package in packages}


def _named(objects: Sequence[Object]) -> dict[str, Path]:
    """The objects of a driver by the names that its PDB keeps: sources of one stem may lie in several folders."""
    named: dict[str, Path] = {}
    for item in objects:
        stem = f"common-{item.source.stem}" if item.source.parent == COMMON else item.source.stem
        name = next(name for n in count(1) if (name := f"{stem}{f'-{n}' if n > 1 else ''}.obj") not in named)
        named[name] = item.path
    return named


def _used(target: Path) -> bool:
    """Whether a file of the stores is there; if so it counts as used now."""
    if not target.is_file():
        return False
    os.utime(target.parent)
    return True


@lru_cache
def _own_text(name: str) -> bytes:
    """A module of the build itself: a changed flag or step is a changed input."""
    return (Path(__file__).resolve().parent / name).read_bytes()


def build_drivers(root: Path, out: Path, names: Sequence[str] | None = None) -> dict[str, BuiltDriver]:
    """Build the packages below `root` (those in `names`, or all) into `out`; what is unchanged is left as it is.

    Raises ConfigurationError for a package or source that is wrong, HostError when the machine lacks a tool.
    """
    root, out = root.absolute(), out.absolute()
    packages = find_packages(root)
    unknown = sorted(set(names or ()) - set(packages))
    if unknown:
        raise ConfigurationError(
            f"there is no driver called {', '.join(unknown)} in {root}", details=(f"there are: {', '.join(packages)}",)
        )
    return build_packages([package for name, package in packages.items() if names is None or name in names], root, out)


def build_packages(chosen: Sequence[DriverPackage], root: Path, out: Path) -> dict[str, BuiltDriver]:
    """Build packages that lie below `root`; the same errors."""
    for package in chosen:
        require_files(package)
    toolchain, certificate = find_toolchain(), signing_certificate()
    try:
        out.mkdir(parents=True, exist_ok=True)
        with FileLock(out / ".lock"):
            return _Builder(root, out, toolchain, certificate).build(chosen)
    except OSError as error:
        raise HostError(f"drivers cannot be built in {out}", details=(str(error),)) from error


def main() -> int:
    """`python -m harness.minifilter.build [--root DIR] [--out DIR] [NAME...]`."""
    parser = argparse.ArgumentParser(prog="python -m harness.minifilter.build", description="Build driver packages.")
    parser.add_argument("--root", type=Path, default=SUPPORT)
    parser.add_argument("--out", type=Path, default=SUPPORT.parent / "build" / "drivers")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    try:
        for built in build_drivers(arguments.root, arguments.out, arguments.names or None).values():
            print(f"{built.sha256[:16]}  {built.sys}")
    except FltLabError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
