"""The programs of this machine that fltlab uses, what each is for, and the Debian package that has it."""

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from harness.attempt import attempt
from harness.errors import HostError

# Programs of the administrator (mkfs.*, swtpm_setup) are not on every user's PATH.
ADMINISTRATOR_PATH = ("/usr/local/sbin", "/usr/sbin", "/sbin")


@dataclass(frozen=True)
class Program:
    """A program fltlab calls: its name, the Debian package that has it, and what fltlab does with it."""

    name: str
    package: str
    purpose: str
    version_option: str | None = None


def find_first(names: Sequence[str]) -> Path | None:
    """Return where the first of some programs is that is there, or None."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *ADMINISTRATOR_PATH))
    for name in names:
        found = shutil.which(name, path=path)
        if found:
            return Path(found)
    return None


class Tool(Enum):
    """Every program that the rooms from host to image call."""

    QEMU = Program("qemu-system-x86_64", "qemu-system-x86", "runs the guests", "--version")
    QEMU_IMG = Program("qemu-img", "qemu-utils", "makes the disks of the guests", "--version")
    MMDEBSTRAP = Program("mmdebstrap", "mmdebstrap", "unpacks the reference guest", "--version")
    MKFS_EROFS = Program("mkfs.erofs", "erofs-utils", "packs the reference guest")
    MKE2FS = Program("mke2fs", "e2fsprogs", "formats the data disk", "-V")
    DEBUGFS = Program("debugfs", "e2fsprogs", "empties the data disk", "-V")
    DPKG_DEB = Program("dpkg-deb", "dpkg", "unpacks the reference guest's kernel", "--version")
    LZ4 = Program("lz4", "lz4", "packs the initramfs", "--version")
    QEMU_IO = Program("qemu-io", "qemu-utils", "writes the boot entry of a Windows ISO's overlay", "--version")
    QEMU_STORAGE_DAEMON = Program("qemu-storage-daemon", "qemu-utils", "shows a guest's disk as a file", "--version")
    FUSERMOUNT = Program("fusermount3", "fuse3", "shows a guest's disk as a file to an ordinary user", "--version")
    NTFSCAT = Program("ntfscat", "ntfs-3g", "reads files of a Windows guest that is switched off")
    NTFSCP = Program("ntfscp", "ntfs-3g", "puts files into a Windows guest that is switched off")
    NTFSLS = Program("ntfsls", "ntfs-3g", "lists files of a Windows guest that is switched off")
    SWTPM = Program("swtpm", "swtpm", "is the TPM of a Windows guest that wants one", "--version")
    SETPRIV = Program("setpriv", "util-linux", "ties the life of QEMU to the life of fltlab", "--version")

    @property
    def program(self) -> Program:
        """The facts about this tool."""
        return self.value

    def find(self) -> Path | None:
        """Return where the program is, or None."""
        return find_first((self.program.name,))

    def require(self) -> Path:
        """Return where the program is; raise HostError naming its package when it is missing."""
        found = self.find()
        if found is None:
            raise HostError(
                f"{self.program.name} is not installed; it {self.program.purpose}",
                hint=f"apt-get install {self.program.package}   (or: fltlab doctor)",
            )
        return found


def version_of(tool: Tool) -> str | None:
    """Return the version that a tool reports, None if it is missing or tells none."""
    path, option = tool.find(), tool.program.version_option
    if path is None or option is None:
        return None
    done = attempt([path, option], timeout=30)
    found = re.search(r"\d+(?:\.\d+)+", done.stdout + done.stderr)
    return found[0] if found else None
