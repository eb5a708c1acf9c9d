"""Guests that run the reference kernel: in QEMU, or as a local process."""

from dataclasses import replace

from harness.guest.profiles.base import GuestKind, Profile

REFERENCE = Profile(
    kind=GuestKind.REFERENCE,
    receive="fltlab-receive --batch",
    send='fltlab-send "{path}"',
    identity="fltlab-guest identity --json",
    forked="fltlab-guest forked",
    kernel_status="fltlab-kernel status --json",
    kernel_restart="fltlab-kernel restart",
    kernel_watch="fltlab-kernel watch",
    background="fltlab-background",
    kernel_audit="fltlab-kernel audit",
    kernel_coverage="fltlab-kernel coverage",
)
REFERENCE_LOCAL = replace(REFERENCE, kind=GuestKind.REFERENCE_LOCAL, kernel_schedules="fltlab-kernel")
