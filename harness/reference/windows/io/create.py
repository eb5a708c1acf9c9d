"""Opening and closing files: the create request, handles, and the requests that end a file object's life."""

from dataclasses import dataclass
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple, Self

from harness.nt import IrpMajor, NtStatus, OperationClass, nt_success
from harness.reference.machine.loader.exports import U32
from harness.reference.windows.io.captured import read_descriptor
from harness.reference.windows.io.constants import CreateOption, FileObjectFlags, IrpFlags
from harness.reference.windows.io.device_security import refusal
from harness.reference.windows.io.file_object import FileObject
from harness.reference.windows.io.io_manager import IoManager, Send
from harness.reference.windows.io.object_names import ObjectName, resolve
from harness.reference.windows.io.parameters import Create
from harness.reference.windows.io.reparse import MOST_REPARSES, take_auxiliary, target_of
from harness.reference.windows.io.request import Code, Request
from harness.reference.windows.io.volumes import DeviceTarget
from harness.reference.windows.ntos.se.security import map_access
from harness.reference.windows.ntos.se.token_objects import subject_context
from harness.reference.windows.ntos.status_error import StatusError
from harness.reference.windows.ntos.structures import ObjectAttributes

if TYPE_CHECKING:
    from harness.reference.machine.memory.memory import Memory
    from harness.reference.windows.io.volumes import Volume
    from harness.reference.windows.ntos.executive import Executive

_SECURITY_CONTEXT = Struct("<QQII")
_ACCESS_STATE = Struct("<QBBBBIIII")
_ACCESS_STATE_SIZE = 0xA8
_SUBJECT, _SECURITY_DESCRIPTOR = 0x20, 0x40
"""Offsets of SubjectSecurityContext and SecurityDescriptor in ACCESS_STATE."""
_VALID_ATTRIBUTES = 0x0000_7FB7
_VALID_OPTIONS = 0x00FF_FFFF
_OPTIONS_OF_DIRECTORIES = 0x00F3_F133
"""Create options that may stand beside FILE_DIRECTORY_FILE."""
_FLAGS_OF_OPTION = (
    (CreateOption.SYNCHRONOUS_IO_ALERT, FileObjectFlags.SYNCHRONOUS_IO | FileObjectFlags.ALERTABLE_IO),
    (CreateOption.SYNCHRONOUS_IO_NONALERT, FileObjectFlags.SYNCHRONOUS_IO),
    (CreateOption.NO_INTERMEDIATE_BUFFERING, FileObjectFlags.NO_INTERMEDIATE_BUFFERING),
    (CreateOption.WRITE_THROUGH, FileObjectFlags.WRITE_THROUGH),
    (CreateOption.SEQUENTIAL_ONLY, FileObjectFlags.SEQUENTIAL_ONLY),
    (CreateOption.RANDOM_ACCESS, FileObjectFlags.RANDOM_ACCESS),
    (CreateOption.DELETE_ON_CLOSE, FileObjectFlags.DELETE_ON_CLOSE),
)
_ECP_LIST = 8
"""Offset of ExtraCreateParameter in IO_DRIVER_CREATE_CONTEXT."""
_STACK_FLAGS = 0x05
"""IO_FORCE_ACCESS_CHECK and IO_OPEN_TARGET_DIRECTORY have the values of their SL_ flags."""
_STOP_ON_SYMLINK, _IGNORE_SHARE_ACCESS_CHECK = 0x08, 0x800
"""IO_*."""
_OBJ_FORCE_ACCESS_CHECK, _OBJ_DONT_REPARSE = 0x400, 0x1000
_FORCE_ACCESS_CHECK = 0x01
"""SL_FORCE_ACCESS_CHECK."""
_LINKS = frozenset({0xA000_000C, 0xA000_0003})
"""IO_REPARSE_TAG_SYMLINK, IO_REPARSE_TAG_MOUNT_POINT."""


class CreateArguments(NamedTuple):
    """What NtCreateFile and its kin take one after another, from DesiredAccess to EaLength."""

    access: U32
    attributes: int
    iosb: int
    allocation_at: int
    file_attributes: U32
    share: U32
    disposition: U32
    options: U32
    ea: int
    ea_length: U32


