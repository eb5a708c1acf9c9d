"""FltGetContextsEx and its kin: contexts of all types at once, in a structure that says how long it is."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import FLTMGR, U16, export
from harness.reference.windows.fltmgr import contexts
from harness.reference.windows.fltmgr.context_exports import flt_get_contexts, flt_release_contexts
from harness.reference.windows.fltmgr.contexts import context_at
from harness.reference.windows.fltmgr.data_scans import flt_get_section_context
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_SIZE, _SECTION_OFFSET, _SECTION = 56, 48, 0x40


@export(FLTMGR, "FltGetContextsEx", max_irql=Irql.APC)
def flt_get_contexts_ex(k: "Kernel", objects: int, wanted: U16, size: int, out: int) -> int:
    """FltGetContextsEx: FLT_RELATED_CONTEXTS_EX, those that are not there NULL."""
    if size != _SIZE:
        return int(NtStatus.INVALID_PARAMETER)
    flt_get_contexts(k, objects, wanted, out)
    k.memory.write_u64(out + _SECTION_OFFSET, 0)
    if wanted & _SECTION:
        instance, file = k.memory.read_u64(objects + 24), k.memory.read_u64(objects + 32)
        flt_get_section_context(k, instance, file, out + _SECTION_OFFSET)
    return int(NtStatus.SUCCESS)


@export(FLTMGR, "FltReleaseContextsEx", max_irql=Irql.APC)
def flt_release_contexts_ex(k: "Kernel", size: int, contexts_at: int) -> Code:
    """FltReleaseContextsEx."""
    yield from flt_release_contexts(k, contexts_at)
    section = k.memory.read_u64(contexts_at + _SECTION_OFFSET) if size >= _SIZE else 0
    if section:
        yield from contexts.release(k, context_at(k, section, "released"))
        k.memory.write_u64(contexts_at + _SECTION_OFFSET, 0)
