"""Memory that a driver allocated and never wrote: what lies in it says so, wherever it is copied to.

Pool that need not be zeroed holds a word of eight bytes again and again, of which six are always the same and two say
which call has allocated it. No data of anybody else's look like that, so a look at what leaves a driver finds what it
has never written, and whose it is, without a trace of how it came there. As a pointer the word is no canonical address,
as a length enormous, as a BOOLEAN true.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.reference.machine.memory.layout import PAGE_SIZE

if TYPE_CHECKING:
    from harness.reference.machine.loader.images import ImageTable

_MARK = bytes.fromhex("ad de 0b f0 ad ba")
"""The upper six bytes of the word. The lower two are a number, 7 bits in each: the place in the table of sites."""
_WORD = 8
_NUMBER = _WORD - len(_MARK)
_MOST = 1 << 14


@dataclass(frozen=True, slots=True)
class Site:
    """A call that allocates memory without having it zeroed."""

    driver: str | None
    address: int
    what: str
    """`pool, tag 'Smpl'`."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was never written in some data."""

    site: Site
    offset: int
    count: int
    """In bytes."""


class Unwritten:
    """What fills such memory, and finds it again."""

    def __init__(self, images: "ImageTable") -> None:
        self._images = images
        self._fills: dict[Site, bytes] = {}
        self._sites: list[Site] = []

    @property
    def is_known(self) -> bool:
        """Whether there is any such memory."""
        return bool(self._sites)

    def fill(self, driver: str | None, address: int, what: str) -> bytes:
        """A page of what memory holds that `driver` allocates by the call at `address`."""
        site = Site(driver, address, what)
        page = self._fills.get(site)
        if page is None:
            number = min(len(self._sites), _MOST - 1)
            self._sites.append(site)
            page = self._fills[site] = (bytes((number & 0x7F | 0x80, number >> 7 | 0x80)) + _MARK) * (
                PAGE_SIZE // _WORD
            )
        return page

    def find(self, data: bytes) -> Found | None:
        """The first of it in some data."""
        at = data.find(_MARK)
        while at >= 0:
            number = data[at - _NUMBER : at] if at >= _NUMBER else data[at + len(_MARK) : at + _WORD]
            site = self._site(number)
            if site is not None:
                return Found(site, max(at - _NUMBER, 0), min(_WORD * data.count(_MARK), len(data)))
            at = data.find(_MARK, at + 1)
        return None

    def explain(self, value: int) -> str | None:
        """What a value is that comes from such memory; None for any other."""
        found = self.find((value & (1 << 64) - 1).to_bytes(_WORD, "little"))
        return f"never written: {self.describe(found.site)}" if found is not None else None

    def _site(self, number: bytes) -> Site | None:
        if len(number) < _NUMBER or not number[0] & number[1] & 0x80:
            return None
        index = number[0] & 0x7F | (number[1] & 0x7F) << 7
        return self._sites[index] if index < len(self._sites) else None

    def describe(self, site: Site) -> str:
        """In words."""
        return f"{site.what}, allocated at {self.place(site)}"

    def place(self, site: Site) -> str:
        """`observer+0x1234`."""
        return self._images.describe(site.address)
