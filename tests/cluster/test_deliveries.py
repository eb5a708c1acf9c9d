"""What workers are sent: trees, drivers and images, without a secret in the store or in the task."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.cluster.deliveries import Delivery, receive, send
from harness.cluster.images import StoredImage, fetch_image, put_image
from harness.cluster.sealed import RunKey
from harness.cluster.store import Store
from harness.errors import HostError
from harness.fleet import delivered
from harness.fleet.drivers import Drivers, symbol_directories
from harness.host.directories import HOME_VARIABLE
from harness.image.store import Image, ImageStore
from harness.image.windows import credentials
from harness.minifilter.build import BuiltDriver

KEY = "a" * 64


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Move to the home of a machine, by its name."""

    def move(name: str) -> Path:
        monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / name))
        return tmp_path / name

    return move


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"), tmp_path / "cache")


def windows(content: bytes = b"disk") -> Image:
    """An image of Windows on the machine where this is."""

    def build(directory: Path) -> Mapping[str, object]:
        (directory / "disk.qcow2").write_bytes(content)
        return {"kind": "windows", "edition": "Enterprise"}

    image = ImageStore().get_or_build("windows-11", KEY, build)
    credentials.save(credentials.generate("fltlab"), credentials.credentials_file("windows-11", KEY))
    return image


def test_an_image_comes_with_its_password_and_the_store_has_neither_password_nor_key(machines, store: Store):
    machines("builder")
    image = windows()
    built = credentials.load(credentials.credentials_file("windows-11", KEY))
    run_key = RunKey.new()
    stored = put_image(store, image, run_key)

    machines("worker")
    fetched = fetch_image(store, stored, run_key)

    assert (fetched.facts, fetched.digests) == (image.facts, image.digests)
    assert ImageStore().find("windows-11", KEY) == fetched
    assert not fetched.file("disk.qcow2").stat().st_mode & 0o222
    file = credentials.credentials_file("windows-11", KEY)
    assert credentials.load(file) == built
    assert file.stat().st_mode & 0o777 == 0o600
    for told in (b"".join(path.read_bytes() for path in Path(store.root).rglob("*") if path.is_file()), repr(stored)):
        for secret in (built.password, built.ssh_key.splitlines()[1], run_key.to_text()):
            assert (secret.encode() if isinstance(told, bytes) else secret) not in told


@pytest.mark.parametrize("other", [None, RunKey.new()])
def test_without_the_key_of_its_run_nobody_gets_an_image_with_a_password(machines, store: Store, other: RunKey | None):
    machines("builder")
    stored = put_image(store, windows(), RunKey.new())

    machines("worker")
    with pytest.raises(HostError, match=r"no key to read it|are not those that this run has put there"):
        fetch_image(store, stored, other)

    assert ImageStore().images() == []


def test_an_image_is_read_once_for_many_runs_and_again_when_it_was_built_anew(
    machines, store: Store, monkeypatch: pytest.MonkeyPatch
):
    machines("builder")
    image = windows()
    first = put_image(store, image, RunKey.new())
    with monkeypatch.context() as patch:
        patch.setattr(store, "put", None)
        assert put_image(store, image, RunKey.new()).digest == first.digest

    ImageStore().remove("windows-11", KEY)
    assert put_image(store, windows(b"another"), RunKey.new()).digest != first.digest


def test_a_tree_that_is_no_image_or_another_one_is_not_taken_for_it(machines, store: Store, tmp_path: Path):
    machines("builder")
    digest = put_image(store, windows(), RunKey.new()).digest
    (tmp_path / "tree").mkdir()

    machines("worker")
    with pytest.raises(HostError, match="calls itself windows-11"):
        fetch_image(store, StoredImage("windows-10", KEY, digest))
    with pytest.raises(HostError, match="as the image windows-10 is none"):
        fetch_image(store, StoredImage("windows-10", KEY, store.put(tmp_path / "tree").digest))

    assert ImageStore().images() == []


def test_a_worker_uses_the_drivers_that_it_was_sent(
    machines, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    package = Drivers(()).package("passthrough")
    for name in ("passthrough.sys", "passthrough.pdb", "passthrough.cer"):
        (tmp_path / name).write_text(name)
    files = (tmp_path / "passthrough.sys", tmp_path / "passthrough.pdb", tmp_path / "passthrough.cer")
    built = BuiltDriver("passthrough", *files, "5" * 64, package)
    tree = tmp_path / "project"
    (tree / "suites").mkdir(parents=True)
    (tree / "suites" / "test_mine.py").write_text("x = 1\n")
    (tree / "signing.pfx").write_text("secret")
    delivery = send(store, [tree], {"passthrough": built}, [], RunKey.new())

    machines("worker")
    received = receive(Delivery.from_data(json.loads(json.dumps(delivery.to_data()))))
    for name, value in received.environment.items():
        monkeypatch.setenv(name, value)
    there = Drivers(()).build(["passthrough"])["passthrough"]

    assert delivery.secrets == (str(tree / "signing.pfx"),)
    assert Path(received.path(str(tree / "suites" / "test_mine.py"))).read_text() == "x = 1\n"
    assert received.path("/elsewhere/x") == "/elsewhere/x"
    assert (there.sha256, there.package) == ("5" * 64, package)
    assert [path and path.read_text() for path in (there.sys, there.pdb, there.certificate)] == [
        path.name for path in files
    ]
    assert there.sys.parent.parent == symbol_directories(())[0]
    assert delivered.find_delivered(Drivers(()).package("observer")) is None


def test_drivers_that_are_not_as_a_run_lays_them_out_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "drivers.json").write_text('{"passthrough": {"sys": "x"}}')
    monkeypatch.setenv(delivered.VARIABLE, str(tmp_path))

    with pytest.raises(HostError, match="are not what a run has put there"):
        Drivers(()).build(["passthrough"])
