"""The image watcher: the program of the test itself is an image that is mapped."""

import pytest

from fltlab import Lab

pytestmark = pytest.mark.stack("observer@above", "imagewatch")


def test_the_images_of_a_program_are_told(lab: Lab) -> None:
    lab.io("sleep 1")
    lab.beside("sleep 1").result()
    lab.io("sleep 1")

    told = [line.text for line in lab.trace.printed.before if "fltprobe.exe in " in line.text]
    assert told
    assert all("on a filtered volume" in text for text in told)
