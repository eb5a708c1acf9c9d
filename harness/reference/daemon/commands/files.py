"""Commands about files: type, del, mkdir, dir, and the two that carry bytes over the streams of WinRM."""

import hashlib
import os
import tempfile
from pathlib import Path

from harness.reference.daemon.commands.table import Invocation, command
from harness.reference.daemon.paths import BadPath


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


@command("type")
def type_(call: Invocation) -> int:
    """Print a file, byte for byte."""
    try:
        for path in _paths(call):
            call.command.write("stdout", _local(call, path).read_bytes())
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
    """Take standard input to its end as the content of a file, and print its SHA-256. Half a file is never left."""
    if len(call.words) != 2:
        call.err("usage: fltlab-receive <path>")
        return 87
    digest = hashlib.sha256()
    try:
        path = _local(call, call.words[1])
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".receive-", delete=False) as scratch:
            try:
                while data := call.command.read():
                    digest.update(data)
                    scratch.write(data)
                scratch.flush()
                os.replace(scratch.name, path)  # noqa: PTH105 - the temporary file has a name, not a Path
            except BaseException:
                Path(scratch.name).unlink(missing_ok=True)
                raise
    except (BadPath, OSError) as problem:
        return _complain(call, problem)
    call.out(digest.hexdigest())
    return 0


@command("fltlab-send")
def send(call: Invocation) -> int:
    """Print the SHA-256 of a file and a line end, then its bytes."""
    if len(call.words) != 2:
        call.err("usage: fltlab-send <path>")
        return 87
    try:
        data = _local(call, call.words[1]).read_bytes()
    except (BadPath, OSError) as problem:
        return _complain(call, problem)
    call.out(hashlib.sha256(data).hexdigest())
    call.command.write("stdout", data)
    return 0
