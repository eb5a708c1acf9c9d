"""What was found, as a suite: a pytest file for each cause, which is red until the driver is mended."""

import hashlib
import re
from pathlib import Path

from harness.fleet.fuzz.case import Case, script_of
from harness.fleet.fuzz.fault import Fault
from harness.fleet.trial.candidate import Candidate
from harness.minifilter.package import PACKAGE_FILE
from harness.text import safe_line

TEST = '''"""Found by fltlab fuzz: {message}

{chain}It fails as long as the driver does that, and is yours then: a test of what was wrong once.
"""

import pytest

pytestmark = pytest.mark.stack("{driver}")


def test_{name}(lab):
    lab.io(
        r"""
{script}        """
    )
'''
PACKAGE = """name: {name}
description: what fltlab fuzz was given
binary: {image}
{pdb}control: none
altitude: "{altitude}"
"""


class Suite:
    """A directory of such files."""

    def __init__(self, directory: Path, candidate: Candidate) -> None:
        self.directory = directory
        self._candidate = candidate

    def path_of(self, fault: Fault) -> Path:
        """The file for a cause: the same in every run."""
        digest = hashlib.sha256("\n".join(fault.cause).encode()).hexdigest()[:8]
        return self.directory / f"test_{_slug(fault)}_{digest}.py"

    def write(self, fault: Fault, case: Case) -> Path:
        """Write the file for a cause, and the driver.yaml that finds the driver if it has none."""
        path = self.path_of(fault)
        lines = "".join(f"        {line}\n" for line in script_of(case).splitlines())
        chain = "".join(f"{_plain(line)}\n" for line in fault.lines[1:])
        text = TEST.format(
            message=_plain(fault.message)[:160],
            chain=f"{chain}\n" if chain else "",
            driver=self._candidate.package.name,
            name=_slug(fault),
            script=lines,
        )
        path.write_text(text, encoding="utf-8")
        return path

    @property
    def drivers(self) -> Path:
        """The directory that `--drivers` is to be given, so that the suite finds its driver."""
        package = self._candidate.package
        if (package.directory / PACKAGE_FILE).is_file():
            return package.directory
        home = self.directory / "driver"
        home.mkdir(exist_ok=True)
        pdb = f"pdb: {package.path(package.pdb).resolve()}\n" if package.pdb is not None else ""
        assert package.binary is not None
        image = package.path(package.binary).resolve()
        text = PACKAGE.format(name=package.name, image=image, pdb=pdb, altitude=self._candidate.altitude)
        (home / PACKAGE_FILE).write_text(text, encoding="utf-8")
        return home


def _slug(fault: Fault) -> str:
    words = [word for word in re.findall(r"[a-z0-9]+", fault.message.lower()) if not word[0].isdigit()]
    return "_".join(words[:7])[:60] or "fault"


def _plain(text: str) -> str:
    """A line that may stand in a docstring."""
    return safe_line(text).replace("\\", "/").replace('"""', "'''")
