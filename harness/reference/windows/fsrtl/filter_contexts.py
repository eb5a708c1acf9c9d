"""The lists of contexts that legacy filters hang on streams and files.

FSRTL_PER_STREAM_CONTEXT and FSRTL_PER_FILE_CONTEXT have one layout. A stream's list begins in its
FSRTL_ADVANCED_FCB_HEADER. A file's begins in a block of the file system runtime's: FileContextSupportPointer of the
header leads to a pointer of the file system's own, which leads there.
"""

from typing import TYPE_CHECKING

from harness.reference.machine.memory.structure import Field, Structure

if TYPE_CHECKING:
    from harness.reference.machine.memory.heap import SystemHeap
    from harness.reference.machine.memory.memory import Memory

_BLOCK_SIZE = 0x48
_LIST = 0x38
"""Where the list begins in the block, behind a FAST_MUTEX."""


class FilterContext(Structure):
    """FSRTL_PER_STREAM_CONTEXT and FSRTL_PER_FILE_CONTEXT."""

    SIZE = 0x28
    flink = Field(0x00)
    blink = Field(0x08)
    owner = Field(0x10)
    instance = Field(0x18)
    free_callback = Field(0x20)


def listed(memory: "Memory", head: int) -> list[FilterContext]:
    """The contexts of a list, the last inserted first."""
    found: list[FilterContext] = []
    at = memory.read_u64(head)
    while at and at != head:
        found.append(FilterContext(memory, at))
        at = found[-1].flink
    return found


def insert(memory: "Memory", head: int, context: int) -> None:
    """Put a context at the head of a list."""
    added, first = FilterContext(memory, context), memory.read_u64(head)
    added.flink, added.blink = first, head
    memory.write_u64(first + 8, context)
    memory.write_u64(head, context)


def find(memory: "Memory", head: int, owner: int, instance: int) -> FilterContext | None:
    """The first context of an owner and an instance; 0 stands for any."""
    for context in listed(memory, head):
        if (not owner or context.owner == owner) and (not instance or context.instance == instance):
            return context
    return None


def remove(context: FilterContext) -> None:
    """Take a context off its list."""
    FilterContext(context.memory, context.blink).flink = context.flink
    FilterContext(context.memory, context.flink).blink = context.blink


# -- of files


def file_list(memory: "Memory", pointer: int) -> int:
    """The head of a file's list by its PerFileContextPointer; 0 where nobody has inserted any."""
    block = memory.read_u64(pointer)
    return block + _LIST if block else 0


def make_file_list(memory: "Memory", heap: "SystemHeap", pointer: int) -> int:
    """The same, with the block made where there is none."""
    if not memory.read_u64(pointer):
        block = heap.allocate(_BLOCK_SIZE)
        memory.write_u64(block + _LIST, block + _LIST)
        memory.write_u64(block + _LIST + 8, block + _LIST)
        memory.write_u64(pointer, block)
    return file_list(memory, pointer)


def take_file_contexts(memory: "Memory", heap: "SystemHeap", pointer: int) -> list[FilterContext]:
    """FsRtlTeardownPerFileContexts without the calls: the contexts, whose list is gone."""
    head = file_list(memory, pointer)
    if not head:
        return []
    found = listed(memory, head)
    for context in found:
        remove(context)
    heap.free(memory.read_u64(pointer))
    memory.write_u64(pointer, 0)
    return found
