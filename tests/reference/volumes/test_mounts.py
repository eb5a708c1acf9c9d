"""Volumes that are dismounted, mounted again, locked, verified and removed, and what becomes of instances and files."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.nt import NtStatus
from harness.reference.windows.fs.filesystem import FileSystem
from harness.reference.windows.io.volume_removal import change_medium
from harness.wire import kernel as wire
from tests.reference.volumes.conftest import Machine

Make = Callable[..., Machine]
DISMOUNT, LOCK, UNLOCK, IS_MOUNTED = "0x90020", "0x90018", "0x9001C", "0x90028"


@pytest.fixture
def watched(machine: Make) -> Machine:
    made = machine()
    made.load("watcher")
    return made


def devices(machine: Machine) -> int:
    return len(machine.kernel.io.devices.by_address)


def test_a_dismount_tears_instances_down_and_the_next_open_mounts_anew(watched: Machine) -> None:
    watched.play("open f V:\\a disposition=create => SUCCESS\nclose f\nsleep 3000")
    assert watched.told("setup") == ["setup 1 8 2 \\Device\\HarddiskVolume1"]

    watched.play(f"open v V: access=rw => SUCCESS\nfsctl v code={DISMOUNT} => SUCCESS\nclose v => SUCCESS")
    assert watched.told("control", "dismount", "teardown-start", "reference", "attach", "teardown-complete") == [
        "control 0",
        "dismount 1 0 0",
        "teardown-start 8",
        f"reference {NtStatus.FLT_DELETING_OBJECT:08x}",
        f"attach {NtStatus.FLT_DELETING_OBJECT:08x}",
        "teardown-complete 8",
    ]

    watched.play("open f V:\\a => SUCCESS\nclose f")
    assert watched.told("setup", "mount", "create") == [
        "setup 5 8 2 \\Device\\HarddiskVolume1",
        "mount 1 0 8",
        "create \\a",
    ]
    watched.ask(wire.Unload("watcher"))
    assert watched.findings == []


def test_files_that_are_open_at_a_dismount_can_only_be_closed(watched: Machine) -> None:
    watched.load("legacy", altitude="1")
    before = devices(watched)
    result = watched.play(
        rf"""
        open f V:\dir disposition=create options=directory,overlapped access=list => SUCCESS
        open g V:\a disposition=create access=rw,delete => SUCCESS
        write g offset=0 length=4096 fill=0x41 => SUCCESS
        notify f async=n => PENDING
        open v V: access=rw => SUCCESS
        fsctl v code={DISMOUNT} => SUCCESS
        fsctl v code={IS_MOUNTED} => VOLUME_DISMOUNTED
        fsctl v code={DISMOUNT} => VOLUME_DISMOUNTED
        read g offset=0 length=16 => VOLUME_DISMOUNTED
        set g class=disposition value=1 => VOLUME_DISMOUNTED
        open h V:\a access=read share=none => SUCCESS
        read h offset=0 length=16 => SUCCESS
        close f => SUCCESS
        wait n => NOTIFY_CLEANUP
        close g => SUCCESS
        close v => SUCCESS
        sleep 6000
        read h offset=0 length=16 => SUCCESS
        close h => SUCCESS
        """
    )
    assert result.all("read")[1].data == b"A" * 16  # what was in the cache was written before
    told = watched.told()
    ended = told.index("teardown-complete 8")
    assert told[ended:].count("context-gone 16") == 2  # the stream handles' contexts went with the instance
    assert "close \\a" not in told[: told.index("setup 5 8 2 \\Device\\HarddiskVolume1")]
    assert devices(watched) == before  # the old stack went with its last file, the legacy filter's device too
    assert watched.findings == []


def test_a_volume_context_goes_with_its_mount(watched: Machine) -> None:
    watched.ask(wire.Dismount("V:"))
    assert watched.told("context-gone") == ["context-gone 16", "context-gone 2", "context-gone 1"]
    watched.ask(wire.Dismount("V:"))  # it is not mounted: nothing is to be done


def test_attaching_to_a_volume_that_is_not_mounted_mounts_it(machine: Make) -> None:
    made = machine()
    made.load("pending", flags=1)
    made.ask(wire.Dismount("V:"))
    made.ask(wire.Attach("fltlab-pending", "V:"))
    assert [row.volume for row in made.ask(wire.ListInstances()).instances] == ["V:"]


def test_a_locked_volume_is_opened_by_nobody_else_even_after_its_dismount(watched: Machine) -> None:
    watched.play(
        rf"""
        open f V:\a disposition=create => SUCCESS
        open v V: access=rw => SUCCESS
        fsctl v code={LOCK} => ACCESS_DENIED
        close f => SUCCESS
        fsctl v code={LOCK} => SUCCESS
        open g V:\a => ACCESS_DENIED
        fsctl v code={DISMOUNT} => SUCCESS
        open g V:\a => ACCESS_DENIED
        fsctl v code={UNLOCK} => SUCCESS
        open g V:\a => SUCCESS
        close g => SUCCESS
        fsctl v code={UNLOCK} => NOT_LOCKED
        close v => SUCCESS
        open v V: access=rw => SUCCESS
        fsctl v code={LOCK} => SUCCESS
        close v => SUCCESS
        open g V:\a => SUCCESS
        """
    )
    # The I/O manager refuses: no filter is asked.
    assert watched.told("create").count("create \\a") == 3


def test_another_medium_in_the_drive_is_another_volume(watched: Machine, tmp_path: Path) -> None:
    other = tmp_path / "other medium"
    other.mkdir()
    (other / "b").write_bytes(b"b")
    watched.play("open f V:\\a disposition=create => SUCCESS\nclose f")
    watched.told()
    change_medium(watched.kernel.io.volumes[0], FileSystem(other, watched.kernel.system_time))
    watched.play("open f V:\\a => OBJECT_NAME_NOT_FOUND\nopen g V:\\b => SUCCESS\nclose g")
    assert watched.told("control", "teardown-complete", "setup") == [
        "control 2",
        "teardown-complete 8",
        "setup 5 8 2 \\Device\\HarddiskVolume1",
    ]


def test_an_orderly_removal_is_refused_while_a_file_is_open(machine: Make) -> None:
    made = machine("V:", "W:")
    made.load("watcher")
    assert made.told("setup") == ["setup 1 8 2 \\Device\\HarddiskVolume1", "setup 1 8 2 \\Device\\HarddiskVolume2"]
    k = made.kernel
    held = k.run(hold_open(k, r"\??\W:\a"), "open")
    made.told()
    assert made.refusal(wire.RemoveDisk("W:", surprise=False)) == NtStatus.ACCESS_DENIED
    assert made.told() == ["pnp 1", "pnp 3"]
    k.run(let_go(k, held), "close")
    made.ask(wire.RemoveDisk("W:", surprise=False))
    assert [text for text in made.told() if not text.startswith("c")] == [
        "pnp 1",
        "pnp 2",
        "dismount 1 0 0",
        "teardown-start 8",
        "teardown-complete 8",
    ]
    made.play("open f W:\\a => OBJECT_PATH_NOT_FOUND\nopen f V:\\a disposition=create => SUCCESS")
    assert made.findings == []


def test_after_a_surprise_removal_files_can_only_be_closed_and_then_the_stack_goes(machine: Make) -> None:
    made = machine("V:", "W:")
    made.load("watcher")
    made.load("legacy", altitude="1")
    k = made.kernel
    before = devices(made)
    held = k.run(hold_open(k, r"\??\W:\a"), "open")
    made.told()
    made.ask(wire.RemoveDisk("W:"))
    assert made.told() == ["pnp 17"]
    made.play("open f W:\\b => OBJECT_PATH_NOT_FOUND\nopen f W: => OBJECT_NAME_NOT_FOUND")
    assert devices(made) == before
    k.run(let_go(k, held), "close")
    k.settle()
    told = made.told()
    assert [text for text in told if not text.startswith("context-gone")] == [
        "cleanup \\a",
        "close \\a",
        "dismount 1 0 0",
        "teardown-start 8",
        "teardown-complete 8",
    ]
    assert sorted(set(told) - {"close \\a"})[1:4] == ["context-gone 1", "context-gone 16", "context-gone 2"]
    # The disk's device, the file system's, and the frame's. The legacy filter attaches to V: alone.
    assert devices(made) == before - 3
    assert made.findings == []


def test_an_operation_that_a_filter_holds_at_a_dismount_comes_back_first(machine: Make) -> None:
    made = machine()
    made.load("pending", flags=1)
    made.ask(wire.Attach("fltlab-pending", "V:"))
    result = made.play(
        rf"""
        filter pending
        open f V:\a disposition=create access=rw options=overlapped,noncached => SUCCESS
        rule pending major=write do=pend mechanism=queue resume=with-callback hold=yes
        write f offset=0 length=4096 async=w => PENDING
        expect-held pending count=1 => SUCCESS
        open v V: access=rw => SUCCESS
        fsctl v code={DISMOUNT} => SUCCESS
        wait w
        close f
        """
    )
    # It went on when the instance's teardown let it go: the volume was dismounted by then.
    assert result.step("wait").status == NtStatus.VOLUME_DISMOUNTED
    assert made.findings == []


def hold_open(k, path: str):
    """Open a file by the system."""
    from harness.reference.windows.io.create import OpenParameters, open_file
    from harness.reference.windows.io.object_names import ObjectName

    status, _, file = yield from open_file(k.io, ObjectName(path), OpenParameters(access=0x0012_0089, disposition=3))
    assert status == 0
    return file


def let_go(k, file):
    """Close what `hold_open` opened."""
    yield from k.io.cleanup(file)
    yield from k.objects.release(file.object)
