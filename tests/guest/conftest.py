"""A local guest for the tests of this room, shared where nothing is done to it."""

from collections.abc import Iterator

import pytest

from harness.guest import LocalGuest


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalGuest]:
    with LocalGuest(tmp_path_factory.mktemp("guest")) as guest:
        yield guest
