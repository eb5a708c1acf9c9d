"""Builds the package: what stands beside `harness` in the checkout travels in it as `harness/share`.

Its version is the git tag `v1.2.3`, or what comes after it. All else about the package is in pyproject.toml.
harness/shipped.py finds these files again.
"""

import email
import re
import shutil
import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
SHARED = ("drivers", "suites", "vm-images")
INI = """[pytest]
addopts = --strict-markers --import-mode=importlib
"""


FIRST = "0.1.0"
"""The version that is in the making while there is no tag."""


def version() -> str:
    """1.2.3 at the tag `v1.2.3`, 1.2.3.post4+gabcdef1 four commits later; FIRST.dev0 without git."""
    packed = ROOT / "PKG-INFO"  # of a source distribution
    if packed.is_file():
        return str(email.message_from_string(packed.read_text(encoding="utf-8"))["Version"])
    command = ["git", "-C", str(ROOT), "describe", "--tags", "--long", "--always", "--match", "v[0-9]*"]
    try:
        described = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return f"{FIRST}.dev0"
    if not (ROOT / ".git").exists():  # the repository of somebody else
        return f"{FIRST}.dev0"
    tagged = re.fullmatch(r"v(\d+(?:\.\d+)*)-(\d+)-(g[0-9a-f]+)", described)
    if tagged is None:
        return f"{FIRST}.dev0+g{described}"
    number, later, commit = tagged.groups()
    return number if later == "0" else f"{number}.post{later}+{commit}"


class BuildWithShare(build_py):
    """Copies fltlab's drivers, suites and image recipes into the package, but not for an editable install."""

    def run(self) -> None:
        """Build as always, and add the files."""
        if self.editable_mode:
            super().run()
            return
        shutil.rmtree(self.build_lib, ignore_errors=True)  # an earlier build may have left modules that are gone
        super().run()
        self._make_package(Path(self.build_lib))
        share = Path(self.build_lib) / "harness" / "share"
        for name in SHARED:
            shutil.copytree(ROOT / name, share / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        (share / "pytest.ini").write_text(INI, encoding="ascii")

    def _make_package(self, built: Path) -> None:
        """Make fltlab.py a package, since only a package can say that it has types (PEP 561).

        In the checkout the name is taken, by the command.
        """
        (built / "fltlab").mkdir()
        (built / "fltlab.py").rename(built / "fltlab" / "__init__.py")
        (built / "fltlab" / "py.typed").touch()


setup(version=version(), cmdclass={"build_py": BuildWithShare})
