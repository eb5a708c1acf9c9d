"""Addresses in drivers under test, in words: function and line, for whoever reads why a test failed."""

import re

from harness.fleet.scene import Scene
from harness.guest.dump.symbols import symbolize

_ADDRESS = re.compile(r"(?P<returned>allocated by )?(?P<service>[\w-]+)\+0x(?P<offset>[0-9a-fA-F]+)")


def places(text: str, scene: Scene) -> list[str]:
    """A line for each address `<service>+0x<offset>` in a text that is in a driver whose PDB is there."""
    images = {item.entry.service: item.driver.sys for item in scene.minifilters if item.driver.pdb is not None}
    lines: dict[str, str] = {}
    for match in _ADDRESS.finditer(text):
        image = images.get(match["service"])
        if image is None:
            continue
        # Who allocated is known by where the call returns to, which may be in the next line already.
        function, source = symbolize(image, int(match["offset"], 16) - bool(match["returned"]))
        if function is not None:
            at = f"{match['service']}+0x{match['offset']}"
            lines.setdefault(at, f"{at}  {function}{f' [{source}]' if source else ''}")
    return list(lines.values())
