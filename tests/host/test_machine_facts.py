"""What this machine offers is read within the limits of this process."""

import os
import stat

import pytest

from harness.errors import HostError
from harness.host.command import run_program
from harness.host.directories import home, private_directory, write_private
from harness.host.memory import processors, proportional_set_size, read_memory
from harness.host.ports import is_free, loopback_works
from harness.host.tools import Tool, version_of


@pytest.fixture
def proc(tmp_path):
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "meminfo").write_text("MemTotal: 8388608 kB\nMemFree: 1 kB\nMemAvailable: 4194304 kB\n")
    (tmp_path / "proc" / "self" / "cgroup").write_text("0::/user/job\n")
    return tmp_path / "proc"


def test_memory_is_the_machines_where_no_group_limits_it(proc, tmp_path):
    memory = read_memory(proc, tmp_path / "cgroup")
    assert (memory.total, memory.available) == (8192, 4096)


def test_memory_is_the_tightest_groups_where_one_limits_it(proc, tmp_path):
    outer, inner = tmp_path / "cgroup" / "user", tmp_path / "cgroup" / "user" / "job"
    inner.mkdir(parents=True)
    (outer / "memory.max").write_text(f"{1 << 30}\n")
    (outer / "memory.current").write_text(f"{256 << 20}\n")
    (inner / "memory.max").write_text("max\n")
    (inner / "memory.current").write_text("0\n")
    memory = read_memory(proc, tmp_path / "cgroup")
    assert (memory.total, memory.available) == (1024, 768)


def test_this_process_uses_some_memory_and_some_processor():
    assert proportional_set_size(os.getpid()) > 1
    assert processors() >= 1


def test_a_missing_program_names_its_package(monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr("harness.host.tools.ADMINISTRATOR_PATH", ())
    with pytest.raises(HostError, match="runs the guests") as caught:
        Tool.QEMU.require()
    assert "qemu-system-x86" in (caught.value.hint or "")


def test_the_version_of_qemu_is_read():
    version = version_of(Tool.QEMU)
    assert version is not None
    assert int(version.split(".")[0]) >= 7


def test_a_program_that_fails_is_told_with_its_words_and_exit_code():
    with pytest.raises(HostError, match="could not make tea: exit code 3") as caught:
        run_program(["sh", "-c", "echo no water >&2; exit 3"], purpose="make tea")
    assert "no water" in caught.value.details


def test_a_program_that_hangs_is_given_up():
    with pytest.raises(HostError, match="not done after"):
        run_program(["sleep", "600"], purpose="wait", timeout=0.1)


def test_home_can_be_moved(monkeypatch, tmp_path):
    monkeypatch.setenv("FLTLAB_HOME", str(tmp_path / "elsewhere"))
    assert home() == tmp_path / "elsewhere"


def test_private_files_and_directories_are_private(tmp_path):
    directory = private_directory(tmp_path / "a" / "b")
    file = write_private(directory / "secret", b"x")
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_private_file_never_replaces_another(tmp_path):
    write_private(tmp_path / "secret", b"x")
    with pytest.raises(FileExistsError):
        write_private(tmp_path / "secret", b"y")


def test_a_port_in_use_is_not_free():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        assert not is_free(server.getsockname()[1])
    assert loopback_works()
