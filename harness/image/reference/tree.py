"""The guest's files: packages unpacked without running their scripts, libraries, `init`, compiled Python.

mmdebstrap unpacks as root, or as an ordinary user through user namespaces, fakechroot or neither; no script of a
package runs, so nothing needs to be executed in the tree.
"""

import logging
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HostError
from harness.host.command import run_program, tail
from harness.host.tools import Tool
from harness.image.reference.libraries import copy_libraries
from harness.image.reference.modules import KernelModules, Module
from harness.image.reference.packages import Distribution, kernel_package, settings, sources
from harness.image.reference.recipe import Recipe

log = logging.getLogger(__name__)

MODULE_DIRECTORY = "lib/modules/fltlab"
LIBRARY_DIRECTORY = "opt/site"
HARNESS_DIRECTORY = "opt/fltlab"
HANDOVER = "fltlab-handover"
"""A directory in the tree through which mmdebstrap hands over the kernel's packages and the list of all others."""

MOUNT_POINTS = (
    *("dev", "proc", "sys", "run", "tmp", "root", "windows", "volume"),
    *("etc/dropbear", "var/tmp", HARNESS_DIRECTORY, LIBRARY_DIRECTORY, MODULE_DIRECTORY),
)

# The kernel is unpacked apart: its dependencies (initramfs-tools, systemd) have no business in the guest.
_DOWNLOAD_KERNEL = """
set -e
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
mkdir "$1/{handover}"
cd "$1/{handover}"
ls "$1/var/cache/apt/archives" | sed -n 's/\\.deb$//p' > packages
image=$(apt-cache depends {kernel} | sed -n 's/^ *Depends: \\(linux-image-[^ ]*\\)$/\\1/p' | head -n 1)
image=${{image:-{kernel}}}
modules=$(apt-cache depends "$image" | sed -n 's/^ *Depends: \\(linux-modules-[^ ]*\\)$/\\1/p' | head -n 1)
apt-get -q download "$image" $modules
"""


@dataclass(frozen=True)
class Tree:
    """The unpacked guest: where its files are, its kernel, the modules for the initramfs, and what is in it."""

    root: Path
    kernel: Path
    release: str
    initramfs_modules: list[Module]
    packages: list[str]


def unpack(recipe: Recipe, system: Distribution, scratch: Path) -> Tree:
    """Make the guest's files below `scratch`."""
    archive = scratch / "packages.tar"
    _mmdebstrap(recipe, system, archive)
    root = scratch / "root"
    root.mkdir()
    run_program(
        ["tar", "-x", "-f", archive, "-C", root, "--no-same-owner", "--exclude=./dev/*"],
        purpose="unpack the guest's packages",
    )
    archive.unlink()
    handover = root / HANDOVER
    handover.rename(scratch / HANDOVER)
    handover = scratch / HANDOVER
    kernel = scratch / "kernel"
    for package in handover.glob("*.deb"):
        run_program([Tool.DPKG_DEB.require(), "-x", package, kernel], purpose="unpack the guest's kernel")
    return Tree(root, *_kernel(kernel, recipe, root), packages=_package_list(handover))


def finish(tree: Tree, recipe: Recipe) -> None:
    """Add what is not from a package, remove what the guest never reads, and compile its Python."""
    root = tree.root
    for pattern in recipe.remove:
        for path in root.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    for name in ("bin", "sbin", "lib", "lib64"):  # the script of base-files makes these where /usr is merged
        if not os.path.lexists(root / name):
            (root / name).symlink_to(f"usr/{name}")
    for name in MOUNT_POINTS:
        (root / name).mkdir(parents=True, exist_ok=True)
    _accounts(root)
    shell = root / "bin/sh"
    shell.unlink(missing_ok=True)
    shell.symlink_to("busybox")
    init = root / "init"
    init.write_bytes(recipe.init)
    init.chmod(0o755)
    copy_libraries(recipe.python, root / LIBRARY_DIRECTORY)
    run_program(["/sbin/ldconfig", "-r", root], purpose="index the guest's libraries")
    compile_python(root, [*(root / "usr/lib").glob("python3.*"), root / LIBRARY_DIRECTORY], root)


