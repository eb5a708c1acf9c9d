"""Whatever way a file goes, it is told once, when it is gone; what only was asked for is not."""

import pytest

from fltlab import Lab

pytestmark = pytest.mark.stack("observer@above", "deltrack")
ASK = "\nconnect client \\deltrack\nsend-message client room=2048"


def told(lab: Lab, script: str) -> list[str]:
    answer = lab.io(script + ASK).step("send-message")
    lines = answer.data.decode("utf-16-le").splitlines()
    return [line.replace(line.split()[-1], "\\" + line.rpartition("\\")[2]) for line in lines]


def test_each_way_to_delete_a_file_is_told_when_it_is_gone(lab: Lab) -> None:
    lines = told(
        lab,
        r"""
        open a V:\a.txt access=rw,delete disposition=create options=delete-on-close
        close a
        open b V:\b.txt access=rw,delete disposition=create
        set b class=disposition value=1
        close b
        open c V:\c.txt access=rw,delete disposition=create
        set c class=disposition-ex value=3
        close c
        open d V:\d.txt access=rw,delete disposition=create
        set d class=disposition value=1
        set d class=disposition value=0
        close d
        delete V:\d.txt
        """,
    )

    assert lines == [r"file \a.txt", r"file \b.txt", r"file \c.txt", r"file \d.txt"]


def test_what_keeps_a_handle_goes_with_the_last(lab: Lab) -> None:
    io = lab.io(
        r"""
        open a V:\a.txt access=rw,delete disposition=create
        open b V:\a.txt access=read
        set a class=disposition value=1
        close a
        connect client \deltrack
        send-message client room=2048
        close b
        send-message client room=2048
        """
    )

    before, after = io.all("send-message")
    assert before.information == 0
    assert after.data.decode("utf-16-le").endswith("\\a.txt\n")


def test_a_stream_goes_and_its_file_stays_and_so_does_one_with_another_link(lab: Lab) -> None:
    lines = told(
        lab,
        r"""
        open a V:\a.txt access=rw disposition=create
        open s V:\a.txt:notes access=rw,delete disposition=create
        set  s class=disposition value=1
        close s
        set a class=link path=V:\other.txt
        close a
        delete V:\other.txt
        """,
    )

    assert lines == [r"stream \a.txt:notes"]


def test_a_rename_over_a_file_tells_both(lab: Lab) -> None:
    lines = told(
        lab,
        r"""
        open b V:\b.txt access=rw disposition=create
        close b
        open a V:\a.txt access=rw,delete disposition=create
        set a class=rename path=V:\b.txt replace
        """,
    )

    assert lines == [r"rename over \b.txt"]
