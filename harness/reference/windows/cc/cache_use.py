"""What the exports share with which drivers use the cache of their own file objects."""

from typing import TYPE_CHECKING

from harness.nt import BugCheck
from harness.reference.machine.cpu.exceptions import GuestException
from harness.reference.windows.cc.cache_map import CacheMap
from harness.reference.windows.cc.driver_streams import DriverCacheMap
from harness.reference.windows.io.file_object import FileObject
from harness.reference.windows.io.request import Code
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel


def file_at(k: "Kernel", address: int, call: str) -> FileObject:
    """The file object that a call names."""
    file = k.io.file_at(address)
    if file is None:
        k.bugcheck(BugCheck.CACHE_MANAGER, address, message=f"{call} is given {address:#x}, which is no file object")
    return file


def cache_of(k: "Kernel", address: int, call: str) -> tuple[FileObject, CacheMap]:
    """The cache of a file object that CcInitializeCacheMap was called for; a bug check without."""
    file = file_at(k, address, call)
    cache = k.local_file_systems.cache_at(file.view.section_object_pointer)
    if cache is None or not file.caches:
        k.bugcheck(
            BugCheck.CACHE_MANAGER,
            address,
            message=f"{call} of {file.name}, whose file object has no cache map: CcInitializeCacheMap comes first",
        )
    return file, cache


def driver_cache_of(k: "Kernel", address: int) -> DriverCacheMap | None:
    """The cache of a driver's stream; None where nothing of it is cached."""
    file = k.io.file_at(address)
    stream = k.driver_streams.of(file) if file is not None else None
    return stream.cache if stream is not None and isinstance(stream.cache, DriverCacheMap) else None


def check_within(k: "Kernel", cache: CacheMap, offset: int, length: int, call: str) -> None:
    """Reads and writes through the cache end at FileSize, which the driver sets first."""
    if offset < 0 or offset + length > cache.size:
        k.bugcheck(
            BugCheck.CACHE_MANAGER,
            offset,
            length,
            message=f"{call} of {length} bytes at {offset:#x} goes past FileSize {cache.size:#x}: CcSetFileSizes is "
            "called before",
        )


def raising(code: Code) -> Code:
    """What raises a status here raises it as an exception in the driver, as FsRtlNormalizeNtstatus has it."""
    try:
        return (yield from code)
    except StatusError as error:
        raise GuestException(int(error.status)) from error
