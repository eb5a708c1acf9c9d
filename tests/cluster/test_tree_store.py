"""The store of trees: the same digest everywhere, nothing out of its place, nothing that is not what it says."""

import errno
import json
import os
import stat
import threading
from pathlib import Path

import pytest

from harness.cluster import manifest
from harness.cluster import store as store_module
from harness.cluster.built_once import Lease, Pace, built_once, find
from harness.cluster.manifest import Link, Manifest, StoredFile, leads_out, sha256
from harness.cluster.pruning import prune_cache, prune_daily, prune_store
from harness.cluster.sealed import RunKey
from harness.cluster.store import Store
from harness.errors import ConfigurationError, HostError

QUICK = Pace(renew=0.02, dead=60, patience=60, look=0.01)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"), tmp_path / "cache")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "drivers" / "mine").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "conftest.py").write_text("x = 1\n")
    (root / "build.sh").write_text("#!/bin/sh\n")
    (root / "build.sh").chmod(0o775)
    (root / "drivers" / "mine" / "driver.c").write_text("int x;\n")
    (root / "drivers" / "latest").symlink_to("mine")
    (root / "drivers" / "mine" / "same.py").symlink_to("../../conftest.py")
    return root


def content_of(root: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        mode = path.lstat().st_mode
        kind = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(root))] = (kind, bool(mode & stat.S_IXUSR))
    return found


@pytest.mark.parametrize("kind", ["directory", "memory"])
def test_a_tree_comes_back_as_it_was_read_only_and_once(kind: str, tree: Path, tmp_path: Path):
    url = str(tmp_path / "store") if kind == "directory" else f"memory://{tmp_path}"
    put = Store(url, tmp_path / "one").put(tree)
    other = Store(url, tmp_path / "other")

    fetched = other.fetch(put.digest)

    assert content_of(fetched) == content_of(tree)
    assert not (fetched / "conftest.py").stat().st_mode & 0o222
    inode = (fetched / "conftest.py").stat().st_ino
    assert other.fetch(put.digest) == fetched
    assert (fetched / "conftest.py").stat().st_ino == inode


def test_the_digest_says_what_is_in_a_tree_and_nothing_else(tree: Path, store: Store, tmp_path: Path):
    first = store.put(tree)
    os.utime(tree / "conftest.py", (1, 1))
    (tree / "conftest.py").chmod(0o600)
    (tree / "drivers" / "__pycache__").mkdir()
    (tree / ".git").mkdir()

    assert store.put(tree) == type(first)(first.digest, 0)
    (tree / "conftest.py").chmod(0o700)
    assert store.put(tree).digest != first.digest


def test_one_file_is_fetched_as_a_file(store: Store, tmp_path: Path):
    (tmp_path / "disk.qcow2").write_bytes(b"disk")

    fetched = store.fetch(store.put(tmp_path / "disk.qcow2").digest)

    assert (fetched.name, fetched.read_bytes()) == ("disk.qcow2", b"disk")


