"""What calls of the filter manager's services answer, as the minifilter `services` says it."""

import re
from collections.abc import Callable

import pytest

from harness.nt import NtStatus

NAMES = {int(status): status.name for status in NtStatus}


def _name(number: re.Match[str]) -> str:
    return NAMES.get(int(number[0], 16), number[0])


@pytest.fixture
def said(lab) -> Callable[[], list[str]]:
    """The lines that `services` printed during the last I/O; statuses by their names."""

    def lines() -> list[str]:
        printed = [item.text for item in lab.trace.prints if item.text.startswith("services: ")]
        texts = [text.removeprefix("services: ").strip() for text in printed]
        return [re.sub(r"0x[0-9a-f]{8}\b", _name, text) for text in texts]

    return lines
