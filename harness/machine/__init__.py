"""QEMU machines: command line, QMP, disks, templates and forks, faults. It knows no Windows."""

from harness.machine.machine import Machine
from harness.machine.spec import MachineSpec
from harness.machine.state import MachineState

__all__ = ["Machine", "MachineSpec", "MachineState"]
