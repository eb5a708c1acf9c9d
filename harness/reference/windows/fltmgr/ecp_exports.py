"""Extra create parameters: lists of them, in callback data and IRPs of a create; Flt and FsRtl on the same lists."""

from typing import TYPE_CHECKING

from harness.nt import IrpMajor, Irql, NtStatus
from harness.reference.machine.loader.exports import FLTMGR, NTOSKRNL, U32, export
from harness.reference.machine.scheduler.requests import Call
from harness.reference.windows.fltmgr.ecp_lists import Ecp, EcpList
from harness.reference.windows.io.request import Code
from harness.reference.windows.ntos.ex.driver_pool import free

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_LIST_SIZE, _LOOKASIDE_SIZE = 0x20, 0x80
_TAG, _LOOKASIDE_TAG = "FMec", int.from_bytes(b"FSel", "little")


def _allocate(k: "Kernel", size: int, tag: str) -> int:
    where = k.blame.current()
    return k.pool.allocate(size, tag, paged=True, zero=True, owner=where.driver, allocated_by=where.address)


def list_at(k: "Kernel", address: int) -> EcpList:
    found = k.flt.ecp_lists.get(address)
    if found is None:
        k.flt.operation_at(address)  # no such object: a bug check
        raise AssertionError
    return found


def parameter_at(k: "Kernel", address: int) -> Ecp | None:
    loose = k.flt.ecps.get(address)
    if loose is not None:
        return loose
    lists = k.flt.ecp_lists.values()
    return next((item for one in lists for item in one.parameters if item.address == address), None)


@export(FLTMGR, "FltAllocateExtraCreateParameterList", max_irql=Irql.APC)
def flt_allocate_extra_create_parameter_list(k: "Kernel", filter_: int, flags: U32, out: int) -> int:
    """FltAllocateExtraCreateParameterList."""
    del flags
    k.flt.filter_at(filter_)
    return allocate_list(k, out)


def allocate_list(k: "Kernel", out: int) -> int:
    """An empty list."""
    address = _allocate(k, _LIST_SIZE, _TAG)
    k.flt.ecp_lists[address] = EcpList(address)
    k.memory.write_u64(out, address)
    return int(NtStatus.SUCCESS)


@export(FLTMGR, "FltFreeExtraCreateParameterList", max_irql=Irql.APC)
def flt_free_extra_create_parameter_list(k: "Kernel", filter_: int, ecp_list: int) -> Code:
    """FltFreeExtraCreateParameterList: and all parameters in it."""
    k.flt.filter_at(filter_)
    yield from free_list(k, ecp_list)


def free_list(k: "Kernel", ecp_list: int) -> Code:
    """A list and what is in it."""
    found = list_at(k, ecp_list)
    for item in found.parameters:
        yield from _free(k, item)
    del k.flt.ecp_lists[ecp_list]
    free(k, ecp_list, None)


def _free(k: "Kernel", item: Ecp) -> Code:
    if item.cleanup:
        kind = k.flt.heap.allocate(16)
        k.memory.write(kind, item.kind)
        yield Call(item.cleanup, item.address, kind)
        k.flt.heap.free(kind)
    free(k, item.address, None)


@export(FLTMGR, "FltAllocateExtraCreateParameter", max_irql=Irql.APC)
def flt_allocate_extra_create_parameter(
    k: "Kernel", filter_: int, kind: int, size: U32, flags: U32, cleanup: int, tag: U32, out: int
) -> int:
    """FltAllocateExtraCreateParameter: a zeroed context of `size` bytes, in no list yet."""
    del flags
    k.flt.filter_at(filter_)
    return allocate_parameter(k, kind, size, cleanup, tag, out)


def allocate_parameter(k: "Kernel", kind: int, size: int, cleanup: int, tag: int, out: int) -> int:
    """A zeroed context, in no list yet."""
    address = _allocate(k, size, tag.to_bytes(4, "little").decode("latin-1"))
    k.flt.ecps[address] = Ecp(address, k.memory.read(kind, 16), size, cleanup)
    k.memory.write_u64(out, address)
    return int(NtStatus.SUCCESS)


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
    """FltDeleteExtraCreateParameterLookasideList."""
    del flags
    k.flt.filter_at(filter_)
    k.memory.write(lookaside, bytes(8))


