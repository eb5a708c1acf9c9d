"""What a script for the guest must be before it is sent there: the checks that need no Windows.

Encoding and line ends for all; for batch files that every label exists once and is used, and that blocks close. That
PowerShell parses is checked in the tests, where a grammar of it is at hand.
"""

import itertools
import re
from collections.abc import Iterator

from harness.errors import ConfigurationError

_LABEL = re.compile(r"^\s*:([A-Za-z][\w-]*)", re.MULTILINE)
_JUMP = re.compile(r"\b(?:goto\s+:?|call\s+:)([A-Za-z][\w-]*)", re.IGNORECASE)
_DIGIT_BEFORE_REDIRECTION = re.compile(r"echo\b.*\d>", re.IGNORECASE)
_LONGEST_LINE = 8191
"""The longest command line of cmd.exe."""


def check_script(content: bytes, name: str) -> None:
    """Raise ConfigurationError with every problem of a script."""
    problems = script_problems(content, name)
    if problems:
        raise ConfigurationError(f"{name} would not run in the guest", details=tuple(problems))


def script_problems(content: bytes, name: str) -> list[str]:
    """Return what is wrong with a script."""
    problems = list(_text_problems(content))
    if name.endswith(".cmd"):
        problems += _batch_problems(content.decode("ascii", "replace"))
    return problems


def _text_problems(content: bytes) -> Iterator[str]:
    if any(byte > 0x7E or (byte < 0x20 and byte not in b"\r\n") for byte in content):
        yield "it has a character that is no printable ASCII"
    if re.search(rb"(?<!\r)\n|\r(?!\n)", content):
        yield r"a line does not end in \r\n"
    if not content.endswith(b"\r\n"):
        yield "its last line does not end"


def _batch_problems(text: str) -> Iterator[str]:
    code = "\n".join(line for line in text.splitlines() if not re.match(r"\s*(rem\b|::)", line, re.IGNORECASE))
    labels = [label.lower() for label in _LABEL.findall(code)]
    jumps = {jump.lower() for jump in _JUMP.findall(code)} - {"eof"}
    for label in sorted(set(labels)):
        if labels.count(label) > 1:
            yield f"the label :{label} occurs {labels.count(label)} times"
    for missing in sorted(jumps - set(labels)):
        yield f"there is no label :{missing}"
    for unused in sorted(set(labels) - jumps - _fallen_into(code)):
        yield f"nothing goes to :{unused}"
    depth = _depth(code)
    if depth:
        yield f"{abs(depth)} blocks are {'open at the end' if depth > 0 else 'closed too often'}"
    for line in code.splitlines():
        if len(line) > _LONGEST_LINE:
            yield f"a line has {len(line)} characters"
        if _DIGIT_BEFORE_REDIRECTION.search(line):
            yield f"a digit before > names a handle: {line.strip()}"


def _fallen_into(code: str) -> set[str]:
    """Return labels that are reached from the line above them."""
    lines = [line.strip() for line in code.splitlines() if line.strip()]
    found = set()
    for above, line in itertools.pairwise(lines):
        label = _LABEL.match(line)
        if label and not re.match(r"(goto|exit)\b", above, re.IGNORECASE):
            found.add(label[1].lower())
    return found


def _depth(code: str) -> int:
    """Return how many ( are left open, those in quotes and those escaped not counted."""
    depth = 0
    for line in code.splitlines():
        bare = re.sub(r'"[^"]*"|\^.', "", line)
        if re.match(r"\s*(call\s+:|>>?\S+\s.*echo|echo\b)", bare, re.IGNORECASE):
            continue
        depth += bare.count("(") - bare.count(")")
    return depth
