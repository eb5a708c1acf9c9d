"""The operations of the file system, and the function that does each."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from harness.nt import IrpMajor
from harness.reference.windows.fs import (
    directory,
    ea_and_security,
    file_system_control,
    information,
    lifetime,
    lock_requests,
    notify_requests,
    section_requests,
    set_information,
    transfer,
    volume_information,
)
from harness.reference.windows.fs.driver import FileSystemDriver, Handler
from harness.reference.windows.io.constants import Minor
from harness.reference.windows.io.request import Code, Request

if TYPE_CHECKING:
    from harness.reference.windows.io.io_manager import IoManager
    from harness.reference.windows.io.volumes import Volume
    from harness.reference.windows.ntos.executive import Executive


def _directory_control(driver: FileSystemDriver, request: Request) -> Code:
    """IRP_MJ_DIRECTORY_CONTROL."""
    if request.minor == Minor.NOTIFY_CHANGE_DIRECTORY:
        return (yield from notify_requests.notify(driver, request))
    return (yield from directory.query(driver, request))


HANDLERS: Mapping[int, Handler] = {
    IrpMajor.CREATE: lifetime.create,
    IrpMajor.CLEANUP: lifetime.cleanup,
    IrpMajor.CLOSE: lifetime.close,
    IrpMajor.READ: transfer.read,
    IrpMajor.WRITE: transfer.write,
    IrpMajor.FLUSH_BUFFERS: transfer.flush,
    IrpMajor.QUERY_INFORMATION: information.query,
    IrpMajor.SET_INFORMATION: set_information.set_,
    IrpMajor.QUERY_VOLUME_INFORMATION: volume_information.query,
    IrpMajor.SET_VOLUME_INFORMATION: volume_information.set_,
    IrpMajor.NETWORK_QUERY_OPEN: information.network_query_open,
    IrpMajor.QUERY_OPEN: information.query_open,
    IrpMajor.DIRECTORY_CONTROL: _directory_control,
    IrpMajor.FILE_SYSTEM_CONTROL: file_system_control.file_system_control,
    IrpMajor.DEVICE_CONTROL: file_system_control.device_control,
    IrpMajor.LOCK_CONTROL: lock_requests.control,
    IrpMajor.QUERY_EA: ea_and_security.query_ea,
    IrpMajor.SET_EA: ea_and_security.set_ea,
    IrpMajor.QUERY_SECURITY: ea_and_security.query_security,
    IrpMajor.SET_SECURITY: ea_and_security.set_security,
    IrpMajor.ACQUIRE_FOR_SECTION_SYNCHRONIZATION: section_requests.acquire_for_section,
    IrpMajor.RELEASE_FOR_SECTION_SYNCHRONIZATION: section_requests.release,
    IrpMajor.ACQUIRE_FOR_MOD_WRITE: section_requests.release,
    IrpMajor.RELEASE_FOR_MOD_WRITE: section_requests.release,
    IrpMajor.ACQUIRE_FOR_CC_FLUSH: section_requests.release,
    IrpMajor.RELEASE_FOR_CC_FLUSH: section_requests.release,
    IrpMajor.FAST_IO_CHECK_IF_POSSIBLE: transfer.check_if_possible,
}
"""What each operation is done by."""


def make_driver(kernel: "Executive", io: "IoManager", volume: "Volume") -> FileSystemDriver:
    """The file system of a volume that is being mounted."""
    driver = FileSystemDriver(kernel, io, volume, HANDLERS)
    driver.files.watch = lambda change: notify_requests.changed(driver, change)
    driver.files.sections = section_requests.StreamSections(driver)
    return driver
