"""The name cache: which names of a file object have been asked for, and what name providers answered."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.filters import Instance
    from harness.reference.windows.io.file_object import FileObject

_Entries = dict[tuple["Instance | None", int], tuple[str, str]]


class NameCache:
    """Names by file object, then by who gave them (None: the file system) and format.

    An entry is kept with the name that the file system had for the file then: once that is another, because the file
    or a directory above it was renamed, the entry is as good as gone.
    """

    def __init__(self) -> None:
        self._of: dict[FileObject, _Entries] = {}

    def keep(self, file: "FileObject", provider: "Instance | None", form: int, true_name: str, name: str) -> None:
        """Keep a name until the file object is gone, the file is renamed or somebody purges it."""
        self._of.setdefault(file, {})[provider, form] = true_name, name

    def find(self, file: "FileObject", provider: "Instance | None", form: int, true_name: str) -> str | None:
        """What a provider last called a file, or None."""
        entry = self._of.get(file, {}).get((provider, form))
        return entry[1] if entry is not None and entry[0] == true_name else None

    def purge(self, instance: "Instance", file: "FileObject | None") -> None:
        """Drop what an instance and all above it have given, of a file or of the whole volume.

        What the file system itself has given goes where the instance is no provider.
        """
        stack = instance.on.instances
        above = set(stack[: stack.index(instance) + 1]) if instance in stack else {instance}
        for of in [file] if file is not None else list(self._of):
            entries = self._of.get(of, {})
            for key in [
                (provider, form)
                for provider, form in entries
                if of.volume is instance.volume
                and (provider in above if provider is not None else not instance.filter.registration.generate_name)
            ]:
                del entries[key]

    def forget(self, file: "FileObject") -> None:
        """A file object is gone."""
        self._of.pop(file, None)
