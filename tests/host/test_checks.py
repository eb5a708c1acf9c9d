"""The doctor's questions: what is missing is named, with what to do about it."""

import pytest

from harness.host import checks
from harness.host.accelerator import Accelerator, Probe
from harness.host.checks import Status, host_checks
from harness.host.memory import Memory
from harness.image.checks import check_images
from harness.image.store import ImageStore
from harness.machine.checks import machine_checks


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("FLTLAB_HOME", str(tmp_path))


def test_every_no_comes_with_what_to_do():
    for check in [*host_checks(), *machine_checks(), *check_images()]:
        assert check.status is Status.OK or check.remedy, check


def test_a_missing_program_can_be_installed_by_its_package(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("harness.host.tools.ADMINISTRATOR_PATH", ())
    missing = {check.name: check for check in host_checks() if check.status is Status.FAILED}
    assert missing["mmdebstrap"].fix == ("apt-get", "install", "--yes", "mmdebstrap")
    assert "qemu-system-x86_64" in missing
    assert checks.check_toolchain().status is Status.WARNING


def test_an_old_qemu_is_refused(monkeypatch):
    monkeypatch.setattr(checks, "version_of", lambda _: "5.2.0")
    assert checks.check_qemu().status is Status.FAILED


@pytest.mark.parametrize(
    ("kvm", "tcg", "status"), [(True, True, Status.OK), (False, True, Status.WARNING), (False, False, Status.FAILED)]
)
def test_the_accelerator_is_judged_by_what_ran(monkeypatch, kvm, tcg, status):
    works = {Accelerator.KVM: kvm, Accelerator.TCG: tcg}
    monkeypatch.setattr(checks, "probe", lambda which: Probe(which, works[which], 0.1, f"tried {which}"))
    assert checks.check_accelerator().status is status


def test_too_little_memory_disk_and_files_are_told(monkeypatch):
    monkeypatch.setattr(checks, "read_memory", lambda: Memory(1024, 100))
    monkeypatch.setattr(checks, "free_mib", lambda _: 10)
    monkeypatch.setattr(checks.resource, "getrlimit", lambda _: (256, 4096))
    monkeypatch.setattr(checks, "loopback_works", lambda: False)
    answers = [checks.check_memory(), checks.check_disk(), checks.check_ports(), checks.check_open_files()]
    assert [check.status for check in answers] == [Status.FAILED, Status.FAILED, Status.FAILED, Status.WARNING]


def test_a_damaged_image_is_named(tmp_path):
    store = ImageStore(tmp_path / "images")

    def build(directory):
        (directory / "disk").write_bytes(b"x")
        return {}

    image = store.get_or_build("reference", "k" * 64, build)
    assert [check.status for check in check_images(store)] == [Status.OK]
    (image.directory / "disk").unlink()
    assert [(check.name, check.status) for check in check_images(store)] == [("image reference", Status.FAILED)]
