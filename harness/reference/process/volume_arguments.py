"""The volumes of a kernel as its command line says them: V: and its file system, the system's C:, and further ones."""

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import IO

from harness.reference.windows.fs.kinds import KINDS, NTFS
from harness.reference.windows.fs.system_tree import make_system_tree
from harness.reference.windows.kernel import Medium

SYSTEM_VOLUME = "C:"


def add_arguments(parser: argparse.ArgumentParser, volume: str) -> None:
    """Let the command line say what there is beside the directory of `volume`."""
    kinds = ", ".join(KINDS)
    parser.add_argument(
        "--filesystem", choices=list(KINDS), default=NTFS.name.lower(), help=f"what {volume} is formatted with: {kinds}"
    )
    parser.add_argument("--system", type=Path, help=f"the directory that is the system volume, {SYSTEM_VOLUME}")
    parser.add_argument(
        "--data", action="append", type=_data_volume, default=[], metavar="X:=DIR[,KIND][,removable]",
        help=f"a further data volume; KIND is one of {kinds}",
    )  # fmt: skip


def volumes(options: argparse.Namespace, volume: str | None) -> dict[str, Path | Medium]:
    """The volumes that are directories, the data volume first, if it is one."""
    found: dict[str, Path | Medium] = {}
    if volume is not None:
        found[volume] = Medium(options.volume, KINDS[options.filesystem])
    if options.system is not None:
        make_system_tree(options.system)
        found[SYSTEM_VOLUME] = options.system
    return found | dict(options.data)


def _data_volume(text: str) -> tuple[str, Medium]:
    name, equals, rest = text.partition("=")
    root, *words = rest.split(",")
    kinds = [word for word in words if word in KINDS]
    if not equals or len(name) != 2 or name[1] != ":" or len(kinds) > 1 or set(words) - {*KINDS, "removable"}:
        raise argparse.ArgumentTypeError(f"a data volume is X:=DIR[,KIND][,removable], not {text!r}")
    if name.upper() in ("V:", SYSTEM_VOLUME):
        raise argparse.ArgumentTypeError(f"{name} is there already")
    if not Path(root).is_dir():
        raise argparse.ArgumentTypeError(f"{root} is no directory")
    return name.upper(), Medium(Path(root), KINDS[kinds[0]] if kinds else NTFS, "removable" in words)


def copy_of_disk(image: Path) -> Path:
    """A copy of a disk that nobody else sees, and that goes with this process."""
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
    with image.open("rb") as source:
        shutil.copyfileobj(source, copy)
    copy.flush()
    _KEPT.append(copy)
    return Path(f"/proc/self/fd/{copy.fileno()}")


_KEPT: list[IO[bytes]] = []
