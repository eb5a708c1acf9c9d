"""What killed processes leave is found, whatever it was for, shown by `fltlab doctor`, and removed; all else stays."""

import os
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from filelock import FileLock

from harness.cli.main import main
from harness.errors import HostError
from harness.fleet import housekeeping
from harness.fleet.builds import KEPT_DAYS, ROOT_FILE, builds_of_users, note_use, output_of
from harness.fleet.housekeeping import clean, housekeeping_checks, leftovers
from harness.host.checks import Status
from harness.host.directories import private_directory
from harness.host.leftovers import lock_file
from harness.host.regular import NotAFileError, read_regular
from harness.image.store import ImageStore
from harness.machine import template_store
from harness.machine.template_seal import seal
from harness.machine.template_store import TemplateStore

KEY, OTHER = "a" * 32, "b" * 32
LONG_AGO = time.time() - (KEPT_DAYS + 1) * 86400


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLTLAB_HOME", str(tmp_path / "home"))
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    return tmp_path / "home"


def rest(path: Path, since: float = LONG_AGO) -> Path:
    for entry in (path, *path.rglob("*")):
        os.utime(entry, (since, since), follow_symlinks=False)
    return path


def paths() -> set[str]:
    return {leftover.path.name for leftover in leftovers()}


# -- stores


def killed_maker(folder: Path, name: str) -> Path:
    """What a maker leaves that was killed: it has taken the lock, and made something."""
    script = """
        import os, signal, sys
        from pathlib import Path
        from filelock import FileLock
        folder, name = Path(sys.argv[1]), sys.argv[2]
        FileLock(folder / f".{name.split('-')[1]}.lock").acquire()
        (folder / name / "machine").mkdir(parents=True)
        (folder / name / "machine" / "disk").write_bytes(bytes(1 << 20))
        (folder / name / "link").symlink_to("/etc")
        os.kill(os.getpid(), signal.SIGKILL)
    """
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-c", textwrap.dedent(script), folder, name], check=False)
    assert (folder / name).is_dir()
    return folder / name


def test_what_killed_makers_left_is_found_and_removed_whatever_its_key(home: Path):
    killed_maker(home / "templates", f".making-{KEY}-x1")
    killed_maker(home / "images" / "reference", f".building-{OTHER}-x2")
    killed_maker(home / "cluster-runs", f".scratch-{KEY}")
    killed_maker(home / "cluster", f".fetching-{KEY}-x5")
    (home / "templates" / ".making-removed-x3" / "half").mkdir(parents=True)
    at_work = home / "templates" / f".making-{OTHER}-x4"
    at_work.mkdir()
    with FileLock(lock_file(home / "templates", OTHER)):
        made = {f".making-{KEY}-x1", f".building-{OTHER}-x2", ".making-removed-x3"}
        assert paths() == {*made, f".scratch-{KEY}", f".fetching-{KEY}-x5"}
        assert len(clean()) == 5
        assert paths() == set()
        assert list((home / "cluster-runs").iterdir()) == []
        assert at_work.is_dir()
    assert paths() == {at_work.name}
    assert Path("/etc/passwd").is_file()


def test_the_next_maker_removes_what_others_left(home: Path, monkeypatch: pytest.MonkeyPatch):
    left = killed_maker(home / "images" / "reference", f".building-{OTHER}-x")

    def build(directory: Path) -> dict[str, object]:
        (directory / "disk").write_bytes(b"disk")
        return {}

    ImageStore().get_or_build("reference", KEY, build)
    assert not left.exists()

    left = killed_maker(home / "templates", f".making-{OTHER}-x")
    monkeypatch.setattr(template_store, "require_room", lambda *_: pytest.skip.Exception)
    monkeypatch.setattr(template_store, "make_template", stopped)
    with pytest.raises(KeyboardInterrupt):
        TemplateStore()._make(Spec(), KEY, dict, home / "templates" / KEY)  # type: ignore[arg-type]
    assert not left.exists()
    assert not list((home / "templates").glob(".making-*"))


class Spec:
    """An origin of which only the memory is asked."""

    memory_mib = 1

    @property
    def spec(self) -> "Spec":
        return self


def stopped(*_: object) -> None:
    raise KeyboardInterrupt


FOREIGN = {
    "FIFO": os.mkfifo,
    "directory": Path.mkdir,
    "link": lambda path: path.symlink_to("/etc/passwd"),
    "garbage": lambda path: path.write_bytes(b"\xff{"),
    "deep": lambda path: path.write_bytes(b"[" * 100_000),
}


@pytest.mark.parametrize("put", FOREIGN.values(), ids=FOREIGN)
def test_a_manifest_that_is_none_costs_the_image_and_nothing_else(home: Path, put, caplog):
    def build(directory: Path) -> dict[str, object]:
        (directory / "disk").write_bytes(b"disk")
        return {}

    store = ImageStore()
    image = store.get_or_build("reference", KEY, build)
    manifest = image.directory / "image.json"
    manifest.unlink()
    put(manifest)

    again = store.get_or_build("reference", KEY, build)

    assert again.file("disk").read_bytes() == b"disk"
    assert "it is built again" in caplog.text


@pytest.mark.parametrize("put", FOREIGN.values(), ids=FOREIGN)
def test_what_stands_in_an_images_place_is_replaced(home: Path, put):
    def build(directory: Path) -> dict[str, object]:
        (directory / "disk").write_bytes(b"disk")
        return {}

    (home / "images" / "reference").mkdir(parents=True)
    put(home / "images" / "reference" / KEY)

    assert ImageStore().get_or_build("reference", KEY, build).file("disk").read_bytes() == b"disk"


