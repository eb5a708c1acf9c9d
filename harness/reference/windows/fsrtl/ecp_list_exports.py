"""FsRtl's exports for extra create parameters; the lists are in io/extra_create_parameters.py."""

from typing import TYPE_CHECKING

from harness.nt import IrpMajor, Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U32, export
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_LOOKASIDE_TAG = int.from_bytes(b"FSel", "little")


@export(NTOSKRNL, "FsRtlAllocateExtraCreateParameterList", max_irql=Irql.APC)
def fs_rtl_allocate_extra_create_parameter_list(k: "Kernel", flags: U32, out: int) -> int:
    del flags
    return k.io.ecps.allocate_list(out)


@export(NTOSKRNL, "FsRtlFreeExtraCreateParameterList", max_irql=Irql.APC)
def fs_rtl_free_extra_create_parameter_list(k: "Kernel", ecp_list: int) -> Code:
    yield from k.io.ecps.free_list(ecp_list)


@export(NTOSKRNL, "FsRtlAllocateExtraCreateParameter", max_irql=Irql.APC)
def fs_rtl_allocate_extra_create_parameter(
    k: "Kernel", kind: int, size: U32, flags: U32, cleanup: int, tag: U32, out: int
) -> int:
    del flags
    return k.io.ecps.allocate(kind, size, cleanup, tag, out)


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
    return k.io.ecps.allocate(kind, size, cleanup, _LOOKASIDE_TAG, out)


@export(NTOSKRNL, "FsRtlFreeExtraCreateParameter", max_irql=Irql.APC)
def fs_rtl_free_extra_create_parameter(k: "Kernel", context: int) -> Code:
    yield from k.io.ecps.free(context)


@export(NTOSKRNL, "FsRtlInsertExtraCreateParameter", max_irql=Irql.APC)
def fs_rtl_insert_extra_create_parameter(k: "Kernel", ecp_list: int, context: int) -> int:
    return k.io.ecps.insert(ecp_list, context)


@export(NTOSKRNL, "FsRtlFindExtraCreateParameter", max_irql=Irql.APC)
def fs_rtl_find_extra_create_parameter(k: "Kernel", ecp_list: int, kind: int, out: int, size_out: int) -> int:
    return k.io.ecps.tell(ecp_list, kind, out, size_out)


@export(NTOSKRNL, "FsRtlRemoveExtraCreateParameter", max_irql=Irql.APC)
def fs_rtl_remove_extra_create_parameter(k: "Kernel", ecp_list: int, kind: int, out: int, size_out: int) -> int:
    return k.io.ecps.remove(ecp_list, kind, out, size_out)


@export(NTOSKRNL, "FsRtlGetNextExtraCreateParameter", max_irql=Irql.APC)
def fs_rtl_get_next_extra_create_parameter(
    k: "Kernel", ecp_list: int, context: int, kind_out: int, next_out: int, size_out: int
) -> int:
    return k.io.ecps.following(ecp_list, context, kind_out, next_out, size_out)


@export(NTOSKRNL, "FsRtlAcknowledgeEcp", max_irql=Irql.APC)
def fs_rtl_acknowledge_ecp(k: "Kernel", context: int) -> None:
    k.io.ecps.acknowledge(context)


@export(NTOSKRNL, "FsRtlPrepareToReuseEcp", max_irql=Irql.APC)
def fs_rtl_prepare_to_reuse_ecp(k: "Kernel", context: int) -> None:
    k.io.ecps.acknowledge(context, acknowledged=False)


@export(NTOSKRNL, "FsRtlIsEcpAcknowledged", max_irql=Irql.APC)
def fs_rtl_is_ecp_acknowledged(k: "Kernel", context: int) -> bool:
    return k.io.ecps.is_acknowledged(context)


@export(NTOSKRNL, "FsRtlIsEcpFromUserMode", max_irql=Irql.APC)
def fs_rtl_is_ecp_from_user_mode(k: "Kernel", context: int) -> bool:
    return k.io.ecps.is_from_user(context)


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
    k.io.ecps.give_to_create(ecp_list)
    k.io.irps.set_ecp_list(request, ecp_list, lambda: k.io.ecps.free_list_if_there(ecp_list))
    return 0
