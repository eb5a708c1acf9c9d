"""The census of a volume: what is on it once nobody filters any more. Two of them are compared file by file.

It is taken by fltprobe, as any program would; what is read is read past the cache, so it is what is on the disk.
"""

from collections.abc import Callable, Sequence

from harness.fleet.trial.answers import Parts, entries, parts_of
from harness.minifilter.probe import ProbeResult
from harness.minifilter.script import words_of
from harness.nt import nt_success

FILES_AT_A_TIME = 40
READ = 1 << 20
_DIRECTORY = 0x10

Census = dict[str, Parts]
"""By path: what is said of a file or directory."""


def take_census(run: Callable[[Sequence[str]], ProbeResult], root: str) -> Census:
    """Look at everything below a directory. `run` runs a script."""
    files, folders = _find(run, root)
    found: Census = {path: {"it is": "a directory"} for path in folders}
    for first in range(0, len(files), FILES_AT_A_TIME):
        some = files[first : first + FILES_AT_A_TIME]
        lines = [line for number, path in enumerate(some) for line in _questions(number, path)]
        result = run(lines)
        each = len(_questions(0, ""))
        for number, path in enumerate(some):
            found[path] = _said(lines, result, range(number * each + 1, (number + 1) * each + 1))
    return found


def _questions(number: int, path: str) -> list[str]:
    name = f"c{number}"
    return [
        f'open {name} "{path}" access=read,attributes options=noncached',
        f"query {name} class=basic",
        f"query {name} class=standard",
        f"query {name} class=stream",
        f"query-ea {name}",
        f"read {name} offset=0 length={READ}",
        f"close {name}",
    ]


_TITLES = {"query-ea": "extended attributes", "read": "content"}


def _said(lines: Sequence[str], result: ProbeResult, numbers: range) -> Parts:
    said: Parts = {"it is": "a file"}
    for step in result.steps:
        if step.line not in numbers or step.verb == "close":
            continue
        parts = parts_of(words_of(lines[step.line - 1]), step)
        status = parts.pop("status")
        if step.verb == "open":
            if not nt_success(step.status):
                return {"it cannot be opened": status}
        elif step.verb in _TITLES:
            said[_TITLES[step.verb]] = parts.get("data", status)
        else:
            said.update(parts)
    said.pop("allocation size", None)  # how much room a file was given beforehand says nothing about what is in it
    said.pop("became", None)
    return said


def _find(run: Callable[[Sequence[str]], ProbeResult], root: str) -> tuple[list[str], list[str]]:
    files: list[str] = []
    folders: list[str] = []
    waiting = [root]
    while waiting:
        some, waiting = waiting[:FILES_AT_A_TIME], waiting[FILES_AT_A_TIME:]
        lines = []
        for number, path in enumerate(some):
            lines += [
                f'open d{number} "{path}" access=list options=directory',
                f"directory d{number} class=directory",
                *(f"directory d{number} class=directory continue" for _ in range(3)),
                f"close d{number}",
            ]
        for step in run(lines).steps:
            if step.verb != "directory" or not nt_success(step.status):
                continue
            path = some[int(step.name.removeprefix("d"))]
            for name, _, attributes in entries(step.data, "directory"):
                if name in {".", ".."} or (path == root and name == "System Volume Information"):
                    continue
                whole = rf"{path.rstrip(chr(92))}\{name}"
                (folders if attributes & _DIRECTORY else files).append(whole)
                if attributes & _DIRECTORY:
                    waiting.append(whole)
    return sorted(files), sorted(folders)
