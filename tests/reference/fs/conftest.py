"""A store on a directory of the test's own, with a clock that moves only when it is told to."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.nt import NtStatus
from harness.reference.windows.fs import deletions, renames
from harness.reference.windows.fs.changes import Change
from harness.reference.windows.fs.deletions import Disposition as Deletion
from harness.reference.windows.fs.filesystem import FileSystem
from harness.reference.windows.fs.opens import Asked, Disposition, OpenFile
from harness.reference.windows.ntos.se.security import FILE_ALL_ACCESS, KERNEL_SUBJECT, Subject
from harness.reference.windows.ntos.status_error import StatusError
from tests.fltprobe.conftest import bench, built, make_bench  # noqa: F401 - fixtures

ALL = 7


@dataclass
class Volume:
    """Creates, deletions and renames in one line each."""

    files: FileSystem
    root: Path
    clock: list[int]
    changes: list[Change] = field(default_factory=list)

    def open(
        self,
        name: str,
        *,
        access: int = FILE_ALL_ACCESS,
        share: int = ALL,
        disposition: int = Disposition.OPEN,
        options: int = 0,
        attributes: int = 0,
        related: OpenFile | None = None,
        subject: Subject = KERNEL_SUBJECT,
        **more,
    ) -> OpenFile:
        return self.files.create(
            Asked(name, access, share, int(disposition), options, attributes, related=related, subject=subject, **more)
        )

    def make(self, name: str, **asked) -> OpenFile:
        return self.open(name, **{"disposition": Disposition.CREATE} | asked)

    def directory(self, name: str) -> OpenFile:
        return self.make(name, options=1)

    def refusal(self, name: str, **asked) -> int:
        with pytest.raises(StatusError) as caught:
            self.open(name, **asked)
        return caught.value.status

    def close(self, *opens: OpenFile) -> None:
        for opened in opens:
            deletions.cleanup(self.files, opened)
            self.files.close(opened)

    def cleanup(self, opened: OpenFile) -> bool:
        return deletions.cleanup(self.files, opened)

    def mark(self, opened: OpenFile, **how) -> None:
        deletions.set_disposition(self.files, opened, Deletion(**{"delete": True} | how))

    def rename(self, opened: OpenFile, name: str, *, directory: OpenFile | None = None, **how) -> None:
        above = directory.inode if directory is not None else opened.link.parent
        renames.rename(self.files, opened, renames.Target(above, name, **how))

    def link(self, opened: OpenFile, name: str, **how) -> None:
        renames.make_link(self.files, opened, renames.Target(opened.link.parent, name, **how))

    def told(self) -> list[tuple[str, str]]:
        found = [(change.action.name, change.name) for change in self.changes]
        self.changes.clear()
        return found


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    clock = [133_800_000_000_000_000]
    files = FileSystem(tmp_path, lambda: clock[0])
    made = Volume(files, tmp_path, clock)
    files.watch = made.changes.append
    return made


def status_of_call(call, *arguments, **more) -> NtStatus:
    """The status that a call refuses with."""
    with pytest.raises(StatusError) as caught:
        call(*arguments, **more)
    return caught.value.status
