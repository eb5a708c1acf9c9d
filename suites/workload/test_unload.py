"""A driver that is unloaded after some work leaves nothing behind: no memory, handle, reference, timer or thread.

The reference kernel says what is left. On Windows Driver Verifier does, by a bug check (`--verifier standard`).
`--replace passthrough=<driver>` puts a driver of one's own in its place; it needs no control port.
"""

import pytest

from harness.nt import NtStatus

DO_NOT_DETACH = 0x801F0010
"""The HRESULT for a minifilter without a FilterUnloadCallback."""


@pytest.mark.disturbed_by("another process that has the file open, such as an indexer")
@pytest.mark.stack("passthrough")
def test_a_driver_that_is_unloaded_leaves_nothing_behind(lab, volume):
    volume.file("kept.bin", length=4096, fill=0x44)

    io = lab.io(rf"""
        open   f V:\kept.bin access=rw
        read   f offset=0 length=16
        write  f offset=16 length=16 fill=0x55
        close  f
        open   d V:\new.txt access=rw,delete disposition=create
        set    d class=rename path=V:\renamed.txt
        close  d
        unload {lab.passthrough.service}
        open   after V:\kept.bin access=read options=noncached
        read   after offset=0 length=4096
    """)

    unloaded = io.step("unload").status
    if unloaded == DO_NOT_DETACH:
        pytest.skip("the driver has no FilterUnloadCallback, so it cannot be unloaded")
    assert unloaded == NtStatus.SUCCESS
    assert io.step("read", "after").data.startswith(b"\x44" * 16 + b"\x55" * 16 + b"\x44" * 16)
