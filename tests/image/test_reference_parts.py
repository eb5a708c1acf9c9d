"""The parts of the reference image: recipe, packages' sources, modules, initramfs, guest code, data disk."""

import base64
import hashlib
import lzma
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.errors import ConfigurationError, HostError
from harness.host.tools import Tool
from harness.image.reference import data_disk, load_recipe, payload
from harness.image.reference.builder import image_key
from harness.image.reference.cpio import Archive
from harness.image.reference.libraries import copy_libraries
from harness.image.reference.modules import KernelModules
from harness.image.reference.packages import Distribution, distribution, kernel_package, sources
from harness.image.reference.recipe import DEFAULT_DIRECTORY

BOOKWORM = Distribution("debian", "bookworm")


@pytest.fixture
def recipe_directory(tmp_path):
    shutil.copytree(DEFAULT_DIRECTORY, tmp_path / "reference")
    return tmp_path / "reference"


def test_the_recipe_of_the_checkout_is_one(recipe_directory):
    recipe = load_recipe()
    assert recipe.name == "reference"
    assert recipe.init.startswith(b"#!/bin/busybox sh")


def test_a_key_that_no_recipe_has_is_refused_by_name(recipe_directory):
    with (recipe_directory / "image.yaml").open("a") as file:
        file.write("colour: green\n")
    with pytest.raises(ConfigurationError) as caught:
        load_recipe(recipe_directory)
    assert any("colour" in line for line in caught.value.details)


def test_a_recipe_that_is_missing_or_no_yaml_is_told(recipe_directory):
    (recipe_directory / "image.yaml").write_text("name: [")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_recipe(recipe_directory)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_recipe(recipe_directory / "absent")


@pytest.mark.parametrize("change", ["init", "packages", "distribution"])
def test_everything_that_goes_into_the_image_is_in_its_key(change):
    recipe = load_recipe()
    before = image_key(recipe, BOOKWORM)
    assert image_key(recipe, BOOKWORM) == before
    if change == "init":
        recipe = recipe.model_copy(update={"init": recipe.init + b"#"})
    elif change == "packages":
        recipe = recipe.model_copy(update={"packages": (*recipe.packages, "more")})
    system = Distribution("debian", "trixie") if change == "distribution" else BOOKWORM
    assert image_key(recipe, system) != before


def test_only_the_distributions_own_sources_are_taken(tmp_path):
    lists = tmp_path / "sources.list.d"
    lists.mkdir()
    (tmp_path / "sources.list").write_text(
        "# a comment\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main contrib\n"
        "deb-src http://mirror.example/debian bookworm main\n"
        "deb http://mirror.example/debian bookworm-backports main\n"
    )
    (lists / "debian.sources").write_text(
        "Types: deb deb-src\n# not this\nURIs: http://a.example/debian\nSuites: bookworm bookworm-updates sid\n"
        "Components: main\nSigned-By: /usr/share/keyrings/debian.gpg\n\n"
        "Types: deb\nEnabled: no\nURIs: http://off.example/debian\nSuites: bookworm\nComponents: main\n"
    )
    (lists / "others.sources").write_text("Types: deb\nURIs: http://o.example/x\nSuites: nodistro\nComponents: main\n")
    (lists / "tool.list").write_text("deb http://t.example/apt tool-bookworm main\n")
    assert sources(BOOKWORM, tmp_path).split("\n\n") == [
        "deb [signed-by=/usr/share/keyrings/debian.gpg] http://a.example/debian bookworm main",
        "deb [signed-by=/usr/share/keyrings/debian.gpg] http://a.example/debian bookworm-updates main",
        "deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian bookworm main contrib\n",
    ]


def test_a_machine_without_sources_is_told_what_was_looked_for(tmp_path):
    with pytest.raises(HostError, match="no package source for bookworm") as caught:
        sources(BOOKWORM, tmp_path)
    assert "bookworm-security" in caught.value.details[0]


def test_a_system_that_is_no_debian_is_told(tmp_path):
    (tmp_path / "os-release").write_text('ID="alpine"\n')
    with pytest.raises(HostError, match="Debian or Ubuntu"):
        distribution(tmp_path / "os-release")


def test_a_distribution_without_a_kernel_in_the_recipe_is_told():
    with pytest.raises(ConfigurationError, match="devuan"):
        kernel_package(load_recipe().kernel, Distribution("devuan", "daedalus"))


