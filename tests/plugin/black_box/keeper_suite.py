"""Run by tests/plugin/test_kept.py: each of these tests is spoiled by what its driver keeps."""

import pytest

pytestmark = pytest.mark.stack("keeper")

WRONG = [
    *(
        "critical",
        "guarded",
        "resource",
        "pushlock",
        "mutex",
        "interrupts",
        "tag",
        "stack",
        "complete",
        "beyond",
        "late",
        "control",
        "dereferences",
        "teardown",
    ),
]


@pytest.mark.parametrize("what", [*WRONG, "leaves", "disables", "references"])
def test_reads(lab, volume, what):
    volume.file(what, length=4096)
    lab.io(rf"""
        open f V:\{what} access=read options=noncached
        read f offset=0 length=512
        fsctl f code=0x94264 out=512
    """)