def test_large_files_travel_in_pieces_and_zeros_not_at_all(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    piece = 64 << 10
    for module in (manifest, store_module):
        monkeypatch.setattr(module, "PIECE", piece)
    monkeypatch.setattr(manifest, "_ZEROS", bytes(piece))
    source = tmp_path / "image" / "disk.raw"
    source.parent.mkdir()
    with source.open("wb") as file:
        file.write(b"a" * 100)
        file.seek(4 * piece)
        file.write(b"b" * piece + b"c" * 7)
        file.truncate(9 * piece)

    put = store.put(source.parent)
    fetched = store.fetch(put.digest) / "disk.raw"

    assert put.sent < 4 * piece
    assert fetched.stat().st_size == 9 * piece
    assert fetched.stat().st_blocks * 512 < 5 * piece
    assert sha256(fetched.read_bytes()) == sha256(source.read_bytes())
    with source.open("r+b") as file:
        file.seek(8 * piece)
        file.write(b"d")
    assert store.put(source.parent).sent < 2 * piece  # what was there is not sent again


# -- what is not taken


def test_content_that_is_not_what_it_is_called_is_refused(tree: Path, store: Store):
    digest = store.put(tree).digest
    piece = sha256(b"x = 1\n")
    Path(store.root, "objects", piece[:2], piece).write_bytes(b"x = 2\n")

    with pytest.raises(HostError, match=r"has something else in the place of .*: it is not taken"):
        store.fetch(digest)

    assert list((store._cache).glob(f"*{digest}")) == []


def test_a_tree_that_was_never_put_is_said_to_be_missing(store: Store):
    with pytest.raises(HostError, match="lacks 000000000000") as error:
        store.fetch("0" * 64)
    assert "is it mounted?" in str(error.value)


@pytest.mark.parametrize(
    "entries",
    [
        {"files": [{"path": "../out", "size": 0}]},
        {"files": [{"path": "/etc/out", "size": 0}]},
        {"files": [{"path": "a//b", "size": 0}]},
        {"files": [{"path": "a/b", "size": 0}]},
        {"files": [{"path": "a", "size": 0}, {"path": "a", "size": 0}]},
        {"files": [{"path": "a", "size": 5}]},
        {"files": [{"path": "a", "size": 1, "pieces": ["../../etc/passwd"]}]},
        {"files": [{"path": "a\0", "size": 0}]},
        {"links": [{"path": "l", "target": "/etc"}]},
        {"links": [{"path": "l", "target": ".."}]},
        {"links": [{"path": "l", "target": "x"}], "files": [{"path": "l/a", "size": 0}]},
        {"directories": ["a", "a/.."]},
        {"format": 2},
        {"more": 1},
    ],
)
def test_a_manifest_that_leads_out_of_its_tree_is_refused(entries: dict[str, object], store: Store, tmp_path: Path):
    digest = store.put_bytes(json.dumps(entries).encode())

    with pytest.raises(HostError, match="no tree that fltlab takes"):
        store.fetch(digest)

    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("path", "target", "out"),
    [
        ("l", "a", False),
        ("l", "a/b", False),
        ("d/l", "../a", False),
        ("d/e/l", "../../a", False),
        ("l", "..", True),
        ("d/l", "../../a", True),
        ("l", "/a", True),
        ("l", "a/..", True),  # a may be a link to something deep
        ("d/l", "../a/../..", True),
        ("l", "", True),
    ],
)
def test_a_link_may_only_go_up_first_and_not_too_far(path: str, target: str, out: bool):
    assert leads_out(path, target) is out


def test_a_link_out_of_the_tree_cannot_be_put(tree: Path, store: Store):
    (tree / "elsewhere").symlink_to("/etc")

    with pytest.raises(ConfigurationError, match="may lead out of"):
        store.put(tree)


def test_a_fifo_cannot_be_put(tree: Path, store: Store):
    os.mkfifo(tree / "fifo")

    with pytest.raises(ConfigurationError, match="neither a file nor a directory"):
        store.put(tree)


def test_what_looks_secret_stays_where_it_is(tree: Path, store: Store):
    (tree / "signing.pfx").write_bytes(b"secret")
    (tree / "notes.txt").write_text("-----BEGIN RSA PRIVATE KEY-----\nsecret\n")

    put = store.put(tree)

    assert sorted(put.secrets) == ["notes.txt", "signing.pfx"]
    assert not any(b"secret" in path.read_bytes() for path in Path(store.root).rglob("*") if path.is_file())
    assert {path.name for path in store.fetch(put.digest).iterdir()} == {
        *("conftest.py", "build.sh", "drivers", "empty")
    }
    with pytest.raises(ConfigurationError, match="holds a private key"):
        store.put(tree / "notes.txt")


