"""Reading a Windows ISO: editions, architecture, languages, and every way in which it can be the wrong file."""

import random
import struct
from pathlib import Path

import pycdlib
import pytest

from harness.errors import ConfigurationError
from harness.host import fingerprint
from harness.image.windows.boot_entry import NoBootImageError, patched_catalog
from harness.image.windows.media import check_digest, read_media
from harness.image.windows.wim import Architecture, DamagedMediaError, parse_xml, read_editions
from tests.windows.media_factory import CLIENT_EDITIONS, SERVER_EDITIONS, FakeEdition, FakeIso, make_iso, make_wim


def test_editions_of_a_wim_in_udf_are_listed_without_mounting(client_iso: Path) -> None:
    media = read_media(client_iso)

    assert [edition.edition_id for edition in media.editions] == [edition.edition_id for edition in CLIENT_EDITIONS]
    pro = media.editions[3]
    assert (pro.index, pro.name, pro.installation) == (4, "Windows 11 Pro", "Client")
    assert (pro.architecture, pro.build, pro.languages) == (Architecture.X64, 26100, ("en-US",))
    assert media.install_image == "/sources/install.wim"


def test_editions_of_a_solid_esd_are_listed_too(server_iso: Path) -> None:
    media = read_media(server_iso)

    assert [edition.name for edition in media.editions] == [edition.name for edition in SERVER_EDITIONS]
    assert all(edition.is_evaluation for edition in media.editions)
    assert media.editions[0].installation == "Server Core"


def test_the_boot_entry_is_repointed_and_the_iso_stays_as_it_was(client_iso: Path) -> None:
    media = read_media(client_iso)
    before = fingerprint.of_file(client_iso)
    assert media.no_prompt_sector is not None

    where, catalog = patched_catalog(client_iso, media.no_prompt_sector)

    original = client_iso.read_bytes()[where : where + 2048]
    changed = [
        offset for offset in range(0, 2048, 32) if original[offset : offset + 32] != catalog[offset : offset + 32]
    ]
    assert len(changed) == 1
    entry = changed[0]
    assert catalog[entry] == 0x88
    assert struct.unpack_from("<I", catalog, entry + 8)[0] == media.no_prompt_sector
    assert struct.unpack_from("<I", original, entry + 8)[0] != media.no_prompt_sector
    assert fingerprint.of_file(client_iso) == before


def test_an_iso_without_an_uefi_boot_entry_is_refused(tmp_path: Path) -> None:
    iso = pycdlib.PyCdlib()
    iso.new()
    iso.write(str(tmp_path / "data.iso"))
    iso.close()

    with pytest.raises(NoBootImageError, match="no El Torito boot record"):
        patched_catalog(tmp_path / "data.iso", 100)


def refusal(path: Path) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        read_media(path)
    return caught.value


def test_a_missing_iso_is_one_clear_message(tmp_path: Path) -> None:
    assert "there is no ISO" in refusal(tmp_path / "none.iso").message


def test_a_file_that_is_no_iso_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "windows.iso"
    other.write_bytes(b"PK\3\4" + bytes(100_000))

    assert "is no ISO image" in refusal(other).message


def test_an_iso_cut_short_is_told_from_its_own_descriptor(client_iso: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.iso"
    content = client_iso.read_bytes()
    short.write_bytes(content[: len(content) // 2])

    error = refusal(short)

    assert "is cut short" in error.message
    assert f"{len(content)} bytes, there are {len(content) // 2}" in error.details[0]


def test_an_iso_with_a_damaged_volume_is_refused(client_iso: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.iso"
    content = bytearray(client_iso.read_bytes())
    content[256 * 2048 : 258 * 2048] = bytes(2 * 2048)  # the anchor of the UDF volume, and its file set
    damaged.write_bytes(content)

    assert isinstance(refusal(damaged), DamagedMediaError)


def test_damage_anywhere_is_either_harmless_or_one_clear_message(client_iso: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.iso"
    content = client_iso.read_bytes()
    outcomes = set()
    for sector in range(16, len(content) // 2048):
        noise = random.Random(sector)
        spoiled = bytearray(content)
        for _ in range(20):
            spoiled[sector * 2048 + noise.randrange(300)] = noise.randrange(256)
        damaged.write_bytes(spoiled)
        try:
            read_media(damaged)
        except ConfigurationError as error:
            outcomes.add(type(error))
        else:
            outcomes.add(Path)

    assert {DamagedMediaError, Path} <= outcomes


def test_an_iso_of_something_else_is_refused_with_what_is_on_it(tmp_path: Path) -> None:
    iso = make_iso(tmp_path / "linux.iso", None, FakeIso({"/casper/filesystem.squashfs": b"hsqs"}))

    error = refusal(iso)

    assert "is no Windows installation ISO" in error.message
    assert "casper" in error.details[1]


def test_an_iso_with_images_for_two_architectures_is_refused(tmp_path: Path) -> None:
    iso = make_iso(tmp_path / "both.iso", None, FakeIso({"/x64/sources/install.esd": b"MSWIM\0\0\0"}))

    assert "/x64/sources/install.esd" in refusal(iso).message


def test_an_install_image_that_is_no_wim_is_refused(tmp_path: Path) -> None:
    image = tmp_path / "install.wim"
    image.write_bytes(b"\0" * 5000)

    assert "is no Windows image file" in refusal(make_iso(tmp_path / "zeros.iso", image)).message


def test_a_wim_whose_list_lies_beyond_its_end_is_cut_short(tmp_path: Path) -> None:
    image = make_wim(tmp_path / "install.wim", [FakeEdition("Professional", "Windows 11 Pro")])
    content = image.read_bytes()

    with (tmp_path / "cut.wim").open("wb") as file:
        file.write(content[:-100])
    with (tmp_path / "cut.wim").open("rb") as file, pytest.raises(DamagedMediaError, match="is cut short"):
        read_editions(file, len(content) - 100, "cut.wim")


def test_a_part_of_a_split_wim_is_refused(tmp_path: Path) -> None:
    image = make_wim(tmp_path / "install.wim", [FakeEdition("Professional", "Windows 11 Pro")])
    content = bytearray(image.read_bytes())
    struct.pack_into("<HH", content, 0x28, 1, 3)
    image.write_bytes(content)

    with image.open("rb") as file, pytest.raises(ConfigurationError, match="part 1 of a Windows image file in 3 parts"):
        read_editions(file, len(content), "install.wim")


@pytest.mark.parametrize(
    "xml", ["", "<WIM></WIM>", "<WIM><IMAGE", '<WIM><IMAGE INDEX="x"/></WIM>'], ids=["empty", "none", "broken", "index"]
)
def test_a_list_of_editions_that_makes_no_sense_is_damage(xml: str) -> None:
    with pytest.raises(DamagedMediaError):
        parse_xml(xml.encode("utf-16"), "install.wim")


def test_the_digest_of_an_iso_is_compared(client_iso: Path) -> None:
    right = fingerprint.of_file(client_iso)

    assert check_digest(client_iso, f" {right.upper()} ") == right
    with pytest.raises(DamagedMediaError, match="is not the file"):
        check_digest(client_iso, "0" * 64)
    with pytest.raises(ConfigurationError, match="is no SHA-256"):
        check_digest(client_iso, "abc")
