"""Text that somebody else wrote: a guest, a driver under test, a file name. Here it is made safe, and nowhere else.

`SafeText` can be printed on a terminal, written as UTF-8 and put into XML, HTML and JSON, and is of bounded length.
What cannot be shown stands there by its number, `<U+001B>`, `<U+D800>`, `<U+202E>`: a backslash would look like part of
a path. The same text always becomes the same safe text, so that two of them can be compared.

A name that somebody else chose becomes part of a path by `file_name`, part of a command to be copied by `shlex.join`.
"""

import hashlib
import json
import re
from typing import Any, NewType

SafeText = NewType("SafeText", str)

LIMIT = 65_536
"""How many characters of a text are kept unless somebody says otherwise."""
LINE_LIMIT = 4096
JSON_DEPTH = 64
FILE_NAME_LIMIT = 120
_HASH_DIGITS = 10
_NOT_IN_PATHS = re.compile(r"[^A-Za-z0-9_.\-]+")


def safe(raw: object, limit: int = LIMIT) -> SafeText:
    """Text of any origin, lines and tabs kept. Of one that is longer than `limit` the middle is left out."""
    text = raw.decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else str(raw)
    if len(text) > limit:
        half = limit // 2
        text = f"{text[:half]}… ({len(text) - 2 * half} characters left out) …{text[len(text) - half :]}"
    lines = text.replace("\r\n", "\n").split("\n")
    return SafeText("\n".join(line if line.replace("\t", " ").isprintable() else _escaped(line) for line in lines))


def safe_line(raw: object, limit: int = LINE_LIMIT) -> SafeText:
    """The same on one line: line ends are shown by their number too, a tab is a space."""
    if isinstance(raw, str) and raw.isprintable() and len(raw) <= limit:
        return SafeText(raw)
    return SafeText(safe(raw, limit).replace("\t", " ").replace("\n", "<U+000A>"))


def file_name(raw: str, plain: str | None = None) -> str:
    """A name as the name of one file or folder: two names that differ never share one.

    `plain` is a spelling of it that no other name has. Where there is none that a path likes, or it is too long, a hash
    of the whole stands at its end.
    """
    wanted = raw if plain is None else plain
    spelled = _NOT_IN_PATHS.sub("-", wanted).strip("-.")
    if spelled and spelled == wanted and len(spelled) <= FILE_NAME_LIMIT:
        return spelled
    digest = hashlib.sha256(raw.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]
    return f"{spelled[: FILE_NAME_LIMIT - _HASH_DIGITS - 1]}-{digest}".lstrip("-")


def read_json(text: str | bytes) -> Any:
    """A JSON document that somebody else wrote; ValueError if it is none, or nested as nobody would."""
    try:
        document = json.loads(text, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError(f"it is nested more than {JSON_DEPTH} deep") from error
    _require_flat(document)
    return document


def _escaped(line: str) -> str:
    return "".join(one if one.isprintable() or one == "\t" else f"<U+{ord(one):04X}>" for one in line)


def _require_flat(document: object) -> None:
    level, depth = [document], 0
    while level := [
        inner
        for outer in level
        if isinstance(outer, dict | list)
        for inner in (outer.values() if isinstance(outer, dict) else outer)
        if isinstance(inner, dict | list)
    ]:
        depth += 1
        if depth > JSON_DEPTH:
            raise ValueError(f"it is nested more than {JSON_DEPTH} deep")


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")
