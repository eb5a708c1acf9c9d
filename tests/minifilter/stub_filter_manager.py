"""Just enough of FLTMGR.SYS to load a test minifilter and call its callbacks one at a time.

The driver is the real binary, run by the reference kernel's processor; the filter manager around it is this stub,
which keeps no contract: it only hands things over and notes what the driver calls. So a test sees what the driver's
own code does, whatever the reference kernel's filter manager would make of it.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from harness.minifilter.build import BuiltDriver
from harness.minifilter.events import EVENT_SIZE, Event, decode_event
from harness.nt import IrpMajor, NtStatus
from harness.reference.machine.loader import exports
from harness.reference.machine.loader.exports import FLTMGR, I32, NTOSKRNL, U16, U32, export
from harness.reference.machine.scheduler.requests import Call, KernelCode
from harness.reference.windows.kernel import Kernel

FILTER, VOLUME, INSTANCE, SERVER_PORT, CLIENT_PORT = (0xFFFF_8000_0000_0000 + (n << 16) for n in range(5))
PROCESS = 42
IRP, FAST_IO, FS_FILTER = 1, 2, 4
STATUS, INFORMATION = 24, 32  # IoStatus in FLT_CALLBACK_DATA


@dataclass
class Stub:
    """One driver under the stub. `calls` is what it called, in order."""

    kernel: Kernel
    operations: dict[int, tuple[int, int, int]] = field(default_factory=dict)  # major -> flags, pre, post
    contexts: list[int] = field(default_factory=list)
    callbacks: dict[str, int] = field(default_factory=dict)
    registration_flags: int = 0
    port: str = ""
    queue: dict[str, int] = field(default_factory=dict)
    queue_enabled: bool = True
    references: dict[int, int] = field(default_factory=dict)
    context_of: dict[int, int] = field(default_factory=dict)
    refuse_to_queue: int = 0
    refuse_to_lock: int = 0
    synchronous: bool = True
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    status: int = 0

    # -- the driver's life

    def attach(self) -> int:
        """Connect to the control port and set up one instance."""
        self.slot, self.related, self.returned = (self.kernel.heap.allocate(64) for _ in range(3))
        self.input, self.output = self.kernel.heap.allocate(0x1000), self.kernel.heap.allocate(0x4000)
        assert self.call(self.callbacks["connect"], CLIENT_PORT, 0, 0, 0, self.slot) == NtStatus.SUCCESS
        self._relate(0)
        return self.call(self.callbacks["setup"], self.related, 2, 7, 2)

    def lifecycle(self, name: str, *arguments: int) -> int:
        """Call a lifecycle callback, and let everything that follows from it happen."""
        self._relate(0)
        before = (self.related,) if name != "unload" else ()
        result = self.call(self.callbacks[name], *before, *arguments)
        self.kernel.settle()
        return result

    def call(self, function: int, *arguments: int, irql: int = 0) -> int:
        """Call a function of the driver in a thread of its own."""

        def code() -> KernelCode:
            if irql:
                self.kernel.raise_irql(irql)
            result = yield Call(function, *arguments)
            if irql:
                self.kernel.lower_irql(0)
            return result & 0xFFFF_FFFF

        return int(self.kernel.run(code()))

    # -- operations

    def file(self, name: str) -> int:
        """A FILE_OBJECT with a name."""
        address, encoded = self.kernel.heap.allocate(0xD8), name.encode("utf-16-le")
        buffer = self.kernel.heap.allocate(len(encoded) + 2)
        self.kernel.memory.write(buffer, encoded)
        self.kernel.memory.write_unicode_string(address + 0x58, buffer, len(encoded), len(encoded) + 2)
        return address

    def data(
        self, file: int, major: int, *, kind: int = IRP, irp_flags: int = 0, offset: int = 0, minor: int = 0
    ) -> int:
        """An FLT_CALLBACK_DATA with its parameter block."""
        data, block = self.kernel.heap.allocate(88), self.kernel.heap.allocate(72)
        content = struct.pack("<IBBBBQQIIQQ", irp_flags, major, minor, 0, 0, file, INSTANCE, 512, 0, 0, offset)
        self.kernel.memory.write(block, content)
        self.kernel.memory.write_u32(data, kind)
        self.kernel.memory.write_u64(data + 16, block)
        self.kernel.memory.write_u8(data + 80, 1)
        return data

    def offset(self, data: int) -> int:
        """ByteOffset of a read or write."""
        return self.kernel.memory.read_u64(self.kernel.memory.read_u64(data + 16) + 24 + 16)

    def io_status(self, data: int) -> tuple[int, int]:
        return self.kernel.memory.read_u32(data + STATUS), self.kernel.memory.read_u64(data + INFORMATION)

    def pre(self, data: int) -> tuple[int, int]:
        """Call the preoperation callback: what it returned, and the completion context."""
        major = self._major(data)
        self.kernel.memory.write_u64(self.slot, 0xDEAD)
        returned = self.call(self.operations[major][1], data, self.related, self.slot)
        return returned, self.kernel.memory.read_u64(self.slot)

    def spawn_pre(self, data: int) -> Any:
        """Call the preoperation callback in a thread that may block."""
        routine = self.operations[self._major(data)][1]

        def code() -> KernelCode:
            return (yield Call(routine, data, self.related, self.slot))

        thread = self.kernel.spawn(code(), "pre")
        self.kernel.settle()
        return thread

    def post(self, data: int, context: int = 0, *, flags: int = 0, irql: int = 0) -> int:
        return self.call(self.operations[self._major(data)][2], data, self.related, context, flags, irql=irql)

    def cancel(self, data: int) -> None:
        """What the filter manager does with an operation in a callback data queue that is cancelled."""

        def remove() -> KernelCode:
            yield Call(self.queue["remove"], self.queue["queue"], data)

        def code() -> KernelCode:
            yield from self.locked(remove)
            yield Call(self.queue["cancelled"], self.queue["queue"], data)

        self.kernel.run(code())

    def locked(self, inner: Callable[[], KernelCode]) -> KernelCode:
        """Run code between the queue's acquire and release callbacks."""
        irql = self.kernel.heap.allocate(8)
        yield Call(self.queue["acquire"], self.queue["queue"], irql)
        result = yield from inner()
        yield Call(self.queue["release"], self.queue["queue"], self.kernel.memory.read_u8(irql))
        return result

    # -- the control port

    def send(self, command: int, body: bytes = b"", *, version: int = 1, room: int = 0x4000) -> tuple[int, bytes]:
        message = struct.pack("<IIII", version, command, 16 + len(body), 0) + body
        self.kernel.memory.write(self.input, message)
        return self.message(self.input, len(message), self.output, room)

    def message(self, source: int, length: int, target: int, room: int) -> tuple[int, bytes]:
        """Call the message callback with any buffers."""
        status = self.call(self.callbacks["message"], 0, source, length, target, room, self.returned)
        size = self.kernel.memory.read_u32(self.returned)
        return status, self.kernel.memory.read(target, size) if size else b""

    def rule(self, major: IrpMajor | int = 0xFFFF, name: str = "", **fields: int) -> int:
        """ADD_RULE with the given members of FLTLAB_RULE, for any process unless `process` says else; NTSTATUS."""
        order = ("minor", "classes", "process", "flags", "skip", "max", "action", "status", "information", "context")
        order += ("offset", "delay", "mechanism", "resume", "post", "post_status", "post_mechanism", "length")
        values = {"minor": 0xFFFF, "process": 0xFFFF_FFFF, **fields}
        assert set(values) <= set(order)
        numbers = [values.get(key, 0) for key in order]
        body = struct.pack("<HHIIIIIIIQQQIIIIIIII", major, *numbers, len(name))
        return self.send(2, body + name.encode("utf-16-le").ljust(64, b"\0"))[0]

    def events(self) -> list[Event]:
        """Drain the ring."""
        return self.drain()[0]

    def drain(self, room: int = 0x4000) -> tuple[list[Event], int, int]:
        """Drain the ring: events, dropped, outstanding."""
        events: list[Event] = []
        while True:
            status, reply = self.send(3, room=room)
            assert status == NtStatus.SUCCESS
            count, dropped, outstanding, _ = struct.unpack_from("<IIII", reply)
            assert len(reply) == 16 + count * EVENT_SIZE
            if count == 0:
                return events, dropped, outstanding
            events += [decode_event("x", reply[16 + EVENT_SIZE * n :][:EVENT_SIZE]) for n in range(count)]

    def query(self) -> dict[str, int]:
        names = ("events", "dropped", "held", "outstanding", "pended", "resumed", "matched", "instances", "recorded")
        return dict(zip(names, struct.unpack("<8IQ", self.send(5)[1]), strict=True))

    def release(self) -> int:
        """RELEASE of all rules: how many operations were let go."""
        count = int(struct.unpack("<II", self.send(4, bytes(8))[1])[1])
        self.kernel.settle()
        return count

    def _major(self, data: int) -> int:
        block = self.kernel.memory.read_u64(data + 16)
        self._relate(self.kernel.memory.read_u64(block + 8))
        return self.kernel.memory.read_u8(block + 4)

    def _relate(self, file: int) -> None:
        self.kernel.memory.write(self.related, struct.pack("<QQQQQQ", 48, FILTER, VOLUME, INSTANCE, file, 0))


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, built: dict[str, BuiltDriver]) -> Callable[..., Stub]:
    """Load one of our drivers under a stub, with the values of its Parameters key."""
    others = {
        key: entry
        for key, entry in exports._EXPORTS.items()
        if key[0] != FLTMGR and key != (NTOSKRNL, "IoVolumeDeviceToDosName")
    }
    monkeypatch.setattr(exports, "_EXPORTS", others)
    current: list[Stub] = []
    _install(lambda: current[-1])

    def make(name: str, **parameters: object) -> Stub:
        stub = Stub(Kernel())
        current.append(stub)
        kinds = {key: "REG_DWORD" if isinstance(value, int) else "REG_MULTI_SZ" for key, value in parameters.items()}
        key = {name: {"type": kinds[name], "value": value} for name, value in parameters.items()}
        registry = {"Parameters": {"key": key}} if parameters else {}
        code = stub.kernel.drivers.load("fltlab-x", built[name].sys.read_bytes(), registry)
        stub.status = stub.kernel.run(code) & 0xFFFF_FFFF
        if stub.status == NtStatus.SUCCESS:
            assert stub.attach() == NtStatus.SUCCESS
        return stub

    return make


