"""Run by tests/plugin/test_destroyed.py: each of these tests is spoiled by what its driver destroys."""

import pytest

pytestmark = pytest.mark.stack("observer@above", "vandal", "observer@below")


@pytest.mark.parametrize(
    "what",
    [
        *("data", "iopb-pointer", "iopb", "file-wild", "related", "in-post"),
        *("mdl-destroyed", "mdl-overrun", "mdl-freed", "nothing"),
    ],
)
def test_reads(lab, volume, what):
    volume.file(what, length=4096)
    lab.io(rf"""
        open f V:\{what} access=read options=noncached
        read f offset=0 length=512
    """)
