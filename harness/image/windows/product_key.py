"""A product key of the user's: in a file that only its owner reads, and in no log, list of processes or dry run."""

import re
import stat
from pathlib import Path

from harness.errors import ConfigurationError

FORM = re.compile(r"[A-Z0-9]{5}(-[A-Z0-9]{5}){4}")
PLACEHOLDER = "AAAAA-AAAAA-AAAAA-AAAAA-AAAAA"
"""What stands for a key where nothing is built."""


def read_product_key(path: Path) -> str:
    """The key in a file; ConfigurationError where it cannot be read, is others' to read too, or is no key."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii").strip().upper()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the product key in {path} cannot be read: {error}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationError(
            f"the product key in {path} can be read by others",
            details=(f"mode {mode & 0o777:04o}",),
            hint=f"chmod 600 {path}",
        )
    if not FORM.fullmatch(text):
        raise ConfigurationError(
            f"{path} holds no product key",
            details=("a key is five groups of five letters and digits, and nothing else is in the file",),
        )
    return text
