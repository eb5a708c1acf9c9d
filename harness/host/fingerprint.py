"""Names for content: SHA-256 of files, holes skipped where the file system tells where they are."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from harness.host.disk import CHUNK, extents


def of_text(text: str) -> str:
    """Return the SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def of_facts(facts: Mapping[str, object]) -> str:
    """Return a name for a set of facts, the same whatever their order."""
    return of_text(json.dumps(facts, sort_keys=True, separators=(",", ":")))


def of_file(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_sparse_file(path: Path) -> str:
    """Return a name for a sparse file: the SHA-256 of its size, and of every non-zero page and where it lies.

    It does not depend on whether the file system keeps a page of zeros as a hole, and costs no time for holes.
    """
    page = 1 << 16
    zeros = bytes(page)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest.update(size.to_bytes(8, "little"))
        for begin, end in extents(file.fileno(), size):
            offset = begin - begin % page
            while offset < end:
                chunk = os.pread(file.fileno(), CHUNK, offset)
                for index in range(0, len(chunk), page):
                    block = chunk[index : index + page]
                    if block != zeros[: len(block)]:
                        digest.update((offset + index).to_bytes(8, "little"))
                        digest.update(block)
                offset += len(chunk)
    return digest.hexdigest()
