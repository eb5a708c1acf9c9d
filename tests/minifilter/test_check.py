"""The checks of built and prebuilt images: each finding is made by changing one thing in a good driver."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pefile
import pytest

from harness.errors import ConfigurationError
from harness.minifilter.build import BuiltDriver
from harness.minifilter.check import Severity, check_image, image_pdb_guid, pdb_guid, require_good
from harness.minifilter.imports import import_list, known_modules

Change = Callable[[Any], None]


@pytest.fixture
def changed(built: dict[str, BuiltDriver], tmp_path: Path) -> Callable[..., Path]:
    """A copy of `passthrough` with something changed in its headers, and a right checksum."""

    def make(change: Change, *, checksum: bool = True) -> Path:
        good = built["passthrough"]
        assert good.pdb
        copy = tmp_path / "changed.sys"
        shutil.copyfile(good.pdb, tmp_path / "changed.pdb")
        with pefile.PE(str(good.sys)) as image:
            change(image)
            if checksum:
                image.OPTIONAL_HEADER.CheckSum = image.generate_checksum()
            image.write(str(copy))
        return copy

    return make


def codes(path: Path, *, ours: bool = True) -> set[str]:
    return {finding.code for finding in check_image(path, ours)}


def test_every_driver_of_ours_is_faultless(built: dict[str, BuiltDriver]):
    findings = {name: check_image(driver.sys, ours=True, kind=driver.package.kind) for name, driver in built.items()}

    assert {name: found for name, found in findings.items() if found} == {}


def set_machine(image: Any) -> None:
    image.FILE_HEADER.Machine = 0xAA64


def set_subsystem(image: Any) -> None:
    image.OPTIONAL_HEADER.Subsystem = 3


def make_code_writable(image: Any) -> None:
    image.sections[0].Characteristics |= 0x80000000


def drop_hardening(image: Any) -> None:
    image.OPTIONAL_HEADER.DllCharacteristics &= ~0x0100


def drop_relocations(image: Any) -> None:
    image.FILE_HEADER.Characteristics |= 1


def drop_signature(image: Any) -> None:
    image.OPTIONAL_HEADER.DATA_DIRECTORY[4].Size = 0
    image.OPTIONAL_HEADER.DATA_DIRECTORY[4].VirtualAddress = 0


def keep_init(image: Any) -> None:
    for section in image.sections:
        if section.Name.startswith(b"INIT"):
            section.Characteristics &= ~0x02000000


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (set_machine, "not-x64"),
        (set_subsystem, "wrong-subsystem"),
        (make_code_writable, "writable-code"),
        (drop_hardening, "not-hardened"),
        (drop_relocations, "no-relocations"),
        (drop_signature, "not-signed"),
        (keep_init, "entry-not-discardable"),
    ],
)
def test_one_wrong_thing_gives_one_finding(change: Change, code: str, changed: Callable[..., Path]):
    assert codes(changed(change)) == {code}


def test_a_driver_that_needs_no_relocations_is_right_without(changed: Callable[..., Path]):
    def empty(image: Any) -> None:
        directory = image.OPTIONAL_HEADER.DATA_DIRECTORY[5]
        directory.Size = directory.VirtualAddress = 0

    assert codes(changed(empty)) == set()


def test_a_wrong_checksum_is_found(changed: Callable[..., Path]):
    def spoil(image: Any) -> None:
        image.OPTIONAL_HEADER.CheckSum ^= 1

    assert codes(changed(spoil, checksum=False)) == {"wrong-checksum"}
    assert codes(changed(spoil, checksum=False), ours=False) == {"wrong-checksum"}


def test_an_import_that_nobody_exports_is_found_and_named(changed: Callable[..., Path]):
    def rename(image: Any) -> None:
        imported = image.DIRECTORY_ENTRY_IMPORT[0].imports[0]
        image.set_bytes_at_offset(imported.name_offset, b"FltInvented\0")

    path = changed(rename)

    assert codes(path, ours=False) == {"missing-export"}
    with pytest.raises(ConfigurationError, match=r"imports FltInvented from FLTMGR\.SYS"):
        require_good(path, ours=False)


def test_a_user_may_import_from_other_modules_but_we_may_not(changed: Callable[..., Path]):
    def rename(image: Any) -> None:
        entry = image.DIRECTORY_ENTRY_IMPORT[0]
        image.set_bytes_at_rva(entry.struct.Name, b"NETIO.SYS\0\0")

    path = changed(rename)

    assert "foreign-module" in codes(path)
    theirs = check_image(path, ours=False)
    assert [(finding.code, finding.severity) for finding in theirs] == [("unknown-module", Severity.WARNING)]


def test_what_only_we_must_keep_is_a_warning_for_a_user(changed: Callable[..., Path]):
    findings = check_image(changed(make_code_writable), ours=False)

    assert [(finding.code, finding.severity) for finding in findings] == [("writable-code", Severity.WARNING)]


def test_a_pdb_of_another_build_is_found(built: dict[str, BuiltDriver], tmp_path: Path):
    shutil.copyfile(built["passthrough"].sys, tmp_path / "mixed.sys")
    assert codes(tmp_path / "mixed.sys") == {"no-pdb"}

    other = built["observer"].pdb
    assert other
    shutil.copyfile(other, tmp_path / "mixed.pdb")

    assert codes(tmp_path / "mixed.sys") == {"foreign-pdb"}


def test_a_pdb_and_its_image_carry_the_same_guid(built: dict[str, BuiltDriver]):
    driver = built["pending"]
    assert driver.pdb
    with pefile.PE(str(driver.sys)) as image:
        guid = image_pdb_guid(image)

    assert guid is not None
    assert len(guid) == 16
    assert pdb_guid(driver.pdb) == guid
    assert pdb_guid(driver.sys) is None


@pytest.mark.parametrize("content", [b"", b"MZ", b"#!/bin/sh\n", bytes(4096)], ids=["empty", "MZ", "text", "zeros"])
def test_a_file_that_is_no_image_is_said_to_be_none(content: bytes, tmp_path: Path):
    (tmp_path / "x.sys").write_bytes(content)

    assert codes(tmp_path / "x.sys") == {"not-pe"}


def test_a_cut_driver_is_not_taken(built: dict[str, BuiltDriver], tmp_path: Path):
    whole = built["passthrough"].sys.read_bytes()
    (tmp_path / "cut.sys").write_bytes(whole[: len(whole) // 2])

    assert check_image(tmp_path / "cut.sys", ours=False) != []


def test_a_missing_file_is_the_users_mistake(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        check_image(tmp_path / "none.sys", ours=True)


def test_the_import_lists_know_their_modules():
    assert known_modules()["fltmgr.sys"] == "fltmgr"
    assert known_modules()["ntoskrnl.exe"] == "ntoskrnl"
    assert "FltRegisterFilter" in import_list("fltmgr")
    assert {"ZwOpenKey", "IoFileObjectType", "__C_specific_handler"} <= import_list("ntoskrnl")
    with pytest.raises(ConfigurationError, match=r"no import list called invented(.|\n)*fltmgr"):
        import_list("invented")
