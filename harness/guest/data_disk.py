"""The data disk of a Windows guest: initialised, formatted, and given the letter V:, anew in each guest."""

import re
from enum import StrEnum

from harness.errors import ConfigurationError, GuestError
from harness.guest.guest import Guest
from harness.guest.profiles.windows import powershell
from harness.machine.deadlines import Wait

LETTER = "V"
DISK_SERIAL = "fltdata"


class FileSystem(StrEnum):
    """What the data disk can be formatted with; the guest's edition decides whether it knows ReFS."""

    NTFS = "ntfs"
    REFS = "refs"
    EXFAT = "exfat"
    FAT32 = "fat32"


_NAMES = {FileSystem.NTFS: "NTFS", FileSystem.REFS: "ReFS", FileSystem.EXFAT: "exFAT", FileSystem.FAT32: "FAT32"}

SCRIPT = r"""
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
try {
    $disk = Get-Disk | Where-Object { "$($_.SerialNumber)".Trim() -eq '@serial@' }
    if (-not $disk) { throw 'there is no disk with the serial number @serial@' }
    if ($disk.IsOffline) { Set-Disk -Number $disk.Number -IsOffline $false }
    if ($disk.IsReadOnly) { Set-Disk -Number $disk.Number -IsReadOnly $false }
    if ($disk.PartitionStyle -eq 'RAW') { Initialize-Disk -Number $disk.Number -PartitionStyle GPT }
    New-Partition -DiskNumber $disk.Number -UseMaximumSize -DriveLetter '@letter@' | Out-Null
    Format-Volume -DriveLetter '@letter@' -FileSystem '@system@' -NewFileSystemLabel 'fltlab' -Confirm:$false | Out-Null
    (Get-Volume -DriveLetter '@letter@').FileSystem
} catch {
    [Console]::Error.WriteLine("$_")
    exit 1
}
exit 0
"""


def parse_file_system(text: str) -> FileSystem:
    """The file system of an option's value; ConfigurationError lists those there are."""
    try:
        return FileSystem(text)
    except ValueError:
        raise ConfigurationError(
            f"there is no file system {text!r} for the data disk", details=(f"file systems: {', '.join(FileSystem)}",)
        ) from None


def script(system: FileSystem) -> str:
    """The PowerShell script that makes V: with a file system."""
    values = {"serial": DISK_SERIAL, "letter": LETTER, "system": _NAMES[system]}
    return re.sub(r"@(\w+)@", lambda found: values[found[1]], SCRIPT)


def make_data_disk(guest: Guest, system: FileSystem) -> None:
    """Make V: in a guest that has just started; GuestError says what PowerShell said."""
    result = guest.run(powershell(script(system)), timeout=Wait.WINDOWS_DISK)
    if not result.ok or result.output.strip().lower() != _NAMES[system].lower():
        hint = "client editions do not format ReFS; fltlab image verify" if system is FileSystem.REFS else None
        raise GuestError(
            f"the data disk of {guest.name!r} could not be made with {_NAMES[system]}",
            details=result.describe(),
            hint=hint,
        )