@export(FLTMGR, "FltAllocateExtraCreateParameterFromLookasideList", max_irql=Irql.APC)
def flt_allocate_extra_create_parameter_from_lookaside_list(
    k: "Kernel", filter_: int, kind: int, size: U32, flags: U32, cleanup: int, lookaside: int, out: int
) -> int:
    """FltAllocateExtraCreateParameterFromLookasideList."""
    k.memory.read(lookaside, 8)
    return flt_allocate_extra_create_parameter(
        k, filter_, kind, size, flags, cleanup, int.from_bytes(b"FMel", "little"), out
    )


@export(FLTMGR, "FltFreeExtraCreateParameter", max_irql=Irql.APC)
def flt_free_extra_create_parameter(k: "Kernel", filter_: int, context: int) -> Code:
    """FltFreeExtraCreateParameter: of one that is in no list."""
    k.flt.filter_at(filter_)
    yield from free_parameter(k, context)


def free_parameter(k: "Kernel", context: int) -> Code:
    """One that is in no list."""
    item = k.flt.ecps.pop(context, None)
    if item is None:
        k.verifier.report(None, k.blame.current().driver, f"{context:#x} is freed as an ECP, and is none or in a list")
        return
    yield from _free(k, item)


@export(FLTMGR, "FltInsertExtraCreateParameter", max_irql=Irql.APC)
def flt_insert_extra_create_parameter(k: "Kernel", filter_: int, ecp_list: int, context: int) -> int:
    """FltInsertExtraCreateParameter: one of each kind."""
    k.flt.filter_at(filter_)
    return insert_parameter(k, ecp_list, context)


def insert_parameter(k: "Kernel", ecp_list: int, context: int) -> int:
    """Into a list that has none of the kind."""
    found, item = list_at(k, ecp_list), k.flt.ecps.get(context)
    if item is None or found.find(item.kind) is not None:
        return int(NtStatus.INVALID_PARAMETER)
    found.parameters.append(k.flt.ecps.pop(context))
    return int(NtStatus.SUCCESS)


@export(FLTMGR, "FltFindExtraCreateParameter", max_irql=Irql.APC)
def flt_find_extra_create_parameter(
    k: "Kernel", filter_: int, ecp_list: int, kind: int, out: int, size_out: int
) -> int:
    """FltFindExtraCreateParameter."""
    k.flt.filter_at(filter_)
    item = list_at(k, ecp_list).find(k.memory.read(kind, 16))
    return tell(k, item, out, size_out)


def tell(k: "Kernel", item: Ecp | None, out: int, size_out: int) -> int:
    if out:
        k.memory.write_u64(out, item.address if item is not None else 0)
    if size_out:
        k.memory.write_u32(size_out, item.size if item is not None else 0)
    return int(NtStatus.SUCCESS if item is not None else NtStatus.NOT_FOUND)


@export(FLTMGR, "FltRemoveExtraCreateParameter", max_irql=Irql.APC)
def flt_remove_extra_create_parameter(
    k: "Kernel", filter_: int, ecp_list: int, kind: int, out: int, size_out: int
) -> int:
    """FltRemoveExtraCreateParameter: it is the caller's again."""
    k.flt.filter_at(filter_)
    return remove_parameter(k, ecp_list, kind, out, size_out)


def remove_parameter(k: "Kernel", ecp_list: int, kind: int, out: int, size_out: int) -> int:
    """Out of a list: it is the caller's."""
    found = list_at(k, ecp_list)
    item = found.find(k.memory.read(kind, 16))
    if item is not None:
        found.parameters.remove(item)
        k.flt.ecps[item.address] = item
    return tell(k, item, out, size_out)


@export(FLTMGR, "FltGetNextExtraCreateParameter", max_irql=Irql.APC)
def flt_get_next_extra_create_parameter(
    k: "Kernel", filter_: int, ecp_list: int, context: int, kind_out: int, next_out: int, size_out: int
) -> int:
    """FltGetNextExtraCreateParameter: behind `context`, or the first."""
    k.flt.filter_at(filter_)
    return next_parameter(k, ecp_list, context, kind_out, next_out, size_out)


