"""Five drivers with a fault each that only input of a certain kind uncovers."""

from pathlib import Path

import pytest

from harness.minifilter.build import BuiltDriver, build_drivers

DRIVERS = Path(__file__).parent / "drivers"


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, BuiltDriver]:
    return build_drivers(DRIVERS, tmp_path_factory.mktemp("planted"))
