"""Views of structures in guest memory: a class names the fields and their offsets, an instance is an address.

    class Kevent(Structure):
        SIZE = 0x18
        signal_state = Field(4, "i")

    Kevent(kernel.memory, address).signal_state = 1

Every access reads or writes guest memory; nothing is cached. An access that faults raises `PageFault`.
"""

from struct import Struct
from typing import TYPE_CHECKING, ClassVar, Self, overload

if TYPE_CHECKING:
    from harness.reference.machine.memory.memory import Memory


class Structure:
    """A structure at an address of guest memory. Subclasses set SIZE and fields."""

    SIZE: ClassVar[int] = 0
    __slots__ = ("address", "memory")

    def __init__(self, memory: "Memory", address: int) -> None:
        self.memory = memory
        self.address = address

    def clear(self) -> None:
        """Fill the structure with zeros."""
        self.memory.write(self.address, bytes(self.SIZE))

    def address_of(self, field: "Field") -> int:
        """The guest address of one field, given as `Class.field`."""
        return self.address + field.offset


class Field:
    """A number at a fixed offset; `code` is its struct format ("B", "H", "I", "i", "Q", "q")."""

    __slots__ = ("layout", "mask", "offset", "size")

    def __init__(self, offset: int, code: str = "Q") -> None:
        layout = Struct("<" + code)
        self.offset = offset
        self.size = layout.size
        self.mask = (1 << 8 * layout.size) - 1 if code.isupper() else 0
        self.layout = layout

    @overload
    def __get__(self, view: None, owner: type) -> Self: ...
    @overload
    def __get__(self, view: Structure, owner: type) -> int: ...
    def __get__(self, view: Structure | None, owner: type) -> Self | int:
        if view is None:
            return self
        value: int = view.memory.unpack(self.layout, view.address + self.offset)[0]
        return value

    def __set__(self, view: Structure, value: int) -> None:
        view.memory.pack(self.layout, view.address + self.offset, value & self.mask if self.mask else value)
