"""File names: FLT_FILE_NAME_INFORMATION, and where a name comes from.

There are no short names and no tunnelling on this volume: the name of an open file is what the file system tells, in
both formats, and of one that is being opened the normalized name has the spelling of the directories. A name provider
below whoever asks answers in the file system's place (name_providers.py).
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.nt import BugCheck, IrpMajor, Irql, NtStatus, nt_success
from harness.reference.windows.fltmgr.name_cache import NameCache
from harness.reference.windows.fltmgr.name_providers import NameProviders
from harness.reference.windows.fltmgr.operation import Operation
from harness.reference.windows.fltmgr.references import FILE_NAME
from harness.reference.windows.io.constants import FileObjectFlags, IrpFlags
from harness.reference.windows.io.request import Code
from harness.reference.windows.ntos.ke.offsets import KTHREAD
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.filter_objects import FilterObjects
    from harness.reference.windows.fltmgr.filters import Instance
    from harness.reference.windows.io.file_object import FileObject
    from harness.reference.windows.io.volumes import Volume

NORMALIZED, OPENED, SHORT = 1, 2, 3
FORMATS, METHODS = 0xFF, 0xFF00
DEFAULT, CACHE_ONLY, FILESYSTEM_ONLY, ALWAYS_ALLOW_CACHE_LOOKUP = 0x0100, 0x0200, 0x0300, 0x0400
FROM_CURRENT_PROVIDER, DO_NOT_CACHE = 0x0100_0000, 0x0200_0000
_ALL_FORMATS = (NORMALIZED, OPENED, SHORT)
_ALL_METHODS = (DEFAULT, CACHE_ONLY, FILESYSTEM_ONLY, ALWAYS_ALLOW_CACHE_LOOKUP)
_SIZE = 120
_NAME, _VOLUME, _SHARE, _EXTENSION, _STREAM, _FINAL, _PARENT = (8 + 16 * index for index in range(7))
_PARSED = 0x0F
OVER_RELEASED = 0x68
"""Parameter 1 of bug check 0xF5."""
_NEVER_SAFE = frozenset(
    {
        IrpMajor.ACQUIRE_FOR_CC_FLUSH, IrpMajor.RELEASE_FOR_CC_FLUSH, IrpMajor.ACQUIRE_FOR_MOD_WRITE,
        IrpMajor.RELEASE_FOR_MOD_WRITE, IrpMajor.RELEASE_FOR_SECTION_SYNCHRONIZATION,
    }
)  # fmt: skip
"""Of the acquire for section synchronization the preoperation callback may ask."""


@dataclass(eq=False, slots=True)
class NameInformation:
    """FLT_FILE_NAME_INFORMATION with its references. `volume_length` is in bytes."""

    address: int
    volume_length: int
    references: int = 1


def are_options(options: int) -> bool:
    """Whether FLT_FILE_NAME_OPTIONS name a format and a query method: who asks must say both."""
    return options & FORMATS in _ALL_FORMATS and options & METHODS in _ALL_METHODS


def path_by_id(file: "FileObject") -> str | None:
    """The path of a file that is being opened by its id; None if there is none."""
    if file.volume.file_system is None:
        return None
    with suppress(StatusError):
        inode = file.volume.file_system.store.by_id(file.name)
        if inode is not None and (inode.root or inode.links):
            return inode.path() or "\\"
    return None


def spelling(volume: "Volume", name: str) -> str:
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
        except StatusError:
            link = None
        if link is None:
            spelled += components[position:]
            break
        spelled.append(link.name + colon + stream)
        at = link.inode
    return "\\" + "\\".join(spelled) if spelled != [""] else name


class FileNames:
    """All file name informations that filters hold."""

    def __init__(self, objects: "FilterObjects") -> None:
        self._objects = objects
        self._kernel = objects.kernel
        self.providers = NameProviders(objects)
        self.cache = NameCache()
        self._given: dict[int, NameInformation] = {}
        """By address."""

    def make(self, volume: "Volume", name: str, form: int) -> NameInformation:
        """Of a name as it is called to filters: with the volume's name, unless a provider has made up another."""
        full = name.encode("utf-16-le", "surrogatepass")
        address = self._objects.allocate_object(f"the FLT_FILE_NAME_INFORMATION of {name}", _SIZE + len(full) + 2)
        buffer = address + _SIZE
        memory = self._kernel.memory
        memory.write(buffer, full)
        memory.write_u16(address, _SIZE)
        memory.write_u32(address + 4, form)
        memory.write_unicode_string(address + _NAME, buffer, len(full), len(full))
        volume_length = 2 * len(volume.device_name) if name.startswith(volume.device_name) else 0
        memory.write_unicode_string(address + _VOLUME, buffer, volume_length, volume_length)
        information = NameInformation(address, volume_length)
        self._given[address] = information
        self._kernel.holdings.take(FILE_NAME, address)
        return information

    def refusal(self, operation: Operation, options: int) -> int:
        """Why a name cannot be queried here, or 0 (NAME-01)."""
        request = operation.request
        form = options & FORMATS
        file = request.file
        if self._kernel.irql > Irql.APC or file is None:
            return int(NtStatus.FLT_INVALID_NAME_REQUEST)
        if request.major == IrpMajor.CREATE and operation.visit is not None and form == SHORT:
            return int(NtStatus.FLT_INVALID_NAME_REQUEST)
        if not are_options(options):
            return int(NtStatus.INVALID_PARAMETER)
        if options & METHODS == CACHE_ONLY:
            return 0
        unsafe = (
            (request.is_irp and bool(request.irp_flags & IrpFlags.PAGING_IO))
            or bool(self._kernel.memory.read_u64(self._kernel.current.kthread + KTHREAD.TOP_LEVEL_IRP))
            or bool(file.flags & FileObjectFlags.CLEANUP_COMPLETE)
            or self._kernel.irql == Irql.APC
            or self._kernel.apc_counts.guarded_regions > 0
            or request.major in _NEVER_SAFE
            or (request.major == IrpMajor.ACQUIRE_FOR_SECTION_SYNCHRONIZATION and operation.visit is None)
        )
        # The default method does nothing there, whatever the cache has; one method may still look into the cache.
        if not unsafe:
            return 0
        asking = self.asking(operation)
        allowed = options & METHODS == ALWAYS_ALLOW_CACHE_LOOKUP
        cached = allowed and self._cached(file, self._provider(file, asking, options), form) is not None
        return 0 if cached else int(NtStatus.FLT_INVALID_NAME_REQUEST)

    def asking(self, operation: Operation) -> "Instance | None":
        """The instance that asks about an operation: the one whose turn it is, or a provider that is asked itself."""
        holder = operation.holder
        provider = self.providers.asking(operation.data)
        return provider or (holder.instance if holder is not None else None)

    def _provider(self, file: "FileObject", asking: "Instance | None", options: int) -> "Instance | None":
        current = bool(options & FROM_CURRENT_PROVIDER)
        return self.providers.below(self._objects.mount_of(file), asking, current=current)

    def _cached(self, file: "FileObject", provider: "Instance | None", form: int) -> str | None:
        return self.cache.find(file, provider, form, self._true_name(file, provider))

    def _true_name(self, file: "FileObject", provider: "Instance | None") -> str:
        """What a kept name stands or falls with: the file system is always asked anew."""
        return self.name_of(file, OPENED) if provider is not None else ""

    def query(self, file: "FileObject", asking: "Instance | None", data: int, options: int, *, by_id: bool) -> Code:
        """What a file is called to an instance; (NTSTATUS, whole name). `data` is 0 where there is no operation."""
        form, method = options & FORMATS, options & METHODS
        provider = self._provider(file, asking, options)
        known = self._cached(file, provider, form) if method != FILESYSTEM_ONLY else None
        if known is not None and provider is not None:
            return int(NtStatus.SUCCESS), known
        if method == CACHE_ONLY and known is None:
            return int(NtStatus.FLT_NAME_CACHE_MISS), ""
        cache = method != FILESYSTEM_ONLY and not options & DO_NOT_CACHE
        status, name = int(NtStatus.SUCCESS), ""
        if provider is None:
            if form == SHORT:
                return int(NtStatus.OBJECT_NAME_NOT_FOUND), ""  # the volume makes no short names
            path = path_by_id(file) if file.opened is None and by_id else self.name_of(file, form)
            if path is None:
                return int(NtStatus.FLT_INVALID_NAME_REQUEST), ""
            name = file.volume.device_name + path
        else:
            opened_only = form == NORMALIZED and self._kernel.policy["name-provider-format"] == "opened"
            wanted = options & ~FORMATS | OPENED if opened_only else options
            status, generated = yield from self.providers.generate(provider, file, data, wanted)
            if generated is not None:
                name, cache = generated.name, cache and generated.cache
            if nt_success(status) and form == NORMALIZED:
                status, name = yield from self.normalize(provider, file, name, 0)
        if nt_success(status) and cache:
            self.cache.keep(file, provider, form, self._true_name(file, provider), name)
        return status, name

    def normalize(self, provider: "Instance | None", file: "FileObject", name: str, flags: int) -> Code:
        """The normalized form of a whole name, by a provider or the file system; (NTSTATUS, name)."""
        device = file.volume.device_name
        if not name.startswith(device + "\\"):
            return int(NtStatus.SUCCESS), name
        inside = name[len(device) :]
        if provider is None:
            return int(NtStatus.SUCCESS), device + spelling(file.volume, inside)
        status, long = yield from self.providers.normalize(provider, file, inside, flags)
        return status, device + long

    def name_of(self, file: "FileObject", form: int) -> str:
        """An open file's name as the file system tells it now; of one that is being opened, what it is opened by."""
        if file.opened is not None:
            return file.opened.path
        related = self._objects.io.file_at(file.view.related_file_object) if file.view.related_file_object else None
        name = file.name
        if related is not None:
            above = self.name_of(related, form)
            name = above.rstrip("\\") + "\\" + name if name and not name.startswith(":") else above + name
        return spelling(file.volume, name) if form == NORMALIZED else name

    def at(self, address: int) -> NameInformation:
        """The file name information a driver names; a wrong pointer is a bug check."""
        found = self._given.get(address)
        if found is None:
            self._kernel.bugcheck(
                BugCheck.FLTMGR_FILE_SYSTEM,
                OVER_RELEASED,
                address,
                message=f"{address:#x} is no file name information (any more): it was released too often",
                rule="NAME-02",
            )
        return found

    def reference(self, found: NameInformation) -> None:
        """Take another reference."""
        found.references += 1
        self._kernel.holdings.take(FILE_NAME, found.address)

    def release(self, found: NameInformation) -> None:
        """Drop a reference; the last one frees it."""
        found.references -= 1
        self._kernel.holdings.give_back(FILE_NAME, found.address)
        if found.references == 0:
            del self._given[found.address]
            self._objects.free_object(found.address)

    def parse(self, found: NameInformation) -> None:
        """FltParseFileNameInformation: fill in the parts of the name."""
        memory, information = self._kernel.memory, found.address
        name = memory.read_unicode_string(information + _NAME)
        buffer = memory.read_u64(information + _NAME + 8)
        start = found.volume_length // 2
        cut = name.rfind("\\")
        final = name[cut + 1 :]

        def part(offset: int, begin: int, text: str) -> None:
            memory.write_unicode_string(information + offset, buffer + 2 * begin, 2 * len(text), 2 * len(text))

        plain, colon, stream = final.partition(":")
        dot = plain.rfind(".")
        part(_FINAL, cut + 1, final)  # with the stream, as FltParseFileName
        part(_STREAM, cut + 1 + len(plain), colon + stream)
        part(_PARENT, start, name[start : cut + 1])
        if dot > 0:
            part(_EXTENSION, cut + 1 + dot + 1, plain[dot + 1 :])
        memory.write_u16(information + 2, _PARSED)
