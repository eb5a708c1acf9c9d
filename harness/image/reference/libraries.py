"""The Python libraries that the guest needs, taken from the environment that fltlab itself runs in.

So the guest and `reference-local` run the same emulator, and an image can be built without asking a package index.
Every file is held against the hash in its distribution's RECORD.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, PackagePath, distribution
from pathlib import Path

from harness.errors import HostError

_UNUSED_SUFFIXES = (".a", ".h", ".pyi", ".lib", ".dll", ".dylib", ".pyc")


def versions(names: Iterable[str]) -> dict[str, str]:
    """Return the version of each library, and the hash of the list of its files, as one text."""
    return {
        name: f"{found.version} {hashlib.sha256((found.read_text('RECORD') or '').encode()).hexdigest()}"
        for name in names
        for found in [_distribution(name)]
    }


def copy_libraries(names: Iterable[str], target: Path) -> None:
    """Copy the files of each library that a guest needs below `target`; raise HostError if one has been changed."""
    for name in names:
        for file in _files(_distribution(name)):
            content = file.read_binary()
            if file.hash is not None and file.hash.mode == "sha256":
                actual = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
                if actual != file.hash.value:
                    raise HostError(
                        f"{file} of the library {name} is not what was installed",
                        hint="remove .venv and let fltlab make it again",
                    )
            path = target / str(file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def _files(found: Distribution) -> Iterator[PackagePath]:
    for file in found.files or []:
        installed_beside = ".." in file.parts or file.parts[0].endswith((".dist-info", ".data"))
        if not installed_beside and file.suffix not in _UNUSED_SUFFIXES and "__pycache__" not in file.parts:
            yield file


def _distribution(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError as error:
        raise HostError(
            f"the library {name}, which the reference guest needs, is not installed", hint=f"pip install {name}"
        ) from error
