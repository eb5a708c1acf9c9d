r"""Callback objects: drivers that tell each other, and the system's own such as \Callback\PowerState."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U8, export
from harness.reference.machine.scheduler.requests import KernelCode
from harness.reference.windows.ntos.ob.namespace import Directory
from harness.reference.windows.ntos.ob.objects import Object
from harness.reference.windows.ntos.structures import ObjectAttributes
from harness.reference.windows.verifier.holdings import Kind

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

TYPE = "Callback"
_SIZE = 0x40
_REGISTRATION = Kind("registration with a callback object", "ExUnregisterCallback")
_SYSTEM = ("SetSystemTime", "PowerState", "ProcessorAdd", "EnlightenmentState")


@dataclass(slots=True)
class CallbackObject:
    """Who is told: function, context and object, by registration."""

    multiple: bool
    registered: dict[int, tuple[int, int]] = field(default_factory=dict)


def _directory(k: "Kernel") -> Directory:
    r"""\Callback, with what the system has in it."""
    found = k.namespace.find("\\Callback")
    if isinstance(found, Directory):
        return found
    made = Directory({name.lower(): _make(k, multiple=True) for name in _SYSTEM})
    k.namespace.insert("\\Callback", made)
    return made


def _make(k: "Kernel", *, multiple: bool) -> Object:
    return k.objects.register(Object(TYPE, CallbackObject(multiple), k.heap.allocate(_SIZE)))


@export(NTOSKRNL, "ExCreateCallback", max_irql=Irql.PASSIVE)
def ex_create_callback(k: "Kernel", object_pointer: int, attributes: int, create: U8, multiple: U8) -> int:
    """Opens the object of that name, or makes one; the caller dereferences it (ObDereferenceObject)."""
    view = ObjectAttributes(k.memory, attributes)
    name = k.memory.read_unicode_string(view.object_name) if view.object_name else ""
    directory = _directory(k)
    short = name.rpartition("\\")[2].lower()
    item = directory.entries.get(short) if name else None
    if not isinstance(item, Object):
        if not create:
            return int(NtStatus.OBJECT_NAME_NOT_FOUND)
        item = _make(k, multiple=bool(multiple))
        if name:
            directory.entries[short] = item
    k.objects.take(item)
    k.memory.write_u64(object_pointer, item.address)
    return 0


def _callback(k: "Kernel", address: int) -> CallbackObject | None:
    item = k.objects.at(address)
    return item.body if item is not None and isinstance(item.body, CallbackObject) else None


@export(NTOSKRNL, "ExRegisterCallback", max_irql=Irql.APC)
def ex_register_callback(k: "Kernel", address: int, function: int, context: int) -> int:
    """A registration, or null where only one is allowed and there is one."""
    found = _callback(k, address)
    if found is None or (found.registered and not found.multiple):
        return 0
    handle = k.heap.allocate(0x30)
    k.memory.write_u64(handle, address)
    found.registered[handle] = (function, context)
    k.holdings.take(_REGISTRATION, handle)
    return handle


@export(NTOSKRNL, "ExUnregisterCallback", max_irql=Irql.APC)
def ex_unregister_callback(k: "Kernel", handle: int) -> int:
    found = _callback(k, k.memory.read_u64(handle)) if k.holdings.give_back(_REGISTRATION, handle) else None
    if found is None:
        k.verifier.report(None, k.blame.current().driver, f"ExUnregisterCallback: {handle:#x} is no registration")
        return 0
    del found.registered[handle]
    k.heap.free(handle)
    return 0


@export(NTOSKRNL, "ExNotifyCallback", max_irql=Irql.DISPATCH)
def ex_notify_callback(k: "Kernel", address: int, argument1: int, argument2: int) -> KernelCode:
    """In the order of registration, in the caller's thread and at its IRQL."""
    found = _callback(k, address)
    for function, context in list(found.registered.values()) if found is not None else ():
        if k.images.at(function) is None:  # of a driver that is gone
            continue
        yield from k.kept.call("its callback routine", function, context, argument1, argument2)
