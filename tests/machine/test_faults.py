"""A disk fails as it was told to, for as long as it was told to, and the guest lives on."""

import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import ConfigurationError
from harness.host.accelerator import Accelerator
from harness.machine.deadlines import Deadline
from harness.machine.disks import Bus, Disk, DiskImage, Format
from harness.machine.faults import MOST_RULES, DiskFaults, Error, FaultOrderError, Operation, error_rules
from harness.machine.machine import Machine
from harness.machine.parts import Board, Device, Processor
from harness.machine.spec import MachineSpec
from harness.minifilter.toolchain import find_toolchain
from tests.limits import HANG

WORKER = Path(__file__).with_name("disk_worker.S")
PLACE = 16000
"""A 4 KiB block of the data disk, far from where the file system keeps its own."""
WRITE = f"dd if=/dev/zero of=/dev/vdb bs=4096 count=1 seek={PLACE} oflag=direct"
READ = f"dd if=/dev/vdb of=/dev/null bs=4096 count=1 skip={PLACE} iflag=direct"


@pytest.fixture
def machine(fork):
    return fork()


@pytest.fixture
def faults(machine):
    return DiskFaults(machine, "data")


@pytest.fixture
def codes(machine, shell):
    """The exit codes of a command run several times."""

    def run(command, times=1):
        return [shell(machine, command).exit_code for _ in range(times)]

    return run


def test_writes_fail_while_reads_succeed_and_both_succeed_afterwards(faults, codes):
    assert codes(WRITE) == [0]
    with faults.errors(Operation.WRITE) as fault:
        assert (codes(WRITE), codes(READ)) == ([1], [0])
        assert {event.data["operation"] for event in fault.hits} == {"write"}
    assert (codes(WRITE), codes(READ)) == ([0], [0])


def test_only_the_sectors_named_fail(faults, codes):
    beside = READ.replace(f"skip={PLACE}", f"skip={PLACE + 1}")
    with faults.errors(Operation.READ, sectors=range(PLACE * 8 + 3, PLACE * 8 + 4)) as fault:
        assert (codes(READ), codes(beside)) == ([1], [0])
        assert fault.failures == 1


def test_so_many_operations_fail_and_no_more(faults, codes):
    with faults.errors(Operation.READ, sectors=range(PLACE * 8, PLACE * 8 + 1), count=2) as fault:
        assert codes(READ, times=4) == [1, 1, 0, 0]
        assert fault.failures == 2


def test_a_full_disk_refuses_writes_for_want_of_room(faults, codes):
    with faults.full() as fault:
        assert (codes(WRITE), codes(READ)) == ([1], [0])
        assert fault.hits[0].data["reason"] == "No space left on device"


def test_a_write_protected_disk_refuses_writes(faults, codes):
    with faults.read_only() as fault:
        assert (codes(WRITE), codes(READ)) == ([1], [0])
        assert fault.hits[0].data["reason"] == "Read-only file system"


def test_a_stalled_disk_stalls_the_operation_and_nothing_else(machine, faults, shell, short):
    with faults.stalled():
        shell(machine, f"({WRITE}; echo $? > /tmp/done) > /dev/null 2>&1 &")
        assert shell(machine, "sleep 0.5; ls /tmp; busybox ps").output.count("seek=16000") >= 1
        assert "done" not in shell(machine, "ls /tmp").output
    short.poll(lambda: ("done" in shell(machine, "ls /tmp").output or None, "the write has not returned"))
    assert shell(machine, "cat /tmp/done").output == "0\n"


def test_operations_are_as_far_apart_as_the_latency_says(machine, faults, shell):
    seconds = "a=$(cut -d' ' -f1 /proc/uptime); {}; b=$(cut -d' ' -f1 /proc/uptime); busybox dc -e \"$b $a - p\""
    many = READ.replace("count=1", "count=12")
    with faults.latency(100):
        slow = float(shell(machine, seconds.format(f"{many} 2>/dev/null")).output)
    assert slow > 0.8  # twelve reads, eleven gaps: an upper bound would measure this machine


def test_faults_nest_and_the_newest_is_lifted_first(faults, codes):
    with faults.errors(Operation.WRITE):
        with faults.errors(Operation.READ):
            assert (codes(WRITE), codes(READ)) == ([1], [1])
        assert (codes(WRITE), codes(READ)) == ([1], [0])
    outer, inner = faults.errors(Operation.WRITE), faults.errors(Operation.READ)
    outer.__enter__()
    inner.__enter__()
    with pytest.raises(FaultOrderError, match="was set after it"):
        outer.__exit__(None, None, None)


def test_a_disk_that_is_pulled_is_gone_and_one_that_is_put_back_has_its_content(machine, faults, shell, short):
    shell(machine, "busybox umount /volume")
    with faults.removed():
        assert "vdb" not in shell(machine, "cat /proc/partitions").output
    short.poll(lambda: ("vdb" in shell(machine, "cat /proc/partitions").output or None, "no vdb"))
    assert shell(machine, "mount -t ext4 /dev/vdb /volume && cat /volume/file").output == "from the template\n"


def test_a_fault_ends_with_its_machine(machine, faults):
    with faults.stalled():
        machine.kill()


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    """The boot sector that works on the second disk, assembled."""
    folder = tmp_path_factory.mktemp("worker")
    clang = find_toolchain().clang
    linker = clang.with_name(clang.name.replace("clang", "ld.lld"))
    subprocess.run([clang, "--target=x86_64-linux-gnu", "-c", WORKER, "-o", folder / "o"], check=True)
    link = ["-Ttext=0x7c00", "--oformat", "binary", "-e", "_start", folder / "o", "-o", folder / "disk"]
    subprocess.run([linker, *link], check=True)
    with (folder / "disk").open("r+b") as file:
        file.truncate(1 << 20)
    with (folder / "data").open("wb") as file:
        file.truncate(8 << 20)
    return folder


