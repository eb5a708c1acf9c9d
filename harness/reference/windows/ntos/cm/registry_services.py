"""Registry keys: ZwOpenKey and its family, IoOpenDriverRegistryKey, and the Rtl registry helpers."""

from struct import pack
from typing import TYPE_CHECKING, Any

from harness.nt import Irql, NtStatus
from harness.reference.machine.loader.exports import NTOSKRNL, U32, Length, export
from harness.reference.windows.ntos.cm.key_handles import key_changed, key_object, key_of, open_key, relative_key
from harness.reference.windows.ntos.cm.key_watches import KeyChange
from harness.reference.windows.ntos.cm.registry import Key, Value, ValueType
from harness.reference.windows.ntos.cm.registry_callbacks import (
    CREATE_KEY,
    DELETE_KEY,
    DELETE_VALUE,
    ENUMERATE_KEY,
    ENUMERATE_VALUE,
    OPEN_KEY,
    QUERY_KEY,
    QUERY_VALUE,
    SET_VALUE,
)
from harness.reference.windows.ntos.ke.shared_data import BOOT_TIME
from harness.reference.windows.ntos.structures import OBJ_KERNEL_HANDLE, ObjectAttributes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.reference.windows.kernel import Kernel

_CREATED_NEW_KEY, _OPENED_EXISTING_KEY = 1, 2
_BASIC, _FULL, _PARTIAL = 0, 1, 2
_PARTIAL_ALIGN64 = 4
_KEY_BASIC, _KEY_NODE, _KEY_FULL, _KEY_NAME = 0, 1, 2, 3
_REG_LINK = 6


def _named_key(k: "Kernel", attributes_at: int, *, create: bool) -> tuple[Key | None, bool, int]:
    """The key that OBJECT_ATTRIBUTES name: (key, kernel handle asked for, disposition)."""
    attributes = ObjectAttributes(k.memory, attributes_at)
    name = k.memory.read_unicode_string(attributes.object_name)
    kernel = bool(attributes.attributes & OBJ_KERNEL_HANDLE)
    root = attributes.root_directory
    if not root:
        known = k.registry.find(name)
        if known is None and create and name.upper().startswith("\\REGISTRY\\"):
            made = k.registry.make(name)
            key_changed(k, k.registry.parent_of(made), KeyChange.NAME)
            return made, kernel, _CREATED_NEW_KEY
        return known, kernel, _OPENED_EXISTING_KEY
    key = key_of(k, root)
    disposition = _OPENED_EXISTING_KEY
    for part in (part for part in name.split("\\") if part):
        if key is None:
            break
        below = key.key(part)
        if below is None and create:
            below, disposition = key.make(part), _CREATED_NEW_KEY
            key_changed(k, key, KeyChange.NAME)
        key = below
    return key, kernel, disposition


def _open_information(k: "Kernel", attributes_at: int, access: int, options: int, disposition: int) -> bytes:
    """REG_CREATE_KEY_INFORMATION_V1 and REG_OPEN_KEY_INFORMATION_V1, which are one."""
    attributes = ObjectAttributes(k.memory, attributes_at)
    root_object = key_object(k, attributes.root_directory) if attributes.root_directory else 0
    name = attributes.object_name
    return pack("<3QI4x3QII2Q", name, root_object, 0, options, 0, 0, 0, access, access, disposition, 0) + bytes(8)


def _address_of(k: "Kernel", handles: "Sequence[int]") -> int:
    return key_object(k, handles[0]) if handles else 0


@export(NTOSKRNL, "ZwOpenKey", max_irql=Irql.PASSIVE)
def zw_open_key(k: "Kernel", handle_pointer: int, access: U32, attributes: int) -> Any:
    opened: list[int] = []

    def operation() -> int:
        key, kernel, _ = _named_key(k, attributes, create=False)
        if key is None:
            name = k.memory.read_unicode_string(ObjectAttributes(k.memory, attributes).object_name)
            k.registry.missed.append(f"the key {name}")
            return int(NtStatus.OBJECT_NAME_NOT_FOUND)
        opened.append(open_key(k, key, kernel=kernel))
        k.memory.write_u64(handle_pointer, opened[0])
        return 0

    return k.registry_callbacks.around(
        OPEN_KEY,
        lambda: _open_information(k, attributes, access, 0, 0),
        operation,
        lambda: _address_of(k, opened),
    )


