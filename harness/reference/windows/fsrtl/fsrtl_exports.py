"""FsRtl routines that filters call: names and wildcards, sizes, and contexts on file objects."""

from typing import TYPE_CHECKING

from harness.nt import IrpMajor, Irql, NtStatus, OperationClass, nt_success
from harness.reference.machine.loader.exports import NTOSKRNL, U8, export
from harness.reference.windows.fsrtl.expressions import has_wildcards, is_name_in_expression, upcase
from harness.reference.windows.io.constants import FileInformationClass, IrpFlags
from harness.reference.windows.io.file_object import FileObject
from harness.reference.windows.io.parameters import INFORMATION
from harness.reference.windows.io.request import Code, Request

if TYPE_CHECKING:
    from harness.reference.windows.kernel import Kernel

_STANDARD_SIZE, _END_OF_FILE_AT, _DIRECTORY_AT = 24, 8, 21
_OWNER, _INSTANCE = 0x10, 0x18
"""Of FSRTL_PER_FILEOBJECT_CONTEXT, whose Links come first."""


# -- names


@export(NTOSKRNL, "FsRtlIsNameInExpression", max_irql=Irql.APC)
def fs_rtl_is_name_in_expression(k: "Kernel", expression: int, name: int, insensitive: U8, upcase_table: int) -> bool:
    """FsRtlIsNameInExpression: the caller has put the expression into upper case where case is not to matter."""
    del upcase_table
    pattern, text = k.memory.read_unicode_string(expression), k.memory.read_unicode_string(name)
    return is_name_in_expression(pattern, upcase(text) if insensitive else text)


@export(NTOSKRNL, "FsRtlIsNameInUnUpcasedExpression", max_irql=Irql.APC)
def fs_rtl_is_name_in_un_upcased_expression(
    k: "Kernel", expression: int, name: int, insensitive: U8, upcase_table: int
) -> bool:
    """The same, of an expression as it was written."""
    del upcase_table
    pattern, text = k.memory.read_unicode_string(expression), k.memory.read_unicode_string(name)
    return is_name_in_expression(upcase(pattern), upcase(text)) if insensitive else is_name_in_expression(pattern, text)


@export(NTOSKRNL, "FsRtlDoesNameContainWildCards", max_irql=Irql.APC)
def fs_rtl_does_name_contain_wild_cards(k: "Kernel", name: int) -> bool:
    return has_wildcards(k.memory.read_unicode_string(name))


@export(NTOSKRNL, "FsRtlAreNamesEqual", max_irql=Irql.APC)
def fs_rtl_are_names_equal(k: "Kernel", first: int, second: int, insensitive: U8, upcase_table: int) -> bool:
    del upcase_table
    one, two = k.memory.read_unicode_string(first), k.memory.read_unicode_string(second)
    return upcase(one) == upcase(two) if insensitive else one == two


# -- sizes


@export(NTOSKRNL, "FsRtlGetFileSize", max_irql=Irql.PASSIVE)
def fs_rtl_get_file_size(k: "Kernel", file_object: int, out: int) -> Code:
    """FsRtlGetFileSize: asked at the top of the file's stack; FILE_IS_A_DIRECTORY for one."""
    file = k.io.file_at(file_object)
    if file is None:
        return int(NtStatus.INVALID_PARAMETER)
    buffer = k.io.heap.allocate(_STANDARD_SIZE)
    packed = INFORMATION.pack(_STANDARD_SIZE, int(FileInformationClass.STANDARD), buffer)
    request = Request(OperationClass.FAST_IO, IrpMajor.QUERY_INFORMATION, file, k.current, parameters=packed)
    yield from k.io.issue(request)
    if request.disallowed:
        request = _irp(k, file, IrpMajor.QUERY_INFORMATION, packed)
        yield from k.io.issue(request)
    data = k.memory.read(buffer, _STANDARD_SIZE)
    k.io.heap.free(buffer)
    if not nt_success(request.status):
        return request.status
    if data[_DIRECTORY_AT]:
        return int(NtStatus.FILE_IS_A_DIRECTORY)
    k.memory.write(out, data[_END_OF_FILE_AT : _END_OF_FILE_AT + 8])
    return int(NtStatus.SUCCESS)


def _irp(k: "Kernel", file: FileObject, major: IrpMajor, parameters: bytes) -> Request:
    flags = int(IrpFlags.SYNCHRONOUS_API | IrpFlags.BUFFERED_IO)
    request = Request(OperationClass.IRP, major, file, k.current, parameters=parameters, irp_flags=flags)
    request.system_buffer = True
    return request


# -- contexts of file objects


@export(NTOSKRNL, "FsRtlInsertPerFileObjectContext", max_irql=Irql.APC)
def fs_rtl_insert_per_file_object_context(k: "Kernel", file_object: int, context: int) -> int:
    """FsRtlInsertPerFileObjectContext; who inserts one removes it, before the file object goes."""
    file = k.io.file_at(file_object)
    if file is None:
        return int(NtStatus.INVALID_PARAMETER)
    file.filter_contexts.insert(0, context)
    return int(NtStatus.SUCCESS)


@export(NTOSKRNL, "FsRtlLookupPerFileObjectContext", max_irql=Irql.APC)
def fs_rtl_lookup_per_file_object_context(k: "Kernel", file_object: int, owner: int, instance: int) -> int:
    file = k.io.file_at(file_object)
    for context in file.filter_contexts if file is not None else []:
        mine = not owner or k.memory.read_u64(context + _OWNER) == owner
        if mine and (not instance or k.memory.read_u64(context + _INSTANCE) == instance):
            return context
    return 0


@export(NTOSKRNL, "FsRtlRemovePerFileObjectContext", max_irql=Irql.APC)
def fs_rtl_remove_per_file_object_context(k: "Kernel", file_object: int, owner: int, instance: int) -> int:
    found = fs_rtl_lookup_per_file_object_context(k, file_object, owner, instance)
    file = k.io.file_at(file_object)
    if found and file is not None:
        file.filter_contexts.remove(found)
    return found