def test_what_is_ours_does_not_travel_with_a_tree_that_it_lies_in(tree: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FLTLAB_HOME", str(tree / "mine"))
    store = Store(str(tree / "shared"), tree / "mine" / "cluster")
    first = store.put(tree).digest

    fetched = store.fetch(first)

    assert store.put(tree).digest == first  # though the store and the cache have something in them now
    assert {path.name for path in fetched.iterdir()} == {"conftest.py", "build.sh", "drivers", "empty"}
    assert store.fetch(store.put(fetched).digest).name  # what is below our home can be put by itself


def test_a_full_disk_is_said_and_nothing_half_is_left(tree: Path, store: Store, monkeypatch: pytest.MonkeyPatch):
    digest = store.put(tree).digest

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store_module, "_write_at", full)
    with pytest.raises(HostError, match=r"what comes from .* cannot be kept here") as raised:
        store.fetch(digest)

    assert "make room" in str(raised.value)
    monkeypatch.undo()
    assert [path.name for path in store._cache.iterdir() if not path.name.endswith(".lock")] == []
    assert content_of(store.fetch(digest)) == content_of(tree)


def test_a_store_that_cannot_be_written_is_said(tree: Path, tmp_path: Path):
    (tmp_path / "store").write_text("a file")

    with pytest.raises(HostError, match=r"the store .* cannot be (written|read)"):
        Store(str(tmp_path / "store"), tmp_path / "cache").put(tree)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://key:secret@bucket/path", "no password or key in it"),
        ("nothing://here", "no kind of store"),
    ],
)
def test_a_wrong_name_of_a_store_is_refused_and_no_password_repeated(url: str, message: str):
    with pytest.raises(ConfigurationError, match=message) as raised:
        Store(url)

    assert "key:secret" not in str(raised.value)


def test_what_was_changed_in_the_cache_is_fetched_again(tree: Path, store: Store):
    digest = store.put(tree).digest
    fetched = store.fetch(digest)
    (fetched / "conftest.py").unlink()

    assert content_of(store.fetch(digest)) == content_of(tree)


def test_an_object_that_was_cut_short_is_put_again(tree: Path, store: Store, tmp_path: Path):
    digest = store.put(tree).digest
    piece = sha256(b"x = 1\n")
    Path(store.root, "objects", piece[:2], piece).write_bytes(b"x")
    Path(store.tree_note(digest)).unlink()

    store.put(tree)

    assert content_of(store.fetch(digest)) == content_of(tree)


