"""The store that the machines of a cluster share: trees of files by the hash of what is in them.

It is a place that fsspec reaches: a directory, `s3://…`, `sftp://…`. Below it, `objects/` has pieces and manifests,
each under its SHA-256, `trees/` says which trees are whole and when they were last wanted, `names/` and `leases/` are
of builds.py. Whatever is fetched is checked as it comes and appears whole or not at all, once on each machine.

Who can write to a store decides what the machines of its clusters run, and that is all it has to be trusted with: no
path and no content of it is believed, and nothing secret is in it in clear (sealed.py).
"""

import contextlib
import json
import os
import secrets
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from harness.cluster.manifest import LEFT_OUT, PIECE, Manifest, Packing, StoredFile, sha256
from harness.errors import ConfigurationError, HostError
from harness.fleet.cluster_files import FETCHING, fetched
from harness.fleet.progress import say
from harness.host.directories import home, private_directory
from harness.host.disk import MIB, require_room, why_not_written
from harness.host.leftovers import lock_file, reclaim, remove

ATOMIC = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oci", "oss"})
"""Object stores, where a file is there whole or not at all; elsewhere it is renamed to its place."""
AT_A_TIME = 4
"""Pieces that are read or written together."""
TRIES = 3
"""So often is a piece asked for, where the network fails."""
MANIFEST_BYTES = 256 << 20
FETCH_TIMEOUT = 3600.0
"""Seconds to wait for another process that fetches the same."""
T = TypeVar("T")
_MANIFEST_NAME = "manifest.json"
_CONTENT = "content"


@dataclass(frozen=True)
class Put:
    """What was put, by the digest with which it is fetched."""

    digest: str
    sent: int
    """Bytes that the store did not have."""
    secrets: tuple[str, ...] = ()
    """Paths in it that were left out, since they look secret."""


