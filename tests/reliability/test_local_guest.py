"""What a run says, keeps and leaves when the processes of a local guest, or its own, come to an end."""

import signal

import pytest

from harness.errors import ExitCode
from tests.reliability.mounts import private_mounts

LOCAL = "--guest=reference-local"

KILL_KERNEL = """
    from tests.processes import children, of_group

    def kernels_of(guest):
        # the processes of the daemon's group that have started no other
        return [pid for pid in of_group(guest.pid) if not children(pid)]

    @pytest.mark.stack("passthrough")
    def test_it(lab, guest):
        for pid in kernels_of(guest):
            kill(pid)
        lab.io(READ)
"""


def test_a_daemon_that_is_killed_is_an_error_and_the_next_test_has_a_new_one(project):
    project.test("""
        def test_before(guest):
            assert guest.run("ver").ok

        def test_it(guest):
            kill(guest.pid)
            guest.run("ver")

        def test_after(guest):
            assert guest.run("ver").ok
    """)

    code, output = project.end(LOCAL)

    assert code == ExitCode.HOST, output
    assert project.case("test_it") == ("error", "the guest daemon has ended")
    assert "daemon process ended with exit code -9" in output
    assert (project.case("test_before")[0], project.case("test_after")[0]) == ("passed", "passed")
    assert (
        "ConnectionLost" in project.evidence("test_it")["winrm.json"]
        or "'ver'" in project.evidence("test_it")["winrm.json"]
    )
    project.assert_nothing_is_left()


def test_a_kernel_process_that_is_killed_is_an_error_of_the_guest_and_not_the_drivers(project):
    project.test(KILL_KERNEL)

    code, output = project.end(LOCAL)

    assert code == ExitCode.HOST, output
    assert project.case("test_it") == ("error", "the process of the reference kernel has ended")
    assert project.kernel("test_it")["state"] == "gone"
    project.assert_nothing_is_left()


def test_a_guest_that_stops_answering_ends_within_the_deadline_of_the_command(project):
    project.test("""
        def test_it(guest):
            stop(guest.pid)
            guest.run("ver", timeout=2)
    """)

    code, output = project.end(LOCAL)

    assert code == ExitCode.HOST, output
    assert project.case("test_it")[0] == "error"
    assert "stopped answering WinRM" in project.case("test_it")[1]
    assert "ReadTimeout" in project.evidence("test_it")["winrm.json"]
    project.assert_nothing_is_left()


@pytest.mark.parametrize(
    "how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], ids=lambda how: how.name
)
def test_a_run_that_is_ended_by_a_signal_leaves_nothing_but_its_results(project, how: signal.Signals):
    project.test("""
        @pytest.mark.stack("passthrough")
        def test_before(lab):
            lab.io(READ)

        @pytest.mark.stack("passthrough")
        def test_it(lab):
            reach()
    """)

    code, output = project.interrupt(how, LOCAL)

    assert code == (-signal.SIGKILL if how is signal.SIGKILL else ExitCode.INTERRUPTED), output
    assert [record.name for record in project.journal] == ["test_before"]
    project.assert_nothing_is_left()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
def test_a_run_on_two_workers_that_is_ended_by_a_signal_leaves_nothing_either(project, how: signal.Signals):
    text = """
        def test_it(guest):
            Path(__file__).with_suffix(".here").touch()
            if len(list(HERE.glob("*.here"))) == 2:
                reach()
            time.sleep(600)
    """
    project.test(text)
    project.test(text, "test_too.py")  # a file goes to one worker

    project.interrupt(how, LOCAL, "-n", "2")

    assert project.journal == []
    project.assert_nothing_is_left()


FULL = {
    "blocks": (
        "size=512k",
        '(run / "filler").write_bytes(bytes(os.statvfs(run).f_bavail * 4096))',
        ("No space left on device", "MiB left", "make room"),
    ),
    "inodes": (
        "size=8m,nr_inodes=60",
        '[(run / f"filler{number}").touch() for number in range(os.statvfs(run).f_favail)]',
        ("No space left on device", "more files, however small (inodes)", "remove files"),
    ),
}


@pytest.mark.parametrize(("options", "fill", "told"), FULL.values(), ids=FULL)
def test_a_disk_that_is_full_ends_the_run_with_one_message_and_keeps_the_results_so_far(project, options, fill, told):
    project.test(f"""
        @pytest.mark.parametrize("number", range(5))
        def test_some(number):
            if number == 3:
                run = HERE.parents[1] / "run"
                {fill}
            assert number != 3  # so that there is something to keep
    """)
    (project.run).mkdir()
    mount = private_mounts()
    script = f'mount -t tmpfs -o {options} none run && "$@"; code=$?; cp run/results.jsonl results.jsonl; exit $code'

    code, output = project.end(LOCAL, wrapper=[*mount, script, "sh"])

    assert code == ExitCode.HOST, output
    assert output.count("the files of the run cannot be written") == 1
    assert [words for words in told if words not in output] == []
    assert ("make room" in output) == ("make room" in told)
    assert "Traceback" not in output
    (project.root / "results.jsonl").rename(project.run / "results.jsonl")
    assert {f"test_some[{number}]" for number in range(3)} <= {record.name for record in project.journal}


def test_two_runs_at_once_do_not_meet(project):
    project.test("""
        @pytest.mark.stack("passthrough")
        def test_it(lab):
            lab.io(READ)
    """)

    runs = [project.start(LOCAL, f"--out=run{number}") for number in range(2)]

    for process in runs:
        code, output = project.result(process)
        assert code == ExitCode.PASSED, output
    project.assert_nothing_is_left()
