"""Keeping the conversation with guests: every command over WinRM, and what came of it, for a look without the guest.

A recording is a directory: `recording.json` says what was done and which files belong to it, by their SHA-256; in each
`conversation-*.jsonl` a line is one exchange. Passwords are taken out of all that is kept. What goes into a guest is
kept by its digest only, so no driver of a user's is in a recording; what a guest prints is kept as it is.
"""

import base64
import contextlib
import json
import os
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.errors import ConfigurationError, FltLabError
from harness.guest.command import CommandResult
from harness.guest.transfer import file_sha256, sent, sha256

VERSION = 1
HEADER = "recording.json"
PACKED = ".tar.xz"
LONGEST_OUTPUT = 8 << 20
SECRET = b"<secret>"
TEST_VARIABLE = "PYTEST_CURRENT_TEST"


@dataclass(frozen=True)
class Failure:
    """An error that a command ended in: the name of its class, and what it said."""

    kind: str
    message: str
    details: tuple[str, ...] = ()
    code: int = 0


@dataclass(frozen=True)
class Exchange:
    """One command: `at` is the host's time in seconds since 1970, `sent` path and digest of each file that went in.

    A failure stands where there is no exit code. `cut` says that more was printed than is kept.
    """

    guest: str
    test: str
    at: float
    seconds: float
    command: str
    stdin: str | None
    sent: tuple[tuple[str, str], ...]
    exit_code: int
    stdout: bytes
    stderr: bytes
    failure: Failure | None
    cut: bool


def current_test() -> str:
    """The node id of the test that runs in this process; "" outside of the phases of one."""
    return os.environ.get(TEST_VARIABLE, "").partition(" (")[0]


