"""The fork trial's judgement: what one fork shows that the others must not, and what is then kept of it."""

import contextlib
import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import tree_sitter
import tree_sitter_powershell

from harness.errors import GuestError
from harness.guest import forks
from harness.guest.forks import FORKS, GENERATION, Fork, Seen, difference, try_forks
from harness.guest.identity import Identity
from harness.guest.profiles.windows import FORKED
from harness.guest.selftest import Finding
from harness.host.accelerator import Accelerator
from harness.image.windows import fork_record
from harness.image.windows.fork_record import Setting, why_not
from harness.machine.template_seal import seal
from harness.machine.templates import FILES, Template, open_template

KEY = "k" * 64
GOOD = Seen("boot-1", "generation-1", bytes(16), 0.0)
OTHER = Seen("boot-2", "generation-2", bytes(range(16)), 0.0)


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (GOOD, ""),
        (replace(GOOD, late=1.9), ""),
        (replace(GOOD, late=-3600.0), "its clock is off by -3600.0 s"),
        (replace(GOOD, late=2.5), "its clock is off by +2.5 s"),
        (replace(GOOD, random=OTHER.random), f"its 16 random bytes are those of fork 1: {OTHER.random.hex()}"),
        (replace(GOOD, boot_id="boot-2"), "its boot id is that of fork 1: boot-2"),
        (replace(GOOD, generation="generation-2"), "its VM generation id is that of fork 1: generation-2"),
        (replace(GOOD, generation="generation-0"), "its VM generation id is its template's, generation-0"),
        (replace(GOOD, returned=False), "65536 bytes went in, and other ones came back"),
        (replace(GOOD, left=("process 7", "/x/system.qcow2")), "it left behind: process 7, /x/system.qcow2"),
    ],
)
def test_a_fork_that_is_not_as_it_must_be_is_told_by_what_is_different(seen: Seen, said: str):
    assert difference(seen, [OTHER], "generation-0") == said


# -- a trial, with forks that are played


