"""The states of a guest, and the guard that keeps its methods to the states they make sense in."""

import functools
from collections.abc import Callable
from enum import Enum
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from harness.errors import FltLabError


class GuestState(Enum):
    """What is known of a guest."""

    STARTING = "being started"
    READY = "ready"
    BROKEN = "broken"
    """It panicked, hangs, or does not answer any more; the first cause is raised again by every further use."""
    CLOSED = "closed"


class GuestStateError(FltLabError):
    """A method was called in a state it makes no sense in."""


class HasGuestState(Protocol):
    """Anything with a name, a state, and the cause of it being broken."""

    name: str

    @property
    def state(self) -> GuestState:
        """The present state."""

    @property
    def first_cause(self) -> FltLabError | None:
        """What broke it."""


S = TypeVar("S", bound=HasGuestState)
P = ParamSpec("P")
R = TypeVar("R")


def only_in(*states: GuestState) -> Callable[[Callable[Concatenate[S, P], R]], Callable[Concatenate[S, P], R]]:
    """Let a method run in these states only. A broken guest raises its first cause, others GuestStateError."""

    def decorate(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
        @functools.wraps(method)
        def guarded(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
            if self.state not in states:
                if self.first_cause is not None:
                    raise self.first_cause
                verb: Any = getattr(method, "__name__", "this")
                raise GuestStateError(
                    f"{verb} is not possible: the guest {self.name} is {self.state.value}",
                    details=(f"it must be {' or '.join(state.value for state in states)}",),
                )
            return method(self, *args, **kwargs)

        return guarded

    return decorate
