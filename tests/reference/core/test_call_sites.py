"""The call that ends where a return address points to."""

import pytest

from harness.reference.windows.verifier.call_chain import call_before


@pytest.mark.parametrize(
    ("code", "length"),
    [
        ("90 90 e8 11 22 33 44", 5),
        ("90 90 ff 15 11 22 33 44", 6),
        ("ff d0", 2),
        ("41 ff d2", 3),
        ("ff 50 18", 3),
        ("ff 94 24 80 00 00 00", 7),
        ("41 ff 57 08", 4),
        ("ff 54 24 20", 4),
        ("48 8b 05 11 22 33 44", 0),
        ("c3", 0),
        ("", 0),
    ],
)
def test_a_call_is_known_by_its_bytes(code: str, length: int):
    data = bytes.fromhex(code)

    assert call_before(data, len(data)) == length
