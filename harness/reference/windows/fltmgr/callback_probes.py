"""Where instruments see the callbacks of minifilters: when one is entered, when it has returned, what is resumed."""

from typing import TYPE_CHECKING

from harness.reference.machine.probes import Probe

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.filters import Filter
    from harness.reference.windows.fltmgr.operation import Operation, Visit
    from harness.wire.trace import Phase


class CallbackProbes:
    """All such places. Whoever listens must not change the run."""

    def __init__(self) -> None:
        self.entered: Probe[[Operation, Visit, Phase, int, int]] = Probe()
        """A callback is about to be called: completion context, and FLT_POST_OPERATION_FLAGS."""
        self.returned: Probe[[Operation, Visit, Phase, int, int]] = Probe()
        """It has answered: its answer, and the completion context it has left."""
        self.resumed: Probe[[Operation, Visit, Phase, int, int]] = Probe()
        """A pended operation is given back: with which status and completion context."""
        self.lived: Probe[[Filter, int, Phase, int]] = Probe()
        """A callback of a filter's own life has returned: the instance's address or 0, and what it returned."""

    @property
    def heard(self) -> bool:
        """Whether somebody wants to see every callback of an operation."""
        return self.entered.heard or self.returned.heard
