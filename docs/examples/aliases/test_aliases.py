"""What is there as <name>.locked is listed, and opened, as <name>; what is called so itself comes first."""

import pytest

from fltlab import Lab, NtStatus, Volume

pytestmark = pytest.mark.stack("observer@above", "aliases")


def test_a_locked_file_is_opened_by_its_own_name(lab: Lab, volume: Volume) -> None:
    volume.file("plan.txt.locked", content="the plan")

    io = lab.io(
        r"""
        open f V:\plan.txt access=read
        read f length=8
        query-path V:\plan.txt
        open g V:\nothing.txt access=read
        """
    )

    assert io.step("read").data == b"the plan"
    assert io.step("query-path").status == NtStatus.SUCCESS
    assert io["g"].status == NtStatus.OBJECT_NAME_NOT_FOUND


def test_a_file_of_that_very_name_comes_first(lab: Lab, volume: Volume) -> None:
    volume.file("plan.txt.locked", content="the plan")
    volume.file("plan.txt", content="another ")

    assert lab.io("open f V:\\plan.txt access=read\nread f length=8").step("read").data == b"another "


@pytest.mark.parametrize("kind", ["names", "directory", "full", "both", "id-both", "id-full"])
def test_listings_have_the_names_without_the_suffix(lab: Lab, volume: Volume, kind: str) -> None:
    volume.file("a.txt.locked", content="a")
    volume.file("b.txt", content="b")
    volume.file("c.txt.locked", content="c")

    step = lab.io(f"open d V:\\ access=list options=directory\ndirectory d class={kind} pattern=*.*").step("directory")

    data = step.data.decode("utf-16-le", "replace")
    assert all(name in data for name in ("a.txt", "b.txt", "c.txt"))
    assert "locked" not in data
