"""One guest from the outside: its life, its WinRM service, files, and the deployment of drivers."""

from harness.guest.command import CommandResult
from harness.guest.endpoint import Authentication, Endpoint, SshEndpoint
from harness.guest.guest import Guest
from harness.guest.kernel import KernelOptions, volume_details
from harness.guest.local import LocalGuest
from harness.guest.profiles import REFERENCE, REFERENCE_LOCAL, WINDOWS, GuestKind, Profile
from harness.guest.state import GuestState

__all__ = [
    "REFERENCE",
    "REFERENCE_LOCAL",
    "WINDOWS",
    "Authentication",
    "CommandResult",
    "Endpoint",
    "Guest",
    "GuestKind",
    "GuestState",
    "KernelOptions",
    "LocalGuest",
    "Profile",
    "SshEndpoint",
    "volume_details",
]
