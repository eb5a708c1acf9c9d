"""Bug checks: the stop to raise, with the driver that it names."""

from struct import error as StructError  # noqa: N812 - as a class
from typing import TYPE_CHECKING

from harness.nt import BugCheck, Irql
from harness.reference.machine.memory.pagetables import OutOfMemoryError
from harness.reference.machine.stop import MachineStop
from harness.reference.windows.verifier.bug_check_stop import BugCheckKind, BugCheckStop

if TYPE_CHECKING:
    from harness.reference.machine.loader.binding import MissingExport
    from harness.reference.machine.loader.images import ImageTable
    from harness.reference.machine.scheduler.thread import Thread
    from harness.reference.windows.verifier.blame import Blame


_OF_ARGUMENTS = (ValueError, OverflowError, MemoryError, RecursionError, LookupError, StructError)
"""What Python raises at values that are out of every range. In an export that a driver has called that is the driver's:
with right arguments none of our exports raises one.
"""


class BugChecks:
    """Makes stops; the caller raises them."""

    def __init__(self, images: "ImageTable", blame: "Blame") -> None:
        self._images = images
        self._blame = blame

    def stop(
        self,
        code: BugCheck,
        *parameters: int,
        message: str = "",
        rule: str | None = None,
        driver: str | None = None,
        location: str | None = None,
        kind: BugCheckKind = BugCheckKind.DRIVER,
        chain: tuple[str, ...] | None = None,
    ) -> BugCheckStop:
        """KeBugCheckEx. Without `driver` the nearest driver on the current stack is named.

        `chain` are the calls that have led here, if that is not where the kernel is now.
        """
        p1, p2, p3, p4 = (*parameters, 0, 0, 0, 0)[:4]
        where = self._blame.current()
        at_fault = self._blame.driver_in(chain) if chain else None  # of guest code that has stopped, not of a call
        if chain is None:
            chain = self._blame.chain()
        if kind is not BugCheckKind.KERNEL_FAULT:
            caller = where.driver if where.returns_to else None
            driver = driver or at_fault or caller or self._blame.driver_in(chain) or where.driver
        if driver is not None and not any(place.startswith(f"{driver}+") for place in chain):
            chain = self._blame.returned(driver) or chain
        if location is None:
            called = where.location if where.driver and where.returns_to and not at_fault else None
            location = called or (chain[0] if chain else where.location if where.driver else None)
        return BugCheckStop(
            code, (p1, p2, p3, p4), message, driver=driver, rule=rule, kind=kind, location=location, chain=chain
        )

    def kernel_fault(self, error: BaseException, export: str) -> MachineStop:
        """The kernel itself failed: a fault of ours, not of a driver."""
        if isinstance(error, MachineStop):
            return error
        if isinstance(error, OutOfMemoryError):
            where = self._blame.current().driver
            return self.stop(
                BugCheck.NO_PAGES_AVAILABLE,
                message=f"{error}{f', in a call of {export}' if export else ''}",
                kind=BugCheckKind.DRIVER if where else BugCheckKind.KERNEL_FAULT,
            )
        if export and isinstance(error, _OF_ARGUMENTS) and self._blame.current().driver:
            what = f"{type(error).__name__}: {error}"
            return self.stop(
                BugCheck.DRIVER_VERIFIER_DETECTED_VIOLATION,
                message=f"{export} was given arguments that nothing can be done with ({what})",
            )
        return self.stop(
            BugCheck.FLTMGR_FILE_SYSTEM,
            message=f"the reference kernel failed{f' in {export}' if export else ''}: {type(error).__name__}: {error}",
            kind=BugCheckKind.KERNEL_FAULT,
        )

    def missing_export(self, entry: "MissingExport") -> BugCheckStop:
        """A driver called what Windows exports and we do not implement."""
        return self.stop(
            BugCheck.DRIVER_VERIFIER_DETECTED_VIOLATION,
            message=f"{entry.module}!{entry.name} was called, which the reference kernel does not implement",
            kind=BugCheckKind.MISSING_EXPORT,
        )

    def unhandled_exception(
        self, code: int, address: int, parameters: tuple[int, ...], thread: "Thread", irql: int, cause: str
    ) -> BugCheckStop:
        """Nobody handled an exception in kernel mode; `cause` is what is known of it besides, or ""."""
        check = BugCheck.SYSTEM_SERVICE_EXCEPTION
        if irql >= Irql.DISPATCH:
            check = BugCheck.KMODE_EXCEPTION_NOT_HANDLED
        elif thread.system:
            check = BugCheck.SYSTEM_THREAD_EXCEPTION_NOT_HANDLED
        image = self._images.at(address)
        what = self._blame.exception_text(code, parameters)
        return self.stop(
            check,
            code,
            address,
            *parameters[:2],
            message=f"{what} at {self._images.describe(address)}, handled by nobody{cause}",
            driver=image.name if image is not None else None,
            location=image.describe(address) if image is not None else None,
        )

    def dpc_ended_at(self, irql: int) -> BugCheckStop:
        """A DPC routine left the IRQL changed."""
        return self.stop(
            BugCheck.IRQL_UNEXPECTED_VALUE,
            irql,
            message=f"a DPC routine returned at IRQL {irql} instead of DISPATCH_LEVEL",
        )

    def wait_refused(self, what: str, irql: int, *, in_dpc: bool) -> BugCheckStop:
        """A DPC, or a thread at DISPATCH_LEVEL or above, wants to block."""
        if in_dpc:
            return self.stop(BugCheck.IRQL_NOT_LESS_OR_EQUAL, message=f"a DPC waits for {what}")
        return self.stop(
            BugCheck.IRQL_NOT_LESS_OR_EQUAL, 0, irql, message=f"a wait for {what} at IRQL {irql} would block"
        )
