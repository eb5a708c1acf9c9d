"""Two filters that talk by extra create parameters: one adds what the other, below it, reads."""

import pytest

from fltlab import Lab, NtStatus

pytestmark = pytest.mark.stack("observer@above", "ecptag", "ecpread")


def test_what_one_adds_the_other_reads(lab: Lab) -> None:
    io = lab.io(r"""
        open f V:\a.txt access=rw disposition=create
        close f
        open g V:\a.txt access=read
    """)

    assert [step.status for step in io.all("open")] == [NtStatus.SUCCESS] * 2
    told = [line.text.strip() for line in lab.trace.prints]
    assert told.count("ecpread: tag, 16 bytes, from the kernel") == 2


def test_a_create_that_fails_has_one_too(lab: Lab) -> None:
    io = lab.io(r"open no V:\missing\a.txt access=read")

    assert io["no"].status == NtStatus.OBJECT_PATH_NOT_FOUND
    assert [line.text.strip() for line in lab.trace.prints] == ["ecpread: tag, 16 bytes, from the kernel"]
