"""The session recorder, by an INF of the old kind: what each handle did is told when it is closed."""

import pytest

from fltlab import Lab

pytestmark = pytest.mark.stack("observer@above", "sessions")


def test_each_session_is_told_with_its_bytes_and_time(lab: Lab) -> None:
    lab.io(r"""
        open f V:\a.txt access=rw disposition=create
        write f length=1000 fill=0x41
        read f offset=0 length=100
        close f
        open g V:\a.txt access=read
        close g
        open h V:\a.txt access=read
        sleep 2000
        read h length=10
        close h
    """)

    assert [line.text.strip() for line in lab.trace.prints] == [
        "sessions: a.txt #1, 100 read, 1000 written, short",
        "sessions: a.txt #3, 10 read, 0 written, long",
    ]