@pytest.fixture
def at_work(worker, tmp_path):
    """A machine whose firmware works on a data disk, and a function that waits for the next things it says."""
    machines = []

    def start(bus, *devices):
        spec = MachineSpec(
            board=Board(memory_mib=32),
            processor=Processor(Accelerator.TCG),
            disks=(
                Disk("boot", DiskImage(worker / "disk", Format.RAW), writable=False, boot_index=0),
                Disk("data", DiskImage(worker / "data", Format.RAW), bus=bus),
            ),
            devices=devices,
        )
        machine = Machine(spec, tmp_path / "at-work")
        machines.append(machine)
        machine.start()

        def says(wanted: str, times: int = 3) -> bool:
            """Whether it says `wanted` from now on, so many times without a break."""
            heard = machine.serial_log.stat().st_size

            def look():
                new = machine.serial_log.read_bytes()[heard:].decode()
                return (wanted * times in new or None), repr(new[-12:])

            return Deadline(HANG, f"the firmware to say {wanted}").poll(look)

        assert says("WR")
        return machine, says

    yield start
    for machine in machines:
        machine.kill()


def test_an_ahci_disk_fails_as_it_was_told_to(at_work):
    machine, says = at_work(Bus.IDE)
    faults = DiskFaults(machine, "data")
    with faults.errors(Operation.WRITE) as fault:
        assert says("wR")
        assert {event.data["operation"] for event in fault.hits} == {"write"}
    assert says("WR")
    with faults.errors(Operation.READ, sectors=range(2048, 2049)):
        assert says("Wr")
    with faults.errors(Operation.READ, sectors=range(2049, 2060)):
        assert says("WR")
    with faults.full():
        assert says("wR")
    assert says("WR")


def test_an_ahci_disk_fails_so_often_and_no_more(at_work):
    machine, says = at_work(Bus.IDE)
    with DiskFaults(machine, "data").errors(Operation.READ, sectors=range(2048, 2049), count=2) as fault:
        assert says("WR")
        assert fault.failures == 2


def test_an_ahci_disk_that_is_write_protected_can_be_read(at_work):
    machine, says = at_work(Bus.IDE)
    with DiskFaults(machine, "data").read_only() as fault:
        assert says("wR")
        assert {event.data["reason"] for event in fault.hits} == {"Read-only file system"}
    assert says("WR")


def test_an_ahci_disk_is_as_slow_as_it_was_told_to_be(at_work):
    machine, says = at_work(Bus.IDE)
    with DiskFaults(machine, "data").latency(100):
        says("W", times=1)
        begin = time.monotonic()
        says("WR", times=5)
        assert time.monotonic() - begin > 0.7  # ten operations; an upper bound would measure this machine


def test_an_ahci_disk_that_stalls_says_nothing_until_it_goes_on(at_work):
    machine, says = at_work(Bus.IDE)
    sizes: list[int] = []

    def look() -> tuple[bool | None, str]:
        sizes.append(machine.serial_log.stat().st_size)
        return (len(sizes) > 30 and len(set(sizes[-30:])) == 1) or None, f"{sizes[-1]} bytes"

    with DiskFaults(machine, "data").stalled():
        Deadline(HANG, "the firmware to fall silent").poll(look, interval=0.01)
    assert says("WR")


def test_an_ahci_disk_cannot_be_pulled_and_the_message_says_which_can(at_work):
    machine, _ = at_work(Bus.IDE)
    with pytest.raises(ConfigurationError, match="cannot be pulled") as caught:
        DiskFaults(machine, "data").pull()
    assert "usb-storage" in (caught.value.hint or "")


def test_a_usb_disk_can_be_pulled(at_work):
    machine, says = at_work(Bus.USB, Device("qemu-xhci"))
    faults = DiskFaults(machine, "data")
    with pytest.raises(ConfigurationError, match="can only be pulled"), faults.full():
        pass
    with faults.removed():
        assert says("r", times=1)  # the firmware waits seconds for a device that is gone


def test_a_fault_that_cannot_be_is_wrong_usage(spec):
    with pytest.raises(ConfigurationError, match="Give at least one"):
        error_rules([], Error.IO, None, None)
    with pytest.raises(ConfigurationError, match="0 times"):
        error_rules([Operation.READ], Error.IO, None, 0)
    with pytest.raises(ConfigurationError, match="no range of sectors"):
        error_rules([Operation.READ], Error.IO, range(8, 8), None)
    with pytest.raises(ConfigurationError, match="rules is too much"):
        error_rules([Operation.READ], Error.IO, range(MOST_RULES + 1), None)
    without_port = replace(spec.disk("data"), root_port=None)
    with pytest.raises(ConfigurationError, match="cannot be pulled"):
        DiskFaults(Machine(replace(spec, disks=(without_port,)), Path("unused")), "data").pull()


def test_there_is_one_rule_for_each_operation_sector_and_time():
    rules = error_rules([Operation.READ, Operation.WRITE], Error.IO, range(5, 7), 2)
    assert len(rules) == 8
    assert all(rule["once"] for rule in rules)
    assert {rule["sector"] for rule in rules} == {5, 6}
    assert error_rules([Operation.FLUSH], Error.NO_SPACE, None, None) == [
        {"event": "none", "iotype": "flush", "errno": 28, "immediately": False, "once": False}
    ]
