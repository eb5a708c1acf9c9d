"""The object manager: references and handles."""

from typing import TYPE_CHECKING

from harness.nt import BugCheck, Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U8, U32, Length, export
from harness.reference.machine.memory.layout import is_user
from harness.reference.windows.ntos.ob.handle_callbacks import is_kernel_handle
from harness.reference.windows.ntos.ob.handle_lookup import object_by_handle
from harness.reference.windows.ntos.ob.namespace import NameRefused
from harness.reference.windows.ntos.ob.objects import CURRENT_PROCESS, CURRENT_THREAD, REFERENCE, Object
from harness.reference.windows.ntos.ob.placed import placed
from harness.reference.windows.ntos.ps.process_objects import process_object, thread_object
from harness.reference.windows.ntos.structures import OBJ_KERNEL_HANDLE, ObjectAttributes

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

TYPE_VARIABLES = {
    "PsThreadType": "Thread",
    "PsProcessType": "Process",
    "SeTokenObjectType": "Token",
    "CmKeyObjectType": "Key",
}


def object_at(k: "Kernel", address: int, function: str) -> Object:
    """The object at an address; a bug check if it is none, or not one any more."""
    item = k.objects.at(address)
    if item is None:
        thread = k.processes.threads.get(address)
        if thread is not None:
            return thread_object(k, thread)
        process = k.processes.by_eprocess.get(address)
        if process is not None:
            return process_object(k, process)
        k.bugcheck(
            BugCheck.REFERENCE_BY_POINTER, 0, address,
            message=f"{function} was given {k.describe_address(address)}, which is no object",
        )  # fmt: skip
    return item


def is_type(k: "Kernel", item: Object, type_address: int) -> bool:
    """Whether an object is of the type at an address; any is of none."""
    if not type_address:
        return True
    for variable, address in k.data.object_types.items():
        if address == type_address:
            return TYPE_VARIABLES.get(variable, variable) == item.type
    return False


@export(NTOSKRNL, "ObReferenceObjectByHandle", max_irql=Irql.PASSIVE)
def ob_reference_object_by_handle(
    k: "Kernel", handle: int, access: U32, type_address: int, mode: U8, object_pointer: int, information: int
) -> int:
    k.memory.write_u64(object_pointer, 0)
    item = object_by_handle(k, handle)
    if item is None or (mode and not is_user(handle) and handle not in (CURRENT_PROCESS, CURRENT_THREAD)):
        return int(NtStatus.INVALID_HANDLE)
    if not is_type(k, item, type_address):
        return int(NtStatus.OBJECT_TYPE_MISMATCH)
    k.objects.take(placed(k, item))
    k.memory.write_u64(object_pointer, item.address)
    if information:
        k.memory.write(information, (0).to_bytes(4, "little") + access.to_bytes(4, "little"))
    return 0


@export(NTOSKRNL, "ObReferenceObjectByPointer", max_irql=Irql.DISPATCH)
def ob_reference_object_by_pointer(k: "Kernel", address: int, access: U32, type_address: int, mode: U8) -> int:
    del access, mode
    item = object_at(k, address, "ObReferenceObjectByPointer")
    if not is_type(k, item, type_address):
        return int(NtStatus.OBJECT_TYPE_MISMATCH)
    k.objects.take(item)
    return 0


@export(NTOSKRNL, "ObfReferenceObject", "ObReferenceObject", "ObfReferenceObjectWithTag", max_irql=Irql.DISPATCH)
def obf_reference_object(k: "Kernel", address: int) -> int:
    return k.objects.take(object_at(k, address, "ObfReferenceObject"))


@export(
    NTOSKRNL, "ObfDereferenceObject", "ObDereferenceObject", "ObDereferenceObjectDeferDelete",
    "ObfDereferenceObjectWithTag", max_irql=Irql.DISPATCH,
)  # fmt: skip
def obf_dereference_object(k: "Kernel", address: int) -> int:
    item = object_at(k, address, "ObfDereferenceObject")
    if item.references <= item.handles:
        k.bugcheck(
            BugCheck.REFERENCE_BY_POINTER, 0, address, 0, item.references,
            message=f"a {item.type} object at {address:#x} is dereferenced more often than referenced",
        )  # fmt: skip
    if not k.holdings.count(REFERENCE, item):
        text = f"dereferenced the {item.type} at {address:#x}, to which no driver has a reference"
        k.verifier.report(None, k.blame.current().driver, text)
        return item.references  # it is the system's, which goes on to use it
    return k.objects.give_back(item)


