"""What the name of a guest says: what it is made from, its data volume's file system, the level of Driver Verifier.

`windows-11-24h2+refs@standard` is the image windows-11-24h2 with ReFS on V: and Driver Verifier at `standard`. What is
not said is the default: NTFS, and Driver Verifier off.
"""

from collections.abc import Sequence
from dataclasses import dataclass

FILE_SYSTEM_MARK = "+"
VERIFIER_MARK = "@"
REFERENCE = "reference"
"""How the names of all guests begin that are no Windows."""


@dataclass(frozen=True)
class GuestName:
    """The parts of a guest's name; what it does not say is ""."""

    image: str
    file_system: str = ""
    verifier: str = ""

    @classmethod
    def parse(cls, text: str) -> "GuestName":
        """The parts of any text; `str` of them is that text, unless a mark has nothing behind it."""
        rest, _, level = text.partition(VERIFIER_MARK)
        image, _, system = rest.partition(FILE_SYSTEM_MARK)
        return cls(image, system, level)

    def __str__(self) -> str:
        system = FILE_SYSTEM_MARK + self.file_system if self.file_system else ""
        return self.image + system + (VERIFIER_MARK + self.verifier if self.verifier else "")


def guest_matrix(guests: Sequence[str], filesystems: Sequence[str], verifiers: Sequence[str] = ()) -> tuple[str, ...]:
    """Every guest with every file system and, if it is a Windows, at every level of Driver Verifier.

    What a guest's own name says of it stands.
    """
    found: list[str] = []
    for guest in map(GuestName.parse, guests):
        systems = [guest.file_system] if guest.file_system else filesystems or [""]
        levels = [guest.verifier] if guest.verifier or guest.image.startswith(REFERENCE) else verifiers or [""]
        found += [str(GuestName(guest.image, system, level)) for system in systems for level in levels]
    return tuple(dict.fromkeys(found))
