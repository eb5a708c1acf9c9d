"""A fork is the frozen guest again, and touches neither its template nor another fork."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from harness.host import fingerprint
from harness.host.accelerator import Accelerator
from harness.image import reference
from harness.machine.disks import Disk, DiskImage, Format
from harness.machine.freezing import CannotFreezeError
from harness.machine.parts import Board, Device, Processor
from harness.machine.spec import MachineSpec
from harness.machine.state import MachineState
from harness.machine.template_seal import MEMORY
from harness.machine.template_store import ColdBoot, TemplateStore
from harness.machine.templates import STATE
from tests.limits import HANG
from tests.processes import gone


@pytest.fixture
def own_store(tmp_path, deadlines):
    return TemplateStore(tmp_path / "templates", deadlines=deadlines)


@pytest.fixture
def stacked(own_store, template):
    """A template of the second level, in a store of the test's own: quick to make, and to damage."""

    def get(facts=None, prepare=lambda machine: {"note": b"kept"}):
        return own_store.get_or_make(template, facts or {}, prepare)

    return get


def test_a_fork_answers_with_what_its_template_left_on_disk(fork, shell):
    machine = fork()
    assert machine.state is MachineState.RUNNING
    assert shell(machine, "cat /volume/file").output == "from the template\n"


def test_forks_see_neither_each_others_writes_nor_ports(fork, shell):
    first, second = fork(), fork()
    shell(first, "echo changed > /volume/file; sync; echo x > /tmp/in-memory")
    assert shell(second, "cat /volume/file; ls /tmp").output == "from the template\n"
    assert not set(first.ports.values()) & set(second.ports.values())
    assert shell(fork(), "cat /volume/file").output == "from the template\n"


def test_forks_leave_their_template_as_it_was(fork, template, shell):
    files = [template.directory / MEMORY, template.directory / STATE, *template.layers("data")]
    before = [fingerprint.of_sparse_file(path) for path in files]
    machine = fork()
    shell(machine, "dd if=/dev/urandom of=/volume/noise bs=1M count=4; sync")
    machine.kill()
    assert [fingerprint.of_sparse_file(path) for path in files] == before


def test_a_fork_leaves_nothing_but_logs(fork, tmp_path):
    machine = fork()
    machine.kill()
    assert {path.name for path in machine.run_dir.iterdir()} == {"qemu.log", "serial.log"}
    assert machine.state is MachineState.ENDED


def test_eight_forks_share_their_memory(fork):
    forks = [fork() for _ in range(8)]
    alone = forks[0].spec.memory_mib
    assert sum(machine.memory_used_mib() for machine in forks) < 8 * alone / 3


def test_what_was_deployed_into_a_fork_can_be_frozen_again(stacked, fork, template, shell, wait_for_agent):
    def deploy(machine):
        wait_for_agent(machine)
        shell(machine, "echo deployed >> /volume/file; sync; echo in memory > /tmp/deployed")
        return {"note": b"kept"}

    second = stacked({"deployed": 1}, deploy)
    assert second.file("note") == b"kept"
    assert shell(fork(second), "cat /volume/file /tmp/deployed").output == "from the template\ndeployed\nin memory\n"
    assert shell(fork(template), "cat /volume/file").output == "from the template\n"


def test_a_template_outlives_the_one_it_was_forked_from(own_store, stacked, fork, shell, wait_for_agent):
    lower = stacked({"level": 1})

    def deploy(machine):
        wait_for_agent(machine)
        shell(machine, "echo deployed >> /volume/file; sync")
        return {}

    upper = own_store.get_or_make(lower, {"level": 2}, deploy)
    lower.release()
    own_store.budget_mib = 0
    own_store.keep_within_budget()
    assert [path.name for path in own_store.templates()] == [upper.directory.name]
    assert shell(fork(upper), "cat /volume/file").output == "from the template\ndeployed\n"


def test_the_same_ingredients_give_the_same_template_and_others_another(stacked):
    made = []

    def note(machine):
        made.append(machine.name)
        return {}

    first = stacked({"stack": "a"}, note)
    assert stacked({"stack": "a"}, note).directory == first.directory
    assert stacked({"stack": "b"}, note).directory != first.directory
    assert len(made) == 2


