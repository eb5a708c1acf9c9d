r"""The object manager's namespace: directories such as \Device and \GLOBAL??, symbolic links, and what is in them.

\DosDevices is a link to \??, which is the directory of DOS names: all sessions share the global one here.
"""

from dataclasses import dataclass, field

from harness.nt import NtStatus
from harness.reference.windows.ntos.ob.objects import Object
from harness.reference.windows.verifier.holdings import Kind

SYMBOLIC_LINK = Kind("symbolic link", "IoDeleteSymbolicLink")
"""Held under its name in small letters."""
_MOST_LINKS = 32


@dataclass(slots=True)
class Directory:
    """An object directory."""

    entries: "dict[str, Entry]" = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link."""

    target: str


Entry = Directory | Link | Object


class NameRefused(Exception):
    """A name leads nowhere; `status` says why."""

    def __init__(self, status: NtStatus) -> None:
        super().__init__(status.name)
        self.status = status


class Namespace:
    """The names of one kernel."""

    def __init__(self) -> None:
        dos = Directory()
        self.root = Directory(
            {
                "device": Directory(),
                "global??": dos,
                "??": dos,
                "dosdevices": Link("\\??"),
                "driver": Directory(),
                "filesystem": Directory({"filters": Directory()}),
                "basenamedobjects": Directory(),
            }
        )
        self._paths: dict[int, str] = {}
        """As whoever named an object has spelled it, by the object's identity."""

    def find(self, path: str) -> Entry | None:
        """What a path names, links not followed at its end; None for nothing."""
        parent = self._parent(path)
        return parent.entries.get(_last(path)) if parent is not None else None

    def insert(self, path: str, entry: Entry) -> bool:
        """Give an entry a name; False where the directory does not exist or the name is taken."""
        parent = self._parent(path)
        if parent is None or not _last(path) or _last(path) in parent.entries:
            return False
        parent.entries[_last(path)] = entry
        self._paths[id(entry)] = path
        return True

    def path_of(self, item: Object) -> str:
        """The whole name of an object that has one, or ""."""
        return self._paths.get(id(item), "")

    def link(self, path: str, target: str) -> bool:
        """Make a symbolic link."""
        return self.insert(path, Link(target))

    def remove(self, path: str) -> bool:
        """Take a name away; False if there is none."""
        parent = self._parent(path)
        entry = parent.entries.pop(_last(path), None) if parent is not None else None
        if entry is not None:
            self._paths.pop(id(entry), None)
        return entry is not None

    def _parent(self, path: str) -> Directory | None:
        at: Entry = self.root
        for part in path.split("\\")[1:-1]:
            if not isinstance(at, Directory):
                return None
            found = at.entries.get(part.lower())
            if isinstance(found, Link):
                found = self.find(found.target)
            if found is None:
                return None
            at = found
        return at if isinstance(at, Directory) else None

    def resolve(self, path: str) -> tuple[Object, str]:
        r"""The object that a path leads to, and what is left of the path: `\data.bin` behind a volume, or "".

        Raises NameRefused: OBJECT_NAME_NOT_FOUND, OBJECT_PATH_NOT_FOUND, OBJECT_NAME_INVALID, OBJECT_TYPE_MISMATCH.
        """
        for _ in range(_MOST_LINKS):
            found = self._walk(path)
            if isinstance(found, tuple):
                return found
            path = found
        raise NameRefused(NtStatus.OBJECT_PATH_NOT_FOUND)

    def _walk(self, path: str) -> tuple[Object, str] | str:
        """One pass over a path: the object and the rest, or the path with a link replaced."""
        if not path.startswith("\\"):
            raise NameRefused(NtStatus.OBJECT_PATH_SYNTAX_BAD)
        parts = path.split("\\")[1:]
        at = self.root
        for index, part in enumerate(parts):
            found = at.entries.get(part.lower())
            rest = parts[index + 1 :]
            if found is None:
                if not part:
                    raise NameRefused(NtStatus.OBJECT_NAME_INVALID)
                raise NameRefused(NtStatus.OBJECT_PATH_NOT_FOUND if rest else NtStatus.OBJECT_NAME_NOT_FOUND)
            if isinstance(found, Link):
                return found.target + "".join("\\" + item for item in rest)
            if isinstance(found, Object):
                return found, "".join("\\" + item for item in rest)
            at = found
        raise NameRefused(NtStatus.OBJECT_TYPE_MISMATCH)


def _last(path: str) -> str:
    return path.rpartition("\\")[2].lower()
