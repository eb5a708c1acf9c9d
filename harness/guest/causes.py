"""Why a driver does not load or attach, as far as its code and what was printed tell: said once, with what to do."""

from harness.wire.kernel import ASKED_IN_VAIN, OPENED_IN_VAIN

_ENTRY_POINT_NOT_FOUND = 0x8007007F
_BAD_IMAGE = 0x800700C1
_FILE_NOT_FOUND = 0x80070002
_ALTITUDE_COLLISION = 0x801F0011
_NAME_COLLISION = 0x801F0012
_ALREADY_EXISTS = 0x800700B7
_INVALID_PARAMETER = 0x80070057

_HINTS = {
    _ENTRY_POINT_NOT_FOUND: "it imports what is not exported: fltlab kernel imports X.sys lists what",
    _BAD_IMAGE: "it is no x64 driver, or damaged: fltlab drivers check X.sys says what is wrong",
    _FILE_NOT_FOUND: (
        "a key or a value that it needs is not there: its INF, `parameters` in its driver.yaml, or fltlab try "
        "--registry FILE gives them"
    ),
    _ALTITUDE_COLLISION: "another instance has its altitude: driver@label#altitude in the stack gives it its own",
    _NAME_COLLISION: "an instance of this name is attached already: perhaps it attaches by itself (Flags of the INF)",
    _ALREADY_EXISTS: "it is loaded already, or something that it makes (a device, a port) is there already",
    _INVALID_PARAMETER: "fltlab explain REG-14: FLT_REGISTRATION_VERSION and Size of its FLT_REGISTRATION",
}


def probable_cause(code: int, printed: str) -> str | None:
    """A hint for the code (an HRESULT) and the text of a load or an attachment that failed; None if none is known."""
    _, asked, what = printed.partition(ASKED_IN_VAIN)
    if asked:
        wanted = what.splitlines()[0].rstrip(".)") if what else ""
        gives = "its INF, `parameters` in its driver.yaml, or fltlab try --registry FILE gives it"
        return f"{ASKED_IN_VAIN}{wanted}: {gives}"
    _, opened, name = printed.partition(OPENED_IN_VAIN)
    if opened:
        return f"{opened}{name.splitlines()[0].rstrip(')')}, which no driver can count on before its installer has run"
    return _HINTS.get(code)
