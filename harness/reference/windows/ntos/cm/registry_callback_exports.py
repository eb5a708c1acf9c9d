"""CmRegisterCallbackEx and its kin: drivers that are told of operations on the registry."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U32, export
from harness.reference.machine.scheduler.requests import KernelCode
from harness.reference.windows.ntos.cm.registry import Key

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_LEGACY_ALTITUDE = "425000"
"""Where callbacks of CmRegisterCallback are."""


def _register(k: "Kernel", routine: int, altitude: str, context: int, cookie_out: int) -> int:
    cookie = k.registry_callbacks.add(routine, altitude, context, k.blame.current().driver)
    if not cookie:
        return int(NtStatus.FLT_INSTANCE_ALTITUDE_COLLISION)
    k.memory.write_u64(cookie_out, cookie)
    return 0


@export(NTOSKRNL, "CmRegisterCallbackEx", max_irql=Irql.APC)
def cm_register_callback_ex(
    k: "Kernel", routine: int, altitude: int, driver: int, context: int, cookie: int, reserved: int
) -> int:
    """CmRegisterCallbackEx."""
    del driver, reserved
    return _register(k, routine, k.memory.read_unicode_string(altitude), context, cookie)


@export(NTOSKRNL, "CmRegisterCallback", max_irql=Irql.APC)
def cm_register_callback(k: "Kernel", routine: int, context: int, cookie: int) -> int:
    """CmRegisterCallback."""
    return _register(k, routine, _LEGACY_ALTITUDE, context, cookie)


@export(NTOSKRNL, "CmUnRegisterCallback", max_irql=Irql.APC)
def cm_un_register_callback(k: "Kernel", cookie: int) -> KernelCode:
    """CmUnRegisterCallback; LARGE_INTEGER is passed by value. The callback is told of its contexts, once more each."""
    return 0 if (yield from k.registry_callbacks.unregister(cookie)) else int(NtStatus.INVALID_PARAMETER)


@export(NTOSKRNL, "CmSetCallbackObjectContext", max_irql=Irql.APC)
def cm_set_callback_object_context(k: "Kernel", item: int, cookie_at: int, context: int, old_out: int) -> int:
    """The callback of the cookie has it in ObjectContext of the open from now on, and is told when that ends."""
    cookie, callbacks = k.memory.read_u64(cookie_at), k.registry_callbacks
    if _key_at(k, item) is None or all(known.cookie != cookie for known in callbacks.registered):
        return int(NtStatus.INVALID_PARAMETER)
    old = callbacks.contexts.get((item, cookie), 0)
    callbacks.contexts[item, cookie] = context
    if old_out:
        k.memory.write_u64(old_out, old)
    return 0


@export(NTOSKRNL, "CmGetBoundTransaction", max_irql=Irql.APC)
def cm_get_bound_transaction(k: "Kernel", cookie_at: int, item: int) -> int:
    """Null: no key is opened in a transaction."""
    del k, cookie_at, item
    return 0


@export(NTOSKRNL, "CmGetCallbackVersion", max_irql=Irql.APC)
def cm_get_callback_version(k: "Kernel", major: int, minor: int) -> None:
    """CmGetCallbackVersion."""
    for address, value in ((major, 1), (minor, 0)):
        if address:
            k.memory.write_u32(address, value)


def _key_at(k: "Kernel", address: int) -> Key | None:
    item = k.objects.at(address)
    return item.body if item is not None and isinstance(item.body, Key) else None


def _name_of(k: "Kernel", key: Key) -> int:
    """A UNICODE_STRING with the whole name of a key, to be freed."""
    data = k.registry.path_of(key).encode("utf-16-le")
    address = k.heap.allocate(16 + len(data) + 2)
    k.memory.write(address + 16, data + b"\0\0")
    k.memory.write_unicode_string(address, address + 16, len(data), len(data) + 2)
    return address


@export(NTOSKRNL, "CmCallbackGetKeyObjectIDEx", max_irql=Irql.APC)
def cm_callback_get_key_object_id_ex(k: "Kernel", cookie: int, item: int, identity: int, name: int, flags: U32) -> int:
    """CmCallbackGetKeyObjectIDEx."""
    del cookie, flags
    key = _key_at(k, item)
    if key is None:
        return int(NtStatus.INVALID_PARAMETER)
    if identity:
        k.memory.write_u64(identity, k.registry_callbacks.identity_of(key))
    if name:
        k.memory.write_u64(name, _name_of(k, key))
    return 0


@export(NTOSKRNL, "CmCallbackReleaseKeyObjectIDEx", max_irql=Irql.APC)
def cm_callback_release_key_object_id_ex(k: "Kernel", name: int) -> None:
    """CmCallbackReleaseKeyObjectIDEx."""
    k.heap.free(name)


@export(NTOSKRNL, "CmCallbackGetKeyObjectID", max_irql=Irql.APC)
def cm_callback_get_key_object_id(k: "Kernel", cookie: int, item: int, identity: int, name: int) -> int:
    """CmCallbackGetKeyObjectID: the name stays as long as the key."""
    return cm_callback_get_key_object_id_ex(k, cookie, item, identity, name, 0)