class Recorder:
    """Writes exchanges to one file, from any thread; each line is on the disk when the command has ended."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", encoding="utf-8")
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def exchange(self, guest: str, password: str, command: str, stdin: bytes | None) -> Iterator[list[CommandResult]]:
        """Record what happens inside; the result of the command goes into the list."""
        at, begin, answer = time.time(), time.monotonic(), list[CommandResult]()
        failure: Failure | None = None
        try:
            yield answer
        except FltLabError as error:
            failure = Failure(type(error).__name__, error.message, error.details, int(getattr(error, "code", 0)))
            raise
        finally:
            result = answer[0] if answer else CommandResult(command, 0, b"", b"")
            if answer or failure is not None:
                exchange = Exchange(
                    *(guest, current_test(), at, round(time.monotonic() - begin, 4), command),
                    sha256(stdin) if stdin is not None else None,
                    tuple(sent(stdin or b"")),
                    *(result.exit_code, result.stdout[:LONGEST_OUTPUT], result.stderr[:LONGEST_OUTPUT], failure),
                    cut=len(result.stdout) > LONGEST_OUTPUT,
                )
                self._write(exchange, password)

    def close(self) -> None:
        """Write no more."""
        self._file.close()

    def _write(self, exchange: Exchange, password: str) -> None:
        values = asdict(exchange)
        for name in ("stdout", "stderr"):
            values[name] = _as_text(_without(values[name], password))
        line = _without(json.dumps(values, ensure_ascii=False).encode(), password).decode()
        with self._lock:
            if not self._file.closed:
                self._file.write(f"{line}\n")
                self._file.flush()


def _without(content: bytes, password: str) -> bytes:
    """The content without a password, in each of the forms it may have."""
    if not password:
        return content
    plain = password.encode()
    for form in (plain, password.encode("utf-16-le"), base64.b64encode(plain)):
        content = content.replace(form, SECRET)
    return content


def _as_text(content: bytes) -> str | dict[str, str]:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


# -- the recorder of this process

_recorders: list[Recorder] = []


def recorder() -> Recorder | None:
    """The recorder of this process, None where nothing is recorded."""
    return _recorders[-1] if _recorders else None


@contextlib.contextmanager
def recording(path: Path) -> Iterator[Recorder]:
    """Record every command of this process in a file, while inside."""
    made = Recorder(path)
    _recorders.append(made)
    try:
        yield made
    finally:
        _recorders.remove(made)
        made.close()


# -- a recording


@dataclass(frozen=True)
class Recording:
    """What was kept: `what` was done ("verify" or "run"), how, in which guests (name to kind), and what was said."""

    what: str
    facts: Mapping[str, Any]
    exchanges: Sequence[Exchange]


def begin(directory: Path) -> None:
    """Make the directory of a recording; ConfigurationError if there is something in it."""
    if directory.exists() and any(directory.iterdir()):
        raise ConfigurationError(f"--record {directory} is not empty", hint="--record DIR takes a new directory")
    directory.mkdir(parents=True, exist_ok=True)


def seal(directory: Path, what: str, facts: Mapping[str, Any]) -> Path:
    """Finish a recording: write its header and pack it into one file beside it, which is returned."""
    files = sorted(directory.glob("conversation-*.jsonl"))
    header = {
        "version": VERSION,
        "what": what,
        "facts": facts,
        "files": {path.name: file_sha256(path) for path in files},
    }
    (directory / HEADER).write_text(json.dumps(header, indent=1) + "\n", encoding="utf-8")
    packed = directory.with_name(directory.name + PACKED)
    with tarfile.open(packed, "w:xz") as archive:
        for path in (directory / HEADER, *files):
            archive.add(path, path.name)
    return packed


def read_recording(directory: Path) -> Recording:
    """Read a recording; ConfigurationError where it is none, is damaged, or of another version of fltlab."""
    try:
        header = json.loads((directory / HEADER).read_text(encoding="utf-8"))
        version, what, facts, files = (header[name] for name in ("version", "what", "facts", "files"))
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"{directory} is no recording, or one that was not finished: there is no {HEADER} in it",
            hint="fltlab image verify NAME --record DIR   (or: fltlab run … --record DIR)",
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(directory, HEADER, str(error)) from error
    if version != VERSION:
        raise ConfigurationError(
            f"the recording {directory} is of version {version}, and this fltlab reads version {VERSION}",
            hint="replay it with the fltlab that made it",
        )
    exchanges: list[Exchange] = []
    for name, digest in files.items():
        path = directory / Path(name).name
        if not path.is_file() or file_sha256(path) != digest:
            raise _damaged(directory, name, "it is not what it was when the recording was finished")
        try:
            exchanges += [_exchange(line) for line in path.read_text(encoding="utf-8").splitlines()]
        except (ValueError, KeyError, TypeError) as error:
            raise _damaged(directory, name, str(error)) from error
    return Recording(str(what), facts, exchanges)


@contextlib.contextmanager
def opened(path: Path, scratch: Path) -> Iterator[Path]:
    """The directory of a recording that is given as one, or packed; unpacked into `scratch`."""
    if path.is_dir():
        yield path
        return
    try:
        with tarfile.open(path, "r:xz") as archive:
            archive.extractall(scratch, filter="data")
    except FileNotFoundError as error:
        raise ConfigurationError(f"there is no recording {path}") from error
    except (OSError, EOFError, tarfile.TarError) as error:
        raise _damaged(path.parent, path.name, str(error)) from error
    yield scratch


def _exchange(line: str) -> Exchange:
    values = json.loads(line)
    for name in ("stdout", "stderr"):
        kept = values[name]
        values[name] = base64.b64decode(kept["base64"]) if isinstance(kept, dict) else kept.encode()
    failure = values.pop("failure")
    values["sent"] = tuple((path, digest) for path, digest in values["sent"])
    told = Failure(**{**failure, "details": tuple(failure["details"])}) if failure is not None else None
    return Exchange(**values, failure=told)


def _damaged(directory: Path, name: str, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"the recording {directory} is damaged", details=(f"{name}: {why}",), hint="have it sent or recorded again"
    )
