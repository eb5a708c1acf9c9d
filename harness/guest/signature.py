r"""A driver that Windows refuses for its signature: its code, what Windows says of the file, and a way out.

The codes are those that fltmc, sc and pnputil print (winerror.h), and the statuses behind them. The way out is that the
guest signs the drivers itself, with a certificate made and trusted there: if our signature lacks something, that one
has it. It is taken for drivers that fltlab has built and signed, never for a user's own binary.
"""

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from harness.errors import ConfigurationError, FltLabError, GuestError
from harness.guest.guest import Guest
from harness.guest.profiles import powershell
from harness.machine.deadlines import Wait
from harness.nt.hresult import explain

log = logging.getLogger(__name__)

_TEST_SIGNING = "is test signing in force? `fltlab image verify NAME` says, with the state of every policy"
_POLICY = "a policy of this Windows, which no signature of ours changes; `fltlab image verify NAME` says which is on"

REFUSALS: Mapping[int, str] = MappingProxyType(
    {
        0x80070241: f"Windows does not take its signature: {_TEST_SIGNING}",
        0xC0000428: f"Windows does not take its signature: {_TEST_SIGNING}",
        0x800B0100: "it has no signature that Windows can read",
        0x80096010: "it was changed after it was signed",
        0x80096019: "its certificate says that it is an authority, or its chain does not fit (basic constraints)",
        0x800B0101: "its certificate is not valid at the guest's time",
        0x800B0109: "its certificate ends in a root that the guest does not trust",
        0x800B010A: "no chain of certificates leads from it to a root that the guest trusts",
        0x800B0110: "its certificate is not one for code signing",
        0x800B010C: "its certificate was revoked",
        0xC0000603: "its certificate was revoked",
        0x800704FB: f"the driver is blocked: {_POLICY}",
        0x800711C7: f"the driver is blocked by App Control or Smart App Control: {_POLICY}",
        0xC0E90002: f"the driver is blocked by App Control or Smart App Control: {_POLICY}",
    }
)
"""What each refusal means, by the HRESULT or NTSTATUS."""

_SIGNING_HELPS = frozenset(
    {0x80070241, 0xC0000428, 0x800B0100, 0x80096010, 0x80096019, 0x800B0109, 0x800B010A, 0x800B0110}
)

EVIDENCE = r"""
$ErrorActionPreference = 'SilentlyContinue'
$path = (New-Object IO.StreamReader([Console]::OpenStandardInput())).ReadToEnd().Trim()
$found = Get-AuthenticodeSignature -LiteralPath $path
"signature: $($found.Status) ($($found.StatusMessage)) by $($found.SignerCertificate.Subject)"
$events = Get-WinEvent -LogName 'Microsoft-Windows-CodeIntegrity/Operational' -MaxEvents 6
foreach ($event in $events) {
    $text = "$($event.Message)" -replace '\s+', ' '
    "CodeIntegrity event $($event.Id) at $($event.TimeCreated.ToUniversalTime().ToString('s'))Z: $text"
}
exit 0
"""

SIGN = r"""
$ErrorActionPreference = 'Stop'
try {
    $text = (New-Object IO.StreamReader([Console]::OpenStandardInput())).ReadToEnd()
    $store, $subject = 'Cert:\LocalMachine\My', 'CN=fltlab test signing (this guest only)'
    $found = Get-ChildItem $store | Where-Object { $_.Subject -eq $subject -and $_.HasPrivateKey }
    $mine = $found | Select-Object -First 1
    if (-not $mine) {
        $how = @{ Type = 'CodeSigningCert'; Subject = $subject; CertStoreLocation = $store }
        $mine = New-SelfSignedCertificate @how -NotBefore (Get-Date).AddDays(-2)
        $kinds = 'Security.Cryptography.X509Certificates'
        $public = New-Object "$kinds.X509Certificate2" -ArgumentList (, $mine.RawData)
        foreach ($name in @('Root', 'TrustedPublisher')) {
            $trusted = New-Object "$kinds.X509Store" -ArgumentList @($name, 'LocalMachine')
            $trusted.Open('ReadWrite')
            $trusted.Add($public)
            $trusted.Close()
        }
    }
    foreach ($path in ($text -split "`n" | ForEach-Object { $_.Trim() } | Where-Object { $_ })) {
        $signed = Set-AuthenticodeSignature -LiteralPath $path -Certificate $mine -HashAlgorithm SHA256
        if ("$($signed.Status)" -ne 'Valid') { throw "$path $($signed.Status) $($signed.StatusMessage)" }
        [Console]::Out.WriteLine("signed  $path")
    }
} catch {
    [Console]::Error.WriteLine("$_")
    exit 1
}
exit 0
"""

