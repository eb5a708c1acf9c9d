r"""Files over WinRM's standard input: any number in one command, checked by SHA-256 on arrival.

Both guests' receivers read the same stream: for each file a line `<size> <sha256> <path>` ended by a line feed, then
its bytes. They make the folders that are missing, and answer one line `<sha256>  <path>` for each file, of what they
have written.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PureWindowsPath

from harness.guest.command import CommandResult
from harness.guest.errors import TransferError

_HEAD = re.compile(rb"(\d+) ([0-9a-f]{64}) ([^\n]+)\n")


def pack(files: Mapping[str, bytes]) -> bytes:
    """The stream for these files: Windows path -> content."""
    return b"".join(
        f"{len(content)} {sha256(content)} {checked_path(path)}\n".encode() + content for path, content in files.items()
    )


def sent(stream: bytes) -> Iterator[tuple[str, str]]:
    """Path and digest of each file in a stream of `pack`; none of what is no such stream."""
    while (head := _HEAD.match(stream)) is not None:
        yield head[3].decode(errors="replace"), head[2].decode()
        stream = stream[head.end() + int(head[1]) :]


def verify(files: Mapping[str, bytes], result: CommandResult) -> None:
    """Raise TransferError unless the receiver has written every file as it was sent."""
    if not result.ok:
        raise TransferError(f"{_names(files)} could not be sent", details=result.describe())
    require_written({path: sha256(content) for path, content in files.items()}, result)


def require_copied(path: str, digest: str, result: CommandResult) -> None:
    """Raise TransferError unless the guest has copied a file, and what it wrote has this SHA-256."""
    if not result.ok:
        raise TransferError(f"{path} could not be copied", details=result.describe())
    require_written({path: digest}, result)


def require_written(digests: Mapping[str, str], result: CommandResult) -> None:
    """Raise TransferError unless the guest says that it has written every file with its SHA-256."""
    written = dict(_report(result.output))
    for path, digest in digests.items():
        if written.get(path) != digest:
            raise TransferError(
                f"{path} did not arrive as it was sent",
                details=(f"sent:    {digest}", f"arrived: {written.get(path, 'nothing')}", *result.describe()),
            )


def sha256(content: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(content).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _report(text: str) -> Iterable[tuple[str, str]]:
    for line in text.splitlines():
        digest, separator, path = line.strip().partition("  ")
        if separator and len(digest) == 64:
            yield path, digest.lower()


def _names(files: Mapping[str, bytes]) -> str:
    names = [PureWindowsPath(path).name for path in files]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def checked_path(path: str) -> str:
    """A full path of the guest, as it is; TransferError for anything else."""
    if not PureWindowsPath(path).is_absolute() or any(ord(character) < 32 for character in path):
        raise TransferError(f"{path!r} is no full path of the guest", hint=r"a path such as C:\fltlab\file.bin")
    return path
