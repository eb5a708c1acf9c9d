"""The process on a worker in which tests run: pytest with the run's own arguments, told by and by which tests to run.

It outlives a group, so that what was collected and what guests are warm serve the next one. When it dies, the worker
that has started it does not.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from harness.cluster.translation import Translation
from harness.errors import ending
from harness.host.command import tail

MODULE = "harness.plugin.cluster_process"
PATIENCE = 60.0
"""Seconds that it has to end its guests in order."""


class SuiteProcess:
    """A pytest process that waits for tests to run."""

    def __init__(
        self, session: Mapping[str, Any], directory: Path, log: Path, environment: Mapping[str, str], told: Translation
    ) -> None:
        """Start it in `directory`; what it prints goes into `log`, and `told` gives the paths in what it says."""
        reads, writes = os.pipe()
        self._log = log
        self._translation = told
        with log.open("wb") as printed:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", MODULE, str(writes)],
                cwd=directory,
                env={**os.environ, **environment},
                stdin=subprocess.PIPE,
                stdout=printed,
                stderr=subprocess.STDOUT,
                pass_fds=(writes,),
                start_new_session=True,  # Ctrl-C is for the coordinator, which tells us
            )
        os.close(writes)
        self._messages: IO[str] = os.fdopen(reads, encoding="utf-8")
        self._lock = threading.Lock()
        self._tell(session)

    def run(self, tests: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Have tests run: what is said of them, ending with `ended`, or with `died` if the process has."""
        self._tell({"tests": list(tests)})
        for line in self._messages:
            message: dict[str, Any] = json.loads(self._translation.back(line))
            yield message
            if message["kind"] == "ended":
                return
        code = self._process.wait()
        yield {"kind": "died", "how": ending(code), "printed": self.complaint() if code > 0 else []}

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    def complaint(self) -> list[str]:
        """The last lines that it printed."""
        return list(tail(self._log.read_text(encoding="utf-8", errors="replace")))

    def close(self) -> None:
        """Have it end in order."""
        with self._lock, contextlib.suppress(BrokenPipeError):
            assert self._process.stdin is not None
            self._process.stdin.close()

    def end(self) -> None:
        """End it in order, and at once if it takes too long over that."""
        self.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _tell(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        # One that has ended does not listen: whoever reads its messages sees that.
        with self._lock, contextlib.suppress(BrokenPipeError, ValueError):
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()
