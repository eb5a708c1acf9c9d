"""The ways of large files, where a guest has them: a CD in its drive, and SFTP."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

from harness.errors import FltLabError
from harness.guest.guest import Guest
from harness.guest.selftest import Finding
from harness.guest.transfer import file_sha256

SIZE = 1 << 20
PATH = r"C:\fltlab\selftest-large.bin"
BY_CD, BY_SFTP = "a file on a CD", "a file over SFTP"


def check_large_files(guest: Guest, folder: Path) -> Iterator[Finding]:
    """Put a file in by each way that the guest has; each way checks it by SHA-256."""
    source = folder / "selftest-large.bin"
    source.write_bytes(random.Random(SIZE).randbytes(SIZE))
    if guest.cd is not None:
        yield _tried(BY_CD, lambda: guest.put_by_cd(source, PATH))
    if guest.ssh is not None:
        yield _tried(BY_SFTP, lambda: _there_and_back(guest, source))


def _there_and_back(guest: Guest, source: Path) -> None:
    guest.put_by_sftp(source, PATH)
    returned = source.with_suffix(".back")
    guest.get_by_sftp(PATH, returned)
    if file_sha256(returned) != file_sha256(source):
        raise FltLabError("what came back is not what was sent")


def _tried(check: str, work: Callable[[], None]) -> Finding:
    try:
        work()
    except FltLabError as error:
        return Finding(check, "-", error.message, tuple(error.details), error.hint or "")
    return Finding(check, f"{SIZE >> 20} MiB")
