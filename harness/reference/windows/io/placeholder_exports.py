"""Placeholders of the Cloud Files filter: told by attributes and reparse tag, and how a program wants to see them.

A mode is kept, and asked back; the model has no filter that would disguise a placeholder.
"""

from struct import unpack
from typing import TYPE_CHECKING

from harness.nt import IrpMajor, Irql, NtStatus
from harness.reference.machine.loader.exports import I8, KERNEL_AND_USER, NTOSKRNL, U32, export
from harness.reference.windows.io.constants import FileInformationClass
from harness.reference.windows.io.create import file_of_handle
from harness.reference.windows.io.file_queries import query
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_REPARSE_POINT = 0x400
_RECALL_ON_OPEN, _RECALL_ON_DATA_ACCESS = 0x4_0000, 0x40_0000
_TAG_CLOUD, _TAG_CLOUD_MASK = 0x9000_001A, 0x0000_F000
"""IO_REPARSE_TAG_CLOUD, and what may be set in it: IO_REPARSE_TAG_CLOUD_1 ... _F."""
_OF_ENTRIES = {
    FileInformationClass.FULL_DIRECTORY: 64,
    FileInformationClass.BOTH_DIRECTORY: 64,
    FileInformationClass.ID_BOTH_DIRECTORY: 64,
    FileInformationClass.ID_FULL_DIRECTORY: 64,
    FileInformationClass.ID_EXTD_DIRECTORY: 68,
    FileInformationClass.ID_EXTD_BOTH_DIRECTORY: 68,
}
"""Of directory entries that have FileAttributes at 56: where the tag is, in the place of EaSize or its own."""
_ATTRIBUTES = 56
_MODES = (0, 1, 2)
_ERROR_INVALID_PARAMETER, _ERROR_NO_TEB, _ERROR_NO_PEB = 0xFF, 0xFE, 0xFD
"""PHCM_ERROR_*: -1, -2 and -3 as a CHAR."""


def _is_placeholder(attributes: int, tag: int) -> bool:
    return bool(attributes & _REPARSE_POINT) and tag & ~_TAG_CLOUD_MASK == _TAG_CLOUD


def _is_partial(attributes: int, tag: int) -> bool:
    return _is_placeholder(attributes, tag) and bool(attributes & (_RECALL_ON_OPEN | _RECALL_ON_DATA_ACCESS))


@export(KERNEL_AND_USER, "RtlIsCloudFilesPlaceholder")
def rtl_is_cloud_files_placeholder(k: "Kernel", attributes: U32, tag: U32) -> bool:
    """A placeholder, whether all of its data is here or not."""
    del k
    return _is_placeholder(attributes, tag)


@export(KERNEL_AND_USER, "RtlIsPartialPlaceholder")
def rtl_is_partial_placeholder(k: "Kernel", attributes: U32, tag: U32) -> bool:
    """One that is not wholly here: it is recalled at its open, or when its data is read."""
    del k
    return _is_partial(attributes, tag)


@export(NTOSKRNL, "RtlIsPartialPlaceholderFileInfo", max_irql=Irql.APC)
def rtl_is_partial_placeholder_file_info(k: "Kernel", information: int, kind: U32, answer: int) -> int:
    """Of what a query has told of a file or of an entry of a directory; INVALID_PARAMETER of what has no tag."""
    if kind == FileInformationClass.ATTRIBUTE_TAG:
        attributes, tag = unpack("<II", k.memory.read(information, 8))
    elif kind in (FileInformationClass.STAT, FileInformationClass.STAT_LX):
        attributes, tag = unpack("<II", k.memory.read(information + _ATTRIBUTES, 8))
    else:
        tag_at = next((at for known, at in _OF_ENTRIES.items() if known == kind), None)
        if tag_at is None:
            return int(NtStatus.INVALID_PARAMETER)
        attributes, tag = (k.memory.read_u32(information + at) for at in (_ATTRIBUTES, tag_at))
    k.memory.write_u8(answer, int(_is_partial(attributes, tag)))
    return 0


@export(NTOSKRNL, "RtlIsPartialPlaceholderFileHandle", max_irql=Irql.PASSIVE)
def rtl_is_partial_placeholder_file_handle(k: "Kernel", handle: int, answer: int) -> Code:
    """By a query of the file, as it is to whoever has the handle."""
    file = file_of_handle(k, handle)
    if file is None:
        return int(NtStatus.INVALID_HANDLE)
    k.objects.reference(file.object)
    out = k.heap.allocate(8)
    kind = FileInformationClass.ATTRIBUTE_TAG
    status = yield from query(k, IrpMajor.QUERY_INFORMATION, file.address, kind, 8, out, 0)
    attributes, tag = unpack("<II", k.memory.read(out, 8))
    k.heap.free(out)
    yield from k.objects.release(file.object)
    if not status:
        k.memory.write_u8(answer, int(_is_partial(attributes, tag)))
    return int(status)


# -- how a thread and a process want to see placeholders


def _set(modes: dict[int, int], key: int, mode: int) -> int:
    if mode not in _MODES:
        return _ERROR_INVALID_PARAMETER
    before = modes.get(key, 0)
    modes[key] = mode
    return before


@export(KERNEL_AND_USER, "RtlQueryThreadPlaceholderCompatibilityMode", max_irql=Irql.APC)
def rtl_query_thread_placeholder_compatibility_mode(k: "Kernel") -> int:
    """PHCM_ERROR_NO_TEB in a thread of the system."""
    return _ERROR_NO_TEB if k.current.system else k.placeholder_modes.get(k.current.kthread, 0)


@export(KERNEL_AND_USER, "RtlSetThreadPlaceholderCompatibilityMode", max_irql=Irql.APC)
def rtl_set_thread_placeholder_compatibility_mode(k: "Kernel", mode: I8) -> int:
    """The mode that was there before."""
    return _ERROR_NO_TEB if k.current.system else _set(k.placeholder_modes, k.current.kthread, mode)


@export(KERNEL_AND_USER, "RtlQueryProcessPlaceholderCompatibilityMode", max_irql=Irql.APC)
def rtl_query_process_placeholder_compatibility_mode(k: "Kernel") -> int:
    """PHCM_ERROR_NO_PEB in the System process."""
    return _ERROR_NO_PEB if k.current.system else k.placeholder_modes.get(k.current.process.eprocess, 0)


@export(KERNEL_AND_USER, "RtlSetProcessPlaceholderCompatibilityMode", max_irql=Irql.APC)
def rtl_set_process_placeholder_compatibility_mode(k: "Kernel", mode: I8) -> int:
    return _ERROR_NO_PEB if k.current.system else _set(k.placeholder_modes, k.current.process.eprocess, mode)
