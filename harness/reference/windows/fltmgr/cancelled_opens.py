"""FltCancelFileOpen: what a post-operation callback may still do to the create."""

from typing import TYPE_CHECKING

from harness.nt import BugCheck, IrpMajor, Irql
from harness.reference.machine.loader.exports import FLTMGR, export
from harness.reference.windows.fltmgr.filters import Instance
from harness.reference.windows.io.constants import FileObjectFlags
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_HANDLE_EXISTS = 0x6A
"""Parameter 1 of bug check 0xF5."""


def _cancel_open(k: "Kernel", instance: Instance, file_object: int) -> Code:
    """Close below the caller what the file system has just opened (POST-FAIL-02)."""
    file = k.io.file_at(file_object)
    driver = instance.filter.name
    if file is None:
        k.verifier.report("POST-FAIL-03", driver, f"FltCancelFileOpen was given {file_object:#x}, no file object")
        return
    if file.flags & FileObjectFlags.HANDLE_CREATED:
        k.bugcheck(
            BugCheck.FLTMGR_FILE_SYSTEM,
            _HANDLE_EXISTS,
            file_object,
            message="FltCancelFileOpen was called for a file object that has a handle",
            rule="POST-FAIL-03",
            driver=driver,
        )
    posting = any(
        operation.post is not None
        and operation.post.instance is instance
        and operation.request.major == IrpMajor.CREATE
        and operation.request.file is file
        for operation in k.flt.operations.values()
    )
    if not posting:
        k.verifier.report(
            "POST-FAIL-03", driver, "FltCancelFileOpen was called outside of a postoperation callback of the create"
        )
        return
    yield from k.flt.operation_services.close_below(instance, file)
    file.add_flags(int(FileObjectFlags.FILE_OPEN_CANCELLED))


@export(FLTMGR, "FltCancelFileOpen", max_irql=Irql.PASSIVE)
def flt_cancel_file_open(k: "Kernel", instance: int, file_object: int) -> Code:
    """FltCancelFileOpen: cleanup below the caller now, close when the file object goes (POST-FAIL-02, OQ-12)."""
    yield from _cancel_open(k, k.flt.instance_at(instance), file_object)
