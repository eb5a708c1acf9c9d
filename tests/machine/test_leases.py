"""No more machines run than the host can bear, over all processes."""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
from pathlib import Path

import pytest

from harness.errors import HostError
from harness.host.memory import Memory
from harness.machine import leases as module
from harness.machine.deadlines import Deadline, DeadlineError
from harness.machine.leases import Budget, Demand, Holder, Leases
from tests.limits import HANG

SMALL = Demand(memory_mib=100)


@pytest.fixture
def leases(tmp_path, monkeypatch):
    monkeypatch.setattr(Budget, "of_this_host", classmethod(lambda _: Budget(2, Memory(8000, 4000))))
    return Leases(tmp_path / "leases")


def soon():
    return Deadline(0.2, "a lease")


def test_as_many_leases_are_given_as_there_are_processors(leases):
    with leases.lease(SMALL, soon()), leases.lease(SMALL, soon()):
        assert len(leases.holders()) == 2
        seen = rf"for a lease\n.*2 machines of the processes {os.getpid()}"
        with pytest.raises(DeadlineError, match=seen), leases.lease(SMALL, soon()):
            pass
    assert leases.holders() == []
    with leases.lease(SMALL, soon()):
        pass


def test_who_waits_is_served_when_another_gives_back(leases):
    order = []
    first, second = leases.lease(SMALL, soon()), leases.lease(SMALL, soon())
    first.__enter__()
    second.__enter__()

    def wait():
        with leases.lease(SMALL, Deadline(HANG, "a lease")):
            order.append("served")

    thread = threading.Thread(target=wait)
    thread.start()
    order.append("given back")
    first.__exit__(None, None, None)
    thread.join(HANG)
    second.__exit__(None, None, None)
    assert order == ["given back", "served"]


def test_one_machine_is_always_allowed_however_big(leases):
    with leases.lease(Demand(memory_mib=1 << 20, processors=64), soon()):
        assert len(leases.holders()) == 1


