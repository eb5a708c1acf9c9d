"""Who did what in turn: noted while a schedule is followed, for the words in which a race is told."""

from typing import TYPE_CHECKING

from harness.reference.machine.scheduler.engine import Outcome
from harness.wire.schedule import Turn

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.processor import Processor
    from harness.reference.machine.scheduler.thread import Execution
    from harness.reference.machine.supervisor import Supervisor

_MOST = 400


class Turns:
    """The turns of one run; those of the same thread in a row are one."""

    def __init__(self, supervisor: "Supervisor") -> None:
        self._supervisor = supervisor
        self._turns: list[Turn] = []
        self._actor = ""
        self._who = ""
        self._began: tuple[str, ...] = ()
        self._ended: tuple[str, ...] = ()
        self._passed = ""
        self._how = ""

    def begins(self, actor: str, processor: "Processor") -> None:
        """Somebody goes on, on a processor."""
        if actor == self._actor and self._how != "ended":
            return
        self._keep()
        self._actor, self._who = actor, ""
        if actor.startswith("t"):
            self._who = processor.current.describe()
        else:
            self._who = f"a DPC on processor {processor.number}, in {processor.current.describe()}"
        execution = processor.execution
        self._began = self._supervisor.places_in(execution) if execution is not None and actor[0] == "t" else ()
        self._ended, self._passed, self._how = (), "", ""

    def passed(self, actor: str, place: str) -> None:
        """It is about to do what is at a point of a driver."""
        if actor == self._actor:
            self._passed = place
            self._began = self._began or (place,)

    def ends(
        self, actor: str, processor: "Processor", execution: "Execution", outcome: Outcome, *, interrupted: bool
    ) -> None:
        """It has stopped, if only for a moment."""
        if actor != self._actor:
            return
        if outcome is Outcome.ENDED:
            self._ended, self._how = (self._passed,) if self._passed else (), "ended"
        elif interrupted:
            self._ended, self._how = self._supervisor.places_in(execution), "interrupted"
        else:
            self._ended = self._supervisor.places_in(execution)
            self._how = {Outcome.SPINNING: "waits for a spin lock"}.get(outcome, "went on later")
            thread = processor.thread
            if outcome is Outcome.WAITING and thread is not None and thread.waiting is not None:
                self._how = f"waits for {thread.waiting.describe()}"

    def told(self) -> tuple[Turn, ...]:
        """All turns in which a watched driver was, the last one with where it is now."""
        self._keep()
        return tuple(self._turns)

    def _keep(self) -> None:
        if self._actor and (self._passed or self._how == "interrupted") and len(self._turns) < _MOST:
            ended = self._ended or ((self._passed,) if self._passed else ())
            self._turns.append(Turn(self._who, self._began, ended, self._how))
        self._actor = ""
