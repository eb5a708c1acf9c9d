"""The pending rule: what a dispatch routine returns agrees with what becomes of its IRP, as Driver Verifier has it.

STATUS_PENDING is returned exactly for an IRP that was marked pending in the routine's own stack location, and any other
status is the one that the IRP was completed with. A wrong answer does nothing at once; on Windows it is a thread that
never wakes, or one that goes on with an IRP that is gone. Each is reported once for a driver and a major function.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.nt import IrpMajor, NtStatus, status_name

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive

_NAMES = {int(major): major.name for major in IrpMajor}


@dataclass(eq=False, slots=True)
class Dispatch:
    """One call of a driver's dispatch routine. `place` is the IRP and the stack location it was given."""

    place: tuple[int, int]
    function: int
    major: int
    returned: int | None = None
    completed: bool = False
    """Completion has passed its stack location."""
    marked: bool = False
    status: int = 0
    """IoStatus.Status at that time."""


class PendingRule:
    """Watches the dispatch and completion routines of drivers from outside."""

    def __init__(self, kernel: "Executive") -> None:
        self._kernel = kernel
        self.open: dict[tuple[int, int], list[Dispatch]] = {}
        """Those whose stack location has not been completed, by IRP and location."""
        self._told: set[tuple[str, int, str]] = set()

    def enter(self, irp: int, location: int, function: int, major: int) -> Dispatch:
        """A dispatch routine is about to be called."""
        dispatch = Dispatch((irp, location), function, major)
        self.open.setdefault(dispatch.place, []).append(dispatch)
        return dispatch

    def completed(self, irp: int, location: int, *, marked: bool, status: int) -> None:
        """Completion passes a stack location, which those who skipped theirs share."""
        for dispatch in self.open.pop((irp, location), ()):
            dispatch.completed, dispatch.marked, dispatch.status = True, marked, status
            self._judge(dispatch)

    def returned(self, dispatch: Dispatch, status: int) -> None:
        """A dispatch routine has returned."""
        dispatch.returned = status
        if not dispatch.completed and status != NtStatus.PENDING:
            mine = self.open.get(dispatch.place, [])
            if dispatch in mine:
                mine.remove(dispatch)
            text = f"returned {_named(status)} for an IRP that is not completed, instead of STATUS_PENDING"
            self._report(dispatch, text)
            return
        self._judge(dispatch)

    def _judge(self, dispatch: Dispatch) -> None:
        returned = dispatch.returned
        if returned is None or not dispatch.completed:
            return
        if returned == NtStatus.PENDING:
            if not dispatch.marked:
                self._report(dispatch, "returned STATUS_PENDING for an IRP that it has not marked (IoMarkIrpPending)")
        elif dispatch.marked:
            self._report(dispatch, f"marked an IRP pending and returned {_named(returned)} instead of STATUS_PENDING")
        elif returned != dispatch.status:
            text = f"returned {_named(returned)} for an IRP that was completed with {_named(dispatch.status)}"
            self._report(dispatch, text)

    def completion_answer(self, routine: int, answer: int) -> None:
        """A completion routine has returned."""
        if answer in (NtStatus.SUCCESS, NtStatus.MORE_PROCESSING_REQUIRED):
            return
        text = (
            f"its completion routine returned {_named(answer)}: it is STATUS_CONTINUE_COMPLETION or"
            " STATUS_MORE_PROCESSING_REQUIRED"
        )
        self._tell(routine, -1, text)

    def _report(self, dispatch: Dispatch, text: str) -> None:
        major = _NAMES.get(dispatch.major, f"0x{dispatch.major:02X}")
        self._tell(dispatch.function, dispatch.major, f"IRP_MJ_{major}: its dispatch routine {text}")

    def _tell(self, address: int, major: int, text: str) -> None:
        image = self._kernel.images.once_at(address)
        driver = image.name if image is not None else None
        key = (driver or "", major, text)
        if key not in self._told:
            self._told.add(key)
            self._kernel.verifier.report(None, driver, text)


def _named(status: int) -> str:
    return status_name(status & 0xFFFF_FFFF)
