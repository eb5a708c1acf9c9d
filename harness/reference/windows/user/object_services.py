"""The object manager's services: directories, symbolic links, and what is asked of any handle."""

from functools import partial
from struct import pack
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.machine.loader.exports import U8, U32
from harness.reference.windows.io.constants import USER_MODE
from harness.reference.windows.io.system_services import service
from harness.reference.windows.ntos.ob.handle_lookup import object_by_handle
from harness.reference.windows.ntos.ob.namespace import Directory, Entry, Link
from harness.reference.windows.ntos.ob.objects import Object
from harness.reference.windows.ntos.status_error import StatusError
from harness.reference.windows.ntos.structures import OBJ_KERNEL_HANDLE, ObjectAttributes
from harness.reference.windows.user.query_answers import body_of, counted_name

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

DIRECTORY, LINK = "Directory", "SymbolicLink"
_PERMANENT, _OPEN_IF = 0x10, 0x80
TYPE_NAMES = {
    "IoFileObjectType": "File", "ExEventObjectType": "Event", "MmSectionObjectType": "Section",
    "ExSemaphoreObjectType": "Semaphore", "IoDeviceObjectType": "Device", "IoDriverObjectType": "Driver",
}  # fmt: skip
_BASIC_SIZE = 0x38


def _path(k: "Kernel", attributes: int) -> str:
    """The whole name that OBJECT_ATTRIBUTES give, below their root directory."""
    view = ObjectAttributes(k.memory, attributes)
    name = k.memory.read_unicode_string(view.object_name) if view.object_name else ""
    if view.root_directory:
        root = body_of(k, view.root_directory, _Named)
        assert isinstance(root, _Named)
        return f"{root.path.rstrip(chr(92))}\\{name}"
    if not name.startswith("\\"):
        raise StatusError(NtStatus.OBJECT_PATH_SYNTAX_BAD)
    return name


def _forget(k: "Kernel", path: str, item: Object) -> None:
    """The last handle is closed: what is not permanent loses its name."""
    del item
    k.named_objects.pop(path.lower(), None)
    k.namespace.remove(path)


class _Named:
    """What a handle to a directory or a link refers to."""

    def __init__(self, path: str, entry: Directory | Link) -> None:
        self.path = path
        self.entry = entry


def _open(k: "Kernel", mode: int, path: str, entry: Directory | Link, access: int, attributes: int, out: int) -> int:
    kind = DIRECTORY if isinstance(entry, Directory) else LINK
    kernel = mode != USER_MODE and bool(ObjectAttributes(k.memory, attributes).attributes & OBJ_KERNEL_HANDLE)
    item = k.named_objects.get(path.lower()) or Object(kind, _Named(path, entry), references=0)
    k.memory.write_u64(out, k.objects.open(item, kernel=kernel, access=access))
    return 0


def _find(k: "Kernel", path: str) -> Entry:
    found = k.namespace.root if path == "\\" else k.namespace.find(path)
    if found is None:
        raise StatusError(NtStatus.OBJECT_NAME_NOT_FOUND)
    return found


def _make(k: "Kernel", mode: int, out: int, access: int, attributes: int, entry: Directory | Link) -> int:
    """A new entry; with OBJ_OPENIF one that is there already is opened."""
    path = _path(k, attributes)
    if k.namespace.insert(path, entry):
        if not ObjectAttributes(k.memory, attributes).attributes & _PERMANENT:
            kind = DIRECTORY if isinstance(entry, Directory) else LINK
            item = Object(kind, _Named(path, entry), references=0, on_close=partial(_forget, k, path))
            k.named_objects[path.lower()] = item
        return _open(k, mode, path, entry, access, attributes, out)
    found = k.namespace.find(path)
    if found is None:
        return int(NtStatus.OBJECT_PATH_NOT_FOUND)
    if isinstance(found, type(entry)) and ObjectAttributes(k.memory, attributes).attributes & _OPEN_IF:
        _open(k, mode, path, found, access, attributes, out)
        return int(NtStatus.OBJECT_NAME_EXISTS)
    return int(NtStatus.OBJECT_NAME_COLLISION)


@service("CreateDirectoryObject")
def create_directory_object(k: "Kernel", mode: int, out: int, access: U32, attributes: int) -> int:
    """NtCreateDirectoryObject."""
    return _make(k, mode, out, access, attributes, Directory())


@service("OpenDirectoryObject")
def open_directory_object(k: "Kernel", mode: int, out: int, access: U32, attributes: int) -> int:
    """NtOpenDirectoryObject."""
    path = _path(k, attributes)
    found = _find(k, path)
    if isinstance(found, Link):
        found = _find(k, found.target)
    if not isinstance(found, Directory):
        return int(NtStatus.OBJECT_TYPE_MISMATCH)
    return _open(k, mode, path, found, access, attributes, out)


