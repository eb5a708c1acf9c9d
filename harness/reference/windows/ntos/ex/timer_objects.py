"""What ExAllocateTimer gives."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.timers import Timer


@dataclass(slots=True)
class ExecutiveTimer:
    """An allocated timer."""

    address: int
    callback: int
    context: int
    driver: str | None
    timer: "Timer | None" = None
    periodic: bool = False
