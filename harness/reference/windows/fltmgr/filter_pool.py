"""Pool and security descriptors by way of the filter manager."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import FLTMGR, U32, export
from harness.reference.windows.ntos.ex.driver_pool import free

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_PAGED_POOL = 1
_DESCRIPTOR = Struct("<BBHIIII")
_ACL = Struct("<BBHHH")
_ACE = Struct("<BBHI")
_ADMINISTRATORS = bytes((1, 2, 0, 0, 0, 0, 0, 5)) + (32).to_bytes(4, "little") + (544).to_bytes(4, "little")
_SYSTEM = bytes((1, 1, 0, 0, 0, 0, 0, 5)) + (18).to_bytes(4, "little")


@export(FLTMGR, "FltAllocatePoolAlignedWithTag", max_irql=Irql.DISPATCH)
def flt_allocate_pool_aligned_with_tag(k: "Kernel", instance: int, pool: U32, size: int, tag: U32) -> int:
    """FltAllocatePoolAlignedWithTag: aligned as the volume's device wants it."""
    k.flt.instance_at(instance)
    where = k.blame.current()
    if k.scarcity.strikes(where.driver):
        return 0
    text = tag.to_bytes(4, "little").decode("latin-1")
    return k.pool.allocate(
        size,
        text,
        paged=pool & 1 == _PAGED_POOL,
        fill=k.pool.unwritten.fill(where.driver, where.address, f"pool, tag '{text}'"),
        owner=where.driver,
        allocated_by=where.address,
    )


@export(FLTMGR, "FltFreePoolAlignedWithTag", max_irql=Irql.DISPATCH)
def flt_free_pool_aligned_with_tag(k: "Kernel", instance: int, address: int, tag: U32) -> None:
    """FltFreePoolAlignedWithTag."""
    k.flt.instance_at(instance)
    free(k, address, tag.to_bytes(4, "little").decode("latin-1"))


@export(FLTMGR, "FltBuildDefaultSecurityDescriptor", max_irql=Irql.PASSIVE)
def flt_build_default_security_descriptor(k: "Kernel", out: int, access: U32) -> int:
    """FltBuildDefaultSecurityDescriptor: administrators and the system have `access`."""
    aces = b"".join(_ACE.pack(0, 0, 8 + len(sid), access) + sid for sid in (_ADMINISTRATORS, _SYSTEM))
    acl = _ACL.pack(2, 0, _ACL.size + len(aces), 2, 0) + aces
    descriptor = _DESCRIPTOR.pack(1, 0, 0x8004, 0, 0, 0, _DESCRIPTOR.size) + acl
    where = k.blame.current()
    address = k.pool.allocate(len(descriptor), "FMsd", paged=True, owner=where.driver, allocated_by=where.address)
    k.memory.write(address, descriptor)
    k.memory.write_u64(out, address)
    return NtStatus.SUCCESS


@export(FLTMGR, "FltFreeSecurityDescriptor", max_irql=Irql.PASSIVE)
def flt_free_security_descriptor(k: "Kernel", descriptor: int) -> None:
    """FltFreeSecurityDescriptor."""
    free(k, descriptor, None)
