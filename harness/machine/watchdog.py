"""The watchdog: a tiny process that ends what we leave behind when we die, however we die.

It reads orders on a pipe whose other end only this process holds: groups of processes to kill and directories to
remove once the pipe ends. QEMU also has a parent-death signal; the watchdog is for what that does not reach
(a helper of QEMU, scratch directories), and for the moment before the signal is set.
"""

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

_SCRIPT = r"""
groups= ; directories=
while IFS=' ' read -r verb what; do
    case $verb in
        watch) groups="$groups $what " ;;
        release) groups=${groups%% $what *}${groups#* $what } ;;
        scratch) directories="$directories$what
" ;;
        keep) directories=$(printf %s "$directories" | grep -Fxv -- "$what")
              directories=${directories:+$directories
} ;;
    esac
done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
printf %s "$directories" | while IFS= read -r directory; do
    # Who was killed may be writing for a moment yet.
    tries=100
    until rm -rf -- "$directory" || [ $((tries -= 1)) -eq 0 ]; do sleep 0.1; done
done
"""


class Watchdog:
    """The watchdog of one process, started when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: set[str] = set()
        self._directories: set[str] = set()
        self._start()

    def _start(self) -> None:
        read, self._write = os.pipe2(os.O_CLOEXEC)
        try:
            # A session of its own: a Ctrl-C in the terminal is for us, and we end everything in order.
            self.process = subprocess.Popen(
                ["/bin/sh", "-c", _SCRIPT],
                stdin=read,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            )
        finally:
            os.close(read)

    def watch(self, group: int) -> None:
        """Have a group of processes killed when we die."""
        self._order("watch", str(group))

    def release(self, group: int) -> None:
        """Leave a group of processes alone: it has ended."""
        self._order("release", str(group))

    def scratch(self, directory: Path) -> None:
        """Have a directory removed when we die."""
        self._order("scratch", str(directory))

    def keep(self, directory: Path) -> None:
        """Leave a directory alone: it has been removed, or is to be kept."""
        self._order("keep", str(directory))

    @contextlib.contextmanager
    def scratch_directory(self, prefix: str) -> Iterator[Path]:
        """A new directory, gone at the end or when we die, which may be while it is being removed."""
        directory = tempfile.TemporaryDirectory(prefix=prefix)
        path = Path(directory.name)
        self.scratch(path)
        try:
            with directory:
                yield path
        finally:
            self.keep(path)

    def _order(self, verb: str, what: str) -> None:
        if "\n" in what:
            raise ValueError(f"a path with a line break cannot be watched: {what!r}")
        known, adds = {
            "watch": (self._groups, True),
            "release": (self._groups, False),
            "scratch": (self._directories, True),
            "keep": (self._directories, False),
        }[verb]
        with self._lock:
            (known.add if adds else known.discard)(what)
            try:
                os.write(self._write, f"{verb} {what}\n".encode())
            except BrokenPipeError:  # somebody has ended it: another one takes over what it had to watch
                os.close(self._write)
                self.process.wait()
                self._start()
                orders = [f"watch {group}" for group in self._groups]
                orders += [f"scratch {directory}" for directory in self._directories]
                os.write(self._write, "".join(f"{order}\n" for order in orders).encode())


_lock = threading.Lock()
_watchdogs: dict[int, Watchdog] = {}


def watchdog() -> Watchdog:
    """Return this process's watchdog."""
    with _lock:
        owner = os.getpid()
        if owner not in _watchdogs:
            _watchdogs[owner] = Watchdog()
        return _watchdogs[owner]


def kill_group(group: int) -> None:
    """Kill a group of processes that this process started; nothing happens if it has ended."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
