"""Synthetic media that many tests of the Windows images share."""

from pathlib import Path

import pytest

from tests.windows.media_factory import CLIENT_EDITIONS, SERVER_EDITIONS, make_iso, make_wim


@pytest.fixture(scope="session")
def client_iso(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ISO of Windows 11 24H2 with five editions in a WIM."""
    directory = tmp_path_factory.mktemp("client")
    return make_iso(directory / "client.iso", make_wim(directory / "install.wim", CLIENT_EDITIONS))


@pytest.fixture(scope="session")
def server_iso(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluation ISO of Windows Server 2022 with four editions in a solid ESD."""
    directory = tmp_path_factory.mktemp("server")
    image = make_wim(directory / "install.esd", SERVER_EDITIONS, solid=True)
    return make_iso(directory / "server.iso", image, name="install.esd")
