"""Building the reference image: `system.erofs`, `vmlinuz`, `initramfs`, `data.raw`."""

import logging
import platform
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.host import fingerprint
from harness.host.command import run_program
from harness.host.disk import require_room
from harness.host.tools import Tool, version_of
from harness.image.reference import tree as guest_tree
from harness.image.reference.cpio import Archive
from harness.image.reference.data_disk import make_data_disk
from harness.image.reference.libraries import versions
from harness.image.reference.packages import Distribution, distribution, kernel_package
from harness.image.reference.recipe import Recipe, load_recipe
from harness.image.store import Image, ImageStore

log = logging.getLogger(__name__)

SYSTEM = "system.erofs"
KERNEL = "vmlinuz"
INITRAMFS = "initramfs"
DATA_DISK = "data.raw"

_MAKERS = ("builder", "cpio", "data_disk", "libraries", "modules", "packages", "tree")
"""The modules of this folder whose code decides what an image looks like."""

EPOCH = "1700000000"
"""The time of every file in the guest, so that the same packages give the same image."""

ROOM_MIB = 1024

Progress = Callable[[str], None]


def image_key(recipe: Recipe, system: Distribution) -> str:
    """Return the key of all that goes into the image and is known before it is built."""
    facts = {
        "makers": {name: fingerprint.of_file(Path(__file__).with_name(f"{name}.py")) for name in _MAKERS},
        "recipe": recipe.model_dump(mode="json", exclude={"init", "description", "memory_mib"}),
        "init": recipe.init.decode(),
        "libraries": versions(recipe.python),
        "distribution": [system.identifier, system.codename],
        "architecture": platform.machine(),
    }
    return fingerprint.of_facts(facts)


def build(recipe: Recipe | None = None, store: ImageStore | None = None, progress: Progress = log.info) -> Image:
    """Return the reference image, from the store, or built anew if it is not there or damaged."""
    recipe = recipe if recipe is not None else load_recipe()
    store = store if store is not None else ImageStore()
    system = distribution()

    def make(directory: Path) -> Mapping[str, object]:
        return _make(recipe, system, directory, progress)

    return store.get_or_build(recipe.name, image_key(recipe, system), make)


def _make(recipe: Recipe, system: Distribution, directory: Path, progress: Progress) -> Mapping[str, object]:
    require_room(directory, ROOM_MIB, "build the reference image")
    # Not below the store: a user namespace's root must be able to read it, and the user's directories are private.
    with tempfile.TemporaryDirectory(prefix="fltlab-image-") as name:
        scratch = Path(name)
        progress(f"unpacking the packages of {system.codename} for the reference guest")
        tree = guest_tree.unpack(recipe, system, scratch)
        guest_tree.finish(tree, recipe)
        progress("packing the reference guest")
        shutil.copyfile(tree.kernel, directory / KERNEL)
        _pack_system(tree.root, directory / SYSTEM)
        _pack_initramfs(tree, recipe, directory / INITRAMFS)
        make_data_disk(directory / DATA_DISK, recipe.data_disk_mib)
        return {
            "kind": recipe.kind,
            "description": recipe.description,
            "memory_mib": recipe.memory_mib,
            "distribution": [system.identifier, system.codename],
            "kernel": {"package": kernel_package(recipe.kernel, system), "release": tree.release},
            "python": guest_tree.python_of(tree.root).name.removeprefix("python"),
            "libraries": {library: text.split()[0] for library, text in versions(recipe.python).items()},
            "packages": tree.packages,
            "mmdebstrap": version_of(Tool.MMDEBSTRAP),
        }


def _pack_system(root: Path, target: Path) -> None:
    options = ["--quiet", "-zlz4hc", f"-T{EPOCH}", "-x-1", "--all-root", "-U00000000-0000-4000-8000-000000000000"]
    run_program([Tool.MKFS_EROFS.require(), *options, target, root], purpose="pack the guest's system disk")


def _pack_initramfs(tree: guest_tree.Tree, recipe: Recipe, target: Path) -> None:
    archive = Archive()
    for name in ("dev", "lower", "upper", "system", "payload"):
        archive.directory(name)
    archive.file("init", recipe.init, 0o755)
    archive.file("bin/busybox", (tree.root / "bin/busybox").read_bytes(), 0o755)
    for module in tree.initramfs_modules:
        archive.file(f"{guest_tree.MODULE_DIRECTORY}/{module.name}.ko", module.code)
    order = "".join(f"{module.name}.ko\n" for module in tree.initramfs_modules)
    archive.file(f"{guest_tree.MODULE_DIRECTORY}/order", order.encode())
    # The kernel reads lz4 in its older ("legacy") frame only.
    packed = run_program([Tool.LZ4.require(), "-l", "-9", "-c"], stdin=archive.to_bytes(), purpose="pack the initramfs")
    target.write_bytes(packed)