def flip(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("harm", [flip, cut_short, Path.unlink])
@pytest.mark.parametrize("name", ["ram", "state", "disks/data/00.qcow2", "template.json"])
def test_a_damaged_template_is_made_again(stacked, name, harm, caplog):
    made = []

    def note(machine):
        made.append(machine.name)
        return {"note": b"kept"}

    template = stacked({}, note)
    template.release()
    victim = template.directory / name
    victim.chmod(0o600)
    harm(victim)
    again = stacked({}, note)
    assert len(made) == 2
    assert again.file("note") == b"kept"
    assert "made again" in caplog.text


def test_a_failure_while_making_leaves_nothing_behind(own_store, stacked):
    def fail(machine):
        raise RuntimeError(f"could not deploy to {machine.pid}")

    with pytest.raises(RuntimeError, match="could not deploy") as caught:
        stacked({}, fail)
    pid = int(str(caught.value).split()[-1])
    assert gone(pid)
    assert own_store.templates() == []
    assert list(own_store.root.glob(".making-*")) == []


def test_the_template_used_least_recently_goes_first(own_store, stacked):
    templates = [stacked({"number": number}) for number in range(3)]
    stacked({"number": 0}).release()  # used again: the second is now the oldest
    for template in templates:
        template.release()
    size = 160
    own_store.budget_mib = 2 * size
    own_store.keep_within_budget()
    left = {path.name for path in own_store.templates()}
    assert left == {templates[0].directory.name, templates[2].directory.name}


def test_a_template_in_use_is_never_removed(own_store, stacked):
    template = stacked()
    own_store.budget_mib = 0
    own_store.keep_within_budget()
    assert template.directory.exists()
    template.release()
    own_store.keep_within_budget()
    assert not template.directory.exists()


def test_of_two_processes_that_want_a_template_one_makes_it(own_store, template, tmp_path):
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from harness.machine.template_store import TemplateStore
        from harness.machine.templates import open_template
        import pickle
        key, directory, spec = pickle.loads(Path(sys.argv[2]).read_bytes())
        def note(machine):
            with open(sys.argv[3], "a") as file:
                file.write("made\\n")
            return {}
        print(TemplateStore(Path(sys.argv[1])).get_or_make(open_template(directory, key, spec), {}, note).directory)
        """
    )
    import pickle

    ingredients = tmp_path / "ingredients"
    ingredients.write_bytes(pickle.dumps((template.key, template.directory, template.spec)))
    made = tmp_path / "made"
    command = [sys.executable, "-c", script, own_store.root, ingredients, made]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [process.communicate(timeout=HANG)[0].strip() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert answers[0] == answers[1] != ""
    assert made.read_text() == "made\n"


def test_another_processor_or_qemu_makes_another_template(spec, monkeypatch):
    before = spec.fingerprint()
    monkeypatch.setattr("harness.machine.spec.processor_identity", lambda: "another")
    assert spec.fingerprint() != before
    monkeypatch.undo()
    monkeypatch.setattr("harness.machine.spec.qemu_identity", lambda _: "another")
    assert spec.fingerprint() != before
    monkeypatch.undo()
    assert spec.fingerprint() == before


def test_the_secrets_of_a_machine_are_no_part_of_its_key(spec):
    first, second = reference.GuestSecrets(), reference.GuestSecrets()
    assert first.configuration.password != second.configuration.password
    from harness.machine.templates import template_key

    assert template_key(ColdBoot(spec, first.firmware_files()), {}) == template_key(
        ColdBoot(spec, second.firmware_files()), {}
    )


@pytest.fixture
def qemu_cannot_freeze(monkeypatch):
    def refuse(machine, state):
        machine.pause()
        raise CannotFreezeError("the state of the machine cannot be moved", details=("no such capability",))

    monkeypatch.setattr("harness.machine.templates.freeze", refuse)


def test_a_machine_that_cannot_be_frozen_gets_a_snapshot_and_says_so_once(
    own_store, spec, template, fork, shell, wait_for_agent, qemu_cannot_freeze, caplog, tmp_path
):
    def deploy(machine):
        wait_for_agent(machine)
        shell(machine, "echo deployed >> /volume/file; sync; echo in memory > /tmp/deployed")
        return {}

    lower = own_store.get_or_make(template, {"level": 1}, deploy)
    assert lower.is_snapshot
    assert caplog.text.count("its template is a snapshot") == 1
    first, second = fork(lower), fork(lower)
    shell(first, "echo mine > /volume/mine; sync")
    seen = shell(second, "cat /volume/file /tmp/deployed; ls /volume").output
    assert seen == "from the template\ndeployed\nin memory\nfile\n"
    first.kill()
    assert {path.name for path in first.run_dir.iterdir()} == {"qemu.log", "serial.log"}

    upper = own_store.get_or_make(lower, {"level": 2}, deploy)
    assert upper.is_snapshot
    assert shell(fork(upper), "cat /volume/file").output == "from the template\ndeployed\ndeployed\n"


def test_a_device_that_qemu_cannot_save_is_named(own_store, tmp_path):
    blank = tmp_path / "blank"
    blank.touch()
    os.truncate(blank, 1 << 20)
    spec = MachineSpec(
        board=Board(memory_mib=32),
        processor=Processor(Accelerator.TCG),
        disks=(Disk("data", DiskImage(blank, Format.RAW)),),
        devices=(Device("nvme", (("serial", "x"),)),),
    )
    with pytest.raises(CannotFreezeError) as caught:
        own_store.get_or_make(ColdBoot(spec, {}), {}, lambda machine: {})
    assert any("nvme" in line for line in caught.value.details)
    assert own_store.templates() == []
