"""A local guest for the tests of this room, shared where nothing is done to it."""

from collections.abc import Iterator

import pytest

from harness.guest import LocalGuest
from harness.minifilter.build import SUPPORT, build_drivers


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGuest]:
    with LocalGuest(tmp_path_factory.mktemp("guest")) as guest:
        yield guest


@pytest.fixture(scope="session")
def fltprobe() -> bytes:
    """The executable, built as for a run."""
    (built,) = build_drivers(SUPPORT, SUPPORT.parent / "build" / "drivers", ["fltprobe"]).values()
    return built.sys.read_bytes()
