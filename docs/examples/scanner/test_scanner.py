"""The scanner with its own service, which driver.yaml names: it runs from before the I/O until after it."""

import pytest

from fltlab import Lab, NtStatus

pytestmark = pytest.mark.stack("observer@above", "scanner", "observer@below")

MAKE = r"""
    open f V:\{name} access=write disposition=create
    write f text={text}
    close f
    open g V:\{name} access=read
"""


def test_a_good_file_is_opened(lab: Lab) -> None:
    io = lab.io(MAKE.format(name="letter.txt", text="DEAR-READER"))

    assert io["g"].status == NtStatus.SUCCESS
    assert "good" in lab.programs[0].stop().output


def test_a_bad_file_is_not(lab: Lab) -> None:
    io = lab.io(MAKE.format(name="letter.txt", text="EVIL-INSIDE"))

    assert io["g"].status == NtStatus.ACCESS_DENIED
    said = lab.programs[0].stop()
    assert said.exit_code == 0
    verdict, count = said.output.splitlines()[-2:]
    assert verdict.startswith("bad")
    assert verdict.endswith(r"\letter.txt")
    assert count == "1 files", "an empty file has nothing to scan"


def test_without_its_service_everything_is_good(lab: Lab) -> None:
    lab.programs[0].kill()

    assert lab.io(MAKE.format(name="letter.txt", text="EVIL-INSIDE"))["g"].status == NtStatus.SUCCESS
