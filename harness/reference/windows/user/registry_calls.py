"""NtOpenKey and its family, as programs call them: the registry is the one that drivers see, by the same functions."""

from typing import TYPE_CHECKING, Any

from harness.reference.machine.cpu.exceptions import GuestException
from harness.reference.machine.loader.exports import NTDLL, NTOSKRNL, U32, export, find_export

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


def _call(name: str, k: "Kernel", *arguments: int) -> Any:
    """What a driver's Zw call does; a bad pointer of a program's is the status of the call."""
    found = find_export(NTOSKRNL, f"Zw{name}")
    assert found is not None, name
    try:
        return found.function(k, *arguments)
    except GuestException as exception:
        return int(exception.status)


@export(NTDLL, "NtOpenKey", "ZwOpenKey")
def nt_open_key(k: "Kernel", out: int, access: U32, attributes: int) -> Any:
    """NtOpenKey."""
    return _call("OpenKey", k, out, access, attributes)


@export(NTDLL, "NtOpenKeyEx", "ZwOpenKeyEx")
def nt_open_key_ex(k: "Kernel", out: int, access: U32, attributes: int, options: U32) -> Any:
    """NtOpenKeyEx."""
    return _call("OpenKeyEx", k, out, access, attributes, options)


@export(NTDLL, "NtCreateKey", "ZwCreateKey")
def nt_create_key(
    k: "Kernel", out: int, access: U32, attributes: int, title: U32, kind: int, options: U32, disposition: int
) -> Any:
    """NtCreateKey."""
    return _call("CreateKey", k, out, access, attributes, title, kind, options, disposition)


@export(NTDLL, "NtQueryValueKey", "ZwQueryValueKey")
def nt_query_value_key(k: "Kernel", key: int, name: int, kind: U32, buffer: int, length: U32, result: int) -> Any:
    """NtQueryValueKey."""
    return _call("QueryValueKey", k, key, name, kind, buffer, length, result)


@export(NTDLL, "NtEnumerateValueKey", "ZwEnumerateValueKey")
def nt_enumerate_value_key(k: "Kernel", key: int, index: U32, kind: U32, buffer: int, length: U32, result: int) -> Any:
    """NtEnumerateValueKey."""
    return _call("EnumerateValueKey", k, key, index, kind, buffer, length, result)


@export(NTDLL, "NtQueryKey", "ZwQueryKey")
def nt_query_key(k: "Kernel", key: int, kind: U32, buffer: int, length: U32, result: int) -> Any:
    """NtQueryKey."""
    return _call("QueryKey", k, key, kind, buffer, length, result)


@export(NTDLL, "NtEnumerateKey", "ZwEnumerateKey")
def nt_enumerate_key(k: "Kernel", key: int, index: U32, kind: U32, buffer: int, length: U32, result: int) -> Any:
    """NtEnumerateKey."""
    return _call("EnumerateKey", k, key, index, kind, buffer, length, result)


@export(NTDLL, "NtSetValueKey", "ZwSetValueKey")
def nt_set_value_key(k: "Kernel", key: int, name: int, title: U32, kind: U32, data: int, size: U32) -> Any:
    """NtSetValueKey."""
    return _call("SetValueKey", k, key, name, title, kind, data, size)


@export(NTDLL, "NtDeleteValueKey", "ZwDeleteValueKey")
def nt_delete_value_key(k: "Kernel", key: int, name: int) -> Any:
    """NtDeleteValueKey."""
    return _call("DeleteValueKey", k, key, name)


@export(NTDLL, "NtDeleteKey", "ZwDeleteKey")
def nt_delete_key(k: "Kernel", key: int) -> Any:
    """NtDeleteKey."""
    return _call("DeleteKey", k, key)
