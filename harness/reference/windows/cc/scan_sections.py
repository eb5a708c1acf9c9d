"""Sections over files that have no handle yet, for whoever looks at their data."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.windows.cc.cached_stream import CachedStream
from harness.reference.windows.cc.sections import PAGE_READONLY, PAGE_READWRITE, create_section
from harness.reference.windows.io.request import Code
from harness.reference.windows.ntos.ob.placed import placed
from harness.reference.windows.ntos.structures import OBJ_KERNEL_HANDLE, ObjectAttributes

if TYPE_CHECKING:
    from harness.reference.windows.io.file_object import FileObject
    from harness.reference.windows.io.io_manager import IoManager
    from harness.reference.windows.ntos.executive import Executive

_PROTECTIONS = (PAGE_READONLY, PAGE_READWRITE)
_SEC_COMMIT, _SEC_FILE = 0x0800_0000, 0x0080_0000


@dataclass(frozen=True, slots=True)
class ScanSection:
    """What a section for a data scan is to be, and where its handle, object and the file's size go."""

    access: int
    attributes: int
    maximum_at: int
    protection: int
    allocation: int
    handle_out: int
    object_out: int
    size_out: int

    def refusal(self) -> NtStatus | None:
        """What is wrong with its arguments, by their places in FsRtlCreateSectionForDataScan."""
        if self.protection not in _PROTECTIONS:
            return NtStatus.INVALID_PARAMETER_8
        if not self.allocation & _SEC_COMMIT or self.allocation & ~(_SEC_COMMIT | _SEC_FILE):
            return NtStatus.INVALID_PARAMETER_9
        return None

    def make(self, k: "Executive", io: "IoManager", stream: CachedStream | None, file: "FileObject") -> Code:
        """Make it over `stream`, which `file` has open; NTSTATUS, END_OF_FILE for an empty file."""
        size = k.memory.read_u64(self.maximum_at) if self.maximum_at else 0
        status, item = yield from create_section(k, io, stream, file, size, self.protection)
        if item is None:
            return int(NtStatus.END_OF_FILE if status == NtStatus.MAPPED_FILE_SIZE_ZERO else status)
        kernel = not self.attributes or bool(ObjectAttributes(k.memory, self.attributes).attributes & OBJ_KERNEL_HANDLE)
        k.memory.write_u64(self.handle_out, k.objects.open(item, kernel=kernel, access=self.access))
        k.objects.take(placed(k, item))
        k.memory.write_u64(self.object_out, item.address)
        k.objects.dereference(item)
        if self.size_out:
            k.memory.write_u64(self.size_out, stream.size() if stream is not None else 0)
        return int(NtStatus.SUCCESS)
