"""Application control: what lies in the downloads folder is read and mapped as data, and never as code."""

import pytest

from fltlab import Lab, NtStatus, Volume

pytestmark = pytest.mark.stack("observer@above", "sectionblock")
MAP = r"""
    open f V:\{folder}\tool.bin access=read,execute
    section data f protect=read
    map view data protect=read
    peek view offset=0 length=4
    section code f protect=execute-read
"""
TOOL = r"""
    open f C:\fltlab\fltprobe.exe access=read
    read f offset=0 length=1048576 whole
"""


@pytest.mark.parametrize(
    ("folder", "status"), [("downloads", NtStatus.INSUFFICIENT_RESOURCES), ("tools", NtStatus.SUCCESS)]
)
def test_a_file_is_mapped_as_code_only_elsewhere(lab: Lab, volume: Volume, folder: str, status: NtStatus) -> None:
    volume.file(rf"{folder}\tool.bin", length=4096)

    io = lab.io(MAP.format(folder=folder))

    data, code = io.all("section")
    assert data.status == NtStatus.SUCCESS
    assert io.step("peek").status == NtStatus.SUCCESS
    assert code.status == status


def test_a_program_starts_only_elsewhere(lab: Lab, volume: Volume) -> None:
    tool = lab.io(TOOL).step("read").data
    for folder in ("downloads", "tools"):
        volume.file(rf"{folder}\tool.exe", content=tool)
    lab.io("sleep 1")

    with pytest.raises(Exception, match="INSUFFICIENT_RESOURCES"):
        lab.start(r"V:\downloads\tool.exe")
    lab.start(r"V:\tools\tool.exe")