class Store:
    """One store, and this machine's cache of what came from it. Safe for several processes and threads."""

    def __init__(self, url: str, cache: Path | None = None) -> None:
        """Raise ConfigurationError if there is no such kind of place, or a password in its name."""
        self.url = url
        self.fs, self.root = _opened(url)
        protocol = self.fs.protocol if isinstance(self.fs.protocol, str) else self.fs.protocol[0]
        self._is_local = protocol == "file"
        self._renames = protocol not in ATOMIC
        self._parallel = 1 if protocol in {"sftp", "ssh"} else AT_A_TIME
        self._cache = cache if cache is not None else fetched()

    # -- putting

    def put(self, path: Path, left_out: tuple[str, ...] = LEFT_OUT) -> Put:
        """Put a file or a directory there, unless it is; what is there already of it is not sent again.

        ConfigurationError for a tree that cannot travel, HostError where the store cannot be written.
        """
        packing = Packing(path, left_out, self._ours())
        try:
            manifest = packing.manifest()
        except OSError as error:
            raise HostError(f"{path} cannot be read for the store", details=(str(error),)) from error
        content = manifest.to_bytes()
        digest = sha256(content)
        sent = 0
        if not self.has(digest):
            # What a pruning store keeps is what some tree refers to: so the tree is there before its pieces are.
            self._put_object(digest, content)
            self._note(digest, whole=False)
            with ThreadPoolExecutor(self._parallel) as pool:
                for some in _batches(sorted(manifest.pieces), self._parallel):
                    sent += sum(pool.map(lambda piece: self._put_object(piece, packing.read(piece)), some))
        self._note(digest, whole=True)
        return Put(digest, sent, tuple(packing.secrets))

    def _ours(self) -> list[Path]:
        """What of a tree is ours, if our directories lie in it: each run would send what former ones have left."""
        return [home(), *([Path(self.root)] if self._is_local else [])]

    def _perhaps_not_mounted(self) -> list[str]:
        return [f"or {self.root} is another directory here: is it mounted?"] if self._is_local else []

    def put_bytes(self, content: bytes) -> str:
        """Put a few bytes there, as they are; their digest."""
        digest = sha256(content)
        self._put_object(digest, content)
        self._note(digest, whole=True)
        return digest

    def has(self, digest: str) -> bool:
        """Whether a tree is there whole."""
        noted = self.read_json(self.tree_note(digest))
        return noted is not None and noted.get("whole") is True

    def want(self, digest: str) -> None:
        """Note that a tree, which is whole, is wanted: it is not pruned for a while."""
        self._note(digest, whole=True)

    # -- fetching

    def fetch(self, digest: str) -> Path:
        """The tree, or the single file, of a digest on this machine: fetched unless it is here, its files read-only.

        HostError if the store lacks it or has something else in its place, or if the disk here is full.
        """
        folder = private_directory(self._cache)
        with _locked(lock_file(folder, digest), f"the tree {digest[:12]}"):
            target = folder / digest
            manifest = self._cached(target)
            if manifest is None:
                remove(target)
                reclaim(folder, FETCHING)
                scratch = Path(tempfile.mkdtemp(prefix=f"{FETCHING}{digest}-", dir=folder))
                try:
                    manifest = self.fetch_into(digest, scratch / _CONTENT)
                    (scratch / _MANIFEST_NAME).write_bytes(manifest.to_bytes())
                    scratch.rename(target)
                finally:
                    remove(scratch)
            os.utime(target)
            return target / _CONTENT / manifest.files[0].path if manifest.single else target / _CONTENT

    def fetch_into(self, digest: str, directory: Path) -> Manifest:
        """Write a tree into a directory that nobody else knows yet, and which is made; errors as `fetch`."""
        manifest = self.manifest(digest)
        try:
            require_room(directory.parent, manifest.size // MIB + 1, "fetch it from the store")
            directory.mkdir(mode=0o755)
            for name in manifest.directories:
                (directory / name).mkdir(mode=0o755)
            with ThreadPoolExecutor(self._parallel) as pool:
                for file in manifest.files:
                    self._fetch_file(file, directory / file.path, pool)
            for link in manifest.links:  # last: nothing is written through one
                (directory / link.path).symlink_to(link.target)
        except OSError as error:
            details, remedy = why_not_written(error, directory.parent)
            raise HostError(f"what comes from {self.url} cannot be kept here", details=details, hint=remedy) from error
        return manifest

    def manifest(self, digest: str) -> Manifest:
        """What a tree consists of."""
        return Manifest.from_bytes(self.get_bytes(digest, MANIFEST_BYTES))

    def get_bytes(self, digest: str, limit: int = PIECE) -> bytes:
        """Some content of at most so many bytes, checked."""
        path = self._object(digest)
        for attempt in range(1, TRIES + 1):
            try:
                with self.fs.open(path, "rb") as file:
                    if hasattr(file, "prefetch"):  # paramiko's asks for 32 KiB at a time, and waits for each
                        file.prefetch(min(file.stat().st_size, limit + 1))
                    content: bytes = file.read(limit + 1)
                break
            except FileNotFoundError as error:
                raise HostError(
                    f"the store {self.url} lacks {digest[:12]}…",
                    details=("it was never put there, or was pruned meanwhile", *self._perhaps_not_mounted()),
                    hint="run it again: what is needed is put there anew",
                ) from error
            except _FAILURES as error:
                if attempt == TRIES:
                    raise self._failed("read", error) from error
        if len(content) > limit or sha256(content) != digest:
            raise HostError(
                f"the store {self.url} has something else in the place of {digest[:12]}…: it is not taken",
                details=(f"its SHA-256 is {sha256(content)}",),
                hint=f"remove {path} and run it again; and see who can write there",
            )
        return content

    def _fetch_file(self, file: StoredFile, path: Path, pool: ThreadPoolExecutor) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as target:
            os.truncate(descriptor, file.size)
            wanted = ((number, piece) for number, piece in enumerate(file.pieces) if piece is not None)
            for some in _batches(wanted, self._parallel):
                contents = pool.map(lambda one: self.get_bytes(one[1]), some)
                for (number, _), content in zip(some, contents, strict=True):
                    if len(content) != file.length(number):
                        raise HostError(f"a piece of {file.path} has another length than the tree says")
                    _write_at(descriptor, content, number * PIECE)
            os.fchmod(descriptor, 0o555 if file.executable else 0o444)
            target.flush()
            os.fsync(descriptor)

    def _cached(self, target: Path) -> Manifest | None:
        """What is here of a tree; None if it is not, or not as it was fetched."""
        try:
            manifest = Manifest.from_bytes((target / _MANIFEST_NAME).read_bytes())
            for file in manifest.files:
                status = (target / _CONTENT / file.path).lstat()
                if status.st_size != file.size or status.st_mode & 0o222:
                    return None
        except (OSError, HostError):
            return None
        return manifest

    # -- what builds.py and pruning need

    def tree_note(self, digest: str) -> str:
        """Where it says that a tree is whole, and when it was last wanted."""
        return f"{self.root}/trees/{digest}"

    def write_json(self, path: str, values: dict[str, Any]) -> None:
        """Write a small file, whole or not at all."""
        self._write(path, json.dumps(values, sort_keys=True).encode())

    def read_json(self, path: str) -> dict[str, Any] | None:
        """Read one; None if it is not there, or makes no sense."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            try:
                content: bytes = self.fs.cat_file(path)
            except FileNotFoundError:
                raise
            except _FAILURES as error:
                raise self._failed("read", error) from error
            values = json.loads(content)
            return values if isinstance(values, dict) else None
        return None

    def listed(self, directory: str) -> list[str]:
        """The names in a directory of it; none if it is not there."""
        try:
            self.fs.invalidate_cache()
            return sorted(path.rsplit("/", 1)[-1] for path in self.fs.ls(directory, detail=False))
        except FileNotFoundError:
            return []
        except _FAILURES as error:
            raise self._failed("read", error) from error

    def objects(self) -> Iterator[tuple[str, int, float]]:
        """All objects: path, bytes, and when they were written (seconds since 1970, by the store's clock)."""
        try:
            self.fs.invalidate_cache()
            found = self.fs.find(f"{self.root}/objects", detail=True)
        except FileNotFoundError:
            return
        except _FAILURES as error:
            raise self._failed("read", error) from error
        for path, facts in found.items():
            yield path, facts["size"] or 0, _written(facts)

    def delete(self, path: str) -> None:
        """Remove a file, if it is there."""
        try:
            self.fs.rm_file(path)
        except FileNotFoundError:
            return
        except _FAILURES as error:
            raise self._failed("written", error) from error

    def _note(self, digest: str, *, whole: bool) -> None:
        self.write_json(self.tree_note(digest), {"whole": whole, "wanted": int(time.time())})

    def _object(self, digest: str) -> str:
        return f"{self.root}/objects/{digest[:2]}/{digest}"

    def _put_object(self, digest: str, content: bytes) -> int:
        """Write an object unless it is there with its length; how many bytes were sent."""
        path = self._object(digest)
        try:
            if self.fs.info(path)["size"] == len(content):
                return 0
        except FileNotFoundError:
            pass
        except _FAILURES as error:
            raise self._failed("read", error) from error
        self._write(path, content)
        return len(content)

    def _write(self, path: str, content: bytes) -> None:
        try:
            if not self._renames:
                self.fs.pipe_file(path, content)
                return
            incoming = f"{self.root}/incoming"
            for directory in (incoming, path.rsplit("/", 1)[0]):
                self.fs.makedirs(directory, exist_ok=True)
            temporary = f"{incoming}/{secrets.token_hex(16)}"
            try:
                self.fs.pipe_file(temporary, content)
                self.fs.mv(temporary, path)
            except BaseException:
                with contextlib.suppress(*_FAILURES):
                    self.fs.rm_file(temporary)
                raise
        except _FAILURES as error:
            raise self._failed("written", error) from error

    def _failed(self, verb: str, error: BaseException) -> HostError:
        return HostError(
            f"the store {self.url} cannot be {verb}",
            details=(f"{type(error).__name__}: {error}".strip(),),
            hint="docs/cluster.md says what a store must be",
        )


def _failures() -> tuple[type[Exception], ...]:
    from paramiko import SSHException

    return (OSError, SSHException, EOFError)


_FAILURES = _failures()


def _written(facts: dict[str, Any]) -> float:
    """When a file of a store was written; now, where it does not say: such a file is not pruned."""
    for key in ("mtime", "LastModified", "last_modified", "updated", "created", "time"):
        when = facts.get(key)
        if isinstance(when, datetime):
            return when.timestamp()
        if isinstance(when, int | float):
            return float(when)
    return time.time()


def _opened(url: str) -> tuple[Any, str]:
    parts = urlsplit(url)
    if parts.password or ("@" in parts.netloc and parts.scheme not in {"sftp", "ssh"}):
        raise ConfigurationError(
            "the name of a store has no password or key in it: it is told to every machine, and logged",
            hint="give them as fsspec's file systems take them: by environment, configuration files or roles",
        )
    try:
        import fsspec

        found: tuple[Any, str] = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise ConfigurationError(
            f"the store {url} needs what is not installed here", details=(str(error),), hint="pip install it"
        ) from error
    except ValueError as error:
        raise ConfigurationError(
            f"there is no kind of store like {url!r}",
            details=(str(error),),
            hint="a directory that all machines have, s3://BUCKET/PATH, sftp://HOST/PATH or what else fsspec knows",
        ) from error
    except _FAILURES as error:
        raise HostError(f"the store {url} cannot be reached", details=(str(error),)) from error
    return found[0], found[1].rstrip("/")


@contextlib.contextmanager
def _locked(path: Path, what: str) -> Iterator[None]:
    lock = FileLock(path)
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say(f"waiting for another process here that fetches {what}")
            lock.acquire(timeout=FETCH_TIMEOUT)
    except Timeout as error:
        raise HostError(f"another process has been fetching {what} for {FETCH_TIMEOUT:g} s") from error
    except OSError as error:
        raise HostError(f"the lock {path} cannot be taken", details=(str(error),), hint="remove it") from error
    try:
        yield
    finally:
        lock.release()


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while some := list(islice(iterator, size)):
        yield some


def _write_at(descriptor: int, content: bytes, offset: int) -> None:
    view = memoryview(content)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