@dataclass(frozen=True, slots=True)
class OpenParameters:
    """What NtCreateFile is asked."""

    access: int
    share: int = 7
    disposition: int = 1
    options: int = 0
    attributes: int = 0
    allocation: int = 0
    mode: int = 0
    eas: bytes = b""
    descriptor: bytes = b""
    """A self-relative security descriptor for a new file."""
    stack_flags: int = 0
    """SL_*: StackFlags of the create."""
    ecp_list: int = 0
    """The extra create parameters: an ECP_LIST, which stays the caller's."""
    ignores_sharing: bool = False
    """IO_IGNORE_SHARE_ACCESS_CHECK: it is neither held against the sharing of others nor counted in it."""
    stops_on_link: bool = False
    """IO_STOP_ON_SYMLINK."""
    object_attributes: int = 0
    """OBJ_*."""

    @classmethod
    def of_driver(
        cls,
        memory: "Memory",
        create: CreateArguments,
        flags: int,
        context: int = 0,
    ) -> Self:
        """What IoCreateFile(Ex) and FltCreateFile(Ex, Ex2) are given; `context` is an IO_DRIVER_CREATE_CONTEXT or 0."""
        return cls(
            access=create.access,
            share=create.share,
            disposition=create.disposition,
            options=create.options,
            attributes=create.file_attributes,
            allocation=memory.read_i64(create.allocation_at) if create.allocation_at else 0,
            eas=memory.read(create.ea, create.ea_length) if create.ea and create.ea_length else b"",
            descriptor=read_descriptor(memory, ObjectAttributes(memory, create.attributes).security_descriptor),
            stack_flags=flags & _STACK_FLAGS,
            ecp_list=memory.read_u64(context + _ECP_LIST) if context else 0,
            ignores_sharing=bool(flags & _IGNORE_SHARE_ACCESS_CHECK),
            stops_on_link=bool(flags & _STOP_ON_SYMLINK),
            object_attributes=ObjectAttributes(memory, create.attributes).attributes,
        )

    @property
    def operation_flags(self) -> int:
        """SL_*: OBJ_FORCE_ACCESS_CHECK holds a driver's create against the file's descriptor, too."""
        forced = bool(self.object_attributes & _OBJ_FORCE_ACCESS_CHECK)
        return self.stack_flags | (_FORCE_ACCESS_CHECK if forced else 0)

    @property
    def file_flags(self) -> int:
        """Flags of the file object."""
        flags = FileObjectFlags(0)
        for option, flag in _FLAGS_OF_OPTION:
            if self.options & option:
                flags |= flag
        return int(flags)

    @property
    def refusal(self) -> int:
        """Why the I/O manager refuses the parameters by itself, or 0."""
        directory = self.options & CreateOption.DIRECTORY_FILE
        synchronous = self.options & (CreateOption.SYNCHRONOUS_IO_ALERT | CreateOption.SYNCHRONOUS_IO_NONALERT)
        wrong = (
            self.disposition > 5
            or self.attributes & ~_VALID_ATTRIBUTES
            or self.share & ~7
            or self.options & ~_VALID_OPTIONS
            or (directory and self.options & CreateOption.NON_DIRECTORY_FILE)
            or (directory and self.disposition not in (1, 2, 3))
            or (directory and self.options & ~_OPTIONS_OF_DIRECTORIES)
            or synchronous == CreateOption.SYNCHRONOUS_IO_ALERT | CreateOption.SYNCHRONOUS_IO_NONALERT
            or self.allocation < 0
            or (synchronous and not self.access & 0x0010_0000 and not self.access & 0xF000_0000)
            or (self.options & CreateOption.DELETE_ON_CLOSE and not map_access(self.access) & 0x0001_0000)
            or (self.options & CreateOption.NO_INTERMEDIATE_BUFFERING and self.access & 0x4)
        )
        return int(NtStatus.INVALID_PARAMETER) if wrong else 0


def open_file(io: IoManager, name: ObjectName, parameters: OpenParameters, send: Send | None = None) -> Code:
    """Open a file; (NTSTATUS, Information, file object or None). The caller owns a reference.

    A create that is completed with STATUS_REPARSE is done again, from the top of the stack, by the name it leads to. A
    minifilter's own create goes where it `send`s it, and is marked as generated.
    """
    if parameters.refusal:
        return parameters.refusal, 0, None
    first: Volume | None = None
    for _ in range(MOST_REPARSES):
        try:
            volume, rest = resolve(io, name)
        except StatusError as error:
            return int(error.status), 0, None
        if send is not None and first not in (None, volume):
            return int(NtStatus.MOUNT_POINT_NOT_RESOLVED), 0, None
        first = volume
        outcome = yield from _open_once(io, volume, rest, name.root, parameters, send)
        if isinstance(outcome, tuple):
            return outcome
        name = outcome
    return int(NtStatus.REPARSE_POINT_NOT_RESOLVED), 0, None