@service("QueryDirectoryObject")
def query_directory_object(
    k: "Kernel", mode: int, handle: int, buffer: int, length: U32, single: U8, restart: U8, context: int, returned: int
) -> int:
    """NtQueryDirectoryObject: OBJECT_DIRECTORY_INFORMATION, one behind the other, then their texts."""
    del mode
    directory = body_of(k, handle, _Named)
    if not isinstance(directory, _Named) or not isinstance(directory.entry, Directory):
        return int(NtStatus.OBJECT_TYPE_MISMATCH)
    entries = sorted(directory.entry.entries.items())
    index = 0 if restart else k.memory.read_u32(context)
    if index >= len(entries):
        return int(NtStatus.NO_MORE_ENTRIES)
    chosen: list[tuple[str, str]] = []
    size = 32
    for name, entry in entries[index : index + 1 if single else None]:
        kind = _type_of(entry)
        more = 32 + 2 * len(name) + 2 * len(kind) + 4
        if size + more > length:
            break
        chosen.append((name, kind))
        size += more
    if not chosen:
        return int(NtStatus.BUFFER_TOO_SMALL)
    text = buffer + 32 * (len(chosen) + 1)
    for at, pair in enumerate(chosen):
        for offset, word in zip((0, 16), pair, strict=True):
            data = word.encode("utf-16-le")
            k.memory.write(text, data + b"\0\0")
            k.memory.write_unicode_string(buffer + 32 * at + offset, text, len(data), len(data) + 2)
            text += len(data) + 2
    k.memory.write(buffer + 32 * len(chosen), bytes(32))
    k.memory.write_u32(context, index + len(chosen))
    if returned:
        k.memory.write_u32(returned, text - buffer)
    return 0


def _type_of(entry: Entry) -> str:
    if isinstance(entry, Directory):
        return DIRECTORY
    return LINK if isinstance(entry, Link) else TYPE_NAMES.get(entry.type, entry.type)


@service("CreateSymbolicLinkObject")
def create_symbolic_link_object(k: "Kernel", mode: int, out: int, access: U32, attributes: int, target: int) -> int:
    """NtCreateSymbolicLinkObject."""
    text = k.memory.read_unicode_string(target)
    return _make(k, mode, out, access, attributes, Link(text)) if text else int(NtStatus.INVALID_PARAMETER)


@service("OpenSymbolicLinkObject")
def open_symbolic_link_object(k: "Kernel", mode: int, out: int, access: U32, attributes: int) -> int:
    """NtOpenSymbolicLinkObject."""
    path = _path(k, attributes)
    found = _find(k, path)
    if not isinstance(found, Link):
        return int(NtStatus.OBJECT_TYPE_MISMATCH)
    return _open(k, mode, path, found, access, attributes, out)


@service("QuerySymbolicLinkObject")
def query_symbolic_link_object(k: "Kernel", mode: int, handle: int, target: int, returned: int) -> int:
    """NtQuerySymbolicLinkObject: BUFFER_TOO_SMALL and how much is needed for a short string."""
    del mode
    link = body_of(k, handle, _Named)
    if not isinstance(link, _Named) or not isinstance(link.entry, Link):
        return int(NtStatus.OBJECT_TYPE_MISMATCH)
    data = link.entry.target.encode("utf-16-le")
    if returned:
        k.memory.write_u32(returned, len(data))
    if k.memory.read_u16(target + 2) < len(data):
        return int(NtStatus.BUFFER_TOO_SMALL)
    k.memory.write(k.memory.read_u64(target + 8), data)
    k.memory.write_u16(target, len(data))
    return 0


@service("MakeTemporaryObject")
def make_temporary_object(k: "Kernel", mode: int, handle: int) -> int:
    """NtMakeTemporaryObject: the name goes with the last handle."""
    del mode
    named = body_of(k, handle, _Named)
    found = k.objects.lookup(handle)
    assert isinstance(named, _Named)
    assert found is not None
    found.object.on_close = partial(_forget, k, named.path)
    k.named_objects[named.path.lower()] = found.object
    return 0


@service("QueryObject")
def query_object(k: "Kernel", mode: int, handle: int, kind: U32, buffer: int, length: U32, returned: int) -> int:
    """NtQueryObject: basic information, the name, the type, the handle's flags."""
    del mode
    item = object_by_handle(k, handle)
    if item is None:
        return int(NtStatus.INVALID_HANDLE)
    found = k.objects.lookup(handle)
    access = found.access if found is not None else 0x1F_FFFF
    if kind == 0:
        head = pack("<IIII", 0, access, item.handles, item.references)
        data = head.ljust(_BASIC_SIZE, b"\0")
        exact = True
    elif kind == 1:
        name = item.body.path if isinstance(item.body, _Named) else ""
        name = k.object_names[item.type](item) if item.type in k.object_names else name
        data, exact = counted_name(name, buffer) if name else bytes(16), False
    elif kind == 2:
        data = counted_name(TYPE_NAMES.get(item.type, item.type), buffer)
        data, exact = data[:16] + bytes(0x58) + data[16:], False
        data = data[:8] + (buffer + 0x68).to_bytes(8, "little") + data[16:]
    elif kind == 4:
        data, exact = bytes(2), True
    else:
        return int(NtStatus.INVALID_INFO_CLASS)
    if returned:
        k.memory.write_u32(returned, len(data))
    if length < len(data) or (exact and length != len(data)):
        return int(NtStatus.INFO_LENGTH_MISMATCH)
    k.memory.write(buffer, data)
    return 0


@service("SetInformationObject")
def set_information_object(k: "Kernel", mode: int, handle: int, kind: U32, buffer: int, length: U32) -> int:
    """NtSetInformationObject: ObjectHandleFlagInformation, of which nothing is kept: nobody inherits handles here."""
    del mode, buffer
    if object_by_handle(k, handle) is None:
        return int(NtStatus.INVALID_HANDLE)
    if kind != 4:
        return int(NtStatus.INVALID_INFO_CLASS)
    return 0 if length == 2 else int(NtStatus.INFO_LENGTH_MISMATCH)


@service("AllocateLocallyUniqueId")
def allocate_locally_unique_id(k: "Kernel", mode: int, luid: int) -> int:
    """NtAllocateLocallyUniqueId."""
    del mode
    k.next_luid += 1
    k.memory.write_u64(luid, k.next_luid)
    return 0