def test_a_lock_that_is_none_is_told(home: Path):
    lock_file(private_directory(home / "images" / "reference"), KEY).mkdir()

    with pytest.raises(HostError, match=r"the lock .* cannot be taken(.|\n)*remove it"):
        ImageStore().get_or_build("reference", KEY, dict)


@pytest.mark.parametrize("put", FOREIGN.values(), ids=FOREIGN)
def test_what_must_be_a_file_is_read_only_if_it_is_one(tmp_path: Path, put):
    put(tmp_path / "file")

    if (tmp_path / "file").is_file() and not (tmp_path / "file").is_symlink():
        assert read_regular(tmp_path / "file")
        with pytest.raises(NotAFileError, match="more than 1 bytes"):
            read_regular(tmp_path / "file", limit=1)
    else:
        with pytest.raises(NotAFileError, match="and no file"):
            read_regular(tmp_path / "file")


def test_a_directory_that_everybody_can_write_to_is_refused(tmp_path: Path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)

    with pytest.raises(HostError, match=r"everybody can write to it(.|\n)*FLTLAB_HOME"):
        private_directory(tmp_path / "open")


# -- builds and scratch


def built(root: Path) -> Path:
    output_of(root).mkdir()
    note_use(root)
    return output_of(root)


def test_builds_whose_sources_are_gone_go_with_the_next_use_and_others_stay(tmp_path: Path):
    roots = [tmp_path / name for name in ("gone", "there", "resting")]
    for root in roots:
        root.mkdir()
    gone, there, resting = map(built, roots)
    windows = builds_of_users() / "windows-11-24h2-0123456789ab"
    windows.mkdir()
    for path in (resting, windows):
        rest(path)
    roots[0].rmdir()

    assert paths() == {gone.name, resting.name, windows.name}
    note_use(roots[1])

    assert sorted(builds_of_users().iterdir()) == sorted([there, windows])
    assert (there / ROOT_FILE).read_text() == str(roots[1])
    assert {leftover.path for leftover in clean()} == {windows}
    assert list(builds_of_users().iterdir()) == [there]


def test_scratch_of_killed_processes_is_told_from_what_is_used_and_from_what_is_not_ours(tmp_path: Path):
    scratch = tmp_path / "tmp"
    names = ["fltlab-drivers-abcd_123", "fltlab-guest-qwertyui", "fltlab-mine-abcd_123", "fltlab-local-my-checkout"]
    for name in (*names, "fltlab-shell-recent12"):
        (scratch / name).mkdir(mode=0o700)
    (scratch / "fltlab-image-examples").mkdir()
    for name in (*names, "fltlab-image-examples"):
        rest(scratch / name)
    (scratch / "fltlab-local-linked12").symlink_to("/etc")

    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, cwd=scratch / names[1]) as user:
        assert paths() == {names[0]}
        user.communicate()
    assert paths() == {names[0], names[1]}


def test_doctor_shows_what_lies_around_and_cleans_it(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    killed_maker(home / "templates", f".making-{KEY}-x1")
    rest(tmp_path / "tmp").joinpath("fltlab-leases").mkdir(mode=0o1777)
    os.mkfifo(tmp_path / "tmp" / "fltlab-leases" / "lease-7-0")

    checks = {check.name: check for check in housekeeping_checks()}

    assert checks["leftovers"].status is Status.WARNING
    assert "a template that was being made" in checks["leftovers"].found
    assert checks["leftovers"].fix is not None
    assert checks["leftovers"].fix[-2:] == ("doctor", "--clean")
    assert "lease-7-0 (a FIFO)" in checks["leases"].found
    main(["doctor", "--clean"])
    assert "removed" in capsys.readouterr().err
    assert housekeeping.housekeeping_checks()[0].status is Status.OK
    assert not list((home / "templates").glob(".making-*"))


# -- runs beside pruning


def test_templates_that_are_pruned_while_they_are_wanted_are_made_again(home: Path, monkeypatch: pytest.MonkeyPatch):
    """One process wants templates again and again while another one removes whatever nobody holds."""
    made = []

    def make(_origin: object, key: str, directory: Path, *_: object) -> None:
        (directory / "files").mkdir()
        (directory / "files" / "boot").write_text(key)
        seal(directory, key)
        made.append(key)

    monkeypatch.setattr(template_store, "make_template", make)
    monkeypatch.setattr(template_store, "require_room", lambda *_: None)
    monkeypatch.setattr(template_store, "template_key", lambda _origin, facts: facts["key"])
    wanting, pruning = TemplateStore(budget_mib=1 << 20), TemplateStore(budget_mib=0)
    private_directory(wanting.root)
    over = threading.Event()

    def prune() -> None:
        while not over.is_set():
            pruning.keep_within_budget()

    with ThreadPoolExecutor(1) as other:
        removing = other.submit(prune)
        try:
            for number in range(60):
                key = (KEY, OTHER)[number % 2]
                template = wanting.get_or_make(Spec(), {"key": key}, dict)  # type: ignore[arg-type]
                assert template.file("boot") == key.encode()
                template.release()
        finally:
            over.set()
        removing.result()

    assert 2 <= len(made) <= 60
    assert not list(wanting.root.glob(".making-*"))
