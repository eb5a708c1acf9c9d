"""Operations that are sent again, and handles in a program's process (careless/careless.c)."""

from pathlib import Path

import pytest

from harness.minifilter.probe import parse_probe
from tests.reference.minifilters import Minifilters

HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("name", "finding"),
    [
        ("before.bin", "FltReissueSynchronousIo was called before its postoperation callback"),
        ("plain.bin", "FltReissueSynchronousIo was called without having synchronized it"),
        ("sync.bin", None),
        ("own.bin", None),
    ],
)
def test_what_is_sent_again_was_synchronized_or_is_the_filter_s_own(
    tmp_path: Path, name: str, finding: str | None
) -> None:
    careless = Minifilters(HERE, tmp_path, {"careless": {"one": "370090"}})
    careless.run(f"open f V:\\{name} access=rw disposition=create\nread f offset=0 length=4\nclose f\n".encode())

    found = careless.unload()
    assert [line.rstrip() for line in careless.kernel.log] == (["own: 00000000, 1 links"] if name == "own.bin" else [])
    assert len(found) == (finding is not None)
    assert finding is None or finding in found[0]


def test_a_handle_without_obj_kernel_handle_is_the_program_s_and_the_filter_s_to_close(tmp_path: Path) -> None:
    careless = Minifilters(HERE, tmp_path, {"careless": {"one": "370090"}})
    careless.run(
        b"open b V:\\before.bin access=rw disposition=create\nopen f V:\\closed.bin access=rw disposition=create\n"
    )
    assert [line.rstrip() for line in careless.kernel.log] == ["opened: 00000000, user handle", "closed: 00000000"]

    careless.run(b"open g V:\\leak.bin access=rw disposition=create\nclose g\n")
    (leak,) = careless.unload()
    assert "leak at the end of fltprobe.exe: a handle to a IoFileObjectType in its process" in leak


@pytest.mark.parametrize("name", ["worker.bin", "locked.bin", "attached.bin"])
def test_a_buffer_is_filled_in_its_process_or_locked(tmp_path: Path, name: str) -> None:
    careless = Minifilters(HERE, tmp_path, {"careless": {"one": "370090"}})
    result = parse_probe(
        careless.run(f"open f V:\\{name} access=rw disposition=create\nread f offset=0 length=4\nclose f\n".encode())
        .stdout.decode()
    )  # fmt: skip

    assert result.step("read", "f").data == b"AAAA"
    what = "completed in another process with 4 bytes for the requester's buffer at"
    assert [what in text for text in careless.unload()] == ([True] if name == "worker.bin" else [])
