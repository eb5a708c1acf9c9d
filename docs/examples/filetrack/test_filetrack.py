"""One file is one context, by each of its names, streams and by its id; and the policy for \\protected."""

import pytest

from fltlab import Lab, NtStatus

pytestmark = pytest.mark.stack("observer@above", "filetrack")
PROTECTED = r"""
    open d V:\protected access=list disposition=create options=directory
    open f V:\protected\a.txt access=rw disposition=create
"""


def test_links_streams_and_ids_lead_to_the_same_file(lab: Lab) -> None:
    lab.io(
        r"""
        open f V:\a.txt access=rw disposition=create
        set f class=link path=V:\b.txt
        open l V:\b.txt access=read
        open s V:\a.txt:notes access=rw disposition=create
        open-by-id i f access=read
        """
    )

    lines = [line.text.split() for line in lab.trace.prints if line.text.startswith("filetrack")]
    (number,) = {line[1] for line in lines}
    assert number != "0"
    assert [int(line[3]) for line in lines] == [1, 2, 3, 4]
    assert lines[-1][4:] == ["by", "id"]


def test_a_protected_file_gets_no_other_name(lab: Lab) -> None:
    io = lab.io(
        rf"""
        {PROTECTED}
        set  f class=link path=V:\way-around.txt
        open o V:\o.txt access=rw disposition=create
        set  o class=link path=V:\protected\in.txt
        set  o class=link path=V:\other.txt
        """
    )

    out, into, other = io.all("set")
    assert (out.status, into.status, other.status) == (
        NtStatus.TOO_MANY_LINKS,
        NtStatus.TOO_MANY_LINKS,
        NtStatus.SUCCESS,
    )


@pytest.mark.parametrize(("access", "status"), [("read", NtStatus.SUCCESS), ("rw", NtStatus.ACCESS_DENIED)])
def test_by_its_id_a_protected_file_is_only_read(lab: Lab, access: str, status: NtStatus) -> None:
    io = lab.io(f"{PROTECTED}\nopen-by-id i f access={access}")

    assert io["i"].status == status
