"""What a minifilter may answer: each wrong answer is a finding under its rule, or the bug check the rule names.

Where the documentation says "undefined", the operation goes on as open question OQ-10 suggests.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.nt import BugCheck, CallbackDataFlags, IrpMajor, NtStatus, PostopStatus, PreopStatus, is_error, status_name
from harness.reference.machine.memory.layout import HIGHEST_USER_ADDRESS
from harness.reference.windows.fltmgr.buffers import (
    OPLOCK_CODES,
    buffer_fields,
    control_code,
    length_at,
    note_swap,
    swap_faults,
)
from harness.reference.windows.fltmgr.callback_data import PARAMETER_BLOCK
from harness.reference.windows.io.constants import FileObjectFlags, Minor

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.filter_objects import FilterObjects
    from harness.reference.windows.fltmgr.operation import Operation, Visit

Report = Callable[[str, str], None]
"""Reports a violation: rule and text."""

_CANNOT_FAIL = frozenset({IrpMajor.CLEANUP, IrpMajor.CLOSE})
_MADE_FLAGS = int(
    CallbackDataFlags.IRP_OPERATION
    | CallbackDataFlags.FAST_IO_OPERATION
    | CallbackDataFlags.FS_FILTER_OPERATION
    | CallbackDataFlags.SYSTEM_BUFFER
    | CallbackDataFlags.GENERATED_IO
    | CallbackDataFlags.REISSUED_IO
)
_NEVER_FAST = frozenset({IrpMajor.SHUTDOWN, IrpMajor.VOLUME_MOUNT, IrpMajor.VOLUME_DISMOUNT})
_SYNC_TYPE_CREATE_SECTION = 1
"""SyncTypeCreateSection of FS_FILTER_SECTION_SYNC_TYPE."""
NO_POST_FOR_CALLBACK = 0x66
"""Parameter 1 of bug check 0xF5: a status that asks for a post-operation callback, and none is registered."""


_FILLS = frozenset({IrpMajor.READ, IrpMajor.DIRECTORY_CONTROL})
"""Operations whose buffer, without a system buffer, is for what comes back."""


class Checks:
    """Looks at what callbacks return and at what they leave in the callback data."""

    def __init__(self, objects: "FilterObjects") -> None:
        self._objects = objects
        self._kernel = objects.kernel

    def irql_unchanged(self, visit: "Visit", irql: int, which: str) -> None:
        """A callback returns at the IRQL at which it was called."""
        if self._kernel.irql != irql:
            self._kernel.bugcheck(
                BugCheck.IRQL_UNEXPECTED_VALUE,
                self._kernel.irql,
                irql,
                message=f"a {which}operation callback was called at IRQL {irql} and returned at {self._kernel.irql}",
                driver=visit.instance.filter.name,
            )

    def data_intact(self, operation: "Operation", visit: "Visit") -> None:
        """What of the callback data and the related objects is the filter manager's is as it was; else it is again."""
        view, request = operation.view, operation.request
        ours = (int(operation.made_flags), request.thread.kthread, operation.iopb, request.mode)
        found = (view.flags & _MADE_FLAGS, view.thread, view.iopb, view.requestor_mode)
        destroyed = "the callback data" if found != ours else ""
        if found != ours:
            view.flags = view.flags & int(CallbackDataFlags.DIRTY | CallbackDataFlags.POST_OPERATION) | ours[0]
            view.thread, view.iopb, view.requestor_mode = ours[1:]
        if not operation.has_related_objects(visit):
            destroyed = f"{destroyed} and FltObjects" if destroyed else "FltObjects"
        if destroyed:
            text = f"{operation.describe()}: changed what of {destroyed} is the filter manager's"
            self._kernel.verifier.report("PARM-04", visit.instance.filter.name, text)

    def overtaken_answer(self, operation: "Operation", visit: "Visit", answer: int, context: int) -> None:
        """What a pre-operation callback returned whose operation had been resumed by then: it may only be PENDING."""
        if answer == PreopStatus.PENDING:
            self.pending_context(operation, visit, context)
            return
        text = f"resumed an operation and then answered {answer} from the preoperation callback"
        self._kernel.verifier.report("PRE-PEND-02", visit.instance.filter.name, text)

    def pre_answer(self, operation: "Operation", visit: "Visit", answer: int, context: int) -> PreopStatus:
        """What a pre-operation callback's answer is taken for."""
        driver = visit.instance.filter.name

        def report(rule: str, text: str) -> None:
            self._kernel.verifier.report(rule, driver, f"{operation.describe()}: {text}")

        try:
            status = PreopStatus(answer)
        except ValueError:
            report("PRE-PASS-07", f"the preoperation callback returned {answer}, which is no FLT_PREOP_CALLBACK_STATUS")
            return PreopStatus.SUCCESS_NO_CALLBACK
        self._check_io_status(operation, status, report)
        if status in (PreopStatus.SUCCESS_WITH_CALLBACK, PreopStatus.SYNCHRONIZE):
            self._check_has_post(operation, visit, status)
            self._check_synchronize(operation, status, report)
            return status
        if context and status is PreopStatus.SUCCESS_NO_CALLBACK:
            report("PRE-PASS-02", f"returned SUCCESS_NO_CALLBACK and left {context:#x} as completion context")
        if status is PreopStatus.COMPLETE:
            if context:
                report("PRE-COMP-08", f"completed the operation and left {context:#x} as completion context")
            self.completion(operation, visit)
        elif status is PreopStatus.PENDING:
            return self._pending(operation, visit, context)
        elif status is PreopStatus.DISALLOW_FASTIO:
            if operation.request.kind != 2 or operation.request.major in _NEVER_FAST:
                report("PRE-FIO-05", "returned DISALLOW_FASTIO for what is no fast I/O operation")
                return PreopStatus.SUCCESS_NO_CALLBACK
        elif status is PreopStatus.DISALLOW_FSFILTER_IO and operation.request.major != IrpMajor.QUERY_OPEN:
            report("PRE-FIO-08", "returned DISALLOW_FSFILTER_IO for another operation than QueryOpen")
            return PreopStatus.SUCCESS_NO_CALLBACK
        return status

    def _check_io_status(self, operation: "Operation", status: PreopStatus, report: Report) -> None:
        if status in (PreopStatus.COMPLETE, PreopStatus.PENDING) or not operation.unset_status:
            return
        if status is PreopStatus.DISALLOW_FASTIO:
            if operation.status != operation.unset_status:
                report("PRE-FIO-03", f"disallowed fast I/O and stored {status_name(operation.status)} in IoStatus")
            return
        if operation.status != operation.unset_status:
            report(
                "PRE-COMP-12", f"stored {status_name(operation.status)} in IoStatus without completing the operation"
            )

    def _check_has_post(self, operation: "Operation", visit: "Visit", status: PreopStatus) -> None:
        if visit.callbacks.post:
            return
        self._kernel.bugcheck(
            BugCheck.FLTMGR_FILE_SYSTEM,
            NO_POST_FOR_CALLBACK,
            operation.data,
            visit.instance.address,
            int(status),
            message=f"{operation.describe()}: the preoperation callback returned {status.name}, but no postoperation"
            " callback is registered for this type of operation",
            rule="PRE-PASS-05",
            driver=visit.instance.filter.name,
        )

    def _check_synchronize(self, operation: "Operation", status: PreopStatus, report: Report) -> None:
        if status is not PreopStatus.SYNCHRONIZE or not operation.is_irp:
            return
        request = operation.request
        if request.major in (IrpMajor.READ, IrpMajor.WRITE) and not request.synchronous:
            report("PRE-SYNC-07", "returned SYNCHRONIZE for an asynchronous read or write")
        notify = request.major == IrpMajor.DIRECTORY_CONTROL and request.minor == Minor.NOTIFY_CHANGE_DIRECTORY
        oplock = (
            request.major == IrpMajor.FILE_SYSTEM_CONTROL
            and request.minor == Minor.USER_FS_REQUEST
            and control_code(request) in OPLOCK_CODES
        )
        if notify or oplock or request.major == IrpMajor.LOCK_CONTROL:
            report("PRE-SYNC-08", "returned SYNCHRONIZE for an operation that may wait without limit")

    def pending_context(self, operation: "Operation", visit: "Visit", context: int) -> None:
        """What may be in the slot when a pre-operation callback returns PENDING: nothing (OQ-07)."""
        if context and self._kernel.policy["pending-context"] == "report":
            driver = visit.instance.filter.name
            self._kernel.verifier.report(
                "PRE-PEND-04", driver, f"{operation.describe()}: returned PENDING and left {context:#x} as context"
            )

    def _pending(self, operation: "Operation", visit: "Visit", context: int) -> PreopStatus:
        driver = visit.instance.filter.name
        if not operation.is_irp:
            self._kernel.bugcheck(
                BugCheck.DRIVER_VERIFIER_DETECTED_VIOLATION,
                operation.data,
                int(PreopStatus.PENDING),
                message=f"{operation.describe()}: the preoperation callback returned PENDING for an operation that is"
                " not IRP-based",
                rule="PRE-PEND-03",
                driver=driver,
            )
        self.pending_context(operation, visit, context)
        return PreopStatus.PENDING

    def completion(self, operation: "Operation", visit: "Visit", unset_breaks: str = "PRE-COMP-02") -> None:
        """The status a filter completes with, at once or at the resume of a pended operation (PRE-COMP-10)."""
        driver = visit.instance.filter.name
        status = operation.status

        def report(rule: str, text: str) -> None:
            self._kernel.verifier.report(rule, driver, f"{operation.describe()}: {text}")

        if operation.unset_status and status == operation.unset_status:
            report(unset_breaks, "completed the operation without storing a status in IoStatus.Status")
            if operation.request.major in _CANNOT_FAIL:
                report("PRE-COMP-07", "completed cleanup or close without STATUS_SUCCESS")
            return
        if status == NtStatus.PENDING:
            report("PRE-COMP-05", "completed the operation with STATUS_PENDING")
            operation.completed_pending = driver
        if status == NtStatus.FLT_DISALLOW_FAST_IO:
            report("PRE-COMP-06", "completed the operation with STATUS_FLT_DISALLOW_FAST_IO")
        if operation.request.major in _CANNOT_FAIL:
            strict = self._kernel.policy["cleanup-close-status"] == "strict"
            if (strict and status != NtStatus.SUCCESS) or status & 0x8000_0000:
                report("PRE-COMP-07", f"completed {operation.request.name} with {status_name(status)}")
        if operation.request.major == IrpMajor.ACQUIRE_FOR_SECTION_SYNCHRONIZATION and is_error(status):
            creates = int.from_bytes(operation.request.parameters[:4], "little") == _SYNC_TYPE_CREATE_SECTION
            if not creates or status != NtStatus.INSUFFICIENT_RESOURCES:
                report("PRE-COMP-13", f"failed the acquire for section synchronization with {status_name(status)}")
        if operation.unset_status and operation.information == 0xCCCC_CCCC_CCCC_CCCC:
            if not is_error(status):
                report("PRE-COMP-11", f"completed with {status_name(status)} without storing IoStatus.Information")
            operation.set_io_status(status, 0)
        self.beyond_the_buffer(operation, driver)

    def beyond_the_buffer(self, operation: "Operation", driver: str | None) -> None:
        """Information says how much has been transferred, which the buffer must have had room for."""
        at, information = length_at(operation), operation.information
        if at is None or is_error(operation.status):
            return
        length = self._kernel.memory.read_u32(at)
        if information > length:
            text = f"stored {information} in IoStatus.Information, and the buffer has {length} bytes"
            self._kernel.verifier.report(None, driver, f"{operation.describe()}: {text}")

    def resume_status(self, operation: "Operation", visit: "Visit", answer: int, context: int) -> PreopStatus:
        """What FltCompletePendedPreOperation was given."""
        driver = visit.instance.filter.name
        allowed = (PreopStatus.SUCCESS_WITH_CALLBACK, PreopStatus.SUCCESS_NO_CALLBACK, PreopStatus.COMPLETE)
        if answer not in [int(status) for status in allowed]:
            accept = answer == PreopStatus.SYNCHRONIZE and self._kernel.policy["resume-synchronize"] == "accept"
            if not accept:
                self._kernel.verifier.report(
                    "PRE-PEND-08", driver, f"{operation.describe()}: resumed with status {answer}, which is not allowed"
                )
            if answer == PreopStatus.SYNCHRONIZE and visit.callbacks.post:
                return PreopStatus.SUCCESS_WITH_CALLBACK
            return PreopStatus.SUCCESS_NO_CALLBACK
        status = PreopStatus(answer)
        if status is PreopStatus.SUCCESS_WITH_CALLBACK:
            self._check_has_post(operation, visit, status)
        elif context:
            self._kernel.verifier.report(
                "PRE-PEND-09", driver, f"{operation.describe()}: resumed with {status.name} and context {context:#x}"
            )
        if status is PreopStatus.COMPLETE:
            self.completion(operation, visit, "PRE-COMP-10")
        return status

    def buffer_of_another_process(self, operation: "Operation", visit: "Visit") -> None:
        """A pended operation goes on in this thread: the requester's buffer must be in reach here, or locked."""
        buffer = self._unlocked_elsewhere(operation)
        if buffer:
            text = f"resumed in another process with the requester's buffer at {buffer:#x}, unlocked"
            self._kernel.verifier.report("PRE-PEND-15", visit.instance.filter.name, f"{operation.describe()}: {text}")

    def filled_in_another_process(self, operation: "Operation", visit: "Visit") -> None:
        """A pended operation is completed in this thread, with what has been put into the requester's buffer.

        There is one address space here, so that it arrives; on Windows the address is another process's. Nothing is
        said of a filter that has locked it with an MDL of its own, or has attached to the requester.
        """
        request = operation.request
        if request.major not in _FILLS or is_error(operation.status) or not operation.information:
            return
        buffer, verifier = self._unlocked_elsewhere(operation), self._kernel.verifier
        attached = request.thread.process.eprocess in verifier.attached_to
        if buffer and buffer not in verifier.locked_by_drivers and not attached:
            what = f"completed in another process with {operation.information} bytes for the requester's buffer"
            text = f"{operation.describe()}: {what} at {buffer:#x}, which was never locked"
            verifier.report("PRE-PEND-15", visit.instance.filter.name, text)

    def _unlocked_elsewhere(self, operation: "Operation") -> int:
        """The requester's buffer, if it is a program's, has no MDL, and another process is the current one; else 0."""
        fields, request = buffer_fields(operation), operation.request
        if fields is None or request.system_buffer or not request.mode:
            return 0
        if self._kernel.current.process is request.thread.process:
            return 0
        buffer_at, mdl_at, length_at = fields
        buffer = self._kernel.memory.read_u64(buffer_at)
        locked = self._kernel.memory.read_u64(mdl_at) or not self._kernel.memory.read_u32(length_at)
        return 0 if locked or buffer > HIGHEST_USER_ADDRESS else buffer

    def post_answer(self, operation: "Operation", visit: "Visit", answer: int) -> PostopStatus:
        """What a post-operation callback's answer is taken for."""
        status_before = visit.status_before
        driver = visit.instance.filter.name
        if is_error(operation.status) and not is_error(status_before) and operation.information:
            what = f"turned {status_name(status_before)} into {status_name(operation.status)}"
            text = f"{operation.describe()}: {what} and left {operation.information} in IoStatus.Information"
            self._kernel.verifier.report("POST-FAIL-01", driver, text)
        if operation.information != visit.information_before:
            self.beyond_the_buffer(operation, driver)
        if answer == PostopStatus.MORE_PROCESSING_REQUIRED:
            if not operation.is_irp:
                self._kernel.bugcheck(
                    BugCheck.DRIVER_VERIFIER_DETECTED_VIOLATION,
                    operation.data,
                    answer,
                    message=f"{operation.describe()}: the postoperation callback returned MORE_PROCESSING_REQUIRED"
                    " for an operation that is not IRP-based",
                    rule="POST-PEND-02",
                    driver=driver,
                )
            return PostopStatus.MORE_PROCESSING_REQUIRED
        if answer == PostopStatus.DISALLOW_FSFILTER_IO:
            if operation.request.major == IrpMajor.QUERY_OPEN:
                return PostopStatus.DISALLOW_FSFILTER_IO
            self._kernel.verifier.report("PRE-FIO-08", driver, f"{operation.describe()}: DISALLOW_FSFILTER_IO in post")
        elif answer != PostopStatus.FINISHED_PROCESSING:
            self._kernel.verifier.report(
                None,
                driver,
                f"{operation.describe()}: the postoperation callback returned {answer}, which is no status",
            )
        if operation.status == NtStatus.FLT_DISALLOW_FAST_IO and operation.is_irp:
            self._kernel.verifier.report(
                "PRE-COMP-06", driver, f"{operation.describe()}: post stored FLT_DISALLOW_FAST_IO"
            )
        return PostopStatus.FINISHED_PROCESSING

    def failed_create(self, operation: "Operation", visit: "Visit") -> None:
        """A filter is done with a create in post: one that it fails it has to undo below (POST-FAIL-02)."""
        request = operation.request
        if request.major != IrpMajor.CREATE or not is_error(operation.status) or is_error(visit.status_before):
            return
        if visit.status_before == NtStatus.REPARSE or request.file is None:
            return
        if not request.file.flags & FileObjectFlags.FILE_OPEN_CANCELLED:
            text = f"failed with {status_name(operation.status)} in post without FltCancelFileOpen: it stays open below"
            self._kernel.verifier.report("POST-FAIL-02", visit.instance.filter.name, f"{operation.describe()}: {text}")

    def drain_answer(self, operation: "Operation", visit: "Visit", answer: int, changed: bool) -> None:
        """A draining post-operation callback may only clean up."""
        if changed:
            text = f"{operation.describe()}: a draining postoperation callback changed IoStatus or parameters"
            self._kernel.verifier.report("DRAIN-02", visit.instance.filter.name, text)
        if answer != PostopStatus.FINISHED_PROCESSING:
            self._kernel.verifier.report(
                "DRAIN-02",
                visit.instance.filter.name,
                f"{operation.describe()}: a draining postoperation callback returned {answer}",
            )

    def _changed_parameters(self, operation: "Operation", visit: "Visit", now: bytes) -> None:
        """What a filter changed and marked: not everything may be changed."""
        driver = visit.instance.filter.name
        before = PARAMETER_BLOCK.unpack(visit.parameters)
        after = PARAMETER_BLOCK.unpack(now)
        if before[1] != after[1] or before[4] != after[4]:
            self._kernel.verifier.report(
                "PARM-04", driver, f"{operation.describe()}: changed MajorFunction or a reserved field to {after[1]:#x}"
            )
        if before[6] != after[6]:
            target = self._objects.instances.get(after[6])
            if (
                target is None
                or target.filter is not visit.instance.filter
                or target.altitude != visit.instance.altitude
            ):
                self._kernel.verifier.report(
                    "PARM-05", driver, f"{operation.describe()}: TargetInstance names no instance of its own altitude"
                )
        if before[5] != after[5]:
            file = self._objects.io.file_at(after[5])
            target = self._objects.instances.get(after[6])
            if file is None or (target is not None and file.volume is not target.volume):
                self._kernel.verifier.report(
                    "PARM-06",
                    driver,
                    f"{operation.describe()}: TargetFileObject is of another volume, or no file object",
                )
            if file is None:  # nobody below could do anything with it
                after = (*after[:5], before[5], *after[6:])
        operation.write_parameters(PARAMETER_BLOCK.pack(after[0], before[1], *after[2:4], before[4], *after[5:]))

    def settle_parameters(self, operation: "Operation", visit: "Visit", status: PreopStatus) -> None:
        """Keep what the filter changed and marked; take back what it did not mark (PARM-03)."""
        now = operation.read_parameters()
        if now == visit.parameters:
            return
        if operation.view.flags & CallbackDataFlags.DIRTY:
            self._changed_parameters(operation, visit, now)
            note_swap(operation, visit)
            for rule, text in swap_faults(self._kernel, operation, visit, status):
                self._kernel.verifier.report(rule, visit.instance.filter.name, f"{operation.describe()}: {text}")
        else:
            self._unmarked_parameters(operation, visit, status)
            operation.write_parameters(visit.parameters)
        operation.set_flags(remove=CallbackDataFlags.DIRTY)

    def _unmarked_parameters(self, operation: "Operation", visit: "Visit", status: PreopStatus) -> None:
        """What a filter changed and did not mark is ignored; where it ends the operation itself, nobody minds."""
        if status in (PreopStatus.COMPLETE, PreopStatus.DISALLOW_FASTIO, PreopStatus.DISALLOW_FSFILTER_IO):
            return
        self._kernel.verifier.report(
            "PARM-03",
            visit.instance.filter.name,
            f"changed the parameters of {operation.describe()} without FltSetCallbackDataDirty: ignored",
        )

    def completed_as_pending(self, operation: "Operation", status: int) -> None:
        """An IRP is never completed with STATUS_PENDING (PRE-COMP-05)."""
        if status == NtStatus.PENDING and operation.is_irp:
            self._kernel.bugcheck(
                BugCheck.DRIVER_VERIFIER_IOMANAGER_VIOLATION,
                6,
                message=f"{operation.describe()}: IofCompleteRequest with STATUS_PENDING in Irp->IoStatus.Status",
                rule="PRE-COMP-05",
                driver=operation.completed_pending,
            )
