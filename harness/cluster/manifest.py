"""What a tree in the store consists of: its files in pieces, each by its hash, and nothing of when and where it was.

The same files give the same manifest, and so the same digest, on every machine: no times, no owners, of a mode only
whether a file can be executed. What comes from a store is never trusted: a manifest that names a path outside its tree,
or a link that leads there, is refused before anything is written.
"""

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from harness.errors import ConfigurationError, HostError
from harness.host.disk import extents
from harness.host.regular import open_regular

FORMAT = 1
PIECE = 8 << 20
"""Bytes of a piece of a file: what is fetched, checked and shared by itself."""
LEFT_OUT = (
    *("__pycache__", "*.pyc", ".git", ".hg", ".svn", ".venv", "venv", "node_modules", ".tox"),
    *(".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis", "runs", ".DS_Store"),
)
"""Names in a user's tree that no run needs."""
SECRET = (
    "*.pfx",
    "*.p12",
    "*.key",
    "*.kdbx",
    ".env",
    ".netrc",
    ".pypirc",
    ".ssh",
    ".gnupg",
    ".aws",
    "id_rsa*",
    "id_ed*",
)
"""Names of what is nobody else's business: they stay where they are."""
_PRIVATE_KEY = b"PRIVATE KEY-----"
_LOOK = 4096
_ZEROS = bytes(PIECE)

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


