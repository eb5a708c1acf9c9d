"""A driver that nobody looks into, where it is hard: taken away at work, cancelled, with failing disks, without memory.

`--replace passthrough=<driver>` puts one's own in its place. That nothing is left behind in the end, and no rule is
broken meanwhile, the kernel's verifier looks after by itself.
"""

import pytest

from harness.guest import GuestKind
from harness.nt import IrpMajor, NtStatus

DO_NOT_DETACH = 0x801F0010
"""The HRESULT for a minifilter without the callback that detaching or unloading it asks."""
SIZE = 65536
FILES = range(4)

pytestmark = pytest.mark.stack("observer@above", "passthrough", "observer@below")


def work(*between: str) -> str:
    """Writes and reads of several threads; in their middle, other steps."""
    return "\n".join(
        (
            *(rf"open f{n} V:\file{n}.bin access=rw disposition=create" for n in FILES),
            *(f"spawn w{n} write f{n} offset=0 length={SIZE} fill=0x{n + 1}0" for n in FILES),
            *between,
            *(f"spawn r{n} read f{n} offset=0 length=512" for n in FILES),
            *(f"wait w{n}" for n in FILES),
            *(f"spawn x{n} flush f{n}" for n in FILES),
            *(f"wait r{n}" for n in FILES),
            *(f"wait x{n}" for n in FILES),
            *(f"read f{n} offset=0 length={SIZE}" for n in FILES),
            *(f"close f{n}" for n in FILES),
        )
    )


def require_done(io) -> None:
    """Everything was written, and is there."""
    assert [step.status for n in FILES for step in io.all("wait", f"w{n}")] == [NtStatus.SUCCESS] * len(FILES)
    for n in FILES:
        read = io.all("read", f"f{n}")[-1]
        assert (read.status, read.information) == (NtStatus.SUCCESS, SIZE)


def test_it_is_detached_and_attached_again_under_load(lab):
    service = lab.passthrough.service

    io = lab.io(
        work(f"spawn d detach passthrough service={service}", "wait d", f"attach passthrough service={service}")
    )

    detached = io.step("wait", "d").status
    assert detached in {NtStatus.SUCCESS, DO_NOT_DETACH}
    require_done(io)


def test_it_is_unloaded_under_load_and_loaded_again(lab):
    service = lab.passthrough.service

    io = lab.io(work(f"spawn u unload {service}", "wait u", f"load {service}"))

    unloaded = io.step("wait", "u").status
    if unloaded == DO_NOT_DETACH:
        pytest.skip("the driver has no FilterUnloadCallback, so it cannot be unloaded")
    assert unloaded == NtStatus.SUCCESS
    assert io.step("load").status == NtStatus.SUCCESS
    require_done(io)


def test_two_instances_of_it_do_what_one_does(lab, guest, unmeant):
    added = guest.run(f"fltmc.exe attach {lab.passthrough.service} V: -i second -a 100.5")
    if not added.ok:
        pytest.skip("the driver does not attach twice to a volume")

    assert [change for part in ("create", "cached") for change in unmeant(part)] == []


@pytest.mark.stack("observer@above", "passthrough", "pending@below")
def test_a_storm_of_cancels_leaves_nothing_outstanding(lab, volume):
    volume.file("data.bin", length=SIZE, fill=0x5A)
    lab.below.when(IrpMajor.READ, name="data.bin", max=24).pend("queue", hold=True)
    reads = [f"read f offset={n * 512} length=512 async=r{n}" for n in range(24)]
    cancels = [f"cancel f async=r{n}" for n in range(0, 24, 2)]

    io = lab.io(
        "\n".join(
            (
                r"open f V:\data.bin access=read options=noncached,overlapped",
                *reads,
                *cancels,
                "cancel f",
                "release below",
                *(f"wait r{n}" for n in range(24)),
                "read f offset=0 length=512 async=last",
                "wait last",
            )
        )
    )

    ended = {step.status for n in range(24) for step in io.all("wait", f"r{n}")}
    assert ended <= {NtStatus.CANCELLED, NtStatus.SUCCESS}
    assert NtStatus.CANCELLED in ended
    assert io.step("wait", "last").data[:4] == b"\x5a" * 4


@pytest.mark.stack("observer@above", "passthrough", "completion@below")
@pytest.mark.parametrize(
    ("major", "step", "status"),
    [
        (IrpMajor.CREATE, r"open f V:\data.bin access=rw", NtStatus.INSUFFICIENT_RESOURCES),
        (IrpMajor.READ, "read f offset=0 length=4096", NtStatus.IO_DEVICE_ERROR),
        (IrpMajor.WRITE, "write f offset=0 length=4096", NtStatus.DISK_FULL),
        (IrpMajor.SET_INFORMATION, "set f class=end-of-file value=100", NtStatus.DISK_FULL),
        (IrpMajor.DIRECTORY_CONTROL, "directory d", NtStatus.IO_DEVICE_ERROR),
    ],
    ids=lambda value: value.name.lower() if isinstance(value, IrpMajor) else "",
)
def test_an_error_of_the_disk_below_is_told_above(lab, volume, major, step, status):
    volume.file("data.bin", length=8192, fill=0x5A)
    opens = [
        r"open f V:\data.bin access=rw options=noncached",
        r"open d V:\ access=list options=directory",
    ]
    lab.below.when(major, max=1, skip=0 if major is IrpMajor.CREATE else None).complete(status)

    io = lab.io(
        "\n".join(
            [*([] if major is IrpMajor.CREATE else opens), step, r"open g V:\data.bin access=read", "read g length=4"]
        )
    )

    assert io.all(step.split()[0])[0].status == status
    assert io.step("read", "g").data == b"\x5a" * 4


def test_without_memory_steps_fail_and_the_driver_does_not(lab, guest, unmeant):
    if guest.kind is GuestKind.WINDOWS:
        pytest.skip("--verifier low-resources is how Windows does it")
    service = lab.passthrough.service
    guest.succeed(f"fltlab-kernel starve 5 {service}")

    lab.io(work())
    lab.io("open d V:\\ access=list options=directory\ndirectory d\nclose d")

    guest.succeed(f"fltlab-kernel starve 0 {service}")
    assert unmeant("create") == []
