"""The provisioning CD: answer files and scripts, on ISO 9660 with Joliet names, which every Windows reads."""

import io
import os
import re
from collections.abc import Mapping
from pathlib import Path

import pycdlib

LABEL = "FLTLAB"


def write_cd(files: Mapping[str, bytes], path: Path, *, label: str = LABEL) -> Path:
    """Write a CD with these files, by their paths on it; the file is readable by its owner only."""
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, vol_ident=label)
    try:
        for directory in _directories(files):
            iso.add_directory(f"/{_plain(directory)}", joliet_path=f"/{directory}")
        for name, content in files.items():
            iso.add_fp(io.BytesIO(content), len(content), f"/{_plain(name)};1", joliet_path=f"/{name}")
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            iso.write_fp(file)
    finally:
        iso.close()
    return path


def _directories(files: Mapping[str, bytes]) -> list[str]:
    found: set[str] = set()
    for name in files:
        parts = name.split("/")[:-1]
        found.update("/".join(parts[: depth + 1]) for depth in range(len(parts)))
    return sorted(found)


def _plain(path: str) -> str:
    """Return a path in the letters that ISO 9660 itself allows."""
    parts = path.upper().split("/")
    *above, name = parts
    stem, dot, kind = name.rpartition(".")
    last = f"{_letters(stem)}.{_letters(kind)}" if dot else _letters(name)
    return "/".join([*(_letters(part) for part in above), last])


def _letters(text: str) -> str:
    return re.sub(r"[^A-Z0-9_]", "_", text)
