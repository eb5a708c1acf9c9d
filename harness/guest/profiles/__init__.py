"""What differs between the kinds of guest; everything else about them is the same."""

from harness.guest.profiles.base import GuestKind, Profile
from harness.guest.profiles.reference import REFERENCE, REFERENCE_LOCAL
from harness.guest.profiles.windows import WINDOWS, powershell

__all__ = ["REFERENCE", "REFERENCE_LOCAL", "WINDOWS", "GuestKind", "Profile", "powershell"]
