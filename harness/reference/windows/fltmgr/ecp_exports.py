"""The filter manager's exports for extra create parameters; the lists are in io/extra_create_parameters.py."""

from typing import TYPE_CHECKING

from harness.nt import IrpMajor, Irql, NtStatus
from harness.reference.machine.loader.exports import FLTMGR, U32, export
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_LOOKASIDE_TAG = int.from_bytes(b"FMel", "little")


@export(FLTMGR, "FltAllocateExtraCreateParameterList", max_irql=Irql.APC)
def flt_allocate_extra_create_parameter_list(k: "Kernel", filter_: int, flags: U32, out: int) -> int:
    """FltAllocateExtraCreateParameterList."""
    del flags
    k.flt.filter_at(filter_)
    return k.io.ecps.allocate_list(out)


@export(FLTMGR, "FltFreeExtraCreateParameterList", max_irql=Irql.APC)
def flt_free_extra_create_parameter_list(k: "Kernel", filter_: int, ecp_list: int) -> Code:
    """FltFreeExtraCreateParameterList: and all parameters in it."""
    k.flt.filter_at(filter_)
    yield from k.io.ecps.free_list(ecp_list)


@export(FLTMGR, "FltAllocateExtraCreateParameter", max_irql=Irql.APC)
def flt_allocate_extra_create_parameter(
    k: "Kernel", filter_: int, kind: int, size: U32, flags: U32, cleanup: int, tag: U32, out: int
) -> int:
    """FltAllocateExtraCreateParameter: a zeroed context of `size` bytes, in no list yet."""
    del flags
    k.flt.filter_at(filter_)
    return k.io.ecps.allocate(kind, size, cleanup, tag, out)


@export(FLTMGR, "FltInitExtraCreateParameterLookasideList", max_irql=Irql.APC)
def flt_init_extra_create_parameter_lookaside_list(
    k: "Kernel", filter_: int, lookaside: int, flags: U32, size: int, tag: U32
) -> None:
    """FltInitExtraCreateParameterLookasideList."""
    del flags, tag
    k.flt.filter_at(filter_)
    k.memory.write(lookaside, size.to_bytes(8, "little"))


@export(FLTMGR, "FltDeleteExtraCreateParameterLookasideList", max_irql=Irql.APC)
def flt_delete_extra_create_parameter_lookaside_list(k: "Kernel", filter_: int, lookaside: int, flags: U32) -> None:
    """FltDeleteExtraCreateParameterLookasideList: of a filter that has been unregistered, too.

    Before that, creates may still hold what came from the list; the page says that Filter names the caller as long as
    it is loaded.
    """
    del flags, filter_
    k.memory.write(lookaside, bytes(8))


@export(FLTMGR, "FltAllocateExtraCreateParameterFromLookasideList", max_irql=Irql.APC)
def flt_allocate_extra_create_parameter_from_lookaside_list(
    k: "Kernel", filter_: int, kind: int, size: U32, flags: U32, cleanup: int, lookaside: int, out: int
) -> int:
    """FltAllocateExtraCreateParameterFromLookasideList."""
    k.memory.read(lookaside, 8)
    return flt_allocate_extra_create_parameter(k, filter_, kind, size, flags, cleanup, _LOOKASIDE_TAG, out)


@export(FLTMGR, "FltFreeExtraCreateParameter", max_irql=Irql.APC)
def flt_free_extra_create_parameter(k: "Kernel", filter_: int, context: int) -> Code:
    """FltFreeExtraCreateParameter: of one that is in no list."""
    k.flt.filter_at(filter_)
    yield from k.io.ecps.free(context)


@export(FLTMGR, "FltInsertExtraCreateParameter", max_irql=Irql.APC)
def flt_insert_extra_create_parameter(k: "Kernel", filter_: int, ecp_list: int, context: int) -> int:
    """FltInsertExtraCreateParameter: one of each kind."""
    k.flt.filter_at(filter_)
    return k.io.ecps.insert(ecp_list, context)


