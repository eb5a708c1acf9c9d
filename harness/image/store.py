"""The image store: images under a name and a key of all that went into them.

`<home>/images/<name>/<key>/` holds an image's files, read-only, and `image.json`, which lists them with their SHA-256.
An image appears there whole or not at all; several processes may ask for the same one, and one of them builds it.
"""

import contextlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from harness.errors import FltLabError, HostError
from harness.host import fingerprint
from harness.host.directories import home, private_directory
from harness.host.leftovers import REMOVED, left_behind, lock_file, reclaim, remove
from harness.host.regular import kept_json

log = logging.getLogger(__name__)

MANIFEST = "image.json"
_BUILDING = ".building-"
FORMAT = 1
KEY_LENGTH = 32
BUILD_TIMEOUT = 3600.0
"""Seconds to wait for another process that builds the same image."""


class DamagedImageError(FltLabError):
    """An image's files are not what its manifest says."""


@dataclass(frozen=True)
class Image:
    """An image in the store: its directory, and what its manifest says."""

    name: str
    key: str
    directory: Path
    facts: Mapping[str, object]
    digests: Mapping[str, str]

    def file(self, name: str) -> Path:
        """Return the path of one of the image's files."""
        if name not in self.digests:
            raise HostError(
                f"the image {self.name} has no {name}", hint=f"fltlab image build {self.name}   builds it again"
            )
        return self.directory / name


class ImageStore:
    """Images below one directory, by default that of the user."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root if root is not None else home() / "images"

    def find(self, name: str, key: str) -> Image | None:
        """Return an image if it is there and unharmed; raise DamagedImageError if its files are not what they were."""
        directory = self._directory(name, key)
        return verify(directory) if os.path.lexists(directory) else None

    def images(self) -> list[Image]:
        """Return every image whose manifest can be read, newest first; their files are not verified."""
        return [_read(directory) for directory in self.directories()]

    def directories(self) -> list[Path]:
        """Return the directories of all images, newest first, whether or not they are unharmed."""
        found = (path for path in self.root.glob("*/*") if path.is_dir() and not path.name.startswith("."))
        return sorted(found, key=_last_change, reverse=True)

    def get_or_build(self, name: str, key: str, build: Callable[[Path], Mapping[str, object]]) -> Image:
        """Return the image `name` with this key, building it unless it is there and unharmed.

        `build` fills an empty directory with the image's files and returns the facts for its manifest. A damaged
        image is built again.
        """
        with self._lock(name, key):
            directory = self._directory(name, key)
            try:
                found = self.find(name, key)
            except DamagedImageError as damage:
                log.warning("%s: it is built again", damage.message)
                _remove(directory)
                found = None
            return found if found is not None else self._build(name, key, build)

    def remove(self, name: str, key: str) -> None:
        """Remove an image and what is left of attempts to build it."""
        with self._lock(name, key):
            directory = self._directory(name, key)
            if os.path.lexists(directory):
                _remove(directory)

    def leftovers(self) -> list[Path]:
        """What builders left that were killed; the next build of an image of the same name removes it."""
        return [path for folder in sorted(self.root.glob("*")) for path in left_behind(folder, _BUILDING)]

    def reclaim(self) -> None:
        """Remove that now."""
        for folder in self.root.glob("*"):
            reclaim(folder, _BUILDING)

    def _directory(self, name: str, key: str) -> Path:
        return self.root / name / key[:KEY_LENGTH]

    def _lock(self, name: str, key: str) -> "_StoreLock":
        folder = private_directory(self.root / name)
        return _StoreLock(lock_file(folder, key[:KEY_LENGTH]), name)

    def _build(self, name: str, key: str, build: Callable[[Path], Mapping[str, object]]) -> Image:
        folder = self.root / name
        prefix = f"{_BUILDING}{key[:KEY_LENGTH]}-"
        for left in folder.glob(f"{prefix}*"):  # we hold the lock: whoever made it is dead
            remove(left)
        reclaim(folder, _BUILDING)
        scratch = Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
        try:
            facts = build(scratch)
            _seal(scratch, name, key, facts)
            scratch.rename(self._directory(name, key))
        except BaseException:
            remove(scratch)
            raise
        return _read(self._directory(name, key))


def _last_change(path: Path) -> float:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mtime
    return 0.0  # removed by another process meanwhile


class _StoreLock:
    """The lock of one image, as a context; says once that it waits for another process."""

    def __init__(self, path: Path, name: str) -> None:
        self._lock = FileLock(path)
        self._name = name

    def __enter__(self) -> None:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            log.info("waiting for another fltlab that works on the image %s", self._name)
            try:
                self._lock.acquire(timeout=BUILD_TIMEOUT)
            except Timeout as error:
                raise HostError(
                    f"another process has held the image {self._name} for {BUILD_TIMEOUT:g} s",
                    details=(f"lock: {self._lock.lock_file}",),
                    hint="see whether another fltlab hangs, and end it",
                ) from error
        except OSError as error:
            raise HostError(
                f"the lock {self._lock.lock_file} cannot be taken",
                details=(str(error),),
                hint="remove it: fltlab makes it again",
            ) from error

    def __exit__(self, *_: object) -> None:
        self._lock.release()


_verified: dict[Path, tuple[tuple[str, int, int, int], ...]] = {}
"""Images whose content this process has hashed, with what their files looked like then."""


def verify(directory: Path) -> Image:
    """Return the image in a directory; raise DamagedImageError unless every file has the hash in its manifest.

    Files are hashed once in a process, and again when their size, time or inode changes.
    """
    image = _read(directory)
    try:
        looks = tuple(
            (name, status.st_size, status.st_mtime_ns, status.st_ino)
            for name in sorted(image.digests)
            for status in [(directory / name).stat()]
        )
    except OSError as error:
        raise DamagedImageError(f"the image {image.name} in {directory} lacks a file: {error}") from error
    if _verified.get(directory) != looks:
        for name, expected in image.digests.items():
            actual = fingerprint.of_file(directory / name)
            if actual != expected:
                raise DamagedImageError(
                    f"the image {image.name} is damaged: {name} has changed",
                    details=(f"SHA-256 is {actual}", f"expected    {expected}"),
                )
        _verified[directory] = looks
    return image


def _read(directory: Path) -> Image:
    manifest = directory / MANIFEST
    try:
        values = kept_json(manifest)
        if values["format"] != FORMAT:
            raise DamagedImageError(f"{manifest} was written by another version of fltlab")
        return Image(values["name"], values["key"], directory, values["facts"], values["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedImageError(f"{manifest} cannot be read: {error}") from error


def _seal(directory: Path, name: str, key: str, facts: Mapping[str, object]) -> None:
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    digests = {str(path.relative_to(directory)): fingerprint.of_file(path) for path in files}
    manifest = {"format": FORMAT, "name": name, "key": key, "facts": dict(facts), "files": digests}
    (directory / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    for path in (*files, directory / MANIFEST):
        path.chmod(0o444)
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _remove(path: Path) -> None:
    """Remove a directory whole, by renaming it first so that nobody sees half of it."""
    away = Path(tempfile.mkdtemp(prefix=f"{_BUILDING}{REMOVED}-", dir=path.parent))
    path.rename(away / path.name)
    remove(away)
