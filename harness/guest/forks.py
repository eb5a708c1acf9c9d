"""The fork trial: an image's guests may be forks once ten forks in a row were what a freshly booted guest is.

One guest is frozen into a template and forked again and again. Each fork must answer, have the host's clock, random
bytes and a boot id that no other had, take files and give them back, and be gone without a trace when it is stopped.

That its VM generation id is new is asked of QEMU, which writes it into the guest's memory when the fork wakes. That the
guest has seen it could only be told by a driver in it; that its random bytes differ is the sign of it.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from harness.errors import FltLabError
from harness.guest.guest import Guest
from harness.guest.selftest import Finding
from harness.host.disk import used_bytes
from harness.machine.machine import Machine
from harness.machine.template_seal import MEMORY, verify
from harness.machine.templates import Template

FORKS = 10
"""How many forks must have been good."""

CLOCK_TOLERANCE = 2.0
"""Seconds by which a fork's clock may lie outside the time in which it was asked."""

GENERATION = "generation-id"
"""The file beside a template with the generation id of the machine that was frozen."""

_FILE = r"C:\fltlab\forktrial.bin"
_SIZE = 65_536
_MIB = 1 << 20


@dataclass(frozen=True)
class Fork:
    """A fork that answers and has its own identity. `seconds` is how long that took."""

    machine: Machine
    guest: Guest
    seconds: float


class Forkable(Protocol):
    """An image whose forks are tried."""

    def template(self) -> Template:
        """A booted guest of it, frozen; `GENERATION` is beside it."""

    def fork(self, template: Template, directory: Path) -> AbstractContextManager[Fork]:
        """A fork with an identity of its own, stopped with the context."""


@dataclass(frozen=True)
class Seen:
    """What was seen of one fork. `late` is how far its clock is ahead of the host's (seconds; 0.0 where it may be)."""

    boot_id: str
    generation: str
    random: bytes
    late: float
    returned: bool = True
    """Whether a file came back as it went in."""

    left: tuple[str, ...] = ()
    """What was left of it after its end."""


def generation_id(machine: Machine) -> str:
    """The generation id that QEMU has given a machine."""
    return str(machine.qmp.execute("query-vm-generation-id")["guid"])


def try_forks(subject: Forkable, directory: Path, forks: int = FORKS) -> Iterator[Finding]:
    """Try forks one after the other; the first that is not as it must be is the last, and says what is different."""
    begin = time.monotonic()
    try:
        template = subject.template()
    except FltLabError as error:
        yield _failed("template", error)
        return
    try:
        yield Finding("template", _template(template, time.monotonic() - begin))
        seen: list[Seen] = []
        for number in range(1, forks + 1):
            finding = _try_one(subject, template, directory / f"fork-{number}", f"fork {number} of {forks}", seen)
            yield finding
            if not finding.ok:
                return
        yield _template_afterwards(template)
    finally:
        template.release()


def difference(one: Seen, before: Sequence[Seen], template_generation: str) -> str:
    """What is wrong with a fork, "" if nothing is; `before` are those that were tried before it, in their order."""
    if abs(one.late) > CLOCK_TOLERANCE:
        return f"its clock is off by {one.late:+.1f} s"
    if not one.returned:
        return f"{_SIZE} bytes went in, and other ones came back"
    if one.generation == template_generation:
        return f"its VM generation id is its template's, {one.generation}"
    for number, other in enumerate(before, start=1):
        if one.random == other.random:
            return f"its 16 random bytes are those of fork {number}: {one.random.hex()}"
        if one.boot_id == other.boot_id:
            return f"its boot id is that of fork {number}: {one.boot_id}"
        if one.generation == other.generation:
            return f"its VM generation id is that of fork {number}: {one.generation}"
    return f"it left behind: {', '.join(one.left)}" if one.left else ""


def _try_one(subject: Forkable, template: Template, directory: Path, title: str, seen: list[Seen]) -> Finding:
    try:
        with subject.fork(template, directory) as fork:
            pid = fork.machine.pid
            found = _look(fork)
    except FltLabError as error:
        return _failed(title, error)
    one = replace(found, left=tuple(_left_behind(fork.machine, pid)))
    wrong = difference(one, seen, template.file(GENERATION).decode())
    seen.append(one)
    measured = f"answered in {fork.seconds:.2f} s, clock {one.late:+.1f} s, generation {one.generation[:8]}"
    return Finding(title, measured, wrong, (f"{one}",))


def _look(fork: Fork) -> Seen:
    """Ask a fork all that it is judged by, while it runs."""
    guest = fork.guest
    before = time.time()
    identity = guest.identity()
    after = time.time()
    content = os.urandom(_SIZE)
    guest.put(content, _FILE)
    returned = guest.get(_FILE)
    fork.machine.check()
    told = before - fork.seconds  # at the earliest: the order to set its clock was under way while it was waited for
    late = round(max(0.0, identity.time - after) or min(0.0, identity.time - told), 2) + 0.0
    return Seen(identity.boot_id, generation_id(fork.machine), identity.random, late, returned == content)


def _left_behind(machine: Machine, pid: int) -> Iterator[str]:
    """What is still there of a machine that has been stopped, but for its logs."""
    if Path(f"/proc/{pid}").exists():
        yield f"process {pid}"
    files = [machine.run_dir / MEMORY]
    files += [disk.overlay(machine.run_dir) for disk in machine.spec.disks if disk.writable]
    files += [file.path(machine.run_dir) for file in machine.spec.firmware_files]
    yield from (str(file) for file in files if file.exists())


def _template(template: Template, seconds: float) -> str:
    kind = "a snapshot, which QEMU loads more slowly" if template.is_snapshot else "frozen"
    return f"{kind}; {seconds:.1f} s, {used_bytes(template.directory) // _MIB} MiB"


def _template_afterwards(template: Template) -> Finding:
    try:
        verify(template.directory, template.key)
    except FltLabError as error:
        return _failed("template afterwards", error)
    return Finding("template afterwards", "as it was made")


def _failed(title: str, error: FltLabError) -> Finding:
    """The finding of something that raised: its message and what was seen are the difference."""
    last = f": {error.details[0]}" if error.details else ""
    return Finding(title, "-", f"{error.message}{last}", error.details, error.hint or "")
