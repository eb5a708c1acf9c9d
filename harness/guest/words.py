"""What Windows' programs print, read by structure and codes: their words are in the language of the guest.

Names of options and files, numbers and codes are the same everywhere; so are the rulers of tables (fltmc.py). Only
"yes" and "no" are words that must be known, for bcdedit prints nothing else.
"""

import re
from collections.abc import Mapping

from harness.errors import GuestError

_AFFIRMED: Mapping[str, tuple[str, str]] = {
    "en": ("yes", "no"),
    "de": ("ja", "nein"),
    "fr": ("oui", "non"),
    "es": ("sí", "no"),
    "pt": ("sim", "não"),
    "it": ("sì", "no"),
    "ja": ("はい", "いいえ"),
    "zh": ("是", "否"),
    "ru": ("да", "нет"),
}
LANGUAGES = tuple(_AFFIRMED)
"""The languages whose output fltlab has tables of, in tests/guest/test_languages.py; made by hand."""

_WITHOUT_ACCENTS = {"si": "sí", "nao": "não"}
_VERSION = re.compile(r"\[[^\]\d]*10\.0\.(\d+)")
_OPTION = re.compile(r"^([a-z]\w+)\s+(\S.*?)\s*$", re.MULTILINE)


def build_of(ver: str) -> int | None:
    """The build that `ver` names, of Windows 10 or later: `Microsoft Windows [Version 10.0.26100.1742]`."""
    found = _VERSION.search(ver)
    return int(found[1]) if found else None


def boot_options(bcdedit: str) -> dict[str, str]:
    """The options of one entry of `bcdedit /enum`, by their names, which are not translated."""
    return dict(_OPTION.findall(bcdedit.replace("\r\n", "\n")))


def is_yes(word: str) -> bool:
    """What `Yes` and `No` of bcdedit mean in any of the languages; GuestError for a word that is in none of them."""
    known = _WITHOUT_ACCENTS.get(word.casefold(), word.casefold())
    for yes, no in _AFFIRMED.values():
        if known in (yes, no):
            return known == yes
    raise GuestError(
        f"{word!r} is neither yes nor no in a language that fltlab knows",
        details=(f"languages: {', '.join(LANGUAGES)}",),
        hint="use an ISO in one of these, best en-US; and report the text of bcdedit /enum",
    )