def next_parameter(k: "Kernel", ecp_list: int, context: int, kind_out: int, next_out: int, size_out: int) -> int:
    """Behind one of a list, or its first."""
    parameters = list_at(k, ecp_list).parameters
    addresses = [item.address for item in parameters]
    index = addresses.index(context) + 1 if context in addresses else 0
    item = parameters[index] if index < len(parameters) else None
    if item is not None and kind_out:
        k.memory.write(kind_out, item.kind)
    return tell(k, item, next_out, size_out)


@export(FLTMGR, "FltAcknowledgeEcp", max_irql=Irql.APC)
def flt_acknowledge_ecp(k: "Kernel", filter_: int, context: int) -> None:
    """FltAcknowledgeEcp: whoever attached it sees that it was understood."""
    k.flt.filter_at(filter_)
    item = parameter_at(k, context)
    if item is not None:
        item.acknowledged = True


@export(FLTMGR, "FltIsEcpAcknowledged", max_irql=Irql.APC)
def flt_is_ecp_acknowledged(k: "Kernel", filter_: int, context: int) -> bool:
    """FltIsEcpAcknowledged."""
    k.flt.filter_at(filter_)
    item = parameter_at(k, context)
    return item is not None and item.acknowledged


@export(FLTMGR, "FltIsEcpFromUserMode", max_irql=Irql.APC)
def flt_is_ecp_from_user_mode(k: "Kernel", filter_: int, context: int) -> bool:
    """FltIsEcpFromUserMode."""
    k.flt.filter_at(filter_)
    item = parameter_at(k, context)
    return item is not None and item.from_user


@export(FLTMGR, "FltPrepareToReuseEcp", max_irql=Irql.APC)
def flt_prepare_to_reuse_ecp(k: "Kernel", filter_: int, context: int) -> None:
    """FltPrepareToReuseEcp: not acknowledged any more."""
    k.flt.filter_at(filter_)
    item = parameter_at(k, context)
    if item is not None:
        item.acknowledged = False


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
    list_at(k, ecp_list)
    request.ecp_list = ecp_list
    k.io.irps.set_ecp_list(request.irp, ecp_list)
    request.completions.append(lambda _: k.queue_worker(_free_list(k, filter_, ecp_list)))
    return int(NtStatus.SUCCESS)


def _free_list(k: "Kernel", filter_: int, ecp_list: int) -> Code:
    if ecp_list in k.flt.ecp_lists:
        for item in k.flt.ecp_lists.pop(ecp_list).parameters:
            yield from _free(k, item)
        free(k, ecp_list, None)
    del filter_


# -- the same by the names of FsRtl


@export(NTOSKRNL, "FsRtlAllocateExtraCreateParameterList", max_irql=Irql.APC)
def fs_rtl_allocate_extra_create_parameter_list(k: "Kernel", flags: U32, out: int) -> int:
    del flags
    return allocate_list(k, out)


@export(NTOSKRNL, "FsRtlFreeExtraCreateParameterList", max_irql=Irql.APC)
def fs_rtl_free_extra_create_parameter_list(k: "Kernel", ecp_list: int) -> Code:
    yield from free_list(k, ecp_list)


@export(NTOSKRNL, "FsRtlAllocateExtraCreateParameter", max_irql=Irql.APC)
def fs_rtl_allocate_extra_create_parameter(
    k: "Kernel", kind: int, size: U32, flags: U32, cleanup: int, tag: U32, out: int
) -> int:
    del flags
    return allocate_parameter(k, kind, size, cleanup, tag, out)


@export(NTOSKRNL, "FsRtlInitExtraCreateParameterLookasideList", max_irql=Irql.APC)
def fs_rtl_init_extra_create_parameter_lookaside_list(
    k: "Kernel", lookaside: int, flags: U32, size: int, tag: U32
) -> None:
    del flags, tag
    k.memory.write(lookaside, size.to_bytes(8, "little"))


@export(NTOSKRNL, "FsRtlDeleteExtraCreateParameterLookasideList", max_irql=Irql.APC)
def fs_rtl_delete_extra_create_parameter_lookaside_list(k: "Kernel", lookaside: int, flags: U32) -> None:
    del flags
    k.memory.write(lookaside, bytes(8))


