"""The first version of a file is kept whole, whoever changes it and how."""

import pytest

from fltlab import Lab, NtStatus

pytestmark = pytest.mark.stack("observer@above", "backup", "observer@below")
FIRST = r"""
    open  d V:\backup access=list disposition=create options=directory
    open  f V:\a.txt access=rw disposition=create
    write f text=FIRST-VERSION
    set-ea f name=ORIGIN text=HERE
    open  s V:\a.txt:notes access=rw disposition=create
    write s text=A-NOTE
    close s
    close f
"""
CHANGES = {
    "written": "open c V:\\a.txt access=rw\nwrite c offset=0 text=SECOND",
    "overwritten": "open c V:\\a.txt access=read disposition=overwrite",
    "superseded": "open c V:\\a.txt access=read disposition=supersede",
    "by its stream": "open c V:\\a.txt:notes access=rw\nwrite c offset=0 text=SECOND",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_it_was_is_kept_whole(lab: Lab, change: str) -> None:
    io = lab.io(
        rf"""
        {FIRST}
        {change}
        close c
        open b V:\backup\a.txt access=read
        read b length=32
        query-ea b
        open n V:\backup\a.txt:notes access=read
        read n length=32
        """
    )

    assert [step.data for step in io.all("read")] == [b"FIRST-VERSION", b"A-NOTE"]
    assert b"ORIGIN" in io.step("query-ea").data


def test_only_the_first_version_is_kept_and_readers_keep_nothing(lab: Lab) -> None:
    io = lab.io(
        rf"""
        {FIRST}
        open r V:\a.txt access=read
        close r
        open b V:\backup\a.txt access=read
        {CHANGES["written"]}
        close c
        {CHANGES["overwritten"].replace(" c ", " e ")}
        open k V:\backup\a.txt access=read
        read k length=32
        """
    )

    assert io["b"].status == NtStatus.OBJECT_NAME_NOT_FOUND
    assert io.step("read").data == b"FIRST-VERSION"
