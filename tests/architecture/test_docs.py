"""The documentation points at what is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path):
    targets = LINK.findall(page.read_text(encoding="utf-8"))

    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_floors_in_the_page_are_the_floors_that_are_checked():
    from tests.architecture.test_layers import FLOORS

    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")

    assert " → ".join(f"`{floor}`" for floor in FLOORS) in page


def test_every_test_that_a_page_names_exists():
    named = {
        (path, test)
        for page in PAGES
        for path, test in re.findall(r"`(tests/[^`:\s]+\.py)::(\w+)", page.read_text(encoding="utf-8"))
    }

    assert len(named) > 80
    assert [
        f"{path}::{test}"
        for path, test in sorted(named)
        if not (ROOT / path).exists() or f"def {test}(" not in (ROOT / path).read_text(encoding="utf-8")
    ] == []
