"""Programs: a process with an image, threads that run user-mode code, and the way out of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.nt import NtStatus, OperationClass, status_name
from harness.reference.machine.cpu.exceptions import GuestException
from harness.reference.machine.loader.images import Image
from harness.reference.machine.loader.loader import LoadError
from harness.reference.machine.scheduler.dispatcher import Event
from harness.reference.machine.scheduler.requests import Call, EndThread, Wait
from harness.reference.machine.scheduler.thread import Process, Thread, UserState
from harness.reference.windows.cc.image_files import ImageFile, close_image, open_image
from harness.reference.windows.io.request import Code
from harness.reference.windows.ntos.ke.dispatcher_objects import GuestEvent
from harness.reference.windows.ntos.ke.offsets import KTHREAD
from harness.reference.windows.ntos.ob.objects import Object
from harness.reference.windows.ntos.ps import process_notify
from harness.reference.windows.ntos.se.token_objects import PROGRAM_SESSION
from harness.reference.windows.user.address_space import (
    LARGE_STACK_SIZE,
    STACK_SIZE,
    Peb,
    Region,
    Teb,
    UserSpace,
    make_peb,
    peb_size,
)
from harness.reference.windows.user.image_names import ImageNames, image_names
from harness.reference.windows.user.streams import TYPE as PIPE_TYPE
from harness.reference.windows.user.streams import InputPipe, OutputPipe

if TYPE_CHECKING:
    from harness.reference.windows.cc.sections import Views
    from harness.reference.windows.io.io_manager import IoManager
    from harness.reference.windows.kernel import Kernel
    from harness.reference.windows.ntos.executive import Executive

OWN_FOLDER = "c:\\fltlab\\"
"""Where fltlab puts its own program and those that a driver comes with."""
_CONTENT = (NtStatus.INVALID_IMAGE_NOT_MZ, NtStatus.INVALID_IMAGE_FORMAT)
_USER_MODE = 1
_LONG = 1_000_000
"""A wait of 100 ms or more is rest; a shorter one is a part of what a program does."""
LIBRARY = "userland.dll"
LIBRARY_START = "ProgramStart"
"""Where a program begins that imports any of it."""


def _name_of(path: str) -> str:
    return path.replace("/", "\\").rpartition("\\")[2]


@dataclass(eq=False, slots=True)
class Program:
    """A process that runs user-mode code."""

    process: Process
    image: Image
    output: OutputPipe
    ended: Event
    peb: Peb = field(init=False)
    regions: list[Region] = field(default_factory=list)
    image_file: ImageFile | None = None
    """Where its image lies on a volume."""
    library: Image | None = None
    """Its copy of the DLL that stands for kernel32 and its kin."""
    leaving: Thread | None = None
    """The last thread, which takes the process with it."""
    exit_status: int | None = None
    """Set when the process has been told to end; `ended` is signaled when it has."""

    @property
    def at_rest(self) -> bool:
        """Whether all its threads wait for something that is no I/O of theirs, and for some time."""
        waits = [thread.waiting for thread in self.process.threads]
        return all(wait is not None and wait.user and (wait.timeout or _LONG) >= _LONG for wait in waits)


class Programs:
    """The programs of one kernel."""

    def __init__(self, kernel: "Kernel", io: "IoManager", views: "Views") -> None:
        self._kernel = kernel
        self._executive: Executive = kernel
        self._io = io
        self._views = views
        self.space = UserSpace(kernel.memory)
        self.running: dict[Process, Program] = {}
        self._unreadable: set[str] = set()

    @property
    def current(self) -> Program:
        """The program of the current thread; raises KeyError in a system thread."""
        return self.running[self._executive.current.process]

    def start(
        self,
        path: str,
        data: bytes,
        arguments: Sequence[str] = (),
        stdin: InputPipe | None = None,
        *,
        library: bytes | None = None,
        service: str = "",
    ) -> Program:
        """Make a process for an image file, with its first thread ready to run; its parent is the System process.

        What lies on a volume of this machine is opened there, through the volume's stack; `data` is the image of what
        does not. `library` is the DLL in which the program finds what it imports from kernel32 and its kin, each
        process its own copy. `stdin` is its input, empty if None. `service` is the name of the service
        as which it is started. Raises LoadError with the status of whoever keeps it from starting: a filter, a notify
        routine or the loader.
        """
        code = self._create(path, data, arguments, stdin, library, service)
        with self._executive.schedules.suspended():
            started: Program | LoadError = self._executive.run(code, f"start {_name_of(path)}")
        if isinstance(started, LoadError):
            raise started
        return started

    def _create(
        self,
        path: str,
        data: bytes,
        arguments: Sequence[str],
        stdin: InputPipe | None,
        library: bytes | None,
        service: str,
    ) -> Code:
        """NtCreateUserProcess; the program, or the LoadError with which it does not start."""
        names, file = image_names(self._io.volumes, path), None
        try:
            if names.on_volume:
                file = yield from self._open_image(names)
            program = self._make(path, file.data if file is not None else data, library)
        except LoadError as error:
            if file is not None:
                close_image(self._kernel, file)
            return error
        program.image_file = file
        self._fill_in(program, path, names, arguments, stdin, service)
        denied = yield from process_notify.process_created(self._executive, program.process)
        if denied:
            program.exit_status = denied
            yield from self._run_down(program)
            return LoadError(denied, f"a driver's process notify routine denies {path}: {status_name(denied)}")
        library_at = program.library
        entry = program.image.entry_point if library_at is None else library_at.base + library_at.exports[LIBRARY_START]
        yield from self.start_thread(program, entry, program.peb.address, first=True)
        return program

    def _open_image(self, names: ImageNames) -> Code:
        r"""Its file on the volume; None for one of \fltlab that a filter there shows as no image, which is reported.

        Whoever encrypts all of C: learns that no program would start on Windows, and what else their driver does.
        """
        try:
            return (yield from open_image(self._kernel, names.nt))
        except LoadError as error:
            if error.status not in _CONTENT or not names.dos.lower().startswith(OWN_FOLDER):
                raise
            found = self._io.volume_of(names.nt)
            filters = [item.filter.name for item in self._kernel.flt.on(found[0]).instances] if found else []
            if names.nt not in self._unreadable:
                self._unreadable.add(names.nt)
                self._executive.verifier.report(
                    None,
                    filters[0] if len(filters) == 1 else None,
                    f"{names.nt} is no image for who reads it through {', '.join(filters)} "
                    f"({status_name(error.status)}): on Windows no program of that volume would start",
                    chain=(),
                )
            return None

    def _make(self, path: str, data: bytes, library: bytes | None) -> Program:
        """A process with its images in memory. Raises LoadError."""
        k, name = self._executive, _name_of(path)
        dll = k.load_image(LIBRARY, library, user=True) if library is not None else None
        try:
            image = k.load_image(name, data, user=True, library=dll)
        except LoadError:
            if dll is not None:
                k.loader.unload(dll)
            raise
        process = k.create_process(name)
        program = Program(process, image, OutputPipe(self._views), Event(f"the end of {name}"), library=dll)
        self.running[process] = program
        return program

    def _fill_in(
        self,
        program: Program,
        path: str,
        names: ImageNames,
        arguments: Sequence[str],
        stdin: InputPipe | None,
        service: str,
    ) -> None:
        """Its environment, and what drivers may ask of it."""
        k, process = self._executive, program.process
        command_line = " ".join(f'"{word}"' if " " in word else word for word in (path, *arguments))
        region = self.space.allocate("block", peb_size(path, command_line + service))
        program.regions.append(region)
        program.peb = peb = make_peb(k.memory, region, path, command_line, service)
        peb.image_base = program.image.base
        facts = k.processes.facts[process]
        facts.nt_path, facts.dos_path = names.nt, names.dos
        facts.command_line, facts.created = command_line, k.now
        facts.peb, facts.section_base, facts.session = peb.address, program.image.base, PROGRAM_SESSION
        facts.image_file = program.image_file.file.object if program.image_file is not None else None
        peb.standard_input = self._open_pipe(process, stdin or InputPipe())
        peb.standard_output = peb.standard_error = self._open_pipe(process, program.output)
        k.probes.happened((f"start {program.image.name}",))

    def _open_pipe(self, process: Process, pipe: InputPipe | OutputPipe) -> int:
        k = self._executive
        item = Object(PIPE_TYPE, pipe, references=0)
        handle = k.objects.open(item, kernel=False, access=3, process=process.id)
        self._io.streams[handle] = pipe

        def close(_: Object) -> None:
            del self._io.streams[handle]

        item.on_close = close
        return handle

    # -- threads

    def start_thread(self, program: Program, routine: int, parameter: int, *, first: bool = False) -> Code:
        """A thread of a program that runs `routine(parameter)`, once drivers have been told of it."""
        k = self._executive
        told = Event("drivers to be told of a thread")
        stack = self.space.allocate("stack", STACK_SIZE if program.library is None else LARGE_STACK_SIZE)
        block = self.space.allocate("block", Teb.SIZE)
        name = program.image.name
        thread = k.spawn(
            self._thread_code(program, routine, parameter, told, first=first),
            name,
            process=program.process,
            start=routine,
        )
        thread.system = False
        thread.user = UserState(stack.end, block.base)
        thread.execution.user_stack_top = stack.end
        thread.execution.teb = block.base
        teb = Teb(k.memory, block.base)
        teb.stack_base, teb.stack_limit = stack.end, stack.base
        teb.self_pointer, teb.peb = block.base, program.peb.address
        teb.process_id, teb.thread_id = program.process.id, thread.id
        k.memory.write_u64(thread.kthread + KTHREAD.TEB, block.base)
        k.memory.write_u8(thread.kthread + KTHREAD.PREVIOUS_MODE, _USER_MODE)

        def free(_: Thread) -> None:
            stack.free()
            block.free()

        thread.at_end.append(free)
        yield from process_notify.thread_created(k, thread)
        k.signal(told)
        return thread

    def _thread_code(self, program: Program, routine: int, parameter: int, told: Event, *, first: bool) -> Code:
        k = self._executive
        if not told.state:
            yield Wait([told], reason=told.name)
        yield from process_notify.thread_begins(k)
        if first:
            facts = k.processes.facts[program.process]
            yield from process_notify.image_loaded(
                k, program.image, facts.nt_path, program.process.id, facts.image_file
            )
        try:
            status = (yield Call(routine, parameter, user=True)) & 0xFFFF_FFFF
        except GuestException as exception:
            # Nobody in the program handled it.
            k.probes.happened((f"unhandled exception {exception.status:#010x} in {program.image.name}",))
            status = yield from self.terminate(program, exception.status)
        yield from self.exit_thread(status)

    # -- the way out

    def tell_to_end(self, program: Program) -> bool:
        """Ask a program to end, as ctrl-c and a service's stop do; whether it listens."""
        k = self._executive
        found = k.namespace.find(rf"\BaseNamedObjects\fltlab-end-{program.process.id}")
        if not isinstance(found, Object) or not isinstance(found.body, GuestEvent):
            return False
        found.body.header.signal_state = 1
        k.signal(found.body)
        return True

    def kill(self, program: Program, status: int) -> Code:
        """End a program from outside, in a system thread."""
        k = self._executive
        if program.leaving is None and program in self.running.values():
            program.leaving = k.current
            yield from self.terminate(program, status)
            for thread in list(program.process.threads):
                yield Wait([thread], reason=f"{thread.describe()} to end")
            yield from self._await_io(program.process)
            yield from self._run_down(program)

    def exit_thread(self, status: int) -> Code:
        """End the current thread; the last one of a process takes the process with it."""
        k = self._executive
        thread = k.current
        program = self.running[thread.process]
        thread.terminating, thread.exit_status = True, status
        yield from self._cancel_io(thread)
        yield from process_notify.thread_ended(k, thread)
        others = [other for other in thread.process.threads if other is not thread]
        if program.leaving is None and all(other.terminating for other in others):
            program.leaving = thread
            if program.exit_status is None:
                program.exit_status = status
            for other in others:
                yield Wait([other], reason=f"{other.describe()} to end")
            yield from self._await_io(thread.process)
            yield from self._run_down(program)
        yield EndThread(status)

    def terminate(self, program: Program, status: int) -> Code:
        """NtTerminateProcess: every other thread ends where it is in user mode, and its I/O is cancelled; `status`."""
        k = self._executive
        if program.exit_status is None:
            program.exit_status = status
        for thread in list(program.process.threads):
            if thread is k.current:
                continue
            thread.terminating, thread.exit_status = True, status
            if thread.waiting is not None and thread.waiting.user:
                k.scheduler.wake(thread, int(NtStatus.ALERTED))
            yield from self._cancel_requests(thread)
        return status

    def _cancel_requests(self, thread: Thread) -> Code:
        for request in [request for request in self._io.pending if request.thread is thread]:
            if request.kind is OperationClass.IRP and not request.paging:
                yield from self._io.cancel(request)

    def _cancel_io(self, thread: Thread) -> Code:
        """A thread that ends cancels its requests and waits for them."""
        yield from self._cancel_requests(thread)
        for request in [request for request in self._io.pending if request.thread is thread]:
            if request.kind is OperationClass.IRP:
                yield Wait([request.done], reason=f"{request.describe()}, cancelled as its thread ends, to be finished")

    def _await_io(self, process: Process) -> Code:
        """What threads that were ended in user mode have begun, and was cancelled then, is waited for all the same."""
        for request in [request for request in self._io.pending if request.thread.process is process]:
            if request.kind is OperationClass.IRP and not request.paging:
                yield Wait(
                    [request.done], reason=f"{request.describe()}, cancelled as its process ends, to be finished"
                )

    def _run_down(self, program: Program) -> Code:
        """Close handles and views, free the memory, and tell who waits."""
        k = self._executive
        process = program.process
        for handle in k.objects.handles_of(process.id):
            if handle.owed:
                k.verifier.report(
                    None,
                    handle.opened_by,
                    f"leak at the end of {program.image.name}: a handle to a {handle.object.type} in its process, which"
                    f" the driver opened for itself{f' at {handle.opened_at}' if handle.opened_at else ''}, was never"
                    " closed",
                    chain=(handle.opened_at,) if handle.opened_at else (),
                )
            yield from k.objects.close_handle(handle.value)
        for view in self._views.of_process(process):
            yield from self._views.unmap(view)
        facts = k.processes.facts[process]
        facts.exit_status, facts.ended = program.exit_status, k.now
        yield from process_notify.process_ended(k, process)
        facts.image_file = None
        if program.image_file is not None:
            close_image(self._kernel, program.image_file)
        for region in program.regions:
            region.free()
        k.loader.unload(program.image)
        if program.library is not None:
            k.loader.unload(program.library)
        del self.running[process]
        k.processes.remove(process)
        k.probes.happened((f"end {program.image.name} {program.exit_status or 0:#x}",))
        k.signal(program.ended)
