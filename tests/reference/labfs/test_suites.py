"""fltlab's own suites, with labfs in the place of our file system."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.minifilter.build import build_drivers

ROOT = Path(__file__).resolve().parents[3]
SUITES = (
    "completion",
    "contexts",
    "io",
    "irql",
    "legacy",
    "parameters",
    "passthrough",
    "pending",
    "postop",
    "teardown",
)


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory, empty_image: bytes) -> str:
    folder = tmp_path_factory.mktemp("labfs")
    driver = build_drivers(Path(__file__).parent, folder / "out")["labfs"].sys
    (folder / "disk.img").write_bytes(empty_image)
    return f"{driver}={folder / 'disk.img'}"


def run(chosen: str, tmp_path: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "harness.cli",
        "run",
        f"--file-system-driver={chosen}",
        f"--out={tmp_path / 'run'}",
    ]
    return subprocess.run([*command, *more], cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_suites_hold_on_a_file_system_that_is_a_driver(chosen: str, tmp_path: Path) -> None:
    # labfs has no sections, and does not dismount: both are a file system's own work. What is to be in a file is put
    # into the guest, and so not on a volume that labfs has to itself; and that has one directory only.
    unfit = (
        "dismount", "section_is_refused", "paging_io_is_not", "cannot_be_posted", "no_filter_touches_the_irp",
        "posts_of_every_class",
    )  # fmt: skip
    without = " and ".join(f"not {name}" for name in unfit)
    words = ("--guest=reference-local", "-k", without, *(f"suites/{suite}" for suite in SUITES))

    done = run(chosen, tmp_path, *words)

    assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.parametrize(
    ("guest", "given", "message"),
    [
        ("reference", None, "works on reference-local only"),
        ("reference-local", "labfs.sys", "takes SYS=IMAGE"),
        ("reference-local", "nothing.sys=nothing.img", "there is no file"),
    ],
)
def test_a_wrong_file_system_driver_is_refused(
    chosen: str, tmp_path: Path, guest: str, given: str | None, message: str
) -> None:
    done = run(given or chosen, tmp_path, f"--guest={guest}", "suites/io")

    assert (done.returncode, message in done.stdout + done.stderr) == (2, True)
