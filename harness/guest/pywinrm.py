"""pywinrm, whose NTLM is loaded when a guest wants it: else that would be a sixth of what a run takes to start."""

import importlib.util
import sys
from typing import Any

_NTLM = "requests_ntlm"


def _ntlm(*arguments: Any, **options: Any) -> Any:
    """Stands for `HttpNtlmAuth`, which is loaded now."""
    from requests_ntlm import HttpNtlmAuth

    return HttpNtlmAuth(*arguments, **options)


def _load_without(name: str) -> None:
    """Load pywinrm's transport as if a library were not installed."""
    modules: dict[str, Any] = sys.modules
    modules[name] = None
    try:
        from winrm import transport
    finally:
        del modules[name]
    if importlib.util.find_spec(name) is not None:
        vars(transport).update(HttpNtlmAuth=_ntlm, HAVE_NTLM=True)


if _NTLM not in sys.modules and "winrm" not in sys.modules:
    _load_without(_NTLM)

from winrm.exceptions import (  # noqa: E402 - only now
    InvalidCredentialsError,
    WinRMError,
    WinRMOperationTimeoutError,
    WinRMTransportError,
    WSManFaultError,
)
from winrm.protocol import Protocol  # noqa: E402

__all__ = [
    "InvalidCredentialsError",
    "Protocol",
    "WSManFaultError",
    "WinRMError",
    "WinRMOperationTimeoutError",
    "WinRMTransportError",
]
