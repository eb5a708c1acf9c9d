"""What comes with fltlab beside its code: its own drivers, its suites, the recipes of images.

In a checkout they stand at its top; in an installed package in `harness/share`, where setup.py puts them.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
IS_CHECKOUT = (_PACKAGE.parent / "pyproject.toml").is_file() and (_PACKAGE.parent / "drivers").is_dir()
SHIPPED = _PACKAGE.parent if IS_CHECKOUT else _PACKAGE / "share"
DRIVERS = SHIPPED / "drivers"
SUITES = SHIPPED / "suites"
IMAGES = SHIPPED / "vm-images"