def test_a_process_that_was_killed_holds_nothing(leases):
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from harness.machine.deadlines import Deadline
        from harness.machine.leases import Demand, Leases
        lease = Leases(Path(sys.argv[1])).lease(Demand(100), Deadline(600, "a lease"))
        lease.__enter__()
        print("held", flush=True)
        sys.stdin.read()
        """
    )
    command = [sys.executable, "-c", script, leases.directory]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        assert [holder.pid for holder in leases.holders()] == [other.pid]
        other.kill()
        other.wait()
    assert leases.holders() == []
    assert list(leases.directory.glob("lease-*")) == []


def test_memory_that_is_promised_but_not_used_yet_counts():
    budget = Budget(8, Memory(total=8000, available=2000))
    promised = [Holder(Demand(memory_mib=1000), pid=1)]
    assert budget.fits(Demand(memory_mib=200), promised)
    assert not budget.fits(Demand(memory_mib=300), promised)  # 2000 - 1000 - a reserve of 800


def test_memory_that_is_used_is_counted_once(monkeypatch):
    monkeypatch.setattr(module, "proportional_set_size", lambda _: 900)
    assert Holder(Demand(memory_mib=1000), pid=1, machine=2).still_to_come() == 100
    monkeypatch.setattr(module, "proportional_set_size", lambda _: 1200)
    assert Holder(Demand(memory_mib=1000), pid=1, machine=2).still_to_come() == 0


def test_a_lease_tells_which_process_uses_the_memory(leases):
    with leases.lease(SMALL, soon()) as lease:
        lease.of(os.getpid())
        assert leases.holders() == [Holder(SMALL, os.getpid(), os.getpid())]


def test_the_directory_is_for_all_users_and_a_stranger_in_its_place_is_refused(leases):
    leases.holders()
    assert leases.directory.stat().st_mode & 0o7777 == 0o1777
    leases.directory.joinpath("ledger").unlink()
    leases.directory.rmdir()
    leases.directory.symlink_to("/")
    with pytest.raises(HostError, match="is not the directory for leases"):
        leases.holders()


@pytest.mark.parametrize(
    "put",
    [
        lambda path: os.mkfifo(path),
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("/etc/passwd"),
        lambda path: path.symlink_to("/dev/zero"),
        lambda path: path.symlink_to("nowhere"),
    ],
    ids=["FIFO", "directory", "link", "device", "dangling link"],
)
def test_what_is_no_lease_is_left_aside_and_told(leases, put, caplog):
    leases.holders()
    put(leases.directory / "lease-1-0")

    with leases.lease(SMALL, soon()):
        assert [holder.pid for holder in leases.holders()] == [os.getpid()]
    leases.holders()

    assert caplog.text.count("is no lease of fltlab's") == 1
    assert [what for what in leases.foreign() if "lease-1-0" in what]
    assert os.path.lexists(leases.directory / "lease-1-0")


@pytest.mark.parametrize("text", [b"", b"garbage", b"[]", b'{"format": 7, "demand": 3}', b"[" * 100_000])
def test_a_lease_of_another_version_counts_for_one_processor(leases, text):
    leases.holders()
    path = leases.directory / "lease-1-0"
    path.write_bytes(text)
    with path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with leases.lease(SMALL, soon()), pytest.raises(DeadlineError), leases.lease(SMALL, soon()):
            pass  # two processors: one for theirs, one for ours
    assert leases.holders() == []


@pytest.mark.parametrize(
    "put",
    [
        lambda path: os.mkfifo(path),
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("/etc/passwd"),
        lambda path: path.symlink_to("/tmp/fltlab-made-by-a-link"),
    ],
    ids=["FIFO", "directory", "link", "link to nothing"],
)
def test_what_stands_in_the_ledgers_place_is_refused_and_not_followed(leases, put):
    leases.holders()
    leases.directory.joinpath("ledger").unlink()
    put(leases.directory / "ledger")
    with pytest.raises(HostError, match=r"is not the ledger of leases(.|\n)*remove"), leases.lease(SMALL, soon()):
        pass
    assert not os.path.lexists("/tmp/fltlab-made-by-a-link")


def test_the_deadline_of_a_lease_holds_whoever_has_the_ledger(leases, monkeypatch):
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.1)
    leases.holders()
    with (leases.directory / "ledger").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(DeadlineError, match="another process looks at the leases"), leases.lease(SMALL, soon()):
            pass
        with pytest.raises(DeadlineError, match="ledger") as error:
            leases.holders()
    assert "fuser" in str(error.value.hint)


def test_other_users_can_read_what_is_there_whatever_the_umask(leases):
    before = os.umask(0o077)
    try:
        with leases.lease(SMALL, soon()):
            modes = {path.name.split("-")[0]: path.stat().st_mode & 0o7777 for path in leases.directory.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"ledger": 0o644, "lease": 0o644}
    assert leases.directory.stat().st_mode & 0o7777 == 0o1777
    assert list(leases.directory.parent.iterdir()) == [leases.directory]


@pytest.mark.skipif(os.getuid() != 0, reason="only root may become other users")
def test_four_users_share_what_the_host_has(monkeypatch):
    """Each with a umask that shows others nothing; what one leaves that was killed harms no other."""
    monkeypatch.setattr(Budget, "of_this_host", classmethod(lambda _: Budget(4, Memory(8000, 4000))))
    directory = Path(tempfile.mkdtemp(prefix="fltlab-test-users-"))
    directory.chmod(0o1777)
    leases, users = Leases(directory / "leases"), [_User(60001 + number) for number in range(4)]
    try:
        for user in users:
            user.begin(leases)
        assert sorted(holder.pid for holder in leases.holders()) == sorted(user.pid for user in users)
        assert all(holder.demand == SMALL for holder in leases.holders())
        with pytest.raises(DeadlineError, match="4 machines"), leases.lease(SMALL, soon()):
            pass
        os.kill(users[0].pid, signal.SIGKILL)
        users[0].wait()
        again = _User(60002)
        users.append(again)
        again.begin(leases)  # room, though the file of the killed one is not theirs to remove
        with pytest.raises(DeadlineError, match="4 machines"), leases.lease(SMALL, soon()):
            pass
    finally:
        for user in users:
            user.end()
        shutil.rmtree(directory)
    assert [user.code for user in users[1:]] == [0] * 4


class _User:
    """A process of another user that holds a lease until it is told to end."""

    def __init__(self, uid: int) -> None:
        self.uid, self.pid, self.code = uid, 0, None

    def begin(self, leases: Leases) -> None:
        (held, told), (over, self._end) = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                os.close(self._end)
                os.setgroups([])
                os.setgid(self.uid)
                os.setuid(self.uid)
                os.umask(0o077)
                with leases.lease(SMALL, Deadline(600, "a lease")):
                    os.write(told, b"!")
                    os.read(over, 1)
                code = 0
            finally:
                os._exit(code)
        os.close(told)
        os.close(over)
        assert os.read(held, 1) == b"!", f"user {self.uid} got no lease"
        os.close(held)

    def wait(self) -> None:
        if self.pid and self.code is None:
            self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def end(self) -> None:
        if self.pid:
            with contextlib.suppress(BrokenPipeError):  # it was killed
                os.write(self._end, b"!")  # closed it would not be: later ones have it open too
            os.close(self._end)
            self.wait()
