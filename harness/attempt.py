"""Running a program of this machine whose answer does not depend on when it is asked.

One that somebody kills has said nothing: a compiler's source is not wrong for it, nor does QEMU lack what it was asked
for. It is run once more; after that the machine is to blame.
"""

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import HostError, ending

BY_SOMEBODY = {-signal.SIGKILL, -signal.SIGTERM}
"""Return codes of programs that did not end by what they were doing; the kernel kills so too, where memory runs out."""


def attempt(command: Sequence[str | Path], **how: Any) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, whatever that is; `how` as subprocess.run has it.

    Raises HostError if the program is killed twice, OSError if it cannot be started, TimeoutExpired if it takes too
    long.
    """
    words = [str(word) for word in command]
    for _ in range(2):
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False, **how)
        if done.returncode not in BY_SOMEBODY:
            return done
    raise HostError(f"{Path(words[0]).name} was {ending(done.returncode)}, twice", details=(" ".join(words)[:200],))
