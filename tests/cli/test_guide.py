"""The user guide and the API reference are made of docs/ and the sources, without a warning."""

import subprocess
import sys
from pathlib import Path

from harness.shipped import SHIPPED


def test_the_guide_is_built_without_a_warning_and_has_the_api(tmp_path: Path):
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-d", str(tmp_path / "doctrees")]

    built = subprocess.run(
        [*command, str(SHIPPED / "docs"), str(tmp_path / "site")], capture_output=True, text=True, check=False
    )

    assert (built.returncode, built.stderr) == (0, "")
    api = (tmp_path / "site" / "api.html").read_text(encoding="utf-8")
    assert "Run an I/O script under the rules given so far" in api
    assert "ACCESS_DENIED" in api


def test_every_page_is_in_the_guide():
    docs = SHIPPED / "docs"
    listed = (docs / "index.md").read_text(encoding="utf-8").split()
    pages = {path.relative_to(docs).with_suffix("").as_posix() for path in docs.rglob("*.md")}

    assert {page for page in pages if not page.startswith("examples/")} - {"index"} - set(listed) == set()