def _install(stub: Callable[[], Stub]) -> None:  # noqa: C901 (one export after the other)
    """Put the stub's functions where the driver's imports are looked for."""

    @export(FLTMGR, "FltRegisterFilter")
    def register(k: Kernel, driver: int, registration: int, out: int) -> int:
        del driver
        memory, it = k.memory, stub()
        it.registration_flags = memory.read_u32(registration + 4)
        entry = memory.read_u64(registration + 16)
        while memory.read_u8(entry) != 0x80:
            values = memory.read_u32(entry + 4), memory.read_u64(entry + 8), memory.read_u64(entry + 16)
            it.operations[memory.read_u8(entry)] = values
            entry += 32
        entry = memory.read_u64(registration + 8)
        while memory.read_u16(entry) != 0xFFFF:
            it.contexts.append(memory.read_u16(entry))
            entry += 56
        names = ("unload", "setup", "query-teardown", "teardown-start", "teardown-complete")
        it.callbacks |= {name: memory.read_u64(registration + 24 + 8 * n) for n, name in enumerate(names)}
        memory.write_u64(out, FILTER)
        return 0

    @export(FLTMGR, "FltCreateCommunicationPort")
    def create_port(
        k: Kernel, flt: int, out: int, attributes: int, cookie: int, connect: int, disconnect: int, message: int
    ) -> int:
        del flt, cookie
        stub().port = k.memory.read_unicode_string(k.memory.read_u64(attributes + 16))
        stub().callbacks |= {"connect": connect, "disconnect": disconnect, "message": message}
        k.memory.write_u64(out, SERVER_PORT)
        return 0

    @export(FLTMGR, "FltCloseClientPort")
    def close_client_port(k: Kernel, flt: int, port: int) -> None:
        del flt
        k.memory.write_u64(port, 0)

    def note(name: str, result: int = 0) -> None:
        """An export that is only noted."""

        @export(FLTMGR, name)
        def noted(k: Kernel, argument: int) -> int:
            del k
            stub().calls.append((name, argument))
            return result

    for name in ("FltStartFiltering", "FltUnregisterFilter", "FltCloseCommunicationPort", "FltSetCallbackDataDirty"):
        note(name)
    note("FltFreeSecurityDescriptor")
    note("FltGetRequestorProcessId", PROCESS)
    note("FltGetDiskDeviceObject", int(NtStatus.FLT_NO_DEVICE_OBJECT))
    note("FltFreeDeferredIoWorkItem")
    note("FltFreeGenericWorkItem")

    @export(NTOSKRNL, "IoVolumeDeviceToDosName")
    def volume_device_to_dos_name(k: Kernel, device: int, name: int) -> int:
        del k, device, name
        return int(NtStatus.UNSUCCESSFUL)

    @export(FLTMGR, "FltBuildDefaultSecurityDescriptor")
    def build_descriptor(k: Kernel, out: int, access: U32) -> int:
        del k, out, access
        return 0

    @export(FLTMGR, "FltLockUserBuffer")
    def lock_user_buffer(k: Kernel, data: int) -> int:
        del k
        stub().calls.append(("lock", data))
        return stub().refuse_to_lock

    @export(FLTMGR, "FltIsOperationSynchronous")
    def is_synchronous(k: Kernel, data: int) -> bool:
        del k, data
        return stub().synchronous

    @export(FLTMGR, "FltAllocateContext")
    def allocate_context(k: Kernel, flt: int, kind: U16, size: int, pool: I32, out: int) -> int:
        del flt, kind, pool
        context = k.heap.allocate(size)
        stub().references[context] = 1
        k.memory.write_u64(out, context)
        return 0

    @export(FLTMGR, "FltSetStreamHandleContext")
    def set_context(k: Kernel, instance: int, file: int, operation: I32, context: int, old: int) -> int:
        del k, instance, operation, old
        stub().context_of[file] = context
        stub().references[context] += 1
        return 0

    @export(FLTMGR, "FltGetStreamHandleContext")
    def get_context(k: Kernel, instance: int, file: int, out: int) -> int:
        del instance
        context = stub().context_of.get(file)
        if context is None:
            return int(NtStatus.NOT_FOUND)
        stub().references[context] += 1
        k.memory.write_u64(out, context)
        return 0

    @export(FLTMGR, "FltReleaseContext")
    def release_context(k: Kernel, context: int) -> None:
        del k
        stub().references[context] -= 1

    @export(FLTMGR, "FltAllocatePoolAlignedWithTag")
    def allocate_aligned(k: Kernel, instance: int, pool: I32, size: int, tag: U32) -> int:
        del instance, pool, tag
        return k.heap.allocate(size)

    @export(FLTMGR, "FltFreePoolAlignedWithTag")
    def free_aligned(k: Kernel, instance: int, buffer: int, tag: U32) -> None:
        del instance, tag
        k.heap.free(buffer)

    @export(FLTMGR, "FltReadFile")
    def read_file(k: Kernel, instance: int, file: int, offset: int, length: U32, buffer: int, flags: U32) -> int:
        del instance, buffer
        stub().calls.append(("FltReadFile", file, k.memory.read_u64(offset), length, flags))
        return 0

    @export(FLTMGR, "FltAllocateDeferredIoWorkItem", "FltAllocateGenericWorkItem")
    def allocate_work_item(k: Kernel) -> int:
        return k.heap.allocate(64)

    @export(FLTMGR, "FltQueueDeferredIoWorkItem", "FltQueueGenericWorkItem")
    def queue_work_item(k: Kernel, item: int, target: int, routine: int, queue: I32, context: int) -> int:
        del queue

        def work() -> KernelCode:
            yield Call(routine, item, target, context)

        if not stub().refuse_to_queue:
            k.queue_worker(work())
        return stub().refuse_to_queue

    @export(FLTMGR, "FltCompletePendedPreOperation")
    def complete_pended_pre(k: Kernel, data: int, status: I32, context: int) -> None:
        stub().calls.append(("resume", data, status, context, k.memory.read_u32(data + STATUS)))

    @export(FLTMGR, "FltCompletePendedPostOperation")
    def complete_pended_post(k: Kernel, data: int) -> None:
        stub().calls.append(("resume-post", data, k.memory.read_u32(data + STATUS)))

    @export(FLTMGR, "FltDoCompletionProcessingWhenSafe")
    def when_safe(k: Kernel, data: int, objects: int, context: int, flags: U32, safe: int, out: int) -> KernelCode:
        if k.irql >= 2:
            k.memory.write_u32(out, 0)
            return False
        answer = yield Call(safe, data, objects, context, flags)
        k.memory.write_u32(out, answer & 0xFFFF_FFFF)
        return True

    @export(FLTMGR, "FltCbdqInitialize")
    def initialize_queue(
        k: Kernel, instance: int, queue: int, insert: int, remove: int, peek: int, acquire: int, release: int, done: int
    ) -> int:
        del k, instance
        stub().queue = {"queue": queue, "insert": insert, "remove": remove, "peek": peek, "acquire": acquire}
        stub().queue |= {"release": release, "cancelled": done}
        return 0

    @export(FLTMGR, "FltCbdqDisable")
    def disable_queue(k: Kernel, queue: int) -> None:
        del k, queue
        stub().queue_enabled = False

    @export(FLTMGR, "FltCbdqInsertIo")
    def insert_io(k: Kernel, queue: int, data: int, context: int, insert_context: int) -> KernelCode:
        del k, context

        def inner() -> KernelCode:
            return (yield Call(stub().queue["insert"], queue, data, insert_context))

        if not stub().queue_enabled:
            return int(NtStatus.FLT_CBDQ_DISABLED)
        return (yield from stub().locked(inner))

    @export(FLTMGR, "FltCbdqRemoveNextIo")
    def remove_next_io(k: Kernel, queue: int, peek_context: int) -> KernelCode:
        del k

        def inner() -> KernelCode:
            data = yield Call(stub().queue["peek"], queue, 0, peek_context)
            if data:
                yield Call(stub().queue["remove"], queue, data)
            return data

        return (yield from stub().locked(inner))
