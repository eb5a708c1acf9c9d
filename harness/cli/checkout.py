"""Where this checkout is: the commands that build or test fltlab itself need its files."""

from pathlib import Path

import harness
from harness.errors import ConfigurationError


def checkout() -> Path:
    """The top folder of the checkout that this `harness` was imported from."""
    root = Path(harness.__file__).resolve().parent.parent
    if not (root / "pyproject.toml").is_file():
        raise ConfigurationError(
            "this command works on fltlab's own checkout, and fltlab is installed without one",
            details=(f"harness was imported from {root}",),
            hint="clone fltlab and use its ./fltlab",
        )
    return root