@export(NTOSKRNL, "ObOpenObjectByPointer", max_irql=Irql.PASSIVE)
def ob_open_object_by_pointer(
    k: "Kernel",
    address: int,
    attributes: U32,
    access_state: int,
    access: U32,
    type_address: int,
    mode: U8,
    handle_pointer: int,
) -> int:
    del access_state, mode
    item = object_at(k, address, "ObOpenObjectByPointer")
    if not is_type(k, item, type_address):
        return int(NtStatus.OBJECT_TYPE_MISMATCH)
    k.memory.write_u64(handle_pointer, k.objects.open(item, kernel=bool(attributes & 0x200), access=access))
    return 0


def close_handle(k: "Kernel", handle: int) -> int:
    """NtClose."""
    if handle in (CURRENT_PROCESS, CURRENT_THREAD):
        return 0
    return 0 if k.objects.close(handle) else int(NtStatus.INVALID_HANDLE)


@export(NTOSKRNL, "ZwClose", "NtClose", "ObCloseHandle", max_irql=Irql.PASSIVE)
def zw_close(k: "Kernel", handle: int) -> object:
    found = k.objects.lookup(handle)
    if found is None and handle not in (CURRENT_PROCESS, CURRENT_THREAD):
        # With kernel handles that is a bug check on Windows; the verifier breaks for any.
        k.verifier.report(None, k.blame.current().driver, f"ZwClose was given {handle:#x}, which is no handle")
        return int(NtStatus.INVALID_HANDLE)
    if found is not None and k.close_hooks.get(found.object.type) is not None:
        return k.close_hooks[found.object.type](found)
    return close_handle(k, handle)


@export(NTOSKRNL, "ObQueryNameString", max_irql=Irql.PASSIVE)
def ob_query_name_string(k: "Kernel", address: int, information: int, length: Length, returned: int) -> int:
    item = object_at(k, address, "ObQueryNameString")
    name = k.object_names[item.type](item) if item.type in k.object_names else k.namespace.path_of(item)
    data = name.encode("utf-16-le")
    needed = 16 + len(data) + 2 if data else 16
    if returned:
        k.memory.write_u32(returned, needed)
    if length < needed:
        return int(NtStatus.INFO_LENGTH_MISMATCH)
    if data:
        k.memory.write(information + 16, data + b"\0\0")
        k.memory.write_unicode_string(information, information + 16, len(data), len(data) + 2)
    else:
        k.memory.write_unicode_string(information, 0, 0, 0)
    return 0


@export(NTOSKRNL, "ObGetObjectSecurity", max_irql=Irql.PASSIVE)
def ob_get_object_security(k: "Kernel", address: int, descriptor: int, allocated: int) -> int:
    """Objects of the model carry no descriptor: null, as for objects without one on Windows."""
    object_at(k, address, "ObGetObjectSecurity")
    k.memory.write_u64(descriptor, 0)
    k.memory.write_u8(allocated, 0)
    return 0


@export(NTOSKRNL, "ObReleaseObjectSecurity", max_irql=Irql.PASSIVE)
def ob_release_object_security(k: "Kernel", descriptor: int, allocated: bool) -> int:
    del k, descriptor, allocated
    return 0


# -- with tags, by name, safely


@export(NTOSKRNL, "ObReferenceObjectByHandleWithTag", max_irql=Irql.PASSIVE)
def ob_reference_object_by_handle_with_tag(
    k: "Kernel", handle: int, access: U32, kind: int, mode: U8, tag: U32, pointer: int, information: int
) -> int:
    del tag
    return ob_reference_object_by_handle(k, handle, access, kind, mode, pointer, information)


@export(NTOSKRNL, "ObReferenceObjectByPointerWithTag", max_irql=Irql.DISPATCH)
def ob_reference_object_by_pointer_with_tag(
    k: "Kernel", address: int, access: U32, kind: int, mode: U8, tag: U32
) -> int:
    del tag
    return ob_reference_object_by_pointer(k, address, access, kind, mode)


