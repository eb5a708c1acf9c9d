"""A minifilter that ends what is not over (hasty/hasty.c)."""

from pathlib import Path

import pytest

from tests.reference.minifilters import Minifilters


@pytest.mark.parametrize(
    ("script", "finding"),
    [
        (
            b"open f V:\\scan.bin access=rw disposition=create\nclose f\n",
            "FltDeleteContext was called for the section context of a scan",
        ),
        (
            b"open d V:\\watched access=list disposition=create options=directory\nclose d\n",
            "FltFreeCallbackData was called for callback data of its own whose operation is under way",
        ),
        (
            b"open d V:\\o access=list disposition=create options=directory,overlapped\nnotify d async=n\nunload hasty",
            "a draining postoperation callback, which may only clean up, asks about it",
        ),
    ],
    ids=["context", "callback-data", "draining"],
)
def test_what_is_not_over_is_not_ended(tmp_path: Path, script: bytes, finding: str) -> None:
    hasty = Minifilters(Path(__file__).parent, tmp_path, {"hasty": {"one": "370090"}})
    hasty.run(script)
    if b"unload" not in script:
        hasty.unload()

    (found,) = [finding.text for finding in hasty.kernel.verifier.findings]
    assert finding in found
