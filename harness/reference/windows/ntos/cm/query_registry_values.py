"""RtlQueryRegistryValues: a table of values, each stored or handed to a routine."""

from typing import TYPE_CHECKING

from harness.nt import Irql, NtStatus, nt_success
from harness.reference.machine.loader.exports import NTOSKRNL, U32, export
from harness.reference.machine.memory.structure import Field, Structure
from harness.reference.machine.scheduler.requests import Call, KernelCode
from harness.reference.windows.ntos.cm.key_handles import relative_key
from harness.reference.windows.ntos.cm.registry import Key, Value, ValueType

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_SUBKEY, _TOPKEY, _REQUIRED, _NOVALUE, _NOEXPAND, _DIRECT, _DELETE, _TYPECHECK = (1 << bit for bit in range(8))
_STRINGS = (ValueType.REG_SZ, ValueType.REG_EXPAND_SZ)
_SIZE_OF_NUMBER = {ValueType.REG_DWORD: 4, ValueType.REG_QWORD: 8}
_TYPE_SHIFT = 24


class QueryTable(Structure):
    """RTL_QUERY_REGISTRY_TABLE."""

    SIZE = 0x38
    query_routine = Field(0x00)
    flags = Field(0x08, "I")
    name = Field(0x10)
    entry_context = Field(0x18)
    default_type = Field(0x20, "I")
    default_data = Field(0x28)
    default_length = Field(0x30, "I")


@export(NTOSKRNL, "RtlQueryRegistryValues", "RtlQueryRegistryValuesEx", max_irql=Irql.PASSIVE)
def rtl_query_registry_values(
    k: "Kernel", relative_to: U32, path: int, table: int, context: int, environment: int
) -> KernelCode:
    """RtlQueryRegistryValues."""
    del environment
    top = relative_key(k, relative_to, path, create=False)
    if top is None:
        k.registry.missed.append(f"the key {k.memory.read_wide(path)}")
        return int(NtStatus.OBJECT_NAME_NOT_FOUND)
    key: Key | None = top
    while True:
        entry = QueryTable(k.memory, table)
        if not entry.query_routine and not entry.name and not entry.flags & (_SUBKEY | _DIRECT):
            return int(NtStatus.SUCCESS)
        if entry.flags & (_SUBKEY | _TOPKEY):
            key = top
        if entry.flags & _SUBKEY:
            key = _below(k, top, entry.name)
            if key is None and entry.flags & _REQUIRED:
                k.registry.missed.append(f"the key {k.memory.read_wide(entry.name)}")
                return int(NtStatus.OBJECT_NAME_NOT_FOUND)
        if not (entry.flags & _SUBKEY and not entry.query_routine):
            status = yield from _query(k, entry, key, context)
            if not nt_success(status):
                return status
        table += QueryTable.SIZE


def _below(k: "Kernel", key: Key, name: int) -> Key | None:
    found: Key | None = key
    for part in k.memory.read_wide(name).split("\\"):
        found = found.key(part) if found is not None and part else found
    return found


def _query(k: "Kernel", entry: QueryTable, key: Key | None, context: int) -> KernelCode:
    if entry.flags & _NOVALUE:
        if entry.query_routine:
            return (yield Call(entry.query_routine, 0, 0, 0, 0, context, entry.entry_context)) & 0xFFFF_FFFF
        return 0
    if entry.flags & _SUBKEY or not entry.name:
        values = list(key.values.values()) if key is not None else []
    else:
        found = key.value(k.memory.read_wide(entry.name)) if key is not None else None
        values = [found] if found is not None else []
        if found is None:
            return (yield from _missing(k, entry, context))
    for value in values:
        status = yield from _give(k, entry, value, context)
        if not nt_success(status):
            return status
    return 0


def _missing(k: "Kernel", entry: QueryTable, context: int) -> KernelCode:
    """A value that is not there: its default, or an error if it is required."""
    if entry.flags & _REQUIRED:
        k.registry.missed.append(f"the value {k.memory.read_wide(entry.name)}")
        return int(NtStatus.OBJECT_NAME_NOT_FOUND)
    kind = entry.default_type & 0xFF
    if not kind:
        return 0
    length = entry.default_length
    if not length and kind in _STRINGS:
        data = (k.memory.read_wide(entry.default_data) + "\0").encode("utf-16-le")
    elif not length:
        data = k.memory.read(entry.default_data, _SIZE_OF_NUMBER.get(ValueType(kind), 0))
    else:
        data = k.memory.read(entry.default_data, length)
    name = k.memory.read_wide(entry.name) if entry.name else ""
    return (yield from _give(k, entry, Value(name, ValueType(kind), data), context))


def _give(k: "Kernel", entry: QueryTable, value: Value, context: int) -> KernelCode:
    if entry.flags & _DIRECT:
        expected = entry.default_type >> _TYPE_SHIFT
        if entry.flags & _TYPECHECK and expected != value.type:
            return int(NtStatus.OBJECT_TYPE_MISMATCH)
        return _store(k, entry.entry_context, value)
    kind, pieces = int(value.type), [value.data]
    if value.type is ValueType.REG_MULTI_SZ and not entry.flags & _NOEXPAND:
        kind = int(ValueType.REG_SZ)
        texts = value.data.decode("utf-16-le", "surrogatepass").split("\0")
        pieces = [(text + "\0").encode("utf-16-le", "surrogatepass") for text in texts if text]
    for piece in pieces:
        status = yield from _call(k, entry, value.name, kind, piece, context)
        if not nt_success(status):
            return status
    return 0


def _call(k: "Kernel", entry: QueryTable, name: str, kind: int, data: bytes, context: int) -> KernelCode:
    spelled = (name + "\0").encode("utf-16-le")
    buffer = k.heap.allocate(len(spelled) + len(data) + 16)
    at = buffer + (len(spelled) + 15 & ~15)
    k.memory.write(buffer, spelled)
    if data:
        k.memory.write(at, data)
    status = yield Call(entry.query_routine, buffer, kind, at, len(data), context, entry.entry_context)
    k.heap.free(buffer)
    return status & 0xFFFF_FFFF


def _store(k: "Kernel", out: int, value: Value) -> int:
    """RTL_QUERY_REGISTRY_DIRECT: into a UNICODE_STRING, whose buffer is allocated if there is none, or as it is."""
    memory, data = k.memory, value.data
    if value.type in _STRINGS or value.type is ValueType.REG_MULTI_SZ:
        maximum, buffer = memory.read_u16(out + 2), memory.read_u64(out + 8)
        if not buffer:
            where = k.blame.current()
            buffer = k.pool.allocate(len(data), "qrgR", paged=True, owner=where.driver, allocated_by=where.address)
            maximum = len(data)
        if maximum < len(data):
            return int(NtStatus.BUFFER_TOO_SMALL)
        memory.write(buffer, data)
        memory.write_unicode_string(out, buffer, max(len(data) - 2, 0), maximum)
    elif len(data) <= 4 or value.type is ValueType.REG_QWORD:
        memory.write(out, data)
    else:
        room = memory.read_i32(out)
        if room < 0 and -room >= len(data):
            memory.write(out, data)
        elif room >= len(data) + 8:
            memory.write_u32(out, len(data))
            memory.write_u32(out + 4, int(value.type))
            memory.write(out + 8, data)
        else:
            return int(NtStatus.BUFFER_TOO_SMALL)
    return 0