@export(NTOSKRNL, "ZwOpenKeyEx", max_irql=Irql.PASSIVE)
def zw_open_key_ex(k: "Kernel", handle_pointer: int, access: U32, attributes: int, options: U32) -> Any:
    del options
    return zw_open_key(k, handle_pointer, access, attributes)


@export(NTOSKRNL, "ZwCreateKey", max_irql=Irql.PASSIVE)
def zw_create_key(
    k: "Kernel",
    handle_pointer: int,
    access: U32,
    attributes: int,
    title: U32,
    class_name: int,
    options: U32,
    disposition_pointer: int,
) -> Any:
    del title, class_name
    opened: list[int] = []

    def operation() -> int:
        key, kernel, disposition = _named_key(k, attributes, create=True)
        if key is None:
            return int(NtStatus.OBJECT_NAME_NOT_FOUND)
        opened.append(open_key(k, key, kernel=kernel))
        if disposition_pointer:
            k.memory.write_u32(disposition_pointer, disposition)
        k.memory.write_u64(handle_pointer, opened[0])
        return 0

    return k.registry_callbacks.around(
        CREATE_KEY,
        lambda: _open_information(k, attributes, access, options, disposition_pointer),
        operation,
        lambda: _address_of(k, opened),
    )


@export(NTOSKRNL, "IoOpenDriverRegistryKey", max_irql=Irql.PASSIVE)
def io_open_driver_registry_key(
    k: "Kernel", driver_object: int, kind: U32, access: U32, flags: U32, handle_pointer: int
) -> int:
    """Kind 0 is DriverRegKeyParameters."""
    del access, flags
    driver = k.drivers.by_object(driver_object)
    if driver is None:
        return int(NtStatus.INVALID_PARAMETER)
    key = k.registry.make(driver.service_key)
    if kind == 0:
        key = key.make("Parameters")
    k.memory.write_u64(handle_pointer, open_key(k, key, kernel=True))
    return 0


def _answer(k: "Kernel", data: bytes, header: int, buffer: int, length: int, result_length: int) -> int:
    """Copy an information structure: whole, or its fixed part and what fits."""
    k.memory.write_u32(result_length, len(data))
    if length < header:
        return int(NtStatus.BUFFER_TOO_SMALL)
    k.memory.write(buffer, data[:length])
    return 0 if length >= len(data) else int(NtStatus.BUFFER_OVERFLOW)


def _value_information(value: Value, kind: int) -> tuple[bytes, int] | None:
    """KEY_VALUE_*_INFORMATION and the size of its fixed part."""
    name = value.name.encode("utf-16-le")
    if kind == _BASIC:
        return pack("<III", 0, value.type, len(name)) + name, 12
    if kind == _FULL:
        offset = (20 + len(name) + 7) & ~7
        head = pack("<IIIII", 0, value.type, offset, len(value.data), len(name)) + name
        return head.ljust(offset, b"\0") + value.data, 20
    if kind == _PARTIAL:
        return pack("<III", 0, value.type, len(value.data)) + value.data, 12
    if kind == _PARTIAL_ALIGN64:
        return pack("<II", value.type, len(value.data)) + value.data, 8
    return None


@export(NTOSKRNL, "ZwQueryValueKey", max_irql=Irql.PASSIVE)
def zw_query_value_key(
    k: "Kernel", handle: int, name: int, kind: U32, buffer: int, length: Length, result_length: int
) -> Any:
    key = key_of(k, handle)
    if key is None:
        return int(NtStatus.INVALID_HANDLE)
    item = key_object(k, handle)

    def operation() -> int:
        value = key.value(k.memory.read_unicode_string(name))
        if value is None:
            k.registry.missed.append(f"the value {k.memory.read_unicode_string(name)} of the key {key.name}")
            return int(NtStatus.OBJECT_NAME_NOT_FOUND)
        information = _value_information(value, kind)
        if information is None:
            return int(NtStatus.INVALID_PARAMETER)
        return _answer(k, *information, buffer, length, result_length)

    return k.registry_callbacks.around(
        QUERY_VALUE,
        lambda: pack("<QQI4xQI4xQ", item, name, kind, buffer, length, result_length),
        operation,
        lambda: item,
    )


