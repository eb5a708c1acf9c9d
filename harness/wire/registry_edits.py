"""A change of the registry that the kernel makes as a program's, so that drivers may look on or refuse it."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class Edited:
    """It was made; whether the registry is another one now."""

    registry_changed: bool = False


@dataclass(frozen=True)
class EditRegistry:
    """Change the registry below HKLM as a program does, with drivers' registry callbacks.

    Set a value, or delete it; without a `name` make the key, or delete it with all below it.
    """

    key: str
    name: str | None = None
    kind: str = ""
    """The value's REG_ type."""
    data: bytes = b""
    delete: bool = False
    RESULT: ClassVar[type] = Edited
