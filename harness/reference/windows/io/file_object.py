"""File objects: one per open, in guest memory with the fields that drivers read inline."""

from struct import Struct
from typing import TYPE_CHECKING

from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.windows.io.constants import FileObjectFlags
from harness.reference.windows.ntos.ke.dispatcher_objects import GuestEvent
from harness.reference.windows.ntos.ob.objects import Object
from harness.reference.windows.structures.file_objects import IO_TYPE_FILE, FileObjectView
from harness.reference.windows.verifier.shields import Shield

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.reference.machine.memory.guarded_heap import GuardedHeap
    from harness.reference.machine.scheduler.requests import KernelCode
    from harness.reference.windows.fs.opens import OpenFile
    from harness.reference.windows.io.completion_ports import Association
    from harness.reference.windows.io.volumes import Volume
    from harness.reference.windows.ntos.executive import Executive


_MODES = (
    (FileObjectFlags.WRITE_THROUGH, 0x02),
    (FileObjectFlags.SEQUENTIAL_ONLY, 0x04),
    (FileObjectFlags.NO_INTERMEDIATE_BUFFERING, 0x08),
    (FileObjectFlags.DELETE_ON_CLOSE, 0x1000),
)

_NAME = Struct("<HH4xQ")
_U32, _I64, _TWO_POINTERS = Struct("<I"), Struct("<q"), Struct("<QQ")
_FLAGS, _POSITION = FileObjectView.flags.offset, FileObjectView.current_byte_offset.offset
_DEVICE_AND_VPB = FileObjectView.device_object.offset
assert FileObjectView.vpb.offset == _DEVICE_AND_VPB + 8
_OF_THE_FILE_SYSTEM = (
    FileObjectView.vpb,
    FileObjectView.fs_context,
    FileObjectView.fs_context2,
    FileObjectView.section_object_pointer,
    FileObjectView.private_cache_map,
)
_SYNCHRONOUS_IO = int(FileObjectFlags.SYNCHRONOUS_IO)
_NO_INTERMEDIATE_BUFFERING = int(FileObjectFlags.NO_INTERMEDIATE_BUFFERING)