_SIGNERS: dict[str, str] = {}
"""Names of guests that sign what is deployed in them, and what they said of our signature; each is told of once."""


class SignatureRefused(GuestError):
    """Windows does not take the signature of a driver that fltlab has signed.

    `code` says how; `command` is the number of the command that was refused, from 1 on.
    """

    code = 0
    command = 0


def signature_code(code: int) -> int | None:
    """The code in `REFUSALS` that an exit code, HRESULT or NTSTATUS means; None if it is not about a signature."""
    value = code & 0xFFFFFFFF
    meant = 0x80070000 | value if value < 0x10000 else value & ~0x10000000 if value >> 28 == 0xD else value
    return meant if meant in REFUSALS else None


def can_sign_itself(code: int) -> bool:
    """Whether a signature made in the guest may help against a refusal."""
    return signature_code(code) in _SIGNING_HELPS


def refusal(guest: Guest, about: str, image: str, code: int, details: tuple[str, ...], *, ours: bool) -> FltLabError:
    """The error for a driver that was refused for its signature: the user's file is wrong, or ours is not taken."""
    known = signature_code(code)
    assert known is not None
    message = f"Windows refuses the signature of {about}: {explain(code)}"
    details = (*details, *evidence(guest, image))
    if not ours:
        return ConfigurationError(
            message,
            details=details,
            hint=f"{REFUSALS[known]}; sign it for test signing, and name the certificate in its driver.yaml",
        )
    error = SignatureRefused(message, details=details, hint=REFUSALS[known])
    error.code = known
    return error


def evidence(guest: Guest, image: str) -> tuple[str, ...]:
    """What Windows says of a file's signature, and its last events of code integrity."""
    try:
        result = guest.run(powershell(EVIDENCE), image.encode(), Wait.DEPLOY)
    except FltLabError as error:
        return (f"what Windows says of its signature could not be asked: {error.message}",)
    return tuple(f"| {line}" for line in (result.output + result.errors).splitlines() if line.strip())


def sign_in_guest(guest: Guest, images: Sequence[str], why: SignatureRefused | None = None) -> None:
    """Have the guest sign files (Windows paths) with a certificate of its own; GuestError where it cannot.

    `why` is the refusal that led here: it is told in a warning, once for a guest's name.
    """
    result = guest.run(powershell(SIGN), "\n".join(images).encode(), Wait.DEPLOY)
    if not result.ok:
        details = (*result.describe(), *(why.details if why is not None else ()))
        raise GuestError(
            f"{why.message if why is not None else 'Windows refuses our signature'}; the guest cannot sign it itself",
            details=details,
            hint=why.hint if why is not None else None,
        )
    if why is not None and guest.name not in _SIGNERS:
        _SIGNERS[guest.name] = why.message
        said = "; ".join(line for line in why.details if line.startswith("|"))
        log.warning(
            "%s; %s signs its drivers itself from now on. Please report what it says: %s", why.message, guest.name, said
        )


def signer(name: str) -> str:
    """Why the guests of a name sign what is deployed in them; "" if they do not."""
    return _SIGNERS.get(name, "")


def signs_itself(name: str) -> bool:
    """Whether it is known of a guest's name that its guests take no signature but their own."""
    return name in _SIGNERS
