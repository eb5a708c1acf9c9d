"""The states of a machine, and the guard that keeps its methods to the states they make sense in."""

import functools
from collections.abc import Callable
from enum import Enum
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from harness.errors import FltLabError


class MachineState(Enum):
    """What a machine is doing, as far as QEMU tells."""

    NEW = "not started yet"
    STARTING = "being started"
    RUNNING = "running"
    PAUSED = "paused"
    PANICKED = "stopped by a panic of its guest"
    ENDED = "ended"


ALIVE = frozenset({MachineState.STARTING, MachineState.RUNNING, MachineState.PAUSED, MachineState.PANICKED})


class MachineStateError(FltLabError):
    """A method was called in a state it makes no sense in."""


class HasState(Protocol):
    """Anything with a name and a state."""

    name: str

    @property
    def state(self) -> MachineState:
        """The present state."""


S = TypeVar("S", bound=HasState)
P = ParamSpec("P")
R = TypeVar("R")


def only_in(*states: MachineState) -> Callable[[Callable[Concatenate[S, P], R]], Callable[Concatenate[S, P], R]]:
    """Let a method run in these states only; in another it raises MachineStateError."""

    def decorate(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
        @functools.wraps(method)
        def guarded(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
            if self.state not in states:
                verb: Any = getattr(method, "__name__", "this")
                raise MachineStateError(
                    f"{verb} is not possible: the machine {self.name} is {self.state.value}",
                    details=(f"it must be {' or '.join(state.value for state in states)}",),
                )
            return method(self, *args, **kwargs)

        return guarded

    return decorate
