"""The files of images: opened for execution through the whole stack of their volume, and read through their section.

A filter sees what it sees on Windows: a create for FILE_EXECUTE, AcquireForSectionSynchronization with PAGE_EXECUTE,
the paging reads, the cleanup, and the close when the image is gone. What it denies does not start.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.nt import nt_success, status_name
from harness.reference.machine.loader.loader import LoadError
from harness.reference.windows.cc.sections import PAGE_EXECUTE, Section, create_section
from harness.reference.windows.io.constants import USER_MODE, CreateOption
from harness.reference.windows.io.create import OpenParameters, make_handle, open_file
from harness.reference.windows.io.file_object import FileObject
from harness.reference.windows.io.object_names import ObjectName
from harness.reference.windows.io.request import Code
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel
    from harness.reference.windows.ntos.ob.objects import Object

_ACCESS = 0x0010_0020
"""SYNCHRONIZE | FILE_EXECUTE."""
_SHARE_READ_DELETE = 5
_OPTIONS = CreateOption.SYNCHRONOUS_IO_NONALERT | CreateOption.NON_DIRECTORY_FILE


@dataclass(frozen=True, slots=True)
class ImageFile:
    """An image's file object and section, each with a reference, and what the section has read."""

    file: FileObject
    section: "Object"
    data: bytes


def open_image(k: "Kernel", path: str) -> Code:
    """Open the image of an NT path; an ImageFile. Raises LoadError with what stopped it, a filter's status included."""
    status, file = yield from _open(k, path)
    if file is None:
        raise LoadError(status, f"{path} cannot be opened for execution: {status_name(status)}")
    k.objects.reference(file.object)
    handle = make_handle(k.io, file, kernel=True, access=_ACCESS)
    section: Object | None = None
    data = b""
    try:
        stream = k.local_file_systems.stream_of(file)
        status, section = yield from create_section(k, k.io, stream, file, 0, PAGE_EXECUTE, image=True)
        if section is not None and stream is not None:
            data = yield from _content(section, stream.size())
    except StatusError as error:
        status = int(error.status)
    yield from k.objects.close_handle(handle)
    if section is not None and nt_success(status):
        return ImageFile(file, section, data)
    if section is not None:
        k.objects.dereference(section)
    k.objects.dereference(file.object)
    raise LoadError(status, f"no image section of {path} can be made: {status_name(status)}")


def _open(k: "Kernel", path: str) -> Code:
    parameters = OpenParameters(_ACCESS, _SHARE_READ_DELETE, options=int(_OPTIONS), mode=USER_MODE)
    try:
        status, _, file = yield from open_file(k.io, ObjectName(path), parameters)
    except StatusError as error:
        return int(error.status), None
    return status, file


def _content(item: "Object", size: int) -> Code:
    """The whole file, by paging reads: what the loader maps."""
    section = item.body
    assert isinstance(section, Section)
    assert section.cache is not None
    return (yield from section.cache.read(0, size))


def close_image(k: "Kernel", image: ImageFile) -> None:
    """Nothing runs from the image any more."""
    k.objects.dereference(image.section)
    k.objects.dereference(image.file.object)
