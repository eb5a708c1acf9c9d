"""The seal of a template: what its files were when it was made, and whether they still are."""

import json
import os
from pathlib import Path

from harness.errors import FltLabError
from harness.host import fingerprint
from harness.host.regular import kept_json
from harness.machine.parts import SERIAL_LOG

MANIFEST = "template.json"
FORMAT = 1
MEMORY = "ram"


class DamagedTemplateError(FltLabError):
    """A template's files are not what they were."""


def seal(directory: Path, key: str) -> None:
    """Write the manifest of a template: after this it is never written again."""
    digests = {str(path.relative_to(directory)): _digest(path) for path in _content(directory)}
    manifest = {"format": FORMAT, "key": key, "files": digests}
    for path in _content(directory):
        # QEMU opens the memory for writing even where it only maps it privately.
        path.chmod(0o600 if path.name == MEMORY else 0o400)
    (directory / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    _remember_looks(directory)


def verify(directory: Path, key: str) -> None:
    """Raise DamagedTemplateError unless every file of a template is there and unchanged.

    A file whose size, inode and times (the change time cannot be set) are those of the last look is not read again.
    """
    try:
        manifest = kept_json(directory / MANIFEST)
        digests: dict[str, str] = manifest["files"]
        if manifest["format"] != FORMAT or manifest["key"] != key:
            raise DamagedTemplateError(f"the template in {directory} was made from something else")
        present = {str(path.relative_to(directory)) for path in _content(directory)}
        if present != digests.keys():
            raise DamagedTemplateError(
                f"the template in {directory} has not the files it had: {present ^ digests.keys()}"
            )
        known = _known_looks(directory)
        changed = [name for name in digests if known.get(name) != _look(directory / name)]
        for name in changed:
            if _digest(directory / name) != digests[name]:
                raise DamagedTemplateError(f"the template in {directory} is damaged: {name} has changed")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedTemplateError(f"the template in {directory} cannot be read: {error}") from error
    if changed:
        _remember_looks(directory)


def _content(directory: Path) -> list[Path]:
    beside = {MANIFEST, _LOOKS, SERIAL_LOG}
    files = (path for path in directory.rglob("*") if path.is_file())
    return sorted(path for path in files if path.name not in beside and not path.name.startswith("."))


def _digest(path: Path) -> str:
    return fingerprint.of_sparse_file(path)


_LOOKS = "looks.json"


def _look(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns]


def _known_looks(directory: Path) -> dict[str, list[int]]:
    try:
        kept = kept_json(directory / _LOOKS)
        if kept["manifest"] != fingerprint.of_file(directory / MANIFEST):
            return {}
        looks: dict[str, list[int]] = kept["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # nothing is known: everything is read
    return looks


def _remember_looks(directory: Path) -> None:
    looks = {str(path.relative_to(directory)): _look(path) for path in _content(directory)}
    manifest = fingerprint.of_file(directory / MANIFEST)
    scratch = directory / f".{_LOOKS}.{os.getpid()}"
    scratch.write_text(json.dumps({"manifest": manifest, "files": looks}), encoding="utf-8")
    scratch.replace(directory / _LOOKS)