def python_of(root: Path) -> Path:
    """Return the guest's own Python in its tree."""
    return next(path for path in sorted((root / "usr/bin").glob("python3.*")) if path.name[8:].isdigit())


def compile_python(root: Path, directories: list[Path], strip: Path) -> None:
    """Compile the Python below some directories with the guest's own interpreter, run from its tree without a chroot.

    The compiled files name no time and are taken as they are: the guest need not look at a source to run.
    """
    loader = next((root / "lib64").glob("ld-linux-x86-64.so.*"))
    libraries = ":".join(str(root / path) for path in ("lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"))
    command = [str(loader), "--library-path", libraries, str(python_of(root)), "-I", "-S", "-m", "compileall", "-q"]
    options = ["-f", "--invalidation-mode", "unchecked-hash", "-s", str(strip), "-p", "/"]
    run_program(
        [*command, *options, *map(str, directories)],
        purpose="compile the guest's Python",
        environment={"PYTHONHOME": str(root / "usr"), "PYTHONHASHSEED": "0"},
    )


def _mmdebstrap(recipe: Recipe, system: Distribution, archive: Path) -> None:
    kernel = kernel_package(recipe.kernel, system)
    command = [
        str(Tool.MMDEBSTRAP.require()),
        *("--variant=extract", "--architectures=amd64", "--format=tar", f"--include={','.join(recipe.packages)}"),
        f"--extract-hook={_DOWNLOAD_KERNEL.format(handover=HANDOVER, kernel=kernel)}",
        *(f"--aptopt={setting}" for setting in settings()),
    ]
    where = sources(system).encode()
    failures: list[str] = []
    # What `auto` picks may still fail (no subordinate user ids, namespaces forbidden): chrootless needs neither.
    for mode in ("auto", "fakechroot", "chrootless"):
        done = subprocess.run(
            [*command, f"--mode={mode}", system.codename, str(archive), "-"],
            input=where,
            capture_output=True,
            timeout=1800,
            check=False,
        )
        if done.returncode == 0:
            return
        failures.extend(f"{mode}: {line}" for line in tail(done.stderr.decode(errors="replace"), 4))
        log.info("mmdebstrap failed in mode %s", mode)
        archive.unlink(missing_ok=True)
    raise HostError(
        "could not unpack the reference guest's packages: mmdebstrap failed in every mode",
        details=tuple(failures),
        hint="apt-get update   must work on this machine; fltlab doctor   shows what else is missing",
    )


def _kernel(directory: Path, recipe: Recipe, root: Path) -> tuple[Path, str, list[Module]]:
    image = next(directory.glob("boot/vmlinuz-*"))
    release = image.name.removeprefix("vmlinuz-")
    modules = KernelModules(next(directory.glob(f"**/lib/modules/{release}")))
    first = modules.closure(recipe.modules.initramfs)
    later = modules.closure(recipe.modules.system, loaded=first)
    target = root / MODULE_DIRECTORY
    target.mkdir(parents=True)
    for module in later:
        (target / f"{module.name}.ko").write_bytes(module.code)
    (target / "order").write_text("".join(f"{module.name}.ko\n" for module in later), encoding="ascii")
    return image, release, first


def _package_list(handover: Path) -> list[str]:
    listed = (handover / "packages").read_text(encoding="utf-8").split()
    return sorted({*listed, *(path.stem for path in handover.glob("*.deb"))})


def _accounts(root: Path) -> None:
    """One account, root, without a password: SSH lets in by key only."""
    etc = root / "etc"
    (etc / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n", encoding="ascii")
    (etc / "group").write_text("root:x:0:\n", encoding="ascii")
    (etc / "shadow").write_text("root:*:19700:0:99999:7:::\n", encoding="ascii")
    (etc / "shells").write_text("/bin/sh\n", encoding="ascii")
