"""Probes: where instruments look at a run. Whoever wants to observe connects here, and nowhere else.

A probe is a function that is called at its place, whoever listens; nothing on the way asks whether somebody does, but
short cuts that would pass it by (`heard`). What listens must not change the run: it is told, and has no say.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, ParamSpec

if TYPE_CHECKING:
    from harness.reference.machine.loader.exports import Export
    from harness.reference.machine.loader.images import Image
    from harness.reference.machine.scheduler.processor import Processor
    from harness.reference.machine.scheduler.thread import Execution

P = ParamSpec("P")
Part = str | int
"""A piece of a line: text, or a number that is shown in hexadecimal."""
Record = tuple[int, int, tuple[Part, ...]]
"""What happened: time (100 ns), thread, and the parts of the line."""


class Probe(Generic[P]):
    """One place: call it to tell, `connect` to be told."""

    __slots__ = ("_listeners",)

    def __init__(self) -> None:
        self._listeners: tuple[Callable[P, None], ...] = ()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None:
        for listener in self._listeners:
            listener(*args, **kwargs)

    @property
    def heard(self) -> bool:
        """Whether somebody listens."""
        return bool(self._listeners)

    def connect(self, listener: Callable[P, None]) -> Callable[[], None]:
        """Have `listener` told from now on; what is returned disconnects it."""
        self._listeners = (*self._listeners, listener)

        def disconnect() -> None:
            self._listeners = tuple(other for other in self._listeners if other != listener)

        return disconnect


class Probes:
    """All places of a kernel."""

    def __init__(self) -> None:
        self.happened: Probe[[tuple[Part, ...]]] = Probe()
        """The system says what happens, in parts of a line: what the trace is made of."""
        self.noted: Probe[[list[Record]]] = Probe()
        """The same, told later: guest code of our own noted it (cpu/notes.py)."""
        self.called: Probe[[Export, int]] = Probe()
        """An import call has come to Python: the export, and rsp at its entry. Leaves do not come here."""
        self.loaded: Probe[[Image]] = Probe()
        """An image has been brought into memory; nothing of it has run yet."""
        self.switched: Probe[[Processor, Execution]] = Probe()
        """A processor goes on with a thread or a DPC."""
        self.found: Probe[[str | None, str | None, str]] = Probe()
        """The verifier has found something: rule, driver, text."""
