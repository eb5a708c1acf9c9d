"""The names that this reference kernel exports, as JSON: `python -m harness.reference.process.export_names`.

For each module the names that it implements, and those that Windows has and it has not: calling one of these stops the
kernel, while an image that imports any other name is not loaded (machine/loader/binding.py).
"""

import json
import sys

from harness.reference.machine.loader.export_lists import modules, names_of
from harness.reference.windows.kernel import Kernel


def names() -> dict[str, dict[str, list[str]]]:
    """By module: `has` and `lacks`, each sorted."""
    exports = Kernel().exports
    found = {}
    for module in modules():
        has = {name for name in names_of(module) if exports.can_be_called(module, name)}
        has.update(exports.implemented(module))
        found[module] = {"has": sorted(has), "lacks": sorted(names_of(module) - has)}
    return found


if __name__ == "__main__":
    json.dump(names(), sys.stdout)
