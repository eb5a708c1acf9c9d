"""Editing the registry as a program does: by the system services, so that drivers are told and may refuse."""

from types import GeneratorType
from typing import TYPE_CHECKING, Any

from harness.nt import NtStatus, nt_success
from harness.reference.machine.loader.exports import NTOSKRNL, find_export
from harness.reference.process.refusal import RefusedError
from harness.reference.windows.ntos.cm.registry import ValueType
from harness.wire.codec import MalformedMessageError
from harness.wire.registry_edits import Edited

if TYPE_CHECKING:
    from harness.reference.machine.scheduler.requests import KernelCode
    from harness.reference.windows.kernel import Kernel
    from harness.wire.registry_edits import EditRegistry

_MACHINE = r"\Registry\Machine"
_ALL_ACCESS = 0xF003F
_ATTRIBUTES_SIZE, _CASE_INSENSITIVE, _KERNEL_HANDLE = 0x30, 0x40, 0x200
_OBJECT_NAME, _FLAGS = 0x10, 0x18


class _Editor:
    """One edit: its blocks of memory, and the services that it calls."""

    def __init__(self, k: "Kernel") -> None:
        self._k = k
        self._blocks: list[int] = []

    def block(self, data: bytes) -> int:
        address = self._k.heap.allocate(max(len(data), 16))
        self._blocks.append(address)
        self._k.memory.write(address, data)
        return address

    def string(self, text: str) -> int:
        """A UNICODE_STRING."""
        encoded = text.encode("utf-16-le", "surrogatepass")
        at = self.block(bytes(16))
        self._k.memory.write_unicode_string(at, self.block(encoded + b"\0\0"), len(encoded), len(encoded) + 2)
        return at

    def call(self, name: str, *arguments: int) -> "KernelCode":
        """A service; its NTSTATUS."""
        export = find_export(NTOSKRNL, name)
        assert export is not None, name
        answer: Any = export.function(self._k, *arguments)
        return int((yield from answer) if isinstance(answer, GeneratorType) else answer)

    def open(self, path: str, *, create: bool) -> "KernelCode":
        """A key by its path; (NTSTATUS, handle)."""
        attributes, out = self.block(bytes(_ATTRIBUTES_SIZE)), self.block(bytes(8))
        self._k.memory.write_u32(attributes, _ATTRIBUTES_SIZE)
        self._k.memory.write_u64(attributes + _OBJECT_NAME, self.string(path))
        self._k.memory.write_u32(attributes + _FLAGS, _CASE_INSENSITIVE | _KERNEL_HANDLE)
        if create:
            status = yield from self.call("ZwCreateKey", out, _ALL_ACCESS, attributes, 0, 0, 0, 0)
        else:
            status = yield from self.call("ZwOpenKey", out, _ALL_ACCESS, attributes)
        return status, self._k.memory.read_u64(out)

    def free(self) -> None:
        for block in self._blocks:
            self._k.heap.free(block)


def run(k: "Kernel", asked: "EditRegistry") -> Edited:
    """Do one edit in a process of its own. Raises RefusedError."""
    process = k.create_process("reg.exe")
    status: int = k.run(_edit(k, asked), "reg", process=process)
    k.processes.remove(process)
    if not nt_success(status):
        raise RefusedError(status)
    return Edited(k.registry.changed)


def _edit(k: "Kernel", asked: "EditRegistry") -> "KernelCode":
    editor = _Editor(k)
    path = f"{_MACHINE}\\{asked.key}"
    if asked.delete and asked.name is None:
        status = yield from _delete(k, editor, path)
    else:
        status, handle = yield from editor.open(path, create=not asked.delete)
        if nt_success(status):
            status = yield from _change(editor, handle, asked)
            yield from editor.call("ZwClose", handle)
    editor.free()
    return status


def _change(editor: _Editor, handle: int, asked: "EditRegistry") -> "KernelCode":
    if asked.name is None:
        return int(NtStatus.SUCCESS)  # the key alone was to be made
    name = editor.string(asked.name)
    if asked.delete:
        return (yield from editor.call("ZwDeleteValueKey", handle, name))
    if asked.kind not in ValueType.__members__:
        raise MalformedMessageError(f"the registry value {asked.name!r} has no type of a registry: {asked.kind!r}")
    data = editor.block(asked.data)
    return (yield from editor.call("ZwSetValueKey", handle, name, 0, ValueType[asked.kind], data, len(asked.data)))


def _delete(k: "Kernel", editor: _Editor, path: str) -> "KernelCode":
    """A key with all below it, the lowest first."""
    key = k.registry.find(path)
    for child in list(key.keys.values()) if key is not None else ():
        status = yield from _delete(k, editor, f"{path}\\{child.name}")
        if not nt_success(status):
            return status
    status, handle = yield from editor.open(path, create=False)
    if nt_success(status):
        status = yield from editor.call("ZwDeleteKey", handle)
        yield from editor.call("ZwClose", handle)
    return status