@export(NTOSKRNL, "FsRtlAllocateExtraCreateParameterFromLookasideList", max_irql=Irql.APC)
def fs_rtl_allocate_extra_create_parameter_from_lookaside_list(
    k: "Kernel", kind: int, size: U32, flags: U32, cleanup: int, lookaside: int, out: int
) -> int:
    del flags
    k.memory.read(lookaside, 8)
    return allocate_parameter(k, kind, size, cleanup, _LOOKASIDE_TAG, out)


@export(NTOSKRNL, "FsRtlFreeExtraCreateParameter", max_irql=Irql.APC)
def fs_rtl_free_extra_create_parameter(k: "Kernel", context: int) -> Code:
    yield from free_parameter(k, context)


@export(NTOSKRNL, "FsRtlInsertExtraCreateParameter", max_irql=Irql.APC)
def fs_rtl_insert_extra_create_parameter(k: "Kernel", ecp_list: int, context: int) -> int:
    return insert_parameter(k, ecp_list, context)


@export(NTOSKRNL, "FsRtlFindExtraCreateParameter", max_irql=Irql.APC)
def fs_rtl_find_extra_create_parameter(k: "Kernel", ecp_list: int, kind: int, out: int, size_out: int) -> int:
    return tell(k, list_at(k, ecp_list).find(k.memory.read(kind, 16)), out, size_out)


@export(NTOSKRNL, "FsRtlRemoveExtraCreateParameter", max_irql=Irql.APC)
def fs_rtl_remove_extra_create_parameter(k: "Kernel", ecp_list: int, kind: int, out: int, size_out: int) -> int:
    return remove_parameter(k, ecp_list, kind, out, size_out)


@export(NTOSKRNL, "FsRtlGetNextExtraCreateParameter", max_irql=Irql.APC)
def fs_rtl_get_next_extra_create_parameter(
    k: "Kernel", ecp_list: int, context: int, kind_out: int, next_out: int, size_out: int
) -> int:
    return next_parameter(k, ecp_list, context, kind_out, next_out, size_out)


@export(NTOSKRNL, "FsRtlAcknowledgeEcp", max_irql=Irql.APC)
def fs_rtl_acknowledge_ecp(k: "Kernel", context: int) -> None:
    item = parameter_at(k, context)
    if item is not None:
        item.acknowledged = True


@export(NTOSKRNL, "FsRtlPrepareToReuseEcp", max_irql=Irql.APC)
def fs_rtl_prepare_to_reuse_ecp(k: "Kernel", context: int) -> None:
    item = parameter_at(k, context)
    if item is not None:
        item.acknowledged = False


@export(NTOSKRNL, "FsRtlIsEcpAcknowledged", max_irql=Irql.APC)
def fs_rtl_is_ecp_acknowledged(k: "Kernel", context: int) -> bool:
    item = parameter_at(k, context)
    return item is not None and item.acknowledged


@export(NTOSKRNL, "FsRtlIsEcpFromUserMode", max_irql=Irql.APC)
def fs_rtl_is_ecp_from_user_mode(k: "Kernel", context: int) -> bool:
    item = parameter_at(k, context)
    return item is not None and item.from_user


@export(NTOSKRNL, "FsRtlGetEcpListFromIrp", max_irql=Irql.APC)
def fs_rtl_get_ecp_list_from_irp(k: "Kernel", irp: int, out: int) -> int:
    """NULL where there is none."""
    request = k.io.irps.request_of(irp)
    k.memory.write_u64(out, 0)
    if request.major != IrpMajor.CREATE:
        return int(NtStatus.INVALID_PARAMETER)
    k.memory.write_u64(out, request.ecp_list)
    return 0


@export(NTOSKRNL, "FsRtlSetEcpListIntoIrp", max_irql=Irql.APC)
def fs_rtl_set_ecp_list_into_irp(k: "Kernel", irp: int, ecp_list: int) -> int:
    """Of a create that has none yet."""
    request = k.io.irps.request_of(irp)
    if request.major != IrpMajor.CREATE or request.ecp_list:
        return int(NtStatus.INVALID_PARAMETER)
    found = list_at(k, ecp_list)
    k.io.irps.set_ecp_list(irp, found.address)
    return 0