def sha256(content: bytes) -> str:
    """The name of some content."""
    return hashlib.sha256(content).hexdigest()


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StoredFile(_Model):
    """A file: its pieces in order, of `PIECE` bytes but for the last; None for a piece of zeros."""

    path: str
    size: int = Field(ge=0)
    executable: bool = False
    pieces: tuple[Digest | None, ...] = ()

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if len(self.pieces) != -(-self.size // PIECE):
            raise ValueError(f"{self.path!r} has {self.size} bytes in {len(self.pieces)} pieces")
        return self

    def length(self, number: int) -> int:
        """Bytes of one of its pieces."""
        return min(PIECE, self.size - number * PIECE)


class Link(_Model):
    """A symbolic link to something in the same tree."""

    path: str
    target: str


class Manifest(_Model):
    """A tree. `single` if it is one file, which was put without a directory around it."""

    format: int = FORMAT
    single: bool = False
    directories: tuple[str, ...] = ()
    files: tuple[StoredFile, ...] = ()
    links: tuple[Link, ...] = ()

    @model_validator(mode="after")
    def _stays_within(self) -> Self:
        if self.format != FORMAT:
            raise ValueError(f"format {self.format} is of another fltlab")
        ends = [*(file.path for file in self.files), *(link.path for link in self.links)]
        paths = [*self.directories, *ends]
        for path in paths:
            _require_plain(path)
        if len(set(paths)) != len(paths):
            raise ValueError("a path is there twice")
        directories = {*self.directories, "."}
        for path in paths:
            if str(PurePosixPath(path).parent) not in directories:
                raise ValueError(f"{path!r} lies in no directory of the tree")
        for link in self.links:
            if leads_out(link.path, link.target):
                raise ValueError(f"the link {link.path!r} leads out of the tree, to {link.target!r}")
        if self.single and (len(self.files) != 1 or len(paths) != 1):
            raise ValueError("it is no single file")
        return self

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def pieces(self) -> set[str]:
        """The pieces that make it."""
        return {piece for file in self.files for piece in file.pieces if piece is not None}

    def to_bytes(self) -> bytes:
        """The one text of this manifest, whose hash is the digest of the tree."""
        return json.dumps(self.model_dump(), sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Read what a store has; HostError if it is no manifest, or one that leads out of its tree."""
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            said = tuple(item["msg"].removeprefix("Value error, ") for item in error.errors()[:3])
            raise HostError("what the store has is no tree that fltlab takes", details=said) from error


def _require_plain(path: str) -> None:
    """ValueError for a path that is not plainly one within the tree."""
    parts = path.split("/")
    if any(part in {"", ".", ".."} or "\0" in part for part in parts) or len(path) > 4000:
        raise ValueError(f"{path!r} is no path within a tree")


def leads_out(path: str, target: str) -> bool:
    """Whether a link can lead out of its tree: only `..` at the beginning is let up, and no further than the root.

    A `..` after a name would follow that name first, and it may be a link.
    """
    parts = target.split("/")
    up = next((n for n, part in enumerate(parts) if part != ".."), len(parts))
    plain = parts[up:]
    return not target or "\0" in target or up > path.count("/") or any(part in {"", ".."} for part in plain)


class Packing:
    """Reads a tree or a file of this machine; what it leaves out because it looks secret is in `secrets`.

    ConfigurationError for what cannot travel: a link that leads out of the tree, a socket, a FIFO.
    """

    def __init__(self, root: Path, left_out: tuple[str, ...] = LEFT_OUT, ours: Iterable[Path] = ()) -> None:
        """`left_out` are names; `ours` are directories that do not travel if they lie in the tree."""
        self.root = root
        inside = [path.resolve() for path in ours if path.resolve().is_relative_to(root.resolve())]
        self._ours = {root / path.relative_to(root.resolve()) for path in inside}
        self._left_out = left_out
        self.secrets: list[str] = []
        self._where: dict[str, tuple[Path, int]] = {}

    def manifest(self) -> Manifest:
        """Read everything once, and say what it is."""
        if not self.root.is_dir():
            if self._is_secret(self.root, self.root.stat().st_mode):
                raise ConfigurationError(f"{self.root} holds a private key: it does not leave this machine")
            return Manifest(single=True, files=(self._file(self.root, self.root.name),))
        directories: list[str] = []
        files: list[StoredFile] = []
        links: list[Link] = []
        for path in self._walk(self.root):
            name = path.relative_to(self.root).as_posix()
            mode = path.lstat().st_mode
            if stat.S_ISDIR(mode):
                directories.append(name)
            elif stat.S_ISLNK(mode):
                links.append(self._link(path, name))
            elif not self._is_secret(path, mode):
                files.append(self._file(path, name))
        return Manifest(directories=tuple(directories), files=tuple(files), links=tuple(links))

    def read(self, piece: str) -> bytes:
        """The content of a piece; HostError if the file was changed since the manifest was made."""
        path, offset = self._where[piece]
        with os.fdopen(open_regular(path), "rb") as file:
            content = os.pread(file.fileno(), PIECE, offset)
        if sha256(content) != piece:
            raise HostError(f"{path} is being changed while it is put into the store", hint="run it again")
        return content

    def _walk(self, directory: Path) -> Iterator[Path]:
        for path in sorted(directory.iterdir(), key=lambda path: path.name):
            if path in self._ours or any(fnmatch(path.name, pattern) for pattern in self._left_out):
                continue
            if any(fnmatch(path.name.lower(), pattern) for pattern in SECRET):
                self.secrets.append(path.relative_to(self.root).as_posix())
                continue
            yield path
            if path.is_dir() and not path.is_symlink():
                yield from self._walk(path)

    def _is_secret(self, path: Path, mode: int) -> bool:
        if not stat.S_ISREG(mode):
            raise ConfigurationError(f"{path} is neither a file nor a directory: it cannot travel to other machines")
        with os.fdopen(open_regular(path), "rb") as file:
            secret = _PRIVATE_KEY in file.read(_LOOK)
        if secret:
            self.secrets.append(path.relative_to(self.root).as_posix())
        return secret

    def _link(self, path: Path, name: str) -> Link:
        target = os.readlink(path)  # noqa: PTH115 - a name, and not what it leads to
        if leads_out(name, target):
            raise ConfigurationError(
                f"{path} is a link that may lead out of {self.root}: other machines do not have what is there",
                details=(f"it leads to {target}",),
                hint="put a copy in its place, or a link that goes up first and then down",
            )
        return Link(path=name, target=target)

    def _file(self, path: Path, name: str) -> StoredFile:
        pieces: list[str | None] = []
        with os.fdopen(open_regular(path), "rb") as file:
            status = os.fstat(file.fileno())
            filled = _filled_pieces(file.fileno(), status.st_size)
            for offset in range(0, status.st_size, PIECE):
                content = os.pread(file.fileno(), PIECE, offset) if offset // PIECE in filled else b""
                if content == _ZEROS[: len(content)]:
                    pieces.append(None)
                    continue
                pieces.append(sha256(content))
                self._where[sha256(content)] = (path, offset)
        executable = bool(status.st_mode & stat.S_IXUSR)
        return StoredFile(path=name, size=status.st_size, executable=executable, pieces=tuple(pieces))


def _filled_pieces(descriptor: int, size: int) -> set[int]:
    """The pieces of a file that are not all hole."""
    return {number for begin, end in extents(descriptor, size) for number in range(begin // PIECE, -(-end // PIECE))}
