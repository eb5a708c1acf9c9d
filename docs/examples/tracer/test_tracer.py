"""The tracing filter is built by its Visual Studio project; where nobody traces, it changes nothing."""

import pytest

from fltlab import Lab, Volume

pytestmark = pytest.mark.stack("tracer")


def test_who_asks_is_told_the_modules(lab: Lab) -> None:
    lab.io(r"open a V:\modules.txt access=read disposition=open-if")

    told = [line.text.split() for line in lab.trace.prints if line.text.startswith("module ")]
    assert any(words[1].endswith("tracer.sys") for words in told)
    assert ["module", "ntoskrnl.exe"] in told


def test_what_is_traced_goes_on(lab: Lab, volume: Volume) -> None:
    volume.file("a.txt", length=10)

    io = lab.io(r"""
        open a V:\a.txt access=read
        read a length=10
    """)

    assert io.step("read", "a").information == 10
