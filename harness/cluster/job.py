"""What a worker is told of a run: plain data, the same for every worker.

It goes over the scheduler's link to every worker that comes, and is part of no task.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from typing import Any

from harness.shipped import SHIPPED

CODE = ("harness/**/*.py", "suites/**/*.py", "drivers/**/*.[ch]", "drivers/**/*.yaml")
"""What two fltlabs of one version may still differ in, where they are checkouts that somebody works in."""


@dataclass(frozen=True)
class Job:
    """A run, as its workers see it."""

    run: str
    """The id of the run."""
    version: str
    code: str
    """A hash of fltlab's own files; "" where the workers are parts of this very process."""
    session: Mapping[str, Any]
    """What pytest is started with on a worker: plain data, see `harness.plugin.cluster_process`."""
    directory: str
    """Where the command was given."""
    out: str
    """The run's directory."""
    shipped: str = str(SHIPPED)
    """Where fltlab's own suites and drivers are on the machine of the coordinator."""
    delivery: Mapping[str, Any] | None = None
    """What comes from the store (`Delivery.to_data`); None where workers have the files of this machine before them."""
    key: str = field(default="", repr=False)
    """What opens the secrets of images that come from the store (`RunKey.to_text`)."""
    needs_qemu: bool = False
    """Whether a guest of the run is a virtual machine."""
    memory_mib: int = 0
    """What each worker may give to guests; 0: what Dask has set for it."""

    @property
    def topic(self) -> str:
        """Under which name workers tell what they do."""
        return f"fltlab-{self.run}"


def own_version() -> str:
    """The version of this fltlab."""
    return version("fltlab")


@cache
def code_hash() -> str:
    """A hash of fltlab's own files, as they are here."""
    found = hashlib.sha256()
    for pattern in CODE:
        for path in sorted(SHIPPED.glob(pattern)):
            found.update(f"{path.relative_to(SHIPPED)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()