def test_several_that_want_the_same_fetch_it_once(tree: Path, store: Store):
    digest = store.put(tree).digest
    fetched: list[int] = []

    def fetch() -> None:
        fetched.append((Store(store.url, store._cache).fetch(digest) / "conftest.py").stat().st_ino)

    threads = [threading.Thread(target=fetch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(fetched) == 4
    assert len(set(fetched)) == 1
    assert [path.name for path in store._cache.iterdir() if not path.name.endswith(".lock")] == [digest]


# -- what is built once


def test_what_is_built_once_is_built_by_one_of_many(store: Store, tmp_path: Path):
    built: list[int] = []

    def build(number: int) -> Path:
        built.append(number)
        (tmp_path / "image").mkdir()
        (tmp_path / "image" / "disk").write_bytes(b"disk")
        return tmp_path / "image"

    digests: list[str] = []
    threads = [
        threading.Thread(
            target=lambda n=n: digests.append(
                built_once(Store(store.url, store._cache), "image", "reference-1", lambda: build(n), QUICK)
            )
        )
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(built) == 1
    assert set(digests) == {find(store, "image", "reference-1")}
    assert store.listed(f"{store.root}/leases/image-reference-1") == []


def test_the_lease_of_a_dead_machine_is_taken_over_and_that_of_a_living_one_is_not(store: Store, tmp_path: Path):
    dead = Lease(store, "image-a", QUICK)
    assert dead.take() == ""
    living = Lease(store, "image-b", QUICK)
    assert living.take() == ""
    (tmp_path / "disk").write_bytes(b"disk")

    assert built_once(store, "image", "a", lambda: tmp_path / "disk", Pace(0.02, 0.1, 60, 0.01))
    with living.renewed(), pytest.raises(HostError, match="has been building the image b"):
        built_once(store, "image", "b", lambda: tmp_path / "disk", Pace(0.02, 60, 0.1, 0.01))


def test_a_build_that_fails_leaves_the_lease_to_others(store: Store, tmp_path: Path):
    def fails() -> Path:
        raise HostError("no clang here")

    with pytest.raises(HostError, match="no clang here"):
        built_once(store, "image", "a", fails, QUICK)
    (tmp_path / "disk").write_bytes(b"disk")

    assert find(store, "image", "a") is None
    assert built_once(store, "image", "a", lambda: tmp_path / "disk", QUICK)


# -- pruning


def test_pruning_removes_what_no_run_wants_and_nothing_of_what_one_does(tree: Path, store: Store, tmp_path: Path):
    kept = store.put(tree).digest
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "conftest.py").write_text("x = 1\n")
    (tmp_path / "old" / "more.py").write_text("y = 1\n")
    old = built_once(store, "image", "old", lambda: tmp_path / "old", QUICK)
    store.write_json(store.tree_note(old), {"whole": True, "wanted": 0})

    assert prune_store(store).objects == 0  # written a moment ago: somebody may be about to refer to it
    pruned = prune_store(store, grace_days=-1)

    assert pruned.objects == 2  # its manifest and more.py
    assert find(store, "image", "old") is None
    assert content_of(store.fetch(kept)) == content_of(tree)


def test_a_run_prunes_the_store_that_nobody_has_pruned_for_a_day(tree: Path, store: Store):
    digest = store.put(tree).digest

    def nobody_wants_it() -> None:
        store.write_json(store.tree_note(digest), {"whole": True, "wanted": 0})

    nobody_wants_it()
    assert prune_daily(store).trees == 1
    nobody_wants_it()
    assert prune_daily(store).trees == 0
    store.write_json(f"{store.root}/pruned", {"at": 0})
    assert prune_daily(store).trees == 1


def test_pruning_a_machine_keeps_what_was_wanted_lately(tree: Path, store: Store):
    digest = store.put(tree).digest
    fetched = store.fetch(digest)

    assert prune_cache(30, store._cache).trees == 0
    os.utime(store._cache / digest, (1, 1))
    assert prune_cache(30, store._cache).trees == 1
    assert not fetched.exists()


# -- secrets


def test_a_sealed_secret_is_opened_by_its_run_for_what_it_belongs_to_and_by_nobody_else():
    key = RunKey.new()
    sealed = key.seal("windows-11 abc", {"password": "hunter2"})

    assert b"hunter2" not in sealed
    assert RunKey.from_text(key.to_text()).open("windows-11 abc", sealed) == {"password": "hunter2"}
    for other, belongs_to, changed in (
        (RunKey.new(), "windows-11 abc", sealed),
        (key, "windows-10 abc", sealed),
        (key, "windows-11 abc", sealed[:-1] + bytes([sealed[-1] ^ 1])),
        (key, "windows-11 abc", b""),
    ):
        with pytest.raises(HostError, match="are not those that this run has put there"):
            other.open(belongs_to, changed)
    assert key.to_text() not in repr(key)
    assert str(key.secret) not in repr(key)


def test_the_text_of_a_manifest_is_one_for_one_tree():
    text = Manifest(files=(StoredFile(path="a", size=0),), links=(Link(path="b", target="a"),)).to_bytes()

    assert Manifest.from_bytes(text).to_bytes() == text
    assert sha256(text) == "2b581bb68dcdebd5523ec1b46a57dc134ddf09ae5e74beb2dccaa4cded85d08c"
    assert manifest.PIECE == 8 << 20  # another size is another digest for the same file: FORMAT says so
