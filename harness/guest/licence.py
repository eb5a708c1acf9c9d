"""The licence of a Windows guest, as it says itself: WMI's SoftwareLicensingProduct, numbers and not words.

An evaluation that was never activated, or that has run out, is switched off by Windows about an hour after each start.
"""

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import IntEnum

from harness.errors import GuestError
from harness.guest.profiles import powershell

# The product whose application is Windows and that has a key. Description and names are not asked: they are translated.
_SCRIPT = r"""
$ErrorActionPreference = 'Stop'
try {
    $windows = "ApplicationID='55c92734-d682-4d71-983e-d6ec3f16059f' AND PartialProductKey IS NOT NULL"
    $product = Get-CimInstance -ClassName SoftwareLicensingProduct -Filter $windows | Select-Object -First 1
    $version = Get-ItemProperty -LiteralPath 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion'
    $found = @{ edition = $version.EditionID; status = 0; minutes = 0 }
    if ($product) {
        $found.status = [int]$product.LicenseStatus
        $found.minutes = [long]$product.GracePeriodRemaining
    }
    $found | ConvertTo-Json -Compress
} catch {
    [Console]::Error.WriteLine("$_")
    exit 1
}
exit 0
"""
ASK = powershell(_SCRIPT)
"""The command that `parse_licence` reads."""

ACTIVATE = r"cscript.exe //nologo C:\Windows\System32\slmgr.vbs /ato"


class Status(IntEnum):
    """LicenseStatus of SoftwareLicensingProduct."""

    UNLICENSED = 0
    LICENSED = 1
    GRACE = 2
    GRACE_AFTER_CHANGE = 3
    NOT_GENUINE = 4
    NOTIFICATION = 5
    EXTENDED_GRACE = 6


@dataclass(frozen=True)
class Licence:
    """What Windows says: its edition (`EnterpriseEval`), its status, the minutes for which that holds (0: no end)."""

    edition: str
    status: Status
    minutes: int

    @property
    def is_evaluation(self) -> bool:
        """Whether it is switched off when its time is over."""
        return self.edition.casefold().endswith("eval")

    @property
    def has_run_out(self) -> bool:
        """Whether Windows will switch itself off about an hour after each start."""
        return self.is_evaluation and self.status in {Status.UNLICENSED, Status.NOTIFICATION, Status.NOT_GENUINE}

    def expires(self, now: datetime) -> date | None:
        """The last day on which an evaluation runs; None for what has no end."""
        if not self.is_evaluation:
            return None
        return (now + timedelta(minutes=0 if self.has_run_out else self.minutes)).date()

    def __str__(self) -> str:
        status = self.status.name.lower().replace("_", " ")
        return f"{self.edition}, {status}" + (f", {self.minutes // 1440} days left" if self.minutes else "")


def parse_licence(text: str) -> Licence:
    """Read what `ASK` prints; GuestError for anything else."""
    try:
        values = json.loads(text)
        return Licence(str(values["edition"]), Status(int(values["status"])), int(values["minutes"]))
    except (ValueError, KeyError, TypeError) as error:
        raise GuestError(
            "the guest does not say what its licence is", details=(f"| {text.strip()[:400] or 'nothing'}",)
        ) from error
