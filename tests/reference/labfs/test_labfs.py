"""A file system from outside: labfs.sys, machine code on the image of a disk, below the minifilters."""

import pytest

from harness.nt import IrpMajor, NtStatus, OperationClass


def statuses(result):
    return [step.status for step in result.steps]


def test_a_file_system_that_registers_mounts_the_disk_at_its_first_use(bench) -> None:
    result = bench("open f W:\\data.bin access=read\nread f offset=0 length=16\nclose f\n")

    assert statuses(result) == [NtStatus.SUCCESS] * 3
    assert result.step("read", "f").data[:16] == b"Z" * 16


def test_what_no_file_system_knows_is_not_mounted(bench) -> None:
    bench.image.write_bytes(bytes(1 << 20))

    assert statuses(bench("open f W:\\data.bin access=read\n")) == [NtStatus.UNRECOGNIZED_VOLUME]


def test_cached_writes_are_on_the_disk_after_cleanup(bench, files_on_disk) -> None:
    result = bench(
        "open f W:\\new.txt access=rw disposition=create\nwrite f offset=0 length=700 fill=0x41\nclose f\n"
        "open g W:\\new.txt access=read\nread g offset=600 length=200\nclose g\n"
    )

    assert statuses(result) == [NtStatus.SUCCESS] * 6
    assert result.step("read", "g").information == 100
    assert files_on_disk()["new.txt"] == b"A" * 700


@pytest.mark.parametrize("seed", range(3))
def test_non_cached_overlapped_io_is_completed_by_the_disk(boot, seed) -> None:
    bench = boot(seed)
    bench.load("observer", "above")

    result = bench(
        "open f W:\\data.bin access=rw options=noncached,overlapped\n"
        "read f offset=4096 length=4096 async=r\nwait r\n"
        "write f offset=0 length=512 fill=0x33 async=w\nwait w\n"
    )

    assert NtStatus.SUCCESS in {step.status for step in result.steps if step.verb == "wait"}
    read = bench.trace(result).only(IrpMajor.READ, name="data.bin")
    assert (read.of("above").post.status, read.of("above").post.information) == (NtStatus.SUCCESS, 4096)
    assert read.of("above").post.thread != read.of("above").pre.thread or read.of("above").post.irql <= 2


def test_minifilters_above_see_irps_and_fast_io_in_their_order(bench) -> None:
    bench.load("observer", "above")
    bench.load("passthrough", "passthrough")
    bench.load("observer", "below")

    result = bench(
        "open f W:\\data.bin access=read\nread f offset=0 length=512\nread f offset=512 length=512\nclose f\n"
    )

    trace = bench.trace(result)
    whole = ["above.pre", "passthrough.pre", "below.pre", "below.post", "passthrough.post", "above.post"]
    assert trace.only(IrpMajor.CREATE, name="data.bin").path == whole
    assert trace.all(IrpMajor.READ, name="data.bin", cls=OperationClass.IRP)[0].path == whole
    assert statuses(result)[-4:] == [NtStatus.SUCCESS] * 4


@pytest.mark.parametrize(
    ("pattern", "status"), [("*", 0), ("HELLO*", 0), ("*.none", NtStatus.NO_SUCH_FILE)], ids=["all", "some", "none"]
)
def test_the_directory_is_enumerated(bench, pattern, status) -> None:
    result = bench(f"open d W:\\ access=list options=directory\ndirectory d pattern={pattern}\n")

    assert result.step("directory", "d").status == status


def test_locks_forbid_and_wait_and_are_granted(bench) -> None:
    result = bench(
        "open f W:\\data.bin access=rw\nopen g W:\\data.bin access=rw options=overlapped\n"
        "lock f offset=0 length=10\n"
        "lock g offset=5 length=10\n"
        "lock g offset=5 length=10 wait async=l\n"
        "unlock f offset=0 length=10\nwait l\n"
        "read f offset=0 length=100\n"
    )

    verbs = [(step.verb, step.status) for step in result.steps]
    assert ("lock", NtStatus.LOCK_NOT_GRANTED) in verbs
    assert ("wait", NtStatus.SUCCESS) in verbs
    assert verbs[-1] == ("read", NtStatus.FILE_LOCK_CONFLICT)
    lock, unlock = 1, 2
    told = [line.split() for line in bench.kernel.log if line.startswith("labfs lock ")]
    assert [(int(minor), int(status, 16)) for *_, minor, _, _, status in told] == [
        (lock, 0), (lock, NtStatus.LOCK_NOT_GRANTED), (lock, 0), (unlock, 0),
    ]  # fmt: skip
    assert [line for line in bench.kernel.log if "unlocked" in line] == [
        "labfs unlocked 0 to 9: 1\n", "labfs unlocked 5 to 14: 0\n",
    ]  # fmt: skip


def test_a_deleted_file_is_gone_and_its_name_free(bench, files_on_disk) -> None:
    result = bench(
        "open f W:\\hello.txt access=rw,delete\nset f class=disposition value=1\nclose f\n"
        "open g W:\\hello.txt access=read\nopen h W:\\hello.txt access=rw disposition=create\nclose h\n"
    )

    assert result.step("open", "g").status == NtStatus.OBJECT_NAME_NOT_FOUND
    assert result.step("open", "h").status == NtStatus.SUCCESS
    assert files_on_disk()["hello.txt"] == b""


def test_sharing_is_checked(bench) -> None:
    result = bench("open f W:\\data.bin access=rw share=none\nopen g W:\\data.bin access=read\n")

    assert statuses(result) == [NtStatus.SUCCESS, NtStatus.SHARING_VIOLATION]


def test_two_runs_with_one_seed_have_one_digest(boot) -> None:
    script = "open f W:\\data.bin access=rw options=noncached\nread f offset=0 length=512\nclose f\n"
    digests = set()
    for _ in range(2):
        bench = boot(7)
        bench.load("passthrough", "passthrough")
        bench(script)
        digests.add(bench.kernel.trace.digest)

    assert len(digests) == 1


def test_a_view_of_its_file_is_read_and_written_by_paging_io(bench, files_on_disk) -> None:
    result = bench(
        "open f W:\\data.bin access=rw\nsection s f protect=readwrite\nmap v s protect=readwrite\n"
        "peek v offset=4096 length=4\npoke v offset=4096 length=4 fill=0x41\nunmap v\nclose-section s\n"
        "set f class=end-of-file value=100\nread f offset=0 length=4\nclose f\n"
    )

    assert result.step("peek", "v").data == b"ZZZZ"
    assert statuses(result) == [NtStatus.SUCCESS] * 10
    assert files_on_disk()["data.bin"] == b"Z" * 100


def test_what_is_written_through_a_view_is_on_the_disk(bench, files_on_disk) -> None:
    bench(
        "open f W:\\data.bin access=rw\nsection s f protect=readwrite\nmap v s protect=readwrite\n"
        "poke v offset=4096 length=4 fill=0x41\nunmap v\nclose-section s\nclose f\nsleep 5000\n"
    )

    assert files_on_disk()["data.bin"] == b"Z" * 4096 + b"AAAA" + b"Z" * 4092
