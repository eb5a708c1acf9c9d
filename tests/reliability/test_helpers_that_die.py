"""A helper process that dies costs one test at most, and another one takes its place."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.errors import ExitCode
from harness.machine.watchdog import Watchdog
from harness.reference.guestd.kernel_process import KernelProcess, Nursery
from harness.wire import kernel as wire
from harness.wire import kernel_state
from tests.limits import HANG, until

LOCAL = "--guest=reference-local"


def test_a_watchdog_that_is_killed_is_replaced_and_nothing_it_watched_is_forgotten(tmp_path: Path):
    watchdog = Watchdog()
    watched = subprocess.Popen(["sleep", "600"], start_new_session=True)
    scratch = tmp_path / "a folder"
    scratch.mkdir()
    watchdog.watch(watched.pid)
    watchdog.scratch(scratch)
    watchdog.process.kill()
    watchdog.process.wait()

    watchdog.watch(999_999_999)  # the first order that notices
    watchdog.release(999_999_999)

    os.close(watchdog._write)  # what happens when we die
    assert watched.wait(HANG) == -signal.SIGKILL
    assert watchdog.process.wait(HANG) == 0
    assert not scratch.exists()


def test_a_run_whose_watchdog_is_killed_goes_on(project):
    project.test("""
        from harness.machine.watchdog import watchdog

        @pytest.mark.parametrize("number", range(3))
        def test_it(guest, number):
            assert guest.run("ver").ok
            watchdog().process.kill()
    """)

    code, output = project.end(LOCAL)

    assert code == ExitCode.PASSED, output
    project.assert_nothing_is_left()


def test_a_daemon_that_dies_at_its_start_costs_one_test(project):
    project.conftest("""
        import sys
        from pathlib import Path
        from types import SimpleNamespace
        from harness.guest import local

        narrow = Path(__file__).with_name("narrow")
        narrow.write_text(f'#!/bin/sh\\nulimit -v 20480\\nexec {sys.executable} "$@"\\n')
        narrow.chmod(0o755)
        starts, limit_memory = [], local.limit_memory

        def the_second_has_too_little(pid, mib):
            starts.append(pid)
            if len(starts) != 2:
                limit_memory(pid, mib)
            local.sys = SimpleNamespace(executable=str(narrow)) if len(starts) == 1 else sys

        local.limit_memory = the_second_has_too_little
    """)
    project.test("""
        def test_before(guest):
            kill(guest.pid)
            guest.run("ver")

        def test_it(guest):
            raise AssertionError("it cannot have started")

        def test_after(guest):
            assert guest.run("ver").ok
    """)

    code, output = project.end(LOCAL)

    assert code == ExitCode.HOST, output
    assert project.case("test_it") == ("error", "the guest daemon could not be started")
    assert project.case("test_after")[0] == "passed"
    assert any("MemoryError" in log.read_text() for log in (project.run / "guests").glob("*/daemon.log"))


def test_a_nursery_that_is_killed_is_replaced_and_its_kernels_are_ended(tmp_path: Path):
    from harness.reference.guestd.configuration import Configuration
    from harness.reference.guestd.guest import Guest

    guest = Guest(
        Configuration(
            address="127.0.0.1",
            port=0,
            user="a",
            password="b",
            boot_id="c",
            hostname="d",
            system=tmp_path,
            volume=tmp_path,
            kernel=(),
        )
    )
    first = guest.kernel
    assert first.ask(wire.Status(), kernel_state.KernelState, timeout=HANG)
    os.kill(guest._nursery._process.pid, signal.SIGKILL)
    guest._nursery._process.wait()

    guest.restart_kernel([])
    second = guest.kernel

    try:
        assert second.ask(wire.Status(), kernel_state.KernelState, timeout=HANG)
        until(lambda: not first.alive, "the first kernel to be gone")
    finally:
        guest.stop()


NOISE = {
    "an endless line": "import os\nwhile True: os.write(1, b'x' * 65536)",
    "endless errors": "import os\nwhile True: os.write(2, b'x' * 65536)",
    "answers that are none": "import os\nwhile True: os.write(1, b'[1]\\n5\\n{}\\n{\"id\": []}\\n\\xff\\n')",
}


@pytest.mark.parametrize("noise", NOISE.values(), ids=list(NOISE))
def test_a_kernel_that_prints_without_end_fills_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, noise: str):
    from harness.reference.guestd import kernel_process

    monkeypatch.setattr(kernel_process, "LINE_LIMIT", 1 << 20)
    nursery = Nursery()
    started = subprocess.Popen

    class Noisy:
        """In the place of a nursery: what it forks prints and prints."""

        def fork(self, arguments: object, streams: list[int]) -> object:
            process = started([sys.executable, "-c", noise], stdin=streams[0], stdout=streams[1], stderr=streams[2])
            return _Child(process)

    kernel = KernelProcess(Noisy(), tmp_path)  # type: ignore[arg-type]
    try:
        with pytest.raises(kernel_process.KernelBusy):
            kernel.ask(wire.Status(), kernel_state.KernelState, timeout=2.0)
        assert sum(map(len, kernel._errors)) <= kernel_process.STDERR_LINES * (kernel_process.ERROR_LIMIT + 100)
    finally:
        kernel.stop()
        nursery.stop()


class _Child:
    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def wait(self, timeout: float) -> int | None:
        try:
            return self._process.wait(max(0.0, timeout))
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.mark.parametrize("second", [True, False], ids=["a second signal", "no second signal"])
def test_sigterm_ends_a_run_that_swallows_it(project, second: bool):
    project.conftest("import harness.plugin.signals\nharness.plugin.signals.PATIENCE = 5.0\n")
    project.test("""
        def test_it(guest):
            while True:
                try:
                    (HERE / "reached").touch()
                    time.sleep(600)
                except BaseException:
                    (HERE / "swallowed").touch()
    """)
    process = project.start(LOCAL)
    project.wait_for("reached", process)
    process.terminate()
    if second:
        project.wait_for("swallowed", process)
        process.terminate()

    code, output = project.result(process)

    assert code == ExitCode.INTERRUPTED, output
    project.assert_nothing_is_left()
