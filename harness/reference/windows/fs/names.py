r"""Names as NTFS parses them: components, the stream behind a colon, and what is refused.

`\dir\file:stream:$DATA` names a stream; `\dir\file::$DATA` is `\dir\file`. A backslash at the end asks for a directory.
"""

from dataclasses import dataclass

from harness.nt import NtStatus
from harness.reference.windows.ntos.status_error import StatusError

LONGEST = 255
"""UTF-16 units of one component."""
_FORBIDDEN = frozenset('"*/:<>?|') | {chr(code) for code in range(32)}
_FORBIDDEN_IN_STREAMS = frozenset("\\/:\0")
_DATA, _INDEX = "$DATA", "$INDEX_ALLOCATION"
_INDEX_NAME = "$I30"
_OTHER_TYPES = frozenset(
    {
        "$STANDARD_INFORMATION", "$ATTRIBUTE_LIST", "$FILE_NAME", "$OBJECT_ID", "$SECURITY_DESCRIPTOR", "$VOLUME_NAME",
        "$VOLUME_INFORMATION", "$INDEX_ROOT", "$BITMAP", "$REPARSE_POINT", "$EA_INFORMATION", "$EA", "$PROPERTY_SET",
        "$LOGGED_UTILITY_STREAM",
    }
)  # fmt: skip
"""Attribute types that exist and are nobody's to open."""
SYSTEM_FILES = frozenset(
    {
        "$MFT", "$MFTMIRR", "$LOGFILE", "$VOLUME", "$ATTRDEF", "$BITMAP", "$BOOT", "$BADCLUS", "$SECURE", "$UPCASE",
        "$EXTEND",
    }
)  # fmt: skip
"""The volume's own files in its root directory."""


@dataclass(frozen=True, slots=True)
class Name:
    """A parsed name. `stream` is None without a colon, "" for the default stream spelled out."""

    components: tuple[str, ...]
    stream: str | None = None
    index: bool = False
    """The stream is the index of a directory, spelled out."""
    trailing_backslash: bool = False

    @property
    def text(self) -> str:
        r"""`\dir\file`, without the stream."""
        return "\\" + "\\".join(self.components)


def length(text: str) -> int:
    """UTF-16 units of a text."""
    return len(text) + sum(1 for character in text if ord(character) > 0xFFFF)


def check_component(text: str) -> None:
    """Raise OBJECT_NAME_INVALID for what cannot be the name of a file."""
    if not text or text in (".", "..") or length(text) > LONGEST or not _FORBIDDEN.isdisjoint(text):
        raise StatusError(NtStatus.OBJECT_NAME_INVALID)


def parse(text: str, *, relative: bool = False) -> Name:
    r"""Parse a name that a create brings: absolute (`\a\b`), or relative to a directory (`a\b`, ``, `:stream`)."""
    if text.startswith("\\\\") and not relative:
        text = text[1:]
    if relative == text.startswith("\\"):
        raise StatusError(NtStatus.INVALID_PARAMETER if relative else NtStatus.OBJECT_NAME_INVALID)
    body = text if relative else text[1:]
    trailing = body.endswith("\\")
    if trailing:
        body = body[:-1]
        if not body:
            raise StatusError(NtStatus.OBJECT_NAME_INVALID)
    if not body:
        return Name((), trailing_backslash=False)
    *above, last = body.split("\\")
    stream: str | None = None
    index = False
    if ":" in last:
        last, stream, index = _split_stream(last)
    for component in above:
        check_component(_directory_component(component))
    if last or not above:
        if last:
            check_component(last)
    else:
        raise StatusError(NtStatus.OBJECT_NAME_INVALID)
    components = tuple(_directory_component(component) for component in above) + ((last,) if last else ())
    if trailing and stream is not None and not index:
        raise StatusError(NtStatus.OBJECT_NAME_INVALID)
    return Name(components, stream, index, trailing)


def _directory_component(text: str) -> str:
    """A component on the way; a directory may spell its index out: `dir:$I30:$INDEX_ALLOCATION`."""
    if ":" not in text:
        return text
    name, stream, index = _split_stream(text)
    if not index or stream:
        raise StatusError(NtStatus.OBJECT_NAME_INVALID)
    return name


def _split_stream(text: str) -> tuple[str, str, bool]:
    """`file:stream:$TYPE` as (file, stream, whether it is a directory's index)."""
    name, *rest = text.split(":")
    if len(rest) > 2 or rest == [""] or (len(rest) == 2 and not rest[1]):
        raise StatusError(NtStatus.OBJECT_NAME_INVALID)
    stream, kind = rest[0], (rest[1].upper() if len(rest) == 2 else _DATA)
    if length(stream) > LONGEST or not _FORBIDDEN_IN_STREAMS.isdisjoint(stream):
        raise StatusError(NtStatus.OBJECT_NAME_INVALID)
    if kind == _INDEX:
        if stream.upper() not in ("", _INDEX_NAME):
            raise StatusError(NtStatus.OBJECT_NAME_INVALID)
        return name, "", True
    if kind in _OTHER_TYPES:
        raise StatusError(NtStatus.ACCESS_DENIED)
    if kind != _DATA:
        raise StatusError(NtStatus.OBJECT_NAME_INVALID)
    return name, stream, False


def parse_target(text: str) -> str:
    """The last component of a rename's or link's new name."""
    check_component(text)
    return text


def parse_new_stream(text: str) -> str:
    """The new name of a stream: `:name` or `:name:$DATA`."""
    _, stream, index = _split_stream(text)
    if index:
        raise StatusError(NtStatus.INVALID_PARAMETER)
    return stream