@export(NTOSKRNL, "ZwEnumerateValueKey", max_irql=Irql.PASSIVE)
def zw_enumerate_value_key(
    k: "Kernel", handle: int, index: U32, kind: U32, buffer: int, length: Length, result_length: int
) -> Any:
    key = key_of(k, handle)
    if key is None:
        return int(NtStatus.INVALID_HANDLE)
    item = key_object(k, handle)

    def operation() -> int:
        values = list(key.values.values())
        if index >= len(values):
            return int(NtStatus.NO_MORE_ENTRIES)
        information = _value_information(values[index], kind)
        if information is None:
            return int(NtStatus.INVALID_PARAMETER)
        return _answer(k, *information, buffer, length, result_length)

    return k.registry_callbacks.around(
        ENUMERATE_VALUE,
        lambda: pack("<QIIQI4xQ", item, index, kind, buffer, length, result_length),
        operation,
        lambda: item,
    )


def _key_information(key: Key, kind: int) -> tuple[bytes, int] | None:
    """KEY_*_INFORMATION and the size of its fixed part."""
    name = key.name.encode("utf-16-le")
    if kind == _KEY_BASIC:
        return pack("<QII", BOOT_TIME, 0, len(name)) + name, 16
    if kind == _KEY_NODE:
        return pack("<QIIII", BOOT_TIME, 0, 0xFFFF_FFFF, 0, len(name)) + name, 24
    if kind == _KEY_FULL:
        below = [len(item.name) * 2 for item in key.keys.values()]
        names = [len(item.name) * 2 for item in key.values.values()]
        data = [len(item.data) for item in key.values.values()]
        counts = (len(below), max(below, default=0), 0, len(names), max(names, default=0), max(data, default=0))
        return pack("<QIII6I", BOOT_TIME, 0, 0xFFFF_FFFF, 0, *counts), 44
    if kind == _KEY_NAME:
        return pack("<I", len(name)) + name, 4
    return None


@export(NTOSKRNL, "ZwQueryKey", max_irql=Irql.PASSIVE)
def zw_query_key(k: "Kernel", handle: int, kind: U32, buffer: int, length: Length, result_length: int) -> Any:
    key = key_of(k, handle)
    if key is None:
        return int(NtStatus.INVALID_HANDLE)
    item = key_object(k, handle)

    def operation() -> int:
        information = _key_information(key, kind)
        if information is None:
            return int(NtStatus.INVALID_PARAMETER)
        return _answer(k, *information, buffer, length, result_length)

    return k.registry_callbacks.around(
        QUERY_KEY, lambda: pack("<QI4xQI4xQ", item, kind, buffer, length, result_length), operation, lambda: item
    )


@export(NTOSKRNL, "ZwEnumerateKey", max_irql=Irql.PASSIVE)
def zw_enumerate_key(
    k: "Kernel", handle: int, index: U32, kind: U32, buffer: int, length: Length, result_length: int
) -> Any:
    key = key_of(k, handle)
    if key is None:
        return int(NtStatus.INVALID_HANDLE)
    item = key_object(k, handle)

    def operation() -> int:
        keys = list(key.keys.values())
        if index >= len(keys):
            return int(NtStatus.NO_MORE_ENTRIES)
        information = _key_information(keys[index], kind)
        if information is None:
            return int(NtStatus.INVALID_PARAMETER)
        return _answer(k, *information, buffer, length, result_length)

    return k.registry_callbacks.around(
        ENUMERATE_KEY,
        lambda: pack("<QIIQI4xQ", item, index, kind, buffer, length, result_length),
        operation,
        lambda: item,
    )


def _set(k: "Kernel", key: Key, name: str, kind: int, data: bytes) -> int:
    if kind not in set(ValueType) or kind == _REG_LINK:
        return int(NtStatus.INVALID_PARAMETER)
    k.handed_on.look(data, "of a registry value", lambda: name)
    key.set(name, ValueType(kind), data)
    key_changed(k, key, KeyChange.LAST_SET)
    return 0