@export(FLTMGR, "FltFindExtraCreateParameter", max_irql=Irql.APC)
def flt_find_extra_create_parameter(
    k: "Kernel", filter_: int, ecp_list: int, kind: int, out: int, size_out: int
) -> int:
    """FltFindExtraCreateParameter."""
    k.flt.filter_at(filter_)
    return k.io.ecps.tell(ecp_list, kind, out, size_out)


@export(FLTMGR, "FltRemoveExtraCreateParameter", max_irql=Irql.APC)
def flt_remove_extra_create_parameter(
    k: "Kernel", filter_: int, ecp_list: int, kind: int, out: int, size_out: int
) -> int:
    """FltRemoveExtraCreateParameter: it is the caller's again."""
    k.flt.filter_at(filter_)
    return k.io.ecps.remove(ecp_list, kind, out, size_out)


@export(FLTMGR, "FltGetNextExtraCreateParameter", max_irql=Irql.APC)
def flt_get_next_extra_create_parameter(
    k: "Kernel", filter_: int, ecp_list: int, context: int, kind_out: int, next_out: int, size_out: int
) -> int:
    """FltGetNextExtraCreateParameter: behind `context`, or the first."""
    k.flt.filter_at(filter_)
    return k.io.ecps.following(ecp_list, context, kind_out, next_out, size_out)


@export(FLTMGR, "FltAcknowledgeEcp", max_irql=Irql.APC)
def flt_acknowledge_ecp(k: "Kernel", filter_: int, context: int) -> None:
    """FltAcknowledgeEcp: whoever attached it sees that it was understood."""
    k.flt.filter_at(filter_)
    k.io.ecps.acknowledge(context)


@export(FLTMGR, "FltIsEcpAcknowledged", max_irql=Irql.APC)
def flt_is_ecp_acknowledged(k: "Kernel", filter_: int, context: int) -> bool:
    """FltIsEcpAcknowledged."""
    k.flt.filter_at(filter_)
    return k.io.ecps.is_acknowledged(context)


@export(FLTMGR, "FltIsEcpFromUserMode", max_irql=Irql.APC)
def flt_is_ecp_from_user_mode(k: "Kernel", filter_: int, context: int) -> bool:
    """FltIsEcpFromUserMode."""
    k.flt.filter_at(filter_)
    return k.io.ecps.is_from_user(context)


@export(FLTMGR, "FltPrepareToReuseEcp", max_irql=Irql.APC)
def flt_prepare_to_reuse_ecp(k: "Kernel", filter_: int, context: int) -> None:
    """FltPrepareToReuseEcp: not acknowledged any more."""
    k.flt.filter_at(filter_)
    k.io.ecps.acknowledge(context, acknowledged=False)


@export(FLTMGR, "FltGetEcpListFromCallbackData", max_irql=Irql.APC)
def flt_get_ecp_list_from_callback_data(k: "Kernel", filter_: int, data: int, out: int) -> int:
    """FltGetEcpListFromCallbackData: NULL where there is none."""
    k.flt.filter_at(filter_)
    request = k.flt.operation_at(data).request
    k.memory.write_u64(out, 0)
    if request.major != IrpMajor.CREATE:
        return int(NtStatus.INVALID_PARAMETER)
    k.memory.write_u64(out, request.ecp_list)
    return int(NtStatus.SUCCESS)


@export(FLTMGR, "FltSetEcpListIntoCallbackData", max_irql=Irql.APC)
def flt_set_ecp_list_into_callback_data(k: "Kernel", filter_: int, data: int, ecp_list: int) -> int:
    """FltSetEcpListIntoCallbackData: in a pre-create that has none yet; the filter manager frees it with the create."""
    k.flt.filter_at(filter_)
    request = k.flt.operation_at(data).request
    if request.major != IrpMajor.CREATE or request.ecp_list:
        return int(NtStatus.INVALID_PARAMETER)
    k.io.ecps.give_to_create(ecp_list)
    k.io.irps.set_ecp_list(request, ecp_list, lambda: k.io.ecps.free_list_if_there(ecp_list))
    return int(NtStatus.SUCCESS)
