"""fltlab's own guest code: `harness.nt`, `harness.wire` and `harness.reference`, on their way into the guest.

It travels in the initramfs before the image's own archive, so that a change in it costs no new image.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

import harness
from harness.host import fingerprint
from harness.host.command import run_program
from harness.host.directories import home, private_directory
from harness.image.reference.builder import INITRAMFS
from harness.image.reference.cpio import Archive
from harness.image.store import Image

PACKAGES = ("nt", "wire", "reference")
LAYOUT = 3


@dataclass(frozen=True)
class Payload:
    """The guest code: its files as (path below the harness's parent, content), and a name for all of it."""

    key: str
    files: tuple[tuple[str, bytes], ...]


def payload(root: Path | None = None) -> Payload:
    """Return fltlab's guest code as it is now; `root` is the harness package's directory."""
    root = root if root is not None else Path(harness.__file__).parent
    files = tuple((f"harness/{path.relative_to(root)}", path.read_bytes()) for path in _sources(root))
    digests = {name: fingerprint.of_text(content.hex()) for name, content in files}
    return Payload(fingerprint.of_facts({"files": digests}), files)


def initramfs(image: Image, code: Payload) -> Path:
    """Return the initramfs of an image with the guest code in it, made once and kept."""
    name = fingerprint.of_facts(
        {"image": image.key, "payload": code.key, "layout": LAYOUT, "digest": image.digests[INITRAMFS]}
    )
    folder = private_directory(home() / "cache" / "initramfs")
    path = folder / name[:32]
    with FileLock(folder / f".{path.name}.lock"):
        if not path.exists():
            # Ours first: what follows a compressed archive is taken for more of the same compression.
            content = _archive(code, str(image.facts["python"])) + image.file(INITRAMFS).read_bytes()
            with tempfile.NamedTemporaryFile(dir=folder, prefix=".new-", delete=False) as file:
                file.write(content)
            Path(file.name).chmod(0o400)
            Path(file.name).rename(path)
            _keep_newest(folder)
    return path


def _sources(root: Path) -> Iterator[Path]:
    yield root / "__init__.py"
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc":
                yield path


def _archive(code: Payload, python: str) -> bytes:
    """Return the guest code as an archive below `payload/`, with compiled files beside the sources where possible.

    Importing sources takes the guest seconds under TCG. They are compiled by a Python of the guest's version: the one
    that runs us, or another on this machine; without one the guest compiles for itself, at every boot.
    """
    archive = Archive()
    with tempfile.TemporaryDirectory(prefix="fltlab-payload-") as name:
        scratch = Path(name)
        for file, content in code.files:
            path = scratch / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        interpreter = shutil.which(f"python{python}")
        if interpreter is not None:
            options = ["-q", "--invalidation-mode", "unchecked-hash", "-s", name, "-p", "/opt/fltlab"]
            run_program(
                [interpreter, "-I", "-S", "-m", "compileall", *options, name],
                purpose="compile the guest code",
                environment={**os.environ, "PYTHONHASHSEED": "0"},
            )
        for path in sorted(scratch.rglob("*")):
            if path.is_file():
                archive.file(f"payload/{path.relative_to(scratch)}", path.read_bytes())
    return archive.to_bytes()


def _keep_newest(folder: Path, count: int = 8) -> None:
    kept = sorted((path for path in folder.iterdir() if not path.name.startswith(".")), key=lambda p: p.stat().st_mtime)
    for path in kept[:-count]:
        path.unlink()
