"""A session: an I/O script that grows by one step at a time, for a person who wants to see what each step does.

Handles live as long as the fltprobe that opened them, so a session is its script: each new step runs the whole of it
again in a clean guest, and shows what the new step did. That costs a fork, and makes going back, another seed and a
test of what was typed simple.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.errors import DriverError, FltLabError, TestError
from harness.fleet.drivers import Drivers
from harness.fleet.health import KernelWatch
from harness.fleet.lab import Lab
from harness.fleet.pool import GuestPool, Lease
from harness.fleet.providers import require_guest
from harness.fleet.scene import Scene
from harness.fleet.settings import Settings
from harness.fleet.stack import StackPlan
from harness.fleet.volume import Volume
from harness.guest import Guest
from harness.guest.probe import run_probe
from harness.minifilter.probe import ProbeResult, Step
from harness.minifilter.trace import Trace
from harness.minifilter.tracing import IoRun
from harness.nt import NtStatus

TEST = '''"""What was typed in `fltlab shell`, as a test: it holds the statuses that were seen there."""

import pytest

from fltlab import Lab, NtStatus


@pytest.mark.stack({stack})
def test_as_it_was_typed(lab: Lab):
    io = lab.io(r"""
{script}
    """)

    assert [step.status for step in io.steps] == [
{statuses}
    ]
'''


@dataclass(frozen=True)
class Seen:
    """What the newest step of a session did: its result, the callbacks since it began, what is wrong, if anything."""

    step: Step | None
    trace: Trace | None
    wrong: FltLabError | None = None


class Session:
    """A script on a stack, and the guest in which it ran last."""

    def __init__(self, settings: Settings, stack: str, folder: Path) -> None:
        """Build the drivers of the stack; `folder` takes what guests leave. Nothing runs before the first step.

        ConfigurationError if there is no such guest, or no such driver.
        """
        require_guest(settings.guests[0], settings)
        self.settings = settings
        self.stack = stack
        self.lines: list[str] = []
        self.last: IoRun | None = None
        self._folder = folder
        self._plan = StackPlan.of(stack)
        self._scene = Scene.of(self._plan, Drivers(settings.drivers))
        self._turns = itertools.count(1)
        self._pool = self._new_pool()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pool.close()

    @property
    def labels(self) -> list[str]:
        """The minifilters, from top to bottom."""
        return [entry.label for entry in self._plan.entries]

    def do(self, line: str) -> Seen:
        """Run the script with one more step, and keep the step unless it was refused: what it says makes no sense."""
        seen = self._run([*self.lines, line])
        if seen.step is not None:
            self.lines.append(line)
        return seen

    def undo(self) -> str | None:
        """Forget the newest step; which it was."""
        return self.lines.pop() if self.lines else None

    def again(self, seed: int | None = None) -> Seen | None:
        """Run the script once more, with another seed if one is given; None if nothing was typed yet."""
        if seed is not None:
            self._pool.close()
            self.settings = replace(self.settings, seed=seed)
            self._pool = self._new_pool()
        return self._run(self.lines) if self.lines else None

    def guest(self) -> Guest:
        """The guest in which the script ran last, or a clean one with the stack."""
        return self._leased(next(self._turns) if self.last is None else None).guest

    def as_test(self) -> str:
        """The session as a test of a suite, which holds the statuses of the last run."""
        steps = self.last.result.steps[self.last.asked.prepared :] if self.last is not None else ()
        entries = (word.strip() for word in self.stack.split(","))
        return TEST.format(
            stack=", ".join(f'"{entry}"' for entry in entries if entry),
            script="\n".join(f"        {line}" for line in self.lines),
            statuses="\n".join(f"        {_constant(step.status)}," for step in steps),
        )

    def _run(self, lines: list[str]) -> Seen:
        lease = self._leased(next(self._turns))
        deployed = lease.stack.deploy(self._scene.plan, self._scene.built)

        def probe(script: str) -> tuple[str, ProbeResult]:
            return run_probe(lease.guest, script)

        lab = Lab(deployed.handles, Volume(), probe, KernelWatch(lease).check, [])
        wrong: FltLabError | None = None
        try:
            lab.io("\n".join(lines))
        except (DriverError, TestError) as error:
            wrong = error
        lease.spoiled |= wrong is not None
        if not lab.history or lab.history[-1].result.error is not None:
            return Seen(None, None, wrong)
        self.last = lab.history[-1]
        return self._seen(self.last, wrong)

    def _seen(self, io: IoRun, wrong: FltLabError | None) -> Seen:
        steps = io.result.steps[io.asked.prepared :]
        if not steps:
            return Seen(None, None, wrong)
        newest = max(steps, key=lambda step: step.line)
        return Seen(newest, Trace.of(io.result, self.labels, since=newest.begin), wrong)

    def _leased(self, turn: int | None) -> Lease:
        """The guest of a turn, which is a clean one; or the guest of the last turn."""
        if turn is not None:
            self._turn = turn
        return self._pool.lease(self.settings.guests[0], f"step {self._turn}", self._scene)

    def _new_pool(self) -> GuestPool:
        return GuestPool(self.settings, lambda number, name: self._folder / f"{number}-{name}")


def completions(session: Session, line: str, begin: int) -> Iterator[str]:
    """The words that may stand at the end of a half-typed step, from the grammar of I/O scripts."""
    from harness.minifilter.script_grammar import GRAMMAR

    before, word = line[:begin].split(), line[begin:]
    if before and before[0] == "spawn":
        before = before[2:]
    if not before:
        candidates = [*GRAMMAR]
    else:
        verb = GRAMMAR.get(before[0])
        keys = [f"{key}=" for key in verb.keys] if verb else []
        labelled = before[0] in {"rule", "filter", "release", "expect-held", "expect-events", "attach", "detach"}
        candidates = session.labels if labelled and len(before) == 1 else [*keys, *(verb.words if verb else ())]
    yield from (candidate for candidate in candidates if candidate.startswith(word))


def _constant(status: int) -> str:
    try:
        return f"NtStatus.{NtStatus(status).name}"
    except ValueError:
        return f"0x{status & 0xFFFFFFFF:08X}"
