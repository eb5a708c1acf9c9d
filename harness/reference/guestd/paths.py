r"""Windows paths in the guest: `C:\...` lies below one directory, `V:\...` below another, and nothing lies outside."""

from pathlib import Path

FORBIDDEN = frozenset('<>:"|?*') | {chr(code) for code in range(32)}


class BadPath(Exception):
    """A path that Windows, or the daemon, refuses; the text is Windows'."""


class Drives:
    """Maps paths of the guest to files of this machine, never outside the drives' roots."""

    def __init__(self, system: Path, volume: Path) -> None:
        self._roots = {"C": system, "V": volume}
        for folder in ("Windows/System32/drivers", "fltlab", "Users/fltlab"):
            (system / folder).mkdir(parents=True, exist_ok=True)

    def root(self, letter: str) -> Path:
        """The directory behind a drive letter."""
        return self._roots[letter]

    def add(self, letter: str) -> Path:
        """A further data volume; its directory stands beside that of V:."""
        place = self._roots["V"].with_name(f"{self._roots['V'].name}-{letter}")
        place.mkdir(exist_ok=True)
        self._roots[letter] = place
        return place

    def local(self, path: str, current: str = "C:\\") -> Path:
        r"""The file behind a path: absolute, relative to `current`, or in the forms \SystemRoot\.. and system32\..

        Names are matched without case. Dots, links and device names lead nowhere: BadPath.
        """
        text = self._absolute(path.strip().strip('"'), current)
        if len(text) < 2 or text[1] != ":" or text[0].upper() not in self._roots:
            raise BadPath("The system cannot find the drive specified.")
        place = self._roots[text[0].upper()]
        for part in text[2:].split("\\"):
            if not part:
                continue
            if part == ".." or part == "." or set(part) & FORBIDDEN:
                raise BadPath("The filename, directory name, or volume label syntax is incorrect.")
            place = _child(place, part)
            if place.is_symlink():
                raise BadPath("The filename, directory name, or volume label syntax is incorrect.")
        return place

    @staticmethod
    def _absolute(path: str, current: str) -> str:
        text = path.replace("/", "\\")
        lowered = text.lower()
        if lowered.startswith("\\??\\"):
            return text[4:]
        if lowered.startswith("\\systemroot\\"):
            return "C:\\Windows" + text[len("\\SystemRoot") :]
        if lowered.startswith("%systemroot%\\"):
            return "C:\\Windows" + text[len("%SystemRoot%") :]
        if lowered.startswith("system32\\"):
            return "C:\\Windows\\" + text
        if len(text) >= 2 and text[1] == ":":
            return text
        if text.startswith("\\"):
            return current[:2] + text
        return current.rstrip("\\") + "\\" + text


def _child(directory: Path, name: str) -> Path:
    exact = directory / name
    if exact.exists() or not directory.is_dir():
        return exact
    folded = name.casefold()
    for entry in directory.iterdir():
        if entry.name.casefold() == folded:
            return entry
    return exact
