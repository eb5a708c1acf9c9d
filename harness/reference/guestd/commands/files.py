"""Commands about files: type, del, mkdir, dir, and the two that carry bytes over the streams of WinRM."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from harness.reference.guestd.commands.table import Invocation, command
from harness.reference.guestd.paths import BadPath

PIECE = 256 * 1024
LINE_LIMIT = 4096


def _paths(call: Invocation) -> list[str]:
    return [word for word in call.words[1:] if not word.startswith("/")]


def _local(call: Invocation, path: str) -> Path:
    return call.guest.drives.local(path, call.command.shell.directory)


def _complain(call: Invocation, problem: BadPath | OSError) -> int:
    """Print what Windows prints, and return 1."""
    if isinstance(problem, FileNotFoundError):
        call.err("The system cannot find the file specified.")
    elif isinstance(problem, OSError):
        call.err(f"{problem.strerror or problem}.")
    else:
        call.err(str(problem))
    return 1


def read_text(call: Invocation, path: str) -> str | None:
    """The text of a file of the guest; None if there is none."""
    try:
        return _local(call, path).read_text(encoding="utf-8")
    except (BadPath, OSError, UnicodeDecodeError):
        return None


def _print(call: Invocation, path: Path) -> None:
    """Print the bytes of a file, in pieces."""
    with path.open("rb") as file:
        while data := file.read(PIECE):
            call.command.write("stdout", data)


@command("type")
def type_(call: Invocation) -> int:
    """Print a file, byte for byte."""
    try:
        for path in _paths(call):
            _print(call, _local(call, path))
    except (BadPath, OSError) as problem:
        return _complain(call, problem)
    return 0


@command("del", "erase")
def delete(call: Invocation) -> int:
    """Delete files; what is not there is no failure, as in cmd."""
    code = 0
    for path in _paths(call):
        try:
            _local(call, path).unlink()
        except FileNotFoundError:
            call.err(f"Could Not Find {path}")
        except (BadPath, OSError) as problem:
            code = _complain(call, problem)
    return code


@command("mkdir", "md")
def mkdir(call: Invocation) -> int:
    """Make directories, with those above them."""
    code = 0
    for path in _paths(call):
        try:
            _local(call, path).mkdir(parents=True)
        except FileExistsError:
            call.err(f"A subdirectory or file {path} already exists.")
            code = 1
        except (BadPath, OSError) as problem:
            code = _complain(call, problem)
    return code


@command("dir")
def dir_(call: Invocation) -> int:
    """List a directory: size and name, or with /b names only."""
    bare = "/b" in [word.lower() for word in call.words]
    try:
        place = _local(call, (_paths(call) or [call.command.shell.directory])[0])
        place.lstat()
        entries = sorted(place.iterdir(), key=lambda entry: entry.name.upper()) if place.is_dir() else [place]
        for entry in entries:
            size = "<DIR>" if entry.is_dir() else str(entry.stat().st_size)
            call.out(entry.name if bare else f"{size:>20} {entry.name}")
    except FileNotFoundError:
        call.err("File Not Found")
        return 1
    except (BadPath, OSError) as problem:
        return _complain(call, problem)
    return 0


@command("fltlab-receive")
def receive(call: Invocation) -> int:
    """`fltlab-receive PATH`: standard input becomes the file. `--batch`: see harness/guest/transfer.py.

    Prints SHA-256 and path of what was written. Half a file is never left.
    """
    if len(call.words) != 2:
        call.err("usage: fltlab-receive PATH | --batch")
        return 87
    try:
        if call.words[1] != "--batch":
            _report(call, call.words[1], _store(_local(call, call.words[1]), iter(call.command.read, b"")))
            return 0
        stream = _Stream(call)
        while head := stream.line():
            size, _, path = head.split(" ", 2)
            _report(call, path, _store(_local(call, path), stream.exactly(int(size))))
    except (BadPath, OSError) as problem:
        return _complain(call, problem)
    except (ValueError, UnicodeDecodeError):
        call.err("standard input is not what fltlab-receive --batch reads")
        return 87
    except EOFError:
        call.err("standard input ended in the middle of a file")
        return 38
    return 0


class _Stream:
    """Standard input, read in lines and in pieces of known size."""

    def __init__(self, call: Invocation) -> None:
        self._read = call.command.read
        self._rest = b""

    def line(self) -> str:
        """The next line without its end; an empty one at the end of input."""
        while b"\n" not in self._rest and len(self._rest) < LINE_LIMIT:
            data = self._read()
            if not data:
                break
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode("utf-8")

    def exactly(self, size: int) -> Iterator[bytes]:
        """The next `size` bytes in pieces; EOFError if there are fewer."""
        if size < 0:
            raise ValueError(size)
        while size > 0:
            data = self._rest or self._read()
            if not data:
                raise EOFError
            self._rest = data[size:]
            yield data[:size]
            size -= len(data[:size])


def _store(path: Path, pieces: Iterator[bytes]) -> str:
    """Write a file beside its place and move it there when it is whole; returns its SHA-256."""
    digest = hashlib.sha256()
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".receive-{os.urandom(4).hex()}")
    try:
        with scratch.open("wb") as file:
            for data in pieces:
                digest.update(data)
                file.write(data)
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    return digest.hexdigest()


def _report(call: Invocation, path: str, digest: str) -> None:
    call.out(f"{digest}  {path}")


@command("fltlab-send")
def send(call: Invocation) -> int:
    """Print the bytes of a file and nothing else."""
    if len(call.words) != 2:
        call.err("usage: fltlab-send PATH")
        return 87
    try:
        _print(call, _local(call, call.words[1]))
    except (BadPath, OSError) as problem:
        return _complain(call, problem)
    return 0