class FileObject:
    """A file object. `address` is its FILE_OBJECT; its fields are only there."""

    def __init__(
        self,
        kernel: "Executive",
        heap: "GuardedHeap",
        volume: "Volume",
        name: str,
        flags: int,
        closing: "Callable[[FileObject], KernelCode]",
    ) -> None:
        self._kernel = kernel
        self._heap = heap
        self.volume = volume
        self.name = name
        """The name it was opened by, within the volume: `\\dir\\data.bin`."""
        self._buffer = 0
        self.address, self._at = heap.allocate_on_page(FileObjectView.SIZE, shielded=True)
        """Where its FILE_OBJECT is, and where that is in RAM: what every request reads is read there."""
        self._ram = kernel.memory.ram
        shield = Shield(self.address, FileObjectView.SIZE, self._describe, FileObjectView, self._accepts)
        kernel.shields.add(shield)
        self.view: FileObjectView = FileObjectView(kernel.memory, self.address)
        view = self.view
        view.type = IO_TYPE_FILE
        view.size = FileObjectView.SIZE
        view.device_object = volume.disk_device
        view.vpb = volume.vpb
        view.flags = flags
        self._store_name()
        self._initialize_event(view.address_of(FileObjectView.lock), synchronization=True, state=True)
        self._initialize_event(view.address_of(FileObjectView.event), synchronization=False, state=False)
        irp_list = view.address_of(FileObjectView.irp_list)
        kernel.memory.write(irp_list, irp_list.to_bytes(8, "little") * 2)
        self.opened: OpenFile | None = None
        """The file system's part; None before a successful create and after close."""
        self.association: Association | None = None
        """The completion port that its requests end in."""
        self.owner: str | None = None
        """The filter that has completed its create, and whose it is then."""
        self.access: int = 0
        self.is_open = False
        """A create has succeeded with it, as the I/O manager sees it: its end is told by cleanup and close."""
        self.filter_contexts: list[int] = []
        """FSRTL_PER_FILEOBJECT_CONTEXTs."""
        self.cleaned_up = False
        self.closed = False
        self.ignores_sharing = False
        """Of its FILE_OBJECT_EXTENSION: share access is neither checked nor counted for it."""
        self.caches = False
        """PrivateCacheMap is set: a cached read or write has been through the file system."""
        self.oplock_key: bytes | None = None
        """GUID of the open's oplock key (fsrtl/oplock_keys.py), and that of its parent's."""
        self.parent_oplock_key: bytes | None = None
        self.oplock_key_context = 0
        """OPLOCK_KEY_CONTEXT that somebody has asked for."""
        self.busy = False
        self.free = Event(f"the file object lock of {name}")
        self.object: Object = kernel.objects.register(
            Object("IoFileObjectType", self, self.address, deleting=lambda _: closing(self))
        )
        self.event = GuestEvent(kernel.memory, view.address_of(FileObjectView.event), f"file object {name}")

    def _describe(self) -> str:
        return f"the FILE_OBJECT of {self.volume.dos_name}{self.name}"

    def _accepts(self, before: bytes, after: bytes) -> bytes:
        """What guest code may have written: what is a file system's, and not of a file that ours has opened."""
        memory, allowed = self._kernel.memory, bytearray(after)

        def put_back(begin: int, end: int) -> None:
            allowed[begin:end] = before[begin:end]

        put_back(0, FileObjectView.vpb.offset)
        put_back(FileObjectView.waiters.offset, FileObjectView.SIZE)
        for field in _OF_THE_FILE_SYSTEM:
            value = int.from_bytes(after[field.offset : field.offset + 8], "little")
            if self.opened is not None or (value and not memory.is_mapped(value)):
                put_back(field.offset, field.offset + 8)
        related = FileObjectView.related_file_object.offset
        value = int.from_bytes(after[related : related + 8], "little")
        if value and file_at(self._kernel, value) is None:
            put_back(related, related + 8)
        name = FileObjectView.file_name.offset
        length, most, buffer = _NAME.unpack_from(after, name)
        if length % 2 or length > most or (length and not memory.is_mapped(buffer, length)):
            put_back(name, name + _NAME.size)
        return bytes(allowed)

    def _store_name(self) -> None:
        encoded = self.name.encode("utf-16-le", "surrogatepass")
        if self._buffer:
            self._heap.free(self._buffer)
        self._buffer = self._heap.allocate(len(encoded) + 2)
        self._kernel.memory.write(self._buffer, encoded)
        self._kernel.memory.write_unicode_string(self.address + 0x58, self._buffer, len(encoded), len(encoded) + 2)

    def replace_name(self, name: str) -> None:
        """IoReplaceFileObjectName."""
        self.name = name
        self._store_name()

    def _initialize_event(self, address: int, *, synchronization: bool, state: bool) -> None:
        memory = self._kernel.memory
        memory.write(address, bytes((int(synchronization), 0, 6, 0)))
        memory.write_u32(address + 4, int(state))
        memory.write_u64(address + 8, address + 8)
        memory.write_u64(address + 16, address + 8)

    @property
    def flags(self) -> int:
        flags: int = _U32.unpack_from(self._ram, self._at + _FLAGS)[0]
        return flags

    def add_flags(self, flags: int) -> None:
        self.view.flags |= flags

    @property
    def position(self) -> int:
        """CurrentByteOffset."""
        position: int = _I64.unpack_from(self._ram, self._at + _POSITION)[0]
        return position

    @position.setter
    def position(self, offset: int) -> None:
        _I64.pack_into(self._ram, self._at + _POSITION, offset)

    @property
    def device_and_vpb(self) -> tuple[int, int]:
        """DeviceObject and Vpb."""
        device, vpb = _TWO_POINTERS.unpack_from(self._ram, self._at + _DEVICE_AND_VPB)
        return device, vpb

    @property
    def synchronous(self) -> bool:
        """Whether the I/O manager serialises its operations and waits for them."""
        return bool(self.flags & _SYNCHRONOUS_IO)

    @property
    def non_cached(self) -> bool:
        return bool(self.flags & _NO_INTERMEDIATE_BUFFERING)

    @property
    def mode(self) -> int:
        """FILE_MODE_INFORMATION."""
        value = sum(bit for flag, bit in _MODES if self.flags & flag)
        if self.synchronous:
            value |= 0x10 if self.flags & FileObjectFlags.ALERTABLE_IO else 0x20
        return value

    @property
    def final_component(self) -> str:
        return self.name.rpartition("\\")[2]

    def free_memory(self) -> None:
        """The object is gone: what still points to it dangles."""
        self._kernel.shields.remove(self.address)
        self._heap.free(self.address)
        del self._at
        self._heap.free(self._buffer)
        if self.oplock_key_context:
            self._heap.free(self.oplock_key_context)

    def __repr__(self) -> str:
        return f"<FileObject {self.volume.dos_name}{self.name} {self.address:#x}>"


def file_at(executive: "Executive", address: int) -> FileObject | None:
    """The file object at a guest address."""
    item = executive.objects.at(address)
    return item.body if item is not None and isinstance(item.body, FileObject) else None
