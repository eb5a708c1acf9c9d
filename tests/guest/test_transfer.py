"""Files over WinRM's standard input: the stream, and that what arrived is what was sent."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.guest import LocalGuest
from harness.guest.command import CommandResult
from harness.guest.errors import CommandFailed, TransferError
from harness.guest.transfer import pack, verify

NAME = st.text(st.characters(codec="utf-8", exclude_characters='\\/<>:"|?*', min_codepoint=33), min_size=1, max_size=20)
PATH = st.lists(NAME, min_size=1, max_size=3).map(lambda parts: "C:\\" + "\\".join(parts))


@given(st.dictionaries(PATH, st.binary(max_size=200), max_size=5))
def test_a_stream_can_be_cut_into_what_it_was_made_of(files: dict[str, bytes]):
    rest, found = pack(files), {}
    while rest:
        head, _, rest = rest.partition(b"\n")
        size, digest, path = head.decode().split(" ", 2)
        found[path], rest = rest[: int(size)], rest[int(size) :]
        assert hashlib.sha256(found[path]).hexdigest() == digest

    assert found == files


@pytest.mark.parametrize("path", ["file", r"\file", "C:file", "C:\\a\nb", "C:\\a\0"])
def test_a_path_that_is_not_full_is_refused(path: str):
    with pytest.raises(TransferError, match="no full path"):
        pack({path: b""})


def answer(text: str, code: int = 0) -> CommandResult:
    return CommandResult("receive", code, text.encode(), b"")


def test_a_file_that_arrived_as_it_was_sent_is_taken():
    verify({r"C:\a b": b"x"}, answer(f"{hashlib.sha256(b'x').hexdigest().upper()}  C:\\a b\r\n"))


@pytest.mark.parametrize(
    "text", ["", "nonsense", f"{'0' * 64}  C:\\a\r\n", f"{hashlib.sha256(b'x').hexdigest()}  C:\\b"]
)
def test_anything_else_is_told(text: str):
    with pytest.raises(TransferError, match="did not arrive as it was sent"):
        verify({r"C:\a": b"x"}, answer(text))


def test_a_receiver_that_fails_is_told_with_the_names():
    with pytest.raises(TransferError, match="one, two could not be sent") as error:
        verify({r"C:\one": b"", r"C:\two": b""}, answer("no room", 1))
    assert "no room" in str(error.value)


@pytest.mark.parametrize("size", [0, 1, 380_000, 400_000, 3 << 20])
def test_files_around_the_size_of_an_envelope_come_back_as_they_were(guest: LocalGuest, size: int):
    content = bytes(number * 7 % 256 for number in range(256)) * (size // 256) + b"z" * (size % 256)

    guest.put(content, r"C:\sizes\file.bin")

    assert guest.get(r"C:\sizes\file.bin") == content


def test_names_in_other_scripts_arrive(guest: LocalGuest):
    guest.put("größe".encode(), r"C:\größe\имя 名.txt")

    assert guest.get(r"C:\größe\имя 名.txt").decode() == "größe"


def test_a_file_that_cannot_be_written_says_why_and_the_guest_lives(guest: LocalGuest):
    guest.put(b"", r"C:\a file")

    with pytest.raises(TransferError, match="below could not be sent"):
        guest.put(b"x", r"C:\a file\below")
    with pytest.raises(CommandFailed, match="cannot be read"):
        guest.get(r"C:\a file\below")
    assert guest.run("ver").ok