NOW = 1.8e9


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that stands: between two readings of a real one a machine may do other things."""
    monkeypatch.setattr(forks, "time", SimpleNamespace(time=lambda: NOW, monotonic=lambda: 0.0))


@dataclass
class Played:
    """An image whose forks are what a test wants; `spoil` changes one of them."""

    directory: Path
    spoil: dict[int, dict[str, object]] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    forked: list[Path] = field(default_factory=list)

    def template(self) -> Template:
        (self.directory / FILES).mkdir(parents=True)
        (self.directory / FILES / GENERATION).write_text("generation-0")
        (self.directory / "state").write_bytes(b"devices")
        seal(self.directory, KEY)
        return open_template(self.directory, KEY, None)  # type: ignore[arg-type]

    @contextlib.contextmanager
    def fork(self, template: Template, directory: Path) -> Iterator[Fork]:
        number = next(self.numbers)
        self.forked.append(directory)
        wrong = {"late": 0.0, "random": os.urandom(16), "generation": f"generation-{number}", "raises": None}
        wrong |= self.spoil.get(number, {})
        if wrong["raises"]:
            raise wrong["raises"]  # type: ignore[misc]
        files: dict[str, bytes] = {}
        identity = Identity(f"boot-{number}", NOW + wrong["late"], wrong["random"], {})  # type: ignore[operator, arg-type]
        guest = SimpleNamespace(
            identity=lambda: identity, put=lambda content, path: files.update({path: content}), get=files.get
        )
        machine = SimpleNamespace(
            pid=2**22 + 1,  # more than Linux has
            run_dir=directory,
            spec=SimpleNamespace(disks=(), firmware_files=()),
            qmp=SimpleNamespace(execute=lambda command: {"guid": wrong["generation"]}),
            check=lambda: None,
        )
        yield Fork(machine, guest, 0.2)  # type: ignore[arg-type]


def tried(subject: Played, forks: int = FORKS) -> list[Finding]:
    return list(try_forks(subject, subject.directory / "forks", forks))


def test_ten_good_forks_pass_and_each_is_in_the_table(tmp_path: Path):
    subject = Played(tmp_path / "template")

    findings = tried(subject)

    assert [finding.difference for finding in findings] == [""] * 12
    titles = [finding.check for finding in findings]
    assert titles == ["template", *(f"fork {number} of 10" for number in range(1, 11)), "template afterwards"]
    assert findings[1].measured == "answered in 0.20 s, clock +0.0 s, generation generati"
    assert len(set(subject.forked)) == 10


SILENT = GuestError("waited 120 s for a fork of Windows to answer WinRM", details=("last seen: timed out",))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"late": 61.0}, "its clock is off by +61.0 s"),
        ({"random": b"r" * 16}, f"its 16 random bytes are those of fork 2: {(b'r' * 16).hex()}"),
        ({"generation": "generation-0"}, "its VM generation id is its template's, generation-0"),
        ({"raises": SILENT}, "waited 120 s for a fork of Windows to answer WinRM: last seen: timed out"),
    ],
    ids=["clock", "random", "generation", "silent"],
)
def test_the_first_fork_that_is_not_good_ends_the_trial_and_forks_stay_off(wrong, said, tmp_path: Path, setting):
    subject = Played(tmp_path / "template", {2: {"random": b"r" * 16}, 3: wrong})

    findings = tried(subject)
    fork_record.save(setting, FORKS, findings)

    assert [finding.ok for finding in findings] == [True, True, True, False]
    assert findings[-1].difference.startswith(said)
    assert why_not(setting).startswith(f"their trial failed, fork 3 of 10: {said}")


def test_a_template_that_is_written_to_is_noticed(tmp_path: Path):
    subject = Played(tmp_path / "template")
    trial = try_forks(subject, tmp_path / "forks", 1)
    next(trial)
    (subject.directory / "state").chmod(0o600)
    (subject.directory / "state").write_bytes(b"devicez")

    findings = list(trial)

    assert findings[-1].check == "template afterwards"
    assert "state has changed" in findings[-1].difference


def test_without_a_template_nothing_is_tried(tmp_path: Path):
    class NoTemplate(Played):
        def template(self) -> Template:
            raise GuestError("Windows did not start", details=("last seen: a screen",))

    findings = tried(NoTemplate(tmp_path / "template"))

    assert [(finding.check, finding.difference) for finding in findings] == [
        ("template", "Windows did not start: last seen: a screen")
    ]


# -- the record


@pytest.fixture
def setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Setting:
    monkeypatch.setenv("FLTLAB_HOME", str(tmp_path / "home"))
    return Setting("windows-11-24h2", "a" * 64, "c" * 64, Accelerator.KVM, "8.2.2", "m" * 64)


PASSED = [Finding("fork 1 of 10", "good")]


def test_forks_are_on_where_they_were_tried_and_good(setting: Setting):
    assert why_not(setting) == "they have not been tried under kvm"

    path = fork_record.save(setting, FORKS, PASSED)

    assert why_not(setting) == ""
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"qemu": "9.0.0"}, "they were tried with QEMU 8.2.2, and this is 9.0.0"),
        ({"machine": "n" * 64}, "they were tried with another machine"),
        ({"content": "d" * 64}, "the image has been built again since they were tried"),
        ({"image_key": "b" * 64}, "they were tried with another image, windows-11-24h2 aaaaaaaaaaaa"),
        ({"accelerator": Accelerator.TCG}, "they were tried under kvm, and this is tcg"),
    ],
)
def test_a_record_of_something_else_is_not_taken(change, said, setting: Setting):
    other = replace(setting, **change)
    fork_record.save(setting, FORKS, PASSED)
    if other.path != setting.path:  # as somebody would who copies it
        other.path.write_bytes(setting.path.read_bytes())

    assert why_not(other).startswith(said)


@pytest.mark.parametrize("content", ["", "{}", '{"format": 1, "forks": "ten"}', "\0\xff"])
def test_a_damaged_record_keeps_forks_off_and_is_named(content: str, setting: Setting):
    fork_record.save(setting, FORKS, PASSED)
    setting.path.write_text(content, encoding="latin-1")

    assert why_not(setting).startswith(f"the record of their trial, {setting.path}, cannot be read: ")


def test_a_record_of_another_version_is_not_taken(setting: Setting):
    values = json.loads(fork_record.save(setting, FORKS, PASSED).read_text())
    setting.path.write_text(json.dumps({**values, "format": 2}))

    assert "was written by another version" in why_not(setting)


def test_fewer_forks_than_are_wanted_do_not_do(setting: Setting):
    fork_record.save(setting, 3, PASSED)

    assert why_not(setting) == "only 3 of them were tried, and 10 must have been good"


def test_a_later_trial_takes_the_place_of_the_earlier_and_it_can_be_forgotten(setting: Setting):
    fork_record.save(setting, FORKS, PASSED)
    fork_record.save(setting, FORKS, [Finding("fork 4 of 10", "-", "its clock is off by +9.0 s")])
    assert why_not(setting) == "their trial failed, fork 4 of 10: its clock is off by +9.0 s"

    assert fork_record.forget(setting)
    assert not fork_record.forget(setting)
    assert why_not(setting) == "they have not been tried under kvm"


def test_the_script_that_wakes_a_fork_is_powershell():
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))

    assert not parser.parse(FORKED.encode()).root_node.has_error
