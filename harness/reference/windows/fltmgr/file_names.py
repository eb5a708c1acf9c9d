"""File names: FltGetFileNameInformation and its kin.

There are no short names and no tunnelling on this volume: the name of an open file is what the file system tells, in
both formats, and of one that is being opened the normalized name has the spelling of the directories.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.nt import BugCheck, IrpMajor, Irql, NtStatus, OperationClass
from harness.reference.machine.loader.exports import FLTMGR, U32, export
from harness.reference.windows.fltmgr.filters import Filter
from harness.reference.windows.fltmgr.operation import Operation
from harness.reference.windows.fltmgr.references import FILE_NAME
from harness.reference.windows.fs.errors import VolumeError
from harness.reference.windows.io.constants import CreateOption, FileObjectFlags, IrpFlags
from harness.reference.windows.ntos.ke.offsets import KTHREAD

if TYPE_CHECKING:
    from harness.reference.windows.io.file_object import FileObject
    from harness.reference.windows.io.volumes import Volume
    from harness.reference.windows.kernel import Kernel

NORMALIZED, OPENED, SHORT = 1, 2, 3
_FORMATS, _METHODS = 0xFF, 0xFF00
_CACHE_ONLY = 0x200
_SIZE = 120
_NAME, _VOLUME, _SHARE, _EXTENSION, _STREAM, _FINAL, _PARENT = (8 + 16 * index for index in range(7))
_PARSED = 0x0F
OVER_RELEASED = 0x68
"""Parameter 1 of bug check 0xF5."""
_FS_FILTER_SAFE = frozenset({IrpMajor.QUERY_OPEN})


@dataclass(eq=False, slots=True)
class NameInformation:
    """FLT_FILE_NAME_INFORMATION with its references."""

    address: int
    filter: Filter | None
    volume_length: int
    references: int = 1


def _make(k: "Kernel", volume: "Volume", name: str, form: int, driver: str | None) -> NameInformation:
    full = (volume.device_name + name).encode("utf-16-le", "surrogatepass")
    address = k.flt.heap.allocate(_SIZE + len(full) + 2)
    buffer = address + _SIZE
    memory = k.memory
    memory.write(buffer, full)
    memory.write_u16(address, _SIZE)
    memory.write_u32(address + 4, form)
    memory.write_unicode_string(address + _NAME, buffer, len(full), len(full))
    volume_length = 2 * len(volume.device_name)
    memory.write_unicode_string(address + _VOLUME, buffer, volume_length, volume_length)
    found = k.flt.filter_named(driver) if driver else None
    information = NameInformation(address, found, volume_length)
    k.flt.names[address] = information
    k.holdings.take(FILE_NAME, address)
    return information


def _spelling(volume: "Volume", name: str) -> str:
    """The name with the spelling of the directories, as far as they exist."""
    if volume.file_system is None:
        return name  # of a file system that is loaded as a driver: as it was opened
    store = volume.file_system.store
    components = name.lstrip("\\").split("\\")
    at, spelled = store.root, []
    for position, component in enumerate(components):
        plain, colon, stream = component.partition(":")
        try:
            link = store.lookup(at, plain) if at.directory and plain else None
        except VolumeError:
            link = None
        if link is None:
            spelled += components[position:]
            break
        spelled.append(link.name + colon + stream)
        at = link.inode
    return "\\" + "\\".join(spelled) if spelled != [""] else name


def _refusal(k: "Kernel", operation: Operation, options: int) -> int:
    """Why a name cannot be queried here, or 0 (NAME-01)."""
    request = operation.request
    form = options & _FORMATS
    file = request.file
    if k.irql > Irql.APC or file is None:
        return int(NtStatus.FLT_INVALID_NAME_REQUEST)
    if request.major == IrpMajor.CREATE and operation.visit is not None and form == SHORT:
        return int(NtStatus.FLT_INVALID_NAME_REQUEST)
    if form not in (NORMALIZED, OPENED, SHORT):
        return int(NtStatus.INVALID_PARAMETER)
    if options & _METHODS == _CACHE_ONLY:
        return 0
    unsafe = (
        (request.is_irp and bool(request.irp_flags & IrpFlags.PAGING_IO))
        or bool(k.memory.read_u64(k.current.kthread + KTHREAD.TOP_LEVEL_IRP))
        or bool(file.flags & FileObjectFlags.CLEANUP_COMPLETE)
        or (request.kind is OperationClass.FS_FILTER and request.major not in _FS_FILTER_SAFE)
    )
    # What is in the name cache is given even there: everything that has been asked for a file object before.
    return int(NtStatus.FLT_INVALID_NAME_REQUEST) if unsafe and not file.name_cached else 0


def _name_of(k: "Kernel", file: "FileObject", form: int) -> str:
    """The name of an open file as the file system tells it now; of one that is being opened, what it is opened by."""
    if file.opened is not None:
        return file.opened.path
    related = k.io.file_at(file.view.related_file_object) if file.view.related_file_object else None
    name = file.name
    if related is not None:
        above = _name_of(k, related, form)
        name = above.rstrip("\\") + "\\" + name if name and not name.startswith(":") else above + name
    return _spelling(file.volume, name) if form == NORMALIZED else name


def _is_opened_by_id(operation: Operation) -> bool:
    request = operation.request
    options = int.from_bytes(request.parameters[8:12], "little")
    return request.major == IrpMajor.CREATE and bool(options & CreateOption.OPEN_BY_FILE_ID)


@export(FLTMGR, "FltGetFileNameInformation", max_irql=Irql.APC)
def flt_get_file_name_information(k: "Kernel", data: int, options: U32, out: int) -> int:
    """FltGetFileNameInformation."""
    k.memory.write_u64(out, 0)
    operation = k.flt.operation_at(data)
    refusal = _refusal(k, operation, options)
    if refusal:
        return refusal
    file = operation.request.file
    assert file is not None
    form = options & _FORMATS
    if options & _METHODS == _CACHE_ONLY and not file.name_cached:
        return NtStatus.FLT_NAME_CACHE_MISS
    file.name_cached = True
    if file.opened is None and _is_opened_by_id(operation):
        return NtStatus.NOT_SUPPORTED
    name = _name_of(k, file, form)
    information = _make(k, file.volume, name, form, k.blame.current().driver)
    k.memory.write_u64(out, information.address)
    return NtStatus.SUCCESS


@export(FLTMGR, "FltGetFileNameInformationUnsafe", max_irql=Irql.APC)
def flt_get_file_name_information_unsafe(k: "Kernel", file_object: int, instance: int, options: U32, out: int) -> int:
    """FltGetFileNameInformationUnsafe."""
    del instance
    k.memory.write_u64(out, 0)
    file = k.io.file_at(file_object)
    if file is None:
        return NtStatus.INVALID_PARAMETER
    form = options & _FORMATS
    if options & _METHODS == _CACHE_ONLY and not file.name_cached:
        return NtStatus.FLT_NAME_CACHE_MISS
    file.name_cached = True
    information = _make(k, file.volume, _name_of(k, file, form), form, k.blame.current().driver)
    k.memory.write_u64(out, information.address)
    return NtStatus.SUCCESS


def _information_at(k: "Kernel", address: int) -> NameInformation:
    found = k.flt.names.get(address)
    if found is None:
        k.bugcheck(
            BugCheck.FLTMGR_FILE_SYSTEM,
            OVER_RELEASED,
            address,
            message=f"{address:#x} is no file name information (any more): it was released too often",
            rule="NAME-02",
        )
    return found


@export(FLTMGR, "FltReferenceFileNameInformation", max_irql=Irql.APC)
def flt_reference_file_name_information(k: "Kernel", information: int) -> None:
    """FltReferenceFileNameInformation."""
    _information_at(k, information).references += 1
    k.holdings.take(FILE_NAME, information)


@export(FLTMGR, "FltReleaseFileNameInformation", max_irql=Irql.APC)
def flt_release_file_name_information(k: "Kernel", information: int) -> None:
    """FltReleaseFileNameInformation."""
    found = _information_at(k, information)
    found.references -= 1
    k.holdings.give_back(FILE_NAME, information)
    if found.references == 0:
        del k.flt.names[information]
        k.flt.heap.free(information)


@export(FLTMGR, "FltParseFileNameInformation", max_irql=Irql.APC)
def flt_parse_file_name_information(k: "Kernel", information: int) -> int:
    """FltParseFileNameInformation: fills in the parts of the name."""
    found = _information_at(k, information)
    memory = k.memory
    name = memory.read_unicode_string(information + _NAME)
    buffer = memory.read_u64(information + _NAME + 8)
    start = found.volume_length // 2
    cut = name.rfind("\\")
    final = name[cut + 1 :]

    def part(offset: int, begin: int, text: str) -> None:
        memory.write_unicode_string(information + offset, buffer + 2 * begin, 2 * len(text), 2 * len(text))

    plain, colon, stream = final.partition(":")
    dot = plain.rfind(".")
    part(_FINAL, cut + 1, plain)
    part(_STREAM, cut + 1 + len(plain), colon + stream)
    part(_PARENT, start, name[start : cut + 1])
    if dot > 0:
        part(_EXTENSION, cut + 1 + dot + 1, plain[dot + 1 :])
    memory.write_u16(information + 2, _PARSED)
    return NtStatus.SUCCESS


@export(FLTMGR, "FltGetDestinationFileNameInformation", max_irql=Irql.PASSIVE)
def flt_get_destination_file_name_information(
    k: "Kernel",
    instance: int,
    file_object: int,
    root: int,
    name_at: int,
    name_length: U32,
    options: U32,
    out: int,
) -> int:
    """FltGetDestinationFileNameInformation: the name a rename or link would make."""
    k.memory.write_u64(out, 0)
    found, file = k.flt.instance_at(instance), k.io.file_at(file_object)
    if file is None:
        return NtStatus.INVALID_PARAMETER
    name = k.memory.read(name_at, name_length).decode("utf-16-le", "surrogatepass")
    if root:
        handle = k.objects.lookup(root)
        above = k.io.file_at(handle.object.address) if handle is not None else None
        if above is None:
            return NtStatus.INVALID_HANDLE
        name = _name_of(k, above, OPENED).rstrip("\\") + "\\" + name
    elif "\\" not in name:
        name = _name_of(k, file, OPENED).rpartition("\\")[0] + "\\" + name
    else:
        elsewhere = k.io.volume_of(name)
        if elsewhere is not None:
            name = elsewhere[1]
    form = options & _FORMATS
    if form == NORMALIZED:
        name = _spelling(found.volume, name)
    information = _make(k, found.volume, name, form, k.blame.current().driver)
    k.memory.write_u64(out, information.address)
    return NtStatus.SUCCESS


@export(FLTMGR, "FltGetTunneledName", max_irql=Irql.APC)
def flt_get_tunneled_name(k: "Kernel", data: int, information: int, out: int) -> int:
    """FltGetTunneledName: there is no tunnelling here, so the name that was taken stands."""
    k.flt.operation_at(data)
    _information_at(k, information)
    k.memory.write_u64(out, 0)
    return NtStatus.SUCCESS