@export(NTOSKRNL, "ZwSetValueKey", max_irql=Irql.PASSIVE)
def zw_set_value_key(k: "Kernel", handle: int, name: int, title: U32, kind: U32, data: int, size: Length) -> Any:
    key = key_of(k, handle)
    if key is None:
        return int(NtStatus.INVALID_HANDLE)
    item = key_object(k, handle)

    def operation() -> int:
        return _set(k, key, k.memory.read_unicode_string(name), kind, k.memory.read(data, size) if size else b"")

    return k.registry_callbacks.around(
        SET_VALUE, lambda: pack("<QQIIQI4x", item, name, title, kind, data, size), operation, lambda: item
    )


@export(NTOSKRNL, "ZwDeleteValueKey", max_irql=Irql.PASSIVE)
def zw_delete_value_key(k: "Kernel", handle: int, name: int) -> Any:
    key = key_of(k, handle)
    if key is None:
        return int(NtStatus.INVALID_HANDLE)
    item = key_object(k, handle)

    def operation() -> int:
        gone = key.values.pop(k.memory.read_unicode_string(name).lower(), None)
        if gone is not None:
            key_changed(k, key, KeyChange.LAST_SET)
        return 0 if gone is not None else int(NtStatus.OBJECT_NAME_NOT_FOUND)

    return k.registry_callbacks.around(
        DELETE_VALUE,
        lambda: pack("<QQ", item, name),
        operation,
        lambda: item,
    )


@export(NTOSKRNL, "ZwDeleteKey", max_irql=Irql.PASSIVE)
def zw_delete_key(k: "Kernel", handle: int) -> Any:
    key = key_of(k, handle)
    if key is None:
        return int(NtStatus.INVALID_HANDLE)
    item = key_object(k, handle)

    def operation() -> int:
        parent = k.registry.parent_of(key)
        removed = k.registry.remove(key)
        if removed:
            key_changed(k, parent, KeyChange.NAME)
        return 0 if removed else int(NtStatus.CANNOT_DELETE)

    return k.registry_callbacks.around(
        DELETE_KEY,
        lambda: pack("<Q", item),
        operation,
        lambda: item,
    )


@export(NTOSKRNL, "ZwFlushKey", max_irql=Irql.PASSIVE)
def zw_flush_key(k: "Kernel", handle: int) -> int:
    return 0 if key_of(k, handle) is not None else int(NtStatus.INVALID_HANDLE)


# -- Rtl helpers


@export(NTOSKRNL, "RtlCheckRegistryKey", max_irql=Irql.PASSIVE)
def rtl_check_registry_key(k: "Kernel", relative_to: U32, path: int) -> int:
    return 0 if relative_key(k, relative_to, path, create=False) else int(NtStatus.OBJECT_NAME_NOT_FOUND)


@export(NTOSKRNL, "RtlCreateRegistryKey", max_irql=Irql.PASSIVE)
def rtl_create_registry_key(k: "Kernel", relative_to: U32, path: int) -> int:
    return 0 if relative_key(k, relative_to, path, create=True) else int(NtStatus.OBJECT_NAME_NOT_FOUND)


@export(NTOSKRNL, "RtlWriteRegistryValue", max_irql=Irql.PASSIVE)
def rtl_write_registry_value(
    k: "Kernel", relative_to: U32, path: int, name: int, kind: U32, data: int, size: Length
) -> int:
    key = relative_key(k, relative_to, path, create=True)
    if key is None:
        return int(NtStatus.OBJECT_NAME_NOT_FOUND)
    return _set(k, key, k.memory.read_wide(name), kind, k.memory.read(data, size) if size else b"")


@export(NTOSKRNL, "RtlDeleteRegistryValue", max_irql=Irql.PASSIVE)
def rtl_delete_registry_value(k: "Kernel", relative_to: U32, path: int, name: int) -> int:
    key = relative_key(k, relative_to, path, create=False)
    gone = key.values.pop(k.memory.read_wide(name).lower(), None) if key is not None else None
    if gone is not None:
        key_changed(k, key, KeyChange.LAST_SET)
    return 0 if gone is not None else int(NtStatus.OBJECT_NAME_NOT_FOUND)