@pytest.fixture
def modules(tmp_path):
    def module(name, *depends):
        return b"\x7fELF\0license=GPL\0depends=" + ",".join(depends).encode() + b"\0name=" + name.encode() + b"\0"

    folder = tmp_path / "6.1.0"
    (folder / "kernel").mkdir(parents=True)
    (folder / "kernel" / "virtio_ring.ko").write_bytes(module("virtio_ring"))
    (folder / "kernel" / "virtio.ko").write_bytes(module("virtio", "virtio_ring"))
    (folder / "kernel" / "virtio-pci.ko.xz").write_bytes(lzma.compress(module("virtio_pci", "virtio", "virtio_ring")))
    (folder / "kernel" / "lost.ko").write_bytes(module("lost", "absent"))
    (folder / "modules.builtin").write_text("kernel/fs/ext4/ext4.ko\n")
    return KernelModules(folder)


def test_a_module_comes_after_those_it_needs(modules):
    assert [module.name for module in modules.closure(["virtio_pci", "virtio"])] == [
        "virtio_ring",
        "virtio",
        "virtio_pci",
    ]


def test_a_module_that_is_loaded_or_built_in_is_not_taken_again(modules):
    first = modules.closure(["virtio"])
    assert [module.name for module in modules.closure(["virtio-pci", "ext4"], loaded=first)] == ["virtio_pci"]


def test_a_module_that_the_kernel_lacks_is_told_with_who_wants_it(modules):
    with pytest.raises(HostError, match="no module absent, which lost asks for"):
        modules.closure(["lost"])


def test_an_archive_is_what_cpio_reads(tmp_path):
    archive = Archive()
    archive.file("etc/deep/file", b"content", 0o600)
    archive.file("init", b"#!/bin/sh\n", 0o755)
    archive.directory("empty")
    assert archive.to_bytes() == archive.to_bytes()
    subprocess.run(["cpio", "-idm", "--quiet"], input=archive.to_bytes(), cwd=tmp_path, check=True)
    assert (tmp_path / "etc/deep/file").read_bytes() == b"content"
    assert (tmp_path / "init").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "empty").is_dir()


def test_the_guest_code_is_all_of_two_packages_and_nothing_else(tmp_path):
    root = tmp_path / "harness"
    for name in ("__init__.py", "nt/__init__.py", "reference/a.py", "reference/__pycache__/a.pyc", "machine/b.py"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x = 1\n")
    code = payload(root)
    assert [name for name, _ in code.files] == [
        "harness/__init__.py",
        "harness/nt/__init__.py",
        "harness/reference/a.py",
    ]
    (root / "reference" / "a.py").write_text("x = 2\n")
    changed = payload(root).key
    assert changed != code.key
    (root / "machine" / "b.py").write_text("x = 3\n")
    assert payload(root).key == changed


def test_a_library_that_was_tampered_with_is_not_shipped(tmp_path, monkeypatch):
    content = b"INSTALLED = True\n"
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    library = tmp_path / "site" / "tampered.py"
    about = tmp_path / "site" / "tampered-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: tampered\nVersion: 1\n")
    (about / "RECORD").write_text(f"tampered.py,sha256={digest},{len(content)}\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    library.write_bytes(content)
    copy_libraries(["tampered"], tmp_path / "good")
    assert (tmp_path / "good" / "tampered.py").exists()

    library.write_bytes(b"something else")
    with pytest.raises(HostError, match="is not what was installed"):
        copy_libraries(["tampered"], tmp_path / "bad")


def test_a_library_that_is_not_installed_is_told(tmp_path):
    with pytest.raises(HostError, match="no-such-library"):
        copy_libraries(["no-such-library"], tmp_path)


def test_the_data_disk_is_empty_sound_and_the_same_every_time(tmp_path):
    data_disk.make_data_disk(tmp_path / "a", 32)
    data_disk.make_data_disk(tmp_path / "b", 32)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    listing = subprocess.run(
        [Tool.DEBUGFS.require(), "-R", "ls -p /", tmp_path / "a"], capture_output=True, text=True, check=True
    ).stdout
    assert re.findall(r"^/\d+/\d+/\d+/\d+/([^/]*)/", listing, re.MULTILINE) == [".", ".."]
    check = Path(Tool.MKE2FS.require()).with_name("e2fsck")
    assert subprocess.run([check, "-fn", tmp_path / "a"], capture_output=True, check=False).returncode == 0


def test_init_is_a_shell_script(tmp_path):
    assert subprocess.run(["sh", "-n", DEFAULT_DIRECTORY / "init"], check=False).returncode == 0
