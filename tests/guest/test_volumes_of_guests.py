"""The volumes of a reference guest: which there are, with what, and what becomes of them."""

from pathlib import Path

import pytest

from harness.errors import ConfigurationError, GuestError
from harness.fleet.volume import Volume
from harness.guest import GuestKind, KernelOptions, LocalGuest


def volumes(guest: LocalGuest) -> dict[str, str]:
    lines = [line.split() for line in guest.run("fltmc volumes").output.splitlines()]
    return {words[0]: words[2] for words in lines if len(words) == 3 and words[0].endswith(":")}


def test_volumes_are_as_they_were_asked_for_until_they_are_dismounted_or_removed(tmp_path: Path) -> None:
    options = KernelOptions(format="fat32", data=("W:exfat,removable",))
    with LocalGuest(tmp_path, "reference-local", options) as guest:
        assert volumes(guest) == {"V:": "FAT32", "C:": "NTFS", "W:": "exFAT"}
        assert (guest.system / "Windows/System32/ntdll.dll").is_file()
        volume, other = Volume(guest=guest), Volume("W:", guest=guest)
        volume.dismount()
        assert volumes(guest) == {"C:": "NTFS", "W:": "exFAT"}
        other.remove(surprise=False)
        assert volumes(guest) == {"C:": "NTFS"}
        assert (volume.was_dismounted, other.was_removed) == (True, True)
        with pytest.raises(GuestError, match="W: could not be removed"):
            other.remove()
        assert guest.run("fsutil volume dismount Q:").exit_code == 1
        assert guest.run("fsutil behavior query").exit_code == 1
        assert guest.run("fltlab-volume eject W:").exit_code == 87


def test_a_disk_stays_in_a_windows_guest() -> None:
    class Windows:
        kind = GuestKind.WINDOWS

    with pytest.raises(ConfigurationError, match="cannot be taken out of a Windows guest"):
        Volume(guest=Windows()).remove()  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="is the volume of no guest"):
        Volume().dismount()
