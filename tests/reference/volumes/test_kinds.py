"""Several volumes: the system's, data volumes, a removable one; and what FAT, exFAT and ReFS have not of NTFS."""

from collections.abc import Callable

import pytest

from harness.nt import NtStatus
from harness.wire import kernel as wire
from tests.reference.volumes.conftest import Machine

Make = Callable[..., Machine]
OPEN_BY_ID, DIRECTORY = 0x2000, 1


def test_every_volume_is_offered_with_its_file_system(machine: Make) -> None:
    made = machine("V:", "C:", "W:fat32", "X:exfat", "Y:refs", removable="W")
    made.load("watcher")
    assert [text.split()[1:4] for text in made.told("setup")] == [
        ["1", "8", "2"],
        ["1", "8", "2"],
        ["1", "8", "3"],
        ["1", "8", "22"],
        ["1", "8", "28"],
    ]
    listed = made.ask(wire.ListVolumes()).volumes
    assert [(item.dos_name, item.file_system) for item in listed] == [
        ("V:", "NTFS"),
        ("C:", "NTFS"),
        ("W:", "FAT32"),
        ("X:", "exFAT"),
        ("Y:", "ReFS"),
    ]
    result = made.play("open v W: => SUCCESS\nquery-volume v class=device => SUCCESS\nquery-volume v class=attribute")
    assert result.steps[1].data[4:8] == (0x21).to_bytes(4, "little")  # removable, and mounted
    assert result.steps[2].data[12:22].decode("utf-16-le") == "FAT32"


def test_the_system_is_found_by_all_its_names(machine: Make) -> None:
    made = machine("V:", "C:")
    guid = made.kernel.io.volumes[1].guid_name
    made.play(
        rf"""
        open a C:\Windows\System32\ntdll.dll => SUCCESS
        open b \SystemRoot\System32\drivers\fltmgr.sys => SUCCESS
        open c \??\C:\Windows\notepad.exe => SUCCESS
        open d \DosDevices\C:\Windows\win.ini => SUCCESS
        open e {guid}\Windows\explorer.exe => SUCCESS
        open f \Device\HarddiskVolume2\ProgramData options=directory => SUCCESS
        open g \SystemRoot\nothing => OBJECT_NAME_NOT_FOUND
        open h C:\Users\new disposition=create => SUCCESS
        open i V:\Windows => OBJECT_NAME_NOT_FOUND
        """
    )


@pytest.mark.parametrize("kind", ["fat32", "exfat"])
def test_fat_has_no_streams_ids_links_or_reparse_points(machine: Make, kind: str) -> None:
    made = machine(f"V:{kind}")
    result = made.play(
        rf"""
        open f V:\a disposition=create access=rw,delete => SUCCESS
        write f length=16 text=hello => SUCCESS
        open s V:\a:stream disposition=create access=rw => OBJECT_NAME_INVALID
        open i V:\a options={OPEN_BY_ID:#x} => NOT_IMPLEMENTED
        query f class=basic => SUCCESS
        query f class=standard => SUCCESS
        query f class=attribute-tag => INVALID_PARAMETER
        query f class=network-open => SUCCESS
        query f class=name => SUCCESS
        fsctl f code=0x900A8 out=64 => INVALID_DEVICE_REQUEST
        fsctl f code=0x900C4 => INVALID_DEVICE_REQUEST
        fsctl f code=0x900C0 out=64 => INVALID_DEVICE_REQUEST
        query-volume f class=attribute => SUCCESS
        query-volume f class=size => SUCCESS
        directory f => INVALID_PARAMETER
        set f class=rename path=V:\b => SUCCESS
        set f class=disposition value=1 => SUCCESS
        close f => SUCCESS
        query-path V:\b => OBJECT_NAME_NOT_FOUND
        """
    )
    attributes = result.all("query-volume")[0].data
    assert int.from_bytes(attributes[:4], "little") == 0x6
    assert result.all("query")[0].data[24:32] == bytes(8)  # no change time


def test_a_file_of_fat32_ends_before_4_gib(machine: Make) -> None:
    machine("V:fat32").play(
        r"""
        open f V:\a disposition=create access=rw => SUCCESS
        set f class=end-of-file value=0x100000000 => DISK_FULL
        set f class=end-of-file value=8192 => SUCCESS
        """
    )


def test_refs_has_streams_and_ids_but_no_object_ids(machine: Make) -> None:
    machine("V:refs").play(
        r"""
        open f V:\a disposition=create access=rw => SUCCESS
        open s V:\a:stream disposition=create access=rw => SUCCESS
        fsctl f code=0x900C0 out=64 => INVALID_DEVICE_REQUEST
        fsctl f code=0x900C4 => SUCCESS
        query f class=attribute-tag => SUCCESS
        """
    )


def test_a_rename_to_another_volume_is_refused(machine: Make) -> None:
    machine("V:", "W:").play(
        r"""
        open f V:\a disposition=create access=rw,delete => SUCCESS
        set f class=rename path=W:\a => NOT_SAME_DEVICE
        """
    )


def test_a_filter_is_attached_to_the_volume_that_is_named(machine: Make) -> None:
    made = machine("V:", "W:fat32")
    made.load("pending", flags=1)
    made.ask(wire.Attach("fltlab-pending", "W:"))
    assert [row.volume for row in made.ask(wire.ListInstances()).instances] == ["W:"]
    assert made.refusal(wire.Attach("fltlab-pending", "Q:")) == NtStatus.FLT_VOLUME_NOT_FOUND
