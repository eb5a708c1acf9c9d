"""An image is in the store whole or not at all, and is what it was."""

import os
import stat
import subprocess
import sys
import textwrap

import pytest

from harness.image.store import MANIFEST, DamagedImageError, ImageStore
from tests.limits import HANG

KEY = "0123456789abcdef" * 4


@pytest.fixture
def store(tmp_path):
    return ImageStore(tmp_path / "images")


@pytest.fixture
def built():
    return []


@pytest.fixture
def build(built):
    def make(directory):
        built.append(directory)
        (directory / "disk").write_bytes(b"content" * 1000)
        (directory / "kernel").write_bytes(b"kernel")
        return {"kind": "test"}

    return make


def test_an_image_is_built_once_and_found_again(store, build, built):
    first = store.get_or_build("reference", KEY, build)
    second = store.get_or_build("reference", KEY, build)
    assert first == second
    assert len(built) == 1
    assert first.facts == {"kind": "test"}
    assert first.file("disk").read_bytes().startswith(b"content")


def test_another_key_is_another_image(store, build, built):
    first = store.get_or_build("reference", KEY, build)
    second = store.get_or_build("reference", KEY[::-1], build)
    assert first.directory != second.directory
    assert {image.key for image in store.images()} == {KEY, KEY[::-1]}
    assert len(built) == 2


def test_the_files_of_an_image_cannot_be_written(store, build):
    image = store.get_or_build("reference", KEY, build)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in image.directory.iterdir()}
    assert modes == {0o444}


def flip(path):
    path.chmod(0o600)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path):
    path.chmod(0o600)
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("harm", [flip, cut, os.unlink])
@pytest.mark.parametrize("name", ["disk", "kernel", MANIFEST])
def test_a_damaged_image_is_built_again(store, build, built, harm, name, caplog):
    image = store.get_or_build("reference", KEY, build)
    harm(image.directory / name)
    again = store.get_or_build("reference", KEY, build)
    assert len(built) == 2
    assert again.file("disk").read_bytes() == b"content" * 1000
    assert "built again" in caplog.text


def test_a_damaged_image_says_which_file_and_which_hash(store, build):
    image = store.get_or_build("reference", KEY, build)
    flip(image.directory / "disk")
    with pytest.raises(DamagedImageError, match="disk has changed") as caught:
        store.find("reference", KEY)
    assert image.digests["disk"] in caught.value.details[1]


def test_a_build_that_fails_leaves_nothing(store, build):
    def fail(directory):
        build(directory)
        raise RuntimeError("no network")

    with pytest.raises(RuntimeError, match="no network"):
        store.get_or_build("reference", KEY, fail)
    assert store.images() == []
    assert list((store.root / "reference").glob(".building-*")) == []


def test_what_a_killed_build_left_is_removed_by_the_next(store, build):
    left = store.root / "reference" / f".building-{KEY[:32]}-abc"
    left.mkdir(parents=True)
    (left / "half").write_text("half")
    store.get_or_build("reference", KEY, build)
    assert not left.exists()


def test_of_several_processes_one_builds(store, tmp_path):
    script = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from harness.image.store import ImageStore
        def build(directory):
            with open(sys.argv[2], "a") as file:
                file.write("built\\n")
            (directory / "disk").write_bytes(b"x" * 1000000)
            return {}
        print(ImageStore(Path(sys.argv[1])).get_or_build("reference", sys.argv[3], build).directory)
        """
    )
    command = [sys.executable, "-c", script, store.root, tmp_path / "built", KEY]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    answers = {process.communicate(timeout=HANG)[0] for process in processes}
    assert {process.returncode for process in processes} == {0}
    assert len(answers) == 1
    assert (tmp_path / "built").read_text() == "built\n"


def test_an_image_can_be_removed(store, build):
    store.get_or_build("reference", KEY, build)
    store.remove("reference", KEY)
    store.remove("reference", KEY)
    assert store.find("reference", KEY) is None
