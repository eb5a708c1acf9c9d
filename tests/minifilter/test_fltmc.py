"""fltmc's tables are read by their rulers. The rows are captures of fltmc on Windows, as docs/windows.md lists them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import GuestError
from harness.minifilter.fltmc import (
    Failure,
    FilterRow,
    InstanceRow,
    VolumeRow,
    parse_failure,
    parse_filters,
    parse_instances,
    parse_volumes,
)

FILTERS = """
Filter Name                     Num Instances    Altitude    Frame
------------------------------  -------------  ------------  -----
WdFilter                                5       328010         0
UCPD                                    5       385250.5       0
EncryptionLegacy                                149998.99   <Legacy>
"""
INSTANCES = """
Filter                Volume Name                              Altitude        Instance Name       Frame   SprtFtrs
--------------------  -------------------------------------  ------------  ----------------------  -----   --------
FileInfo                                                         40500     FileInfo                  0     0000000f
UCPD                  C:                                        385250.5   UCPD - Top Instance       0     0000000f
"""


def test_filters_with_fractions_and_legacy_ones() -> None:
    assert parse_filters(FILTERS.replace("\n", "\r\n")) == [
        FilterRow("WdFilter", 5, "328010", "0"),
        FilterRow("UCPD", 5, "385250.5", "0"),
        FilterRow("EncryptionLegacy", None, "149998.99", "<Legacy>"),
    ]


def test_instances_without_volume_and_with_blanks_in_their_name() -> None:
    assert parse_instances(INSTANCES) == [
        InstanceRow("FileInfo", "", "40500", "FileInfo", "0"),
        InstanceRow("UCPD", "C:", "385250.5", "UCPD - Top Instance", "0"),
    ]


def test_a_name_longer_than_its_column_is_not_cut() -> None:
    name = "fltlab-a-very-long-label"
    row = f"{name:<20}  {'V:':<37}  {'370030.5':^12}  {'fltlab-x':<22}  {'0':^5}   00000000"
    text = INSTANCES + row
    parsed = parse_instances(text)[-1]
    assert (parsed.filter, parsed.altitude) == (name, "370030.5")


def test_nothing_is_an_empty_list_and_something_else_an_error() -> None:
    assert parse_filters("") == []
    with pytest.raises(GuestError, match="no table"):
        parse_filters("Access is denied.")


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        (
            "\r\nLoad failed with error: 0x800704fb\r\nThis driver has been blocked from loading\r\n",
            Failure("Load", 0x800704FB, "This driver has been blocked from loading"),
        ),
        (
            "Unload failed with error: 0x801f0010\nDo not detach the filter from the volume at this time.",
            Failure("Unload", 0x801F0010, "Do not detach the filter from the volume at this time."),
        ),
        (
            "Filter listing failed with error: 0x80070005\nAccess is denied.",
            Failure("Filter listing", 0x80070005, "Access is denied."),
        ),
        (
            "\nFehler beim Laden: 0x80070002\nDas System kann die angegebene Datei nicht finden.\n",
            Failure("Fehler beim Laden:", 0x80070002, "Das System kann die angegebene Datei nicht finden."),
        ),
        ("0x801F0013", Failure("", 0x801F0013, "")),
        ("ATTACH SUCCESS:  Instance Name = x", None),
    ],
)
def test_failures_are_told_by_their_text(text: str, failure: Failure | None) -> None:
    assert parse_failure(text) == failure


names = st.text(st.characters(codec="ascii", categories=("L", "N"), include_characters="-_"), min_size=1, max_size=20)


@given(names, st.integers(0, 9999), st.from_regex(r"[1-9][0-9]{4,5}(\.[1-9]{1,3})?", fullmatch=True))
def test_whatever_is_printed_in_columns_comes_back(name: str, count: int, altitude: str) -> None:
    text = FILTERS + f"{name:<30}  {count:>9}       {altitude:<13}  0\n"
    assert parse_filters(text)[-1] == FilterRow(name, count, altitude, "0")


LONG = "370000.1234567890123"


@pytest.mark.parametrize("instance", ["theirs", "Their Top Instance"])
@pytest.mark.parametrize("volume", ["V:", "", r"\Device\HarddiskVolumeShadowCopy12345678"])
def test_an_altitude_that_overflows_its_column_is_whole_and_pushes_nothing_aside(volume: str, instance: str) -> None:
    row = f"{'theirs':<20}  {volume:<37}  {LONG:>12}     {instance:<22}  {'0':^5}   00000003"

    parsed = parse_instances(INSTANCES + row)[-1]

    assert (parsed.filter, parsed.volume, parsed.altitude, parsed.instance) == ("theirs", volume, LONG, instance)


@pytest.mark.parametrize("count", ["5", "12345", ""])
def test_an_altitude_that_overflows_leaves_the_count_and_the_frame_alone(count: str) -> None:
    row = f"{'theirs':<30}  {count:>9}       {LONG:<12}   0"

    assert parse_filters(FILTERS + row)[-1] == FilterRow("theirs", int(count) if count else None, LONG, "0")


VOLUMES = r"""
Dos Name                        Volume Name                              FileSystem   Status
------------------------------  ---------------------------------------  ----------  --------
                                \Device\Mup                              Remote
C:                              \Device\HarddiskVolume3                  NTFS
V:                              \Device\HarddiskVolume5                  ReFS        Detached
"""


def test_volumes_have_a_device_and_perhaps_a_letter() -> None:
    assert parse_volumes(VOLUMES) == [
        VolumeRow("", r"\Device\Mup", "Remote"),
        VolumeRow("C:", r"\Device\HarddiskVolume3", "NTFS"),
        VolumeRow("V:", r"\Device\HarddiskVolume5", "ReFS"),
    ]
