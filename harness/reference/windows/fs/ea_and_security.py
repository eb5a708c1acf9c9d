"""Extended attributes and security descriptors of files, as requests."""

from typing import TYPE_CHECKING

from harness.nt import NtStatus
from harness.reference.windows.fs import extended_attributes
from harness.reference.windows.fs.extended_attributes import Ea
from harness.reference.windows.fs.opens import OpenFile
from harness.reference.windows.io.captured import read_descriptor
from harness.reference.windows.io.constants import Minor, StackFlags
from harness.reference.windows.io.parameters import QUERY_EA, QUERY_SECURITY, SET_EA, SET_SECURITY
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.ntos.se import security
from harness.reference.windows.ntos.status_error import StatusError

if TYPE_CHECKING:
    from harness.reference.windows.fs.driver import FileSystemDriver


def _open_of(request: Request) -> OpenFile:
    if request.file is None or request.file.opened is None:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    return request.file.opened


def query_ea(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_QUERY_EA: all, those of a list, or from an index on; one page of whole entries."""
    opened = _open_of(request)
    length, list_at, list_length, index, buffer, _ = QUERY_EA.unpack_from(request.parameters)
    eas = extended_attributes.of(opened.inode)
    restart = bool(request.operation_flags & StackFlags.RESTART_SCAN)
    if list_at and list_length:
        names = extended_attributes.parse_names((yield from driver.io.views.read(list_at, list_length)))
        have = {ea.name: ea for ea in eas}
        eas = [have.get(name, Ea(name, b"")) for name in names]
        opened.ea_index = 0
    elif not eas:
        return int(NtStatus.NO_EAS_ON_FILE), 0
    else:
        if request.operation_flags & StackFlags.INDEX_SPECIFIED:
            if index == 0 or index > len(eas) + 1:
                return int(NtStatus.NONEXISTENT_EA_ENTRY), 0
            opened.ea_index = index - 1
        elif restart:
            opened.ea_index = 0
        eas = eas[opened.ea_index :]
        if not eas:
            return int(NtStatus.NO_MORE_EAS), 0
    single = bool(request.operation_flags & StackFlags.RETURN_SINGLE_ENTRY)
    data, count = extended_attributes.answer(eas, length, single=single)
    if not count:
        return int(NtStatus.BUFFER_TOO_SMALL), 0
    if not list_at:
        opened.ea_index += count
    yield from driver.io.views.write(buffer, data)
    whole = single or count == len(eas)
    return int(NtStatus.SUCCESS if whole else NtStatus.BUFFER_OVERFLOW), len(data)


def set_ea(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_SET_EA."""
    opened = _open_of(request)
    length, buffer, _ = SET_EA.unpack_from(request.parameters)
    data = yield from driver.io.views.read(buffer, length)
    driver.files.set_eas(opened, data, kernel_call=request.minor == Minor.KERNEL_CALL)
    return int(NtStatus.SUCCESS), 0


def query_security(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_QUERY_SECURITY: the parts that are asked for; BUFFER_OVERFLOW and the length where they do not fit."""
    opened = _open_of(request)
    what, length, buffer, _ = QUERY_SECURITY.unpack_from(request.parameters)
    data = security.selected(driver.files.descriptor_data(opened.inode), what)
    if length < len(data):
        return int(NtStatus.BUFFER_OVERFLOW), len(data)
    yield from driver.io.views.write(buffer, data)
    return int(NtStatus.SUCCESS), len(data)


def set_security(driver: "FileSystemDriver", request: Request) -> Code:
    """IRP_MJ_SET_SECURITY."""
    yield from ()
    opened = _open_of(request)
    what, address = SET_SECURITY.unpack_from(request.parameters)
    driver.files.set_security(opened, what, read_descriptor(driver.kernel.memory, address))
    return int(NtStatus.SUCCESS), 0
