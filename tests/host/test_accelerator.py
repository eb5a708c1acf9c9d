"""The accelerator is chosen by what it does, not by what is there."""

import stat
import subprocess
from pathlib import Path

import pytest

from harness.errors import ConfigurationError, HostError
from harness.host import accelerator
from harness.host.accelerator import Accelerator, Choice, choose, parse_choice, probe, run_probe
from harness.host.probe_program import BOOT_SECTOR
from harness.host.tools import Tool
from tests.limits import HANG

SOURCE = Path(accelerator.__file__).with_name("probe_program.S")


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("FLTLAB_HOME", str(tmp_path / "home"))
    device = tmp_path / "kvm"
    device.touch()
    monkeypatch.setattr(accelerator, "KVM_DEVICE", device)


@pytest.fixture
def qemu(tmp_path, monkeypatch):
    """Put a QEMU of our own first on the path; it runs a shell script and notes each run."""

    def install(script: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        program = folder / "qemu-system-x86_64"
        program.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/runs\n{script}\n')
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        return program

    return install


def runs(tmp_path: Path) -> int:
    log = tmp_path / "runs"
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_the_boot_sector_is_its_source_assembled(tmp_path):
    clang = next(tool for tool in ("clang-19", "clang-20", "clang-21", "clang-22", "clang") if which(tool))
    linker = next(tool for tool in ("ld.lld-19", "ld.lld-20", "ld.lld-21", "ld.lld-22", "ld.lld") if which(tool))
    target = ["--target=x86_64-linux-gnu", "-c", SOURCE, "-o", tmp_path / "probe.o"]
    subprocess.run([clang, *target], check=True)
    link = ["-Ttext=0x7c00", "--oformat", "binary", "-e", "_start", tmp_path / "probe.o", "-o", tmp_path / "probe"]
    subprocess.run([linker, *link], check=True)
    assert (tmp_path / "probe").read_bytes() == BOOT_SECTOR


def which(tool: str) -> bool:
    return subprocess.run(["which", tool], capture_output=True, check=False).returncode == 0


def test_tcg_runs_the_boot_sector_on_the_real_qemu():
    result = run_probe(Accelerator.TCG, Tool.QEMU.require(), timeout=HANG)
    assert result.works, result.explanation


def test_a_guest_that_makes_no_progress_is_given_up(qemu):
    result = run_probe(Accelerator.KVM, qemu("exec sleep 600"), timeout=0.2)
    assert not result.works
    assert "no progress" in result.explanation


def test_what_qemu_complained_about_is_told(qemu):
    result = run_probe(Accelerator.KVM, qemu("echo 'failed to set MSR 0x10a' >&2; exit 134"))
    assert not result.works
    assert "MSR 0x10a" in result.explanation


def test_a_kvm_that_opens_but_runs_no_guest_gives_tcg(qemu):
    qemu('case "$*" in *"-accel kvm"*) exit 1 ;; esac; exit 85')
    assert choose(Choice.AUTO).accelerator is Accelerator.TCG


def test_a_kvm_that_runs_a_guest_is_taken(qemu):
    qemu("exit 85")
    assert choose(Choice.AUTO).accelerator is Accelerator.KVM


def test_the_answer_is_kept_until_qemu_changes(qemu, tmp_path):
    qemu("exit 85")
    probe(Accelerator.KVM)
    probe(Accelerator.KVM)
    assert runs(tmp_path) == 1
    qemu("exit 3 # another build")
    assert not probe(Accelerator.KVM).works
    assert runs(tmp_path) == 2


def test_an_answer_that_cannot_be_read_is_asked_for_again(qemu, tmp_path):
    qemu("exit 85")
    probe(Accelerator.TCG)
    (tmp_path / "home" / "cache" / "accelerator-tcg.json").write_text("{")
    assert probe(Accelerator.TCG).works
    assert runs(tmp_path) == 2


def test_a_missing_device_is_no_reason_to_start_qemu(qemu, tmp_path, monkeypatch):
    qemu("exit 85")
    monkeypatch.setattr(accelerator, "KVM_DEVICE", tmp_path / "absent")
    assert "does not exist" in probe(Accelerator.KVM).explanation
    assert runs(tmp_path) == 0


def test_asking_for_kvm_where_it_runs_no_guest_says_why_and_what_to_do(qemu):
    qemu("echo 'Assertion failed' >&2; exit 134")
    with pytest.raises(HostError, match="Assertion failed") as caught:
        choose(Choice.KVM)
    assert caught.value.hint == "--accel auto"


def test_an_accelerator_that_nobody_knows_is_wrong_usage():
    with pytest.raises(ConfigurationError, match="hvf"):
        parse_choice("hvf")
