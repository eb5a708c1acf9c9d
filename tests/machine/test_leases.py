"""No more machines run than the host can bear, over all processes."""

import os
import subprocess
import sys
import textwrap
import threading

import pytest

from harness.errors import HostError
from harness.host.memory import Memory
from harness.machine import leases as module
from harness.machine.deadlines import Deadline, DeadlineError
from harness.machine.leases import Budget, Demand, Holder, Leases

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
        with leases.lease(SMALL, Deadline(30, "a lease")):
            order.append("served")

    thread = threading.Thread(target=wait)
    thread.start()
    order.append("given back")
    first.__exit__(None, None, None)
    thread.join(30)
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
        lease = Leases(Path(sys.argv[1])).lease(Demand(100), Deadline(10, "a lease"))
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
