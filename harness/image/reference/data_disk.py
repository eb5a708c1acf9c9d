"""The data disk, the guest's volume `V:`: an empty ext4 file system, the same bytes every time it is made."""

import os
from pathlib import Path

from harness.host.command import run_program
from harness.host.tools import Tool

_UUID = "f17ab000-0000-4000-8000-000000000001"
_EPOCH = "1700000000"


def make_data_disk(path: Path, mib: int) -> None:
    """Make a raw disk image that holds one empty file system and nothing else, mostly holes."""
    path.touch()
    os.truncate(path, mib << 20)
    options = [
        *("-q", "-F", "-t", "ext4", "-U", _UUID, "-L", "volume", "-m", "0", "-b", "4096"),
        # Written out here and not by the guest afterwards: a template's disk must come to rest.
        *("-E", f"hash_seed={_UUID},lazy_itable_init=0,nodiscard"),
        # A journal that meets an error of the disk makes the file system read-only: what a test sees then is no error
        # of the disk any more. Nobody keeps this disk, so it needs none.
        *("-O", "^metadata_csum_seed,^orphan_file,^has_journal"),
    ]
    environment = {**os.environ, "E2FSPROGS_FAKE_TIME": _EPOCH, "SOURCE_DATE_EPOCH": _EPOCH}
    run_program([Tool.MKE2FS.require(), *options, path], purpose="format the data disk", environment=environment)
    run_program(
        [Tool.DEBUGFS.require(), "-w", "-R", "rmdir lost+found", path],
        purpose="remove lost+found from the data disk",  # it would show in the root of V:
        environment=environment,
    )
