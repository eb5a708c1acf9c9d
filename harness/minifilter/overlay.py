"""Includes of any case: a map of header directories in which the compiler finds `Ntddk.H` by the name of ntddk.h.

Drivers are written where the case of a file name does not matter. clang reads such a map as a file of its own
(`-ivfsoverlay`), for directories whose files are all named in it.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HEADERS = frozenset({".h", ".hpp", ".hh", ".hxx", ".inl", ".inc", ".ipp", ""})


def write_overlay(folder: Path, directories: Sequence[Path]) -> Path:
    """Write the map of some directories, and of all below them, into `folder`; its path."""
    roots = [_contents(directory.resolve()) for directory in dict.fromkeys(directories) if directory.is_dir()]
    text = json.dumps({"version": 0, "case-sensitive": "false", "use-external-names": "true", "roots": roots})
    path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.yaml"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    return path


def _contents(directory: Path) -> dict[str, Any]:
    found: list[dict[str, Any]] = []
    for entry in sorted(directory.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            if not entry.is_symlink():
                inner = _contents(entry)
                if inner["contents"]:
                    found.append({**inner, "name": entry.name})
        elif entry.suffix.lower() in HEADERS:
            found.append({"type": "file", "name": entry.name, "external-contents": str(entry)})
    return {"type": "directory", "name": str(directory), "contents": found}
