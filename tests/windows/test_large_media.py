"""Media as large as real ones, whose list of editions is behind 4 GiB. They are sparse, and take no room."""

from pathlib import Path

import pytest

from harness.errors import ConfigurationError
from harness.image.windows.media import read_media
from harness.image.windows.prepare import Request, prepare
from tests.windows.media_factory import CLIENT_EDITIONS, enlarge_wim, make_iso, make_wim

SIZE = (4 << 30) + (300 << 20)


@pytest.fixture(scope="module")
def iso(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("large")
    return make_iso(directory / "large.iso", enlarge_wim(make_wim(directory / "install.wim", CLIENT_EDITIONS), SIZE))


def test_it_is_large_and_takes_no_room(iso: Path):
    assert iso.stat().st_size > SIZE
    assert iso.stat().st_blocks * 512 < 64 << 20


def test_an_install_image_of_more_than_4_gib_is_read_to_its_end(iso: Path):
    media = read_media(iso)

    assert [edition.edition_id for edition in media.editions] == [edition.edition_id for edition in CLIENT_EDITIONS]
    assert media.no_prompt_sector is not None
    assert prepare(Request("windows-11-24h2", iso=iso, edition="Professional")).plan.edition == media.editions[3]


def test_one_that_ends_behind_4_gib_and_too_early_is_cut_short(iso: Path, tmp_path: Path):
    cut = tmp_path / "cut.iso"
    with iso.open("rb") as whole, cut.open("wb") as file:
        file.write(whole.read(32 << 20))
        file.truncate(SIZE - (100 << 20))

    with pytest.raises(ConfigurationError, match="is cut short"):
        read_media(cut)
