"""The viewer's built files are those of its sources: whoever changes one of these builds it again."""

import hashlib
import json
from pathlib import Path

import harness.report

VIEWER = Path(harness.report.__file__).parent / "viewer"
BUILT = [VIEWER / "dist" / name for name in ("viewer.js", "viewer.css")]


def sources() -> list[str]:
    below = sorted(str(path.relative_to(VIEWER)) for path in (VIEWER / "src").rglob("*") if path.is_file())
    return ["build.mjs", "package-lock.json", "package.json", "tsconfig.json", *below]


def test_the_built_files_are_those_of_the_sources():
    digest = hashlib.sha256()
    for name in sources():
        digest.update(f"{name}\0".encode() + (VIEWER / name).read_bytes() + b"\0")

    for built in BUILT:
        first, *_ = built.read_text().splitlines()
        assert first == f"/* built from {digest.hexdigest()} */", "in harness/report/viewer: npm ci && npm run build"


def test_the_built_files_are_small():
    assert sum(built.stat().st_size for built in BUILT) < 300_000


def test_nothing_in_the_built_files_ends_the_element_they_stand_in():
    assert "</script" not in BUILT[0].read_text()
    assert "</style" not in BUILT[1].read_text()


def test_the_lock_file_names_no_registry():
    packages = json.loads((VIEWER / "package-lock.json").read_text())["packages"]

    assert [name for name, facts in packages.items() if "resolved" in facts] == []
    assert all("integrity" in facts for name, facts in packages.items() if name)
