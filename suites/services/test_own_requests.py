"""Creates and reads of a filter's own, creates that it takes back, and what it is told of a request."""

import pytest

from harness.nt import IrpMajor, NtStatus

pytestmark = pytest.mark.stack("observer@above", "services", "observer@below")

HRESULT_OF_INSUFFICIENT_RESOURCES = 0x800705AA
"""ERROR_NO_SYSTEM_RESOURCES, as FilterLoad tells STATUS_INSUFFICIENT_RESOURCES."""


@pytest.mark.rule("IO-03")
def test_a_create_of_a_filters_own_begins_at_the_top_or_below_its_instance(lab, said, volume):
    for name in ("own.bin", "own-all.bin", "own-below.bin"):
        volume.file(name, length=512, fill=0x5A)

    lab.io(r"open f V:\own.bin access=read")

    whole = lab.trace.only(IrpMajor.CREATE, name="own-all.bin", process="any")
    below = lab.trace.only(IrpMajor.CREATE, name="own-below.bin", process="any")
    assert (bool(whole.of("above")), bool(whole.of("below"))) == (True, True)
    assert (bool(below.of("above")), bool(below.of("below"))) == (False, True)
    assert said() == ["shown the create of its own", "created: SUCCESS", "created: SUCCESS"]


@pytest.mark.rule("IO-04")
def test_a_read_of_a_filters_own_is_synchronous_unless_it_gives_a_callback(lab, said, volume):
    volume.file("own-read.bin", length=4096, fill=0x5A)

    lab.io(r"open f V:\own-read.bin access=read options=noncached,overlapped")

    assert said() == [
        "read without a callback: SUCCESS, 4096 bytes",
        "read with a callback: SUCCESS, IRQL at most DISPATCH_LEVEL",
    ]


@pytest.mark.rule("IO-06")
def test_what_is_synchronous_follows_from_handle_and_class(lab, said, volume):
    volume.file("synchronous.bin", length=8192, fill=0x5A)

    lab.io(r"""
        open  f V:\synchronous.bin access=read options=noncached
        read  f offset=0 length=512
        open  g V:\synchronous.bin access=read options=noncached,overlapped
        read  g offset=0 length=512 async=r
        wait  r
        open  h V:\synchronous.bin access=read
        read  h offset=0 length=512
        read  h offset=512 length=512
    """)

    assert said()[:4] == ["synchronous: 1", "synchronous: 0", "synchronous: 1", "synchronous: 1"]


@pytest.mark.rule("POST-FAIL-02", "POST-FAIL-03")
def test_a_create_that_is_cancelled_in_post_failed_above_and_is_closed_below(lab, volume):
    io = lab.io(r"""
        open        f V:\refused.bin access=write disposition=create
        sleep       50
        query-path  V:\refused.bin
    """)

    create = lab.trace.only(IrpMajor.CREATE, name="refused.bin", filter="above")
    assert create.of("below").post.status == NtStatus.SUCCESS
    assert create.of("above").post.status == io.step("open", "f").status == NtStatus.ACCESS_DENIED
    cleanup = lab.trace.only(IrpMajor.CLEANUP, name="refused.bin", filter="below")
    assert not cleanup.of("above")
    assert io.step("query-path").status == NtStatus.SUCCESS  # the file was made


@pytest.mark.rule("NAME-01")
def test_a_name_is_not_queried_where_that_is_unsafe(lab, said, volume):
    volume.file("names.bin", length=4096, fill=0x5A)

    lab.io(r"""
        open  f V:\names.bin access=read options=noncached
        read  f offset=0 length=512
    """)

    assert said() == [
        "name short in pre-create: FLT_INVALID_NAME_REQUEST",
        "name in read: SUCCESS",
        "name with a top-level IRP: FLT_INVALID_NAME_REQUEST",
        "name from the cache: SUCCESS",
        "name with all APCs disabled: FLT_INVALID_NAME_REQUEST",
    ]


@pytest.mark.rule("REG-15")
def test_filtering_is_started_once(lab, said):
    io = lab.io("unload fltlab-services\nload fltlab-services")

    assert [step.status for step in io.steps] == [NtStatus.SUCCESS] * 2
    assert said()[-1] == "started again: INVALID_PARAMETER"


@pytest.mark.rule("REG-16")
def test_a_filter_whose_driver_entry_fails_has_unregistered_itself(lab, said, volume):
    volume.file("fail-entry.bin", length=512, fill=0x5A)

    io = lab.io(r"""
        unload  fltlab-services
        load    fltlab-services
        delete  V:\fail-entry.bin
        load    fltlab-services
    """)

    refused, started = io.all("load")
    assert refused.status == HRESULT_OF_INSUFFICIENT_RESOURCES
    assert started.status == NtStatus.SUCCESS
    assert said().count("unregistered") == 1  # the unload callback is not called for a driver that never started


@pytest.mark.rule("ATT-02")
def test_an_instance_needs_an_altitude_and_a_name_that_are_free(lab, said, volume):
    volume.file("attach.bin", length=512, fill=0x5A)

    lab.io(r"open f V:\attach.bin access=read")

    assert [line for line in said() if line.startswith("attach")] == [
        "attach second at 123456.7: SUCCESS",
        "attach second at 123456.8: FLT_INSTANCE_NAME_COLLISION",
        "attach third at 123456.7: FLT_INSTANCE_ALTITUDE_COLLISION",
    ]
