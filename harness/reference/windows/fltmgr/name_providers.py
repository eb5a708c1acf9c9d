"""Name providers: minifilters whose callbacks say what a file is called to the filters above them.

GenerateFileNameCallback gives the whole name, NormalizeNameComponentCallback (or its Ex form) the long form of one
component after the other, with a context that NormalizeContextCleanupCallback frees. Who is asked is the highest
provider below whoever wants the name; what it needs itself it asks below, so the names are made from the bottom up.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.nt import NtStatus, nt_success
from harness.reference.windows.io.constants import FileObjectFlags
from harness.reference.windows.io.request import Code

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.filter_objects import FilterObjects
    from harness.reference.windows.fltmgr.filters import FilterVolume, Instance
    from harness.reference.windows.io.file_object import FileObject

CASE_SENSITIVE, DESTINATION = 1, 2
"""FLTFL_NORMALIZE_NAME_*."""
_CONTROL, _CACHE, _CONTROL_SIZE = 0, 16, 32
_PARENT, _COMPONENT, _CONTEXT, _EXPANDED = 0, 16, 32, 48
_NAMES_LENGTH, _NAMES_NAME = 8, 12
_LONGEST_COMPONENT = 2 * 255
_EXPANDED_SIZE = _NAMES_NAME + _LONGEST_COMPONENT
_NOT_THERE = frozenset(
    {NtStatus.NO_SUCH_FILE, NtStatus.NO_MORE_FILES, NtStatus.OBJECT_NAME_NOT_FOUND, NtStatus.OBJECT_PATH_NOT_FOUND}
)
"""A component that does not exist (yet) is its own long form."""


@dataclass(frozen=True, slots=True)
class Generated:
    """What a provider calls a file: with the volume's name, and whether that may be kept."""

    name: str
    cache: bool


class NameProviders:
    """Finds and calls name providers."""

    def __init__(self, objects: "FilterObjects") -> None:
        self._objects = objects
        self._kernel = objects.kernel
        self._turns: list[tuple[object, int, Instance]] = []
        """Providers that are generating a name: in which thread, for which callback data."""
        self._controls: set[int] = set()
        """FLT_NAME_CONTROLs that providers have now."""

    # -- who is asked

    def asking(self, data: int) -> "Instance | None":
        """The provider that generates a name for a callback data in the current thread, and asks about it now."""
        for thread, of, instance in reversed(self._turns):
            if thread is self._kernel.current and of == data:
                return instance
        return None

    def below(self, on: "FilterVolume", asking: "Instance | None", *, current: bool) -> "Instance | None":
        """The provider that is asked: the highest below an instance (with `current` it counts itself), or of all."""
        stack = on.instances
        if asking is not None:
            stack = stack[stack.index(asking) + (not current) :] if asking in stack else []
        return next((item for item in stack if item.attached and item.filter.registration.generate_name), None)

    # -- asking

    def generate(self, provider: "Instance", file: "FileObject", data: int, options: int) -> Code:
        """GenerateFileNameCallback; (NTSTATUS, Generated or None). `data` is 0 where there is no operation."""
        memory = self._kernel.memory
        block = self._objects.heap.allocate(_CONTROL_SIZE)
        control = block + _CONTROL
        self._controls.add(control)
        turn = (self._kernel.current, data, provider)
        self._turns.append(turn)
        status = yield from self._call(
            provider,
            provider.filter.registration.generate_name,
            provider.address, file.address, data, options, block + _CACHE, control,
        )  # fmt: skip
        self._turns.remove(turn)
        self._controls.remove(control)
        length, buffer = memory.read_u16(control), memory.read_u64(control + 8)
        generated = None
        if nt_success(status):
            name = memory.read(buffer, length).decode("utf-16-le", "surrogatepass") if length else ""
            generated = Generated(name, cache=bool(memory.read_u8(block + _CACHE)))
        self._free_buffer(buffer)
        self._objects.heap.free(block)
        return status, generated

    def normalize(self, provider: "Instance", file: "FileObject", name: str, flags: int) -> Code:
        """The long form of a name within the volume, component by component; (NTSTATUS, name)."""
        registration = provider.filter.registration
        if not (registration.normalize_name or registration.normalize_name_ex):
            return int(NtStatus.SUCCESS), name
        if file.flags & FileObjectFlags.OPENED_CASE_SENSITIVE:
            flags |= CASE_SENSITIVE
        memory = self._kernel.memory
        block = self._objects.heap.allocate(_EXPANDED + _EXPANDED_SIZE)
        status, done = int(NtStatus.SUCCESS), ""
        left = [part for part in name.split("\\") if part]
        while left:
            plain, colon, stream = left[0].partition(":")
            if not plain:  # a stream of the root, or of the volume
                break
            status, long = yield from self._normalize_component(provider, file, block, done + "\\", plain, flags)
            if not nt_success(status):
                break
            done += "\\" + long + colon + stream
            left.pop(0)
        if memory.read_u64(block + _CONTEXT) and registration.normalize_cleanup:
            yield from self._call(provider, registration.normalize_cleanup, block + _CONTEXT)
        self._objects.heap.free(block)
        if status in _NOT_THERE:
            status = int(NtStatus.SUCCESS)
        return status, (done + "".join("\\" + part for part in left)) or name

    def _normalize_component(
        self, provider: "Instance", file: "FileObject", block: int, above: str, component: str, flags: int
    ) -> Code:
        memory, heap, registration = self._kernel.memory, self._objects.heap, provider.filter.registration
        volume = provider.volume.device_name
        texts = []
        for at, text in ((_PARENT, volume + above), (_COMPONENT, component)):
            encoded = text.encode("utf-16-le", "surrogatepass")
            texts.append(heap.allocate(len(encoded)))
            memory.write(texts[-1], encoded)
            memory.write_unicode_string(block + at, texts[-1], len(encoded), len(encoded))
        memory.write(block + _EXPANDED, bytes(_EXPANDED_SIZE))
        arguments = (
            block + _PARENT, 2 * len(volume), block + _COMPONENT, block + _EXPANDED, _EXPANDED_SIZE, flags,
            block + _CONTEXT,
        )  # fmt: skip
        if registration.normalize_name_ex:
            status = yield from self._call(
                provider, registration.normalize_name_ex, provider.address, file.address, *arguments
            )
        else:
            status = yield from self._call(provider, registration.normalize_name, provider.address, *arguments)
        for buffer in texts:
            heap.free(buffer)
        length = min(memory.read_u32(block + _EXPANDED + _NAMES_LENGTH), _LONGEST_COMPONENT) & ~1
        long = memory.read(block + _EXPANDED + _NAMES_NAME, length).decode("utf-16-le", "surrogatepass")
        return status, long or component

    def _call(self, provider: "Instance", routine: int, *arguments: int) -> Code:
        provider.busy.enter()
        answer = yield from self._kernel.kept.call("its name provider callback", routine, *arguments)
        self._objects.leave(provider)
        return answer & 0xFFFF_FFFF

    # -- FLT_NAME_CONTROL

    def replace_buffer(self, control: int, buffer: int) -> None:
        """FltCheckAndGrowNameControl has a larger buffer for a name control: the one it had goes, if it was ours."""
        old = self._kernel.memory.read_u64(control + 8)
        if control in self._controls:
            self._free_buffer(old)
        self._kernel.memory.write_u64(control + 8, buffer)

    def _free_buffer(self, buffer: int) -> None:
        if buffer in self._objects.heap:
            self._objects.heap.free(buffer)