@export(NTOSKRNL, "ObReferenceObjectSafe", "ObReferenceObjectSafeWithTag", max_irql=Irql.DISPATCH)
def ob_reference_object_safe(k: "Kernel", address: int) -> bool:
    """FALSE if the object is on its way out: its last reference is gone."""
    item = k.objects.at(address)
    if item is None or item.references <= 0:
        return False
    k.objects.take(item)
    return True


@export(NTOSKRNL, "ObDereferenceObjectDeferDeleteWithTag", max_irql=Irql.DISPATCH)
def ob_dereference_object_defer_delete_with_tag(k: "Kernel", address: int, tag: U32) -> int:
    del tag
    return obf_dereference_object(k, address)


@export(NTOSKRNL, "ObOpenObjectByPointerWithTag", max_irql=Irql.PASSIVE)
def ob_open_object_by_pointer_with_tag(
    k: "Kernel",
    address: int,
    attributes: U32,
    access_state: int,
    access: U32,
    kind: int,
    mode: U8,
    tag: U32,
    out: int,
) -> object:
    del tag
    return ob_open_object_by_pointer(k, address, attributes, access_state, access, kind, mode, out)


@export(NTOSKRNL, "ObIsKernelHandle", max_irql=Irql.APC)
def ob_is_kernel_handle(k: "Kernel", handle: int) -> bool:
    del k
    return is_kernel_handle(handle)


@export(NTOSKRNL, "ObGetObjectType", max_irql=Irql.DISPATCH)
def ob_get_object_type(k: "Kernel", address: int) -> int:
    """Its OBJECT_TYPE; null of a type that no variable is exported for."""
    item = object_at(k, address, "ObGetObjectType")
    names = {TYPE_VARIABLES.get(name, name): at for name, at in k.data.object_types.items()}
    return names.get(item.type, 0)


@export(NTOSKRNL, "ObReferenceObjectByName", max_irql=Irql.PASSIVE)
def ob_reference_object_by_name(
    k: "Kernel",
    name: int,
    attributes: U32,
    access_state: int,
    access: U32,
    kind: int,
    mode: U8,
    context: int,
    out: int,
) -> int:
    r"""Devices, events and what else has a name; drivers by names in \Driver and \FileSystem."""
    del attributes, access_state, access, mode, context
    path = k.memory.read_unicode_string(name)
    short = path.rpartition("\\")[2].lower()
    if path.lower().startswith(("\\driver\\", "\\filesystem\\")) and short in k.drivers.loaded:
        driver = k.drivers.loaded[short]
        k.memory.write_u64(out, driver.object.address)
        return 0
    try:
        item, rest = k.namespace.resolve(path)
    except NameRefused as refused:
        return int(refused.status)
    if rest or not item.address:
        return int(NtStatus.OBJECT_TYPE_MISMATCH)
    if kind and not is_type(k, item, kind):
        return int(NtStatus.OBJECT_TYPE_MISMATCH)
    k.objects.take(item)
    k.memory.write_u64(out, item.address)
    return 0


@export(NTOSKRNL, "ObOpenObjectByName", max_irql=Irql.PASSIVE)
def ob_open_object_by_name(
    k: "Kernel", attributes: int, kind: int, mode: U8, access_state: int, access: U32, context: int, out: int
) -> int:
    """A handle to what has this name and is no file."""
    del mode, access_state, context
    view = ObjectAttributes(k.memory, attributes)
    try:
        item, rest = k.namespace.resolve(k.memory.read_unicode_string(view.object_name))
    except NameRefused as refused:
        return int(refused.status)
    if rest or (kind and not is_type(k, item, kind)):
        return int(NtStatus.OBJECT_TYPE_MISMATCH)
    k.memory.write_u64(out, k.objects.open(item, kernel=bool(view.attributes & OBJ_KERNEL_HANDLE), access=access))
    return 0


@export(NTOSKRNL, "ObMakeTemporaryObject", max_irql=Irql.APC)
def ob_make_temporary_object(k: "Kernel", address: int) -> int:
    """Its name goes with its last handle; objects of the model keep no name of their own."""
    object_at(k, address, "ObMakeTemporaryObject")
    return 0


@export(NTOSKRNL, "ObSetHandleAttributes", max_irql=Irql.PASSIVE)
def ob_set_handle_attributes(k: "Kernel", handle: int, attributes: int, mode: U8) -> int:
    del attributes, mode
    return 0 if k.objects.lookup(handle) is not None else int(NtStatus.INVALID_HANDLE)
