"""Among how many processes `fltlab run` shares the tests out where nobody has said it.

A test is half a process of pytest's and half a kernel's, and each of them waits for the other: one process leaves the
second processor idle. On QEMU a guest is one processor's work, and each process has its own. A few files of tests are
done before a second process has started, and what is typed for somebody who watches (-x, -s, --pdb, -v, …) means one
test after the other, in order, in one process.
"""

import itertools
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.fleet.guest_name import GuestName
from harness.fleet.settings import DEFAULT_GUEST, LOCAL_GUEST
from harness.host.memory import processors

FILES_FOR_EACH = 4
"""Files of tests that are worth the start of a process."""
_HOW_IT_LOOKS = re.compile(r"-q+|-r\w+|--(tb|color|durations|junitxml|verbosity)=.+|--no-header|--no-summary")
"""Options of pytest that say nothing of how tests are run."""


def default_workers(guests: Sequence[str], paths: Sequence[str], for_pytest: Sequence[str]) -> int:
    """How many processes the files of tests at these paths keep busy; 0 where one process is to run them all."""
    ours = all(GuestName.parse(name).image in {DEFAULT_GUEST, LOCAL_GUEST} for name in guests)
    if not (ours and all(map(_HOW_IT_LOOKS.fullmatch, for_pytest))) or "PYTEST_ADDOPTS" in os.environ:
        return 0
    files = set(itertools.chain.from_iterable(_files(Path(path)) for path in paths if "::" not in path))
    workers = min(processors(), len(files) // FILES_FOR_EACH)
    return workers if workers > 1 else 0


def _files(path: Path) -> Iterable[Path]:
    return path.rglob("test_*.py") if path.is_dir() else [path]
