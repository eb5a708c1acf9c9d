"""What `@export` makes of a signature: single arguments by their types, and groups of them."""

from typing import NamedTuple

import pytest

from harness.reference.machine.loader import exports
from harness.reference.machine.loader.exports import U32, export, find_export

WORDS = (0x1111_2222_3333_4444, 2, 0xAAAA_BBBB_CCCC_DDDD, 4, 5)


class Pair(NamedTuple):
    first: U32
    second: int


@pytest.fixture(autouse=True)
def _exports_of_a_test(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exports, "_EXPORTS", {})


def test_a_group_is_one_parameter_and_its_fields_are_single_arguments():
    @export("test.sys", "Grouped")
    def grouped(k: str, before: int, pair: Pair, last: int, on_the_stack: U32) -> object:
        return k, before, pair, last, on_the_stack

    found = find_export("test.sys", "Grouped")

    assert found is not None
    assert (found.registers.format, found.stack and found.stack.format, found.parameters) == ("<QI4xQQ", "<I4x", 5)
    assert found.function("kernel", *WORDS) == ("kernel", WORDS[0], Pair(2, WORDS[2]), 4, 5)


def test_a_function_without_a_group_is_called_as_it_is():
    def plain(k: str, one: int) -> int:
        return one

    export("test.sys", "Plain")(plain)

    found = find_export("test.sys", "Plain")
    assert found is not None
    assert found.function is plain
