"""The file that the tests of this suite do everything to."""

import pytest


@pytest.fixture(autouse=True)
def data(volume):
    volume.file("every.bin", length=65536, fill=0x5A)
