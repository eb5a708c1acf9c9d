"""Completing an operation in its preoperation callback."""

import pytest

from harness.nt import IrpMajor, NtStatus, PreopStatus

pytestmark = pytest.mark.stack("observer@above", "completion", "observer@below")

STOPPED = ["above.pre", "completion.pre", "above.post"]


@pytest.mark.rule("PRE-COMP-01", "PRE-COMP-03", "PRE-COMP-04")
def test_a_completed_create_goes_no_further_down(lab, volume):
    volume.file("secret.txt", length=4096)
    lab.completion.when(IrpMajor.CREATE, name="secret.txt").complete(NtStatus.ACCESS_DENIED)

    io = lab.io(r"open secret V:\secret.txt access=read")

    assert io.step("open", "secret").status == NtStatus.ACCESS_DENIED
    create = lab.trace.only(IrpMajor.CREATE, name="secret.txt")
    assert create.path == STOPPED


@pytest.mark.rule("PRE-COMP-01", "PRE-COMP-04")
def test_a_completed_write_leaves_the_file_as_it_was(lab, volume):
    volume.file("data.bin", length=4096, fill=0x5A)
    lab.completion.when(IrpMajor.WRITE, name="data.bin").complete(NtStatus.SUCCESS, information=4096)

    io = lab.io(r"""
        open   f V:\data.bin access=rw options=noncached
        write  f offset=0 length=4096 fill=0x11
        read   f offset=0 length=4096
    """)

    assert lab.trace.only(IrpMajor.WRITE, name="data.bin").path == STOPPED
    assert (io.step("write", "f").status, io.step("write", "f").information) == (NtStatus.SUCCESS, 4096)
    assert set(io.step("read", "f").data) == {0x5A}


@pytest.mark.rule("PRE-COMP-02", "PRE-COMP-03")
@pytest.mark.parametrize(
    ("status", "information"),
    [(NtStatus.ACCESS_DENIED, 0), (NtStatus.DISK_FULL, 0), (NtStatus.FILE_LOCK_CONFLICT, 0), (NtStatus.SUCCESS, 512)],
    ids=lambda value: value.name if isinstance(value, NtStatus) else "",
)
def test_the_status_of_a_completed_operation_is_what_everybody_above_sees(lab, volume, status, information):
    volume.file("data.bin", length=4096, fill=0x5A)
    lab.completion.when(IrpMajor.READ, name="data.bin").complete(status, information)

    io = lab.io(r"""
        open  f V:\data.bin access=read options=noncached
        read  f offset=0 length=4096
    """)

    read = lab.trace.only(IrpMajor.READ, name="data.bin")
    assert read.of("completion").pre.returned == PreopStatus.COMPLETE
    assert (read.of("above").post.status, read.of("above").post.information) == (status, information)
    assert (io.step("read", "f").status, io.step("read", "f").information) == (status, information)


@pytest.mark.rule("PRE-COMP-04")
def test_the_filter_that_completes_gets_no_post_of_its_own(lab, volume):
    volume.file("data.bin", length=4096)
    lab.completion.when(IrpMajor.READ, name="data.bin", max=1).complete(NtStatus.ACCESS_DENIED)
    lab.completion.when(IrpMajor.READ, name="data.bin").with_callback()

    lab.io(r"""
        open  f V:\data.bin access=read options=noncached
        read  f offset=0 length=4096
        read  f offset=0 length=4096
    """)

    completed, passed = lab.trace.all(IrpMajor.READ, name="data.bin")
    assert completed.path == STOPPED
    assert "completion.post" in passed.path


@pytest.mark.spoils_guest("the file system never sees the cleanup and the close: what it keeps of the file stays")
@pytest.mark.rule("PRE-COMP-07")
def test_a_filter_that_completes_whatever_comes_lets_cleanup_succeed(lab, volume):
    volume.file("data.bin", length=4096)
    lab.completion.when(None, name="data.bin", skip=1).complete(NtStatus.ACCESS_DENIED)  # all but the create

    io = lab.io(r"""
        open   f V:\data.bin access=rw options=noncached
        write  f offset=0 length=4096 fill=0x11
        close  f
    """)

    assert io.step("write", "f").status == NtStatus.ACCESS_DENIED
    assert io.step("close", "f").status == NtStatus.SUCCESS
    cleanup = lab.trace.only(IrpMajor.CLEANUP, name="data.bin")
    assert cleanup.of("completion").pre.returned == PreopStatus.COMPLETE
    assert cleanup.of("above").post.status == NtStatus.SUCCESS
    for close in lab.trace.all(IrpMajor.CLOSE, name="data.bin"):
        assert close.of("above").post.status == NtStatus.SUCCESS