def _open_once(
    io: IoManager, volume: "Volume", name: str, root: FileObject | None, parameters: OpenParameters, send: Send | None
) -> Code:
    """One create: (NTSTATUS, Information, file object or None), or the name to open instead."""
    k = io.kernel
    refused: int = 0 if root is not None else (yield from io.file_systems.make_ready(volume))
    if not refused and root is None and isinstance(volume, DeviceTarget):
        refused = refusal(k, volume.disk, name, parameters.access, parameters.mode, parameters.operation_flags)
    if refused:
        return refused, 0, None
    file = io.make_file_object(volume, name, parameters.file_flags, vpb=root.view.vpb if root is not None else None)
    file.access = map_access(parameters.access)
    file.ignores_sharing = parameters.ignores_sharing
    if root is not None:
        k.objects.reference(root.object)
        file.view.related_file_object = root.address
    request, blocks = _create_request(io, file, parameters)
    request.generated = send is not None
    request.ecp_list = parameters.ecp_list
    status: int = yield from io.issue(request, send)
    for afterwards in request.afterwards:
        yield from afterwards()
    for block in blocks:
        io.heap.free(block)
    data = take_auxiliary(k, request.auxiliary)
    instead: ObjectName | None = None
    if status == NtStatus.REPARSE and parameters.object_attributes & _OBJ_DONT_REPARSE:
        status = int(NtStatus.REPARSE_POINT_ENCOUNTERED)
    if status == NtStatus.REPARSE and parameters.stops_on_link and request.information in _LINKS:
        status = int(NtStatus.STOPPED_ON_SYMLINK)
    if status == NtStatus.REPARSE:
        try:
            instead = target_of(io, file, request.information, data)
        except StatusError as error:
            status = int(error.status)
    if root is not None:
        file.view.related_file_object = 0
        k.objects.dereference(root.object)
    if instead is not None or not nt_success(status) or file.flags & FileObjectFlags.FILE_OPEN_CANCELLED:
        _abandon(k, file)
        return instead if instead is not None else (status, request.information, None)
    file.add_flags(int(FileObjectFlags.FILE_OPEN))
    file.is_open = True
    return status, request.information, file


def _create_request(io: IoManager, file: FileObject, parameters: OpenParameters) -> tuple[Request, list[int]]:
    k, heap, memory = io.kernel, io.heap, io.kernel.memory
    access_state, context = heap.allocate(_ACCESS_STATE_SIZE), heap.allocate(_SECURITY_CONTEXT.size)
    access = map_access(parameters.access)
    memory.write(access_state, _ACCESS_STATE.pack(0, 1, 0, 0, 0, 0, access, 0, parameters.access & 0xFFFF_FFFF))
    memory.write(access_state + _SUBJECT, subject_context(k, k.current)[0])
    memory.write(context, _SECURITY_CONTEXT.pack(0, access_state, access, parameters.options))
    blocks = [access_state, context]
    ea_buffer = _copy(io, parameters.eas, blocks)
    memory.write_u64(access_state + _SECURITY_DESCRIPTOR, _copy(io, parameters.descriptor, blocks))
    packed = Create(
        context,
        parameters.options & 0x00FF_FFFF | parameters.disposition << 24,
        parameters.attributes & 0xFFFF,
        parameters.share & 0xFFFF,
        len(parameters.eas),
        ea_buffer,
        parameters.allocation,
    ).pack()
    request = Request(
        OperationClass.IRP,
        IrpMajor.CREATE,
        file,
        k.current,
        parameters=packed,
        irp_flags=int(IrpFlags.CREATE_OPERATION | IrpFlags.SYNCHRONOUS_API | IrpFlags.DEFER_IO_COMPLETION),
        operation_flags=parameters.operation_flags,
        mode=parameters.mode,
    )
    return request, blocks


def _copy(io: IoManager, data: bytes, blocks: list[int]) -> int:
    """Bytes that a create takes along, in a block of their own; 0 for none."""
    if not data:
        return 0
    block = io.heap.allocate(len(data))
    io.kernel.memory.write(block, data)
    blocks.append(block)
    return block


def _abandon(k: "Executive", file: FileObject) -> None:
    """A create has failed: the file object goes without cleanup or close.

    If the file system had opened the file and a filter failed the create without FltCancelFileOpen, the file system is
    never told, and the file stays open there.
    """
    k.objects.dereference(file.object)


# -- handles


def make_handle(io: IoManager, file: FileObject, *, kernel: bool, access: int) -> int:
    """A handle to an open file; the file object's first reference is given to it."""
    objects = io.kernel.objects
    value = objects.open(file.object, kernel=kernel, access=access)
    file.object.closing = lambda _: io.cleanup(file)
    objects.dereference(file.object)
    file.add_flags(int(FileObjectFlags.HANDLE_CREATED))
    return value


def file_of_handle(k: "Executive", handle: int) -> FileObject | None:
    """The file object of a handle; None if the handle is none or of another type."""
    found = k.objects.lookup(handle)
    return found.object.body if found is not None and isinstance(found.object.body, FileObject) else None
