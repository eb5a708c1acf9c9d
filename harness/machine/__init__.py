"""QEMU machines: command line, QMP, disks, templates and forks, faults. It knows no Windows."""
