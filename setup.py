"""Builds the package: what stands beside `harness` in the checkout travels in it as `harness/share`.

All else about the package is in pyproject.toml. harness/shipped.py finds these files again.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
SHARED = ("drivers", "suites", "vm-images")
INI = """[pytest]
addopts = --strict-markers --import-mode=importlib
"""


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


setup(cmdclass={"build_py": BuildWithShare})
