"""Machine types are taken by their version: a guest's hardware does not change with the host's QEMU."""

import logging

import pytest

from harness.errors import HostError
from harness.host import machine_types
from harness.host.machine_types import parse_machine_types, pinned

HELP = """Supported machines are:
microvm              microvm (i386)
pc                   Standard PC (i440FX + PIIX, 1996) (alias of pc-i440fx-7.2)
pc-i440fx-7.2        Standard PC (i440FX + PIIX, 1996) (default)
q35                  Standard PC (Q35 + ICH9, 2009) (alias of pc-q35-7.2)
pc-q35-7.2           Standard PC (Q35 + ICH9, 2009)
pc-q35-7.1           Standard PC (Q35 + ICH9, 2009)
none                 empty machine
"""


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_types, "_types", lambda: parse_machine_types(HELP))


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(("kept", "taken"), [(None, "pc-q35-7.2"), ("pc-q35-7.1", "pc-q35-7.1")])
def test_the_type_that_an_image_was_built_on_is_taken_again(kept: str | None, taken: str):
    assert pinned("q35", kept) == taken


@pytest.mark.usefixtures("told")
def test_a_type_that_this_qemu_has_no_more_is_told_of(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        assert pinned("q35", "pc-q35-4.0") == "pc-q35-7.2"

    assert "no machine type pc-q35-4.0" in caplog.text


@pytest.mark.usefixtures("told")
def test_an_alias_that_qemu_does_not_know_is_an_error():
    with pytest.raises(HostError, match="no machine type virt"):
        pinned("virt")


def test_this_hosts_qemu_names_the_version_of_its_q35():
    assert pinned("q35").startswith("pc-q35-")
