"""`reference-local` for one file of tests after another: the daemon stays, and nothing else does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import GuestError
from harness.fleet.local_guest import LocalProvider
from harness.fleet.settings import Settings
from harness.guest import LocalGuest
from harness.guest.registration import SERVICES
from tests.processes import gone, kill

SETTINGS = Settings(
    guests=("reference-local",),
    accelerator=None,
    out=None,
    seed=3,
    drivers=(),
    replacements={},
    mutants=(),
    image_directory=None,
)


@pytest.fixture
def provider() -> Iterator[LocalProvider]:
    provider = LocalProvider(SETTINGS)
    yield provider
    provider.close()


def test_what_one_file_of_tests_left_behind_the_next_does_not_find(provider: LocalProvider, tmp_path: Path):
    with provider.open(tmp_path, None) as opened:
        first = opened.guest.identity()
        opened.guest.put(b"left", r"V:\left.txt")
        opened.guest.put(b"left", r"C:\fltlab\left.txt")
        opened.guest.succeed(rf'reg.exe add "{SERVICES}\left" /v ImagePath /d x')

    with provider.open(tmp_path, None) as opened:
        status = opened.guest.kernel_status()
        assert opened.guest.identity().boot_id == first.boot_id
        assert status is not None
        assert (status.state, status.seed, status.drivers) == ("running", 3, ())
        for gone in (r"V:\left.txt", r"C:\fltlab\left.txt"):
            assert not opened.guest.run(f"cmd.exe /c type {gone}").ok
        assert not opened.guest.run(rf'reg.exe query "{SERVICES}\left"').ok


def test_a_guest_that_broke_is_not_taken_again_and_its_log_is_kept(provider: LocalProvider, tmp_path: Path):
    with provider.open(tmp_path / "first", None) as opened:
        boot_id = opened.guest.identity().boot_id
        assert isinstance(opened.guest, LocalGuest)
        kill(opened.guest.pid)
        with pytest.raises(GuestError, match="daemon has ended"):
            opened.guest.run("ver")

    with provider.open(tmp_path / "second", None) as opened:
        assert opened.guest.identity().boot_id != boot_id
    assert (tmp_path / "first" / "daemon.log").is_file()
    assert not (tmp_path / "second").exists()


def test_a_provider_that_is_closed_leaves_no_process_and_no_folder(tmp_path: Path):
    provider = LocalProvider(SETTINGS)
    with provider.open(tmp_path, None) as opened:
        guest = opened.guest
    assert isinstance(guest, LocalGuest)
    assert not gone(guest.pid)

    provider.close()

    assert gone(guest.pid)
    assert not guest.folder.exists()
