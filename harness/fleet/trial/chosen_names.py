r"""The standard workload on names that a driver cares for: files of one suffix, or below one directory.

Most of what is done to `V:\create\one.txt` is done to `V:\docx\create\one.docx`, or to `V:\Documents\create\one.txt`;
and files become of that kind and cease to be, by a rename, or as programs do that save a file under another name first.
"""

import re
from collections.abc import Iterable

from harness.errors import ConfigurationError
from harness.fleet.trial.workload import WORKLOAD, Part

_REPEATED = frozenset(
    ("create", "cached", "noncached", "mapped", "streams", "rename", "delete", "enumerate", "metadata", "threads")
)
_SUFFIX = re.compile(r"\.(txt|bin)\b", re.IGNORECASE)
_BAD = re.compile(r'[<>:"/|?*\x00-\x1f ]')
_BECOMES = r"""
    open   made V:\{outside}\plain.txt access=rw,delete disposition=create
    write  made offset=0 text=plain
    set    made class=rename path=V:\{inside}\plain{suffix}
    read   made offset=0 length=16
    write  made offset=5 text=-and-more
    close  made
    open   made2 V:\{inside}\plain{suffix} access=rw,delete
    read   made2 offset=0 length=16
    query  made2 class=standard
    set    made2 class=rename path=V:\{outside}\back.txt
    close  made2
    open   back V:\{outside}\back.txt access=read
    read   back offset=0 length=16
    close  back
    open   old V:\{inside}\saved{suffix} access=rw disposition=create
    write  old offset=0 text=the-old-text
    close  old
    open   new V:\{outside}\saved.tmp access=rw,delete disposition=create
    write  new offset=0 text=new
    set    new class=rename path=V:\{inside}\saved{suffix} replace
    close  new
    open   saved V:\{inside}\saved{suffix} access=read
    query  saved class=standard
    read   saved offset=0 length=16
    close  saved
"""


def on_names(suffixes: Iterable[str], directories: Iterable[str]) -> tuple[Part, ...]:
    """The parts that are done on such names. ConfigurationError for what is no suffix or directory of V:."""
    return (
        *(part for suffix in suffixes for part in _on_suffix(_plain_suffix(suffix))),
        *(part for directory in directories for part in _in_directory(_plain_directory(directory))),
    )


def _on_suffix(suffix: str) -> Iterable[Part]:
    folder = suffix[1:]
    for part in WORKLOAD:
        if part.name in _REPEATED:
            script = _SUFFIX.sub(lambda match: suffix.upper() if match[1].isupper() else suffix, part.script)
            yield _moved(Part(f"{part.name} on *{suffix}", script, rf"{folder}\{part.name}"), part.folder)
    yield Part(f"becoming *{suffix}", _BECOMES.format(outside=folder, inside=folder, suffix=suffix), folder)


def _in_directory(directory: str) -> Iterable[Part]:
    for part in WORKLOAD:
        if part.name in _REPEATED:
            yield _moved(Part(f"{part.name} in {directory}", part.script, rf"{directory}\{part.name}"), part.folder)
    beside = directory.replace("\\", "-") + "-beside"
    into = _BECOMES.format(outside=beside, inside=directory, suffix=".txt")
    made = rf"open beside V:\{beside} access=list disposition=open-if options=directory"
    yield Part(f"into {directory}", f"{made}\n{into}", directory)


def _moved(part: Part, before: str) -> Part:
    """The part with its files in its own folder, for those of the folder that it was written for."""
    return Part(part.name, part.script.replace(f"V:\\{before}", f"V:\\{part.folder}"), part.folder)


def _plain_suffix(text: str) -> str:
    suffix = "." + text.removeprefix("*").removeprefix(".")
    if suffix == "." or _BAD.search(suffix) or "\\" in suffix:
        raise ConfigurationError(f"{text!r} is no suffix of a file's name", hint="--suffix .docx")
    return suffix


def _plain_directory(text: str) -> str:
    directory = text.removeprefix("V:").removeprefix("v:").strip("\\")
    if not directory or _BAD.search(directory) or any(part in ("", ".", "..") for part in directory.split("\\")):
        raise ConfigurationError(
            f"{text!r} is no directory of V: that the workload can be done in",
            hint=r"--directory Documents, or Users\guarded; without spaces",
        )
    return directory
