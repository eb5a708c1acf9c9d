"""What an image imports, read from its import directory; nothing of it is run."""

from dataclasses import dataclass
from pathlib import Path

import pefile

from harness.errors import ConfigurationError
from harness.text import safe_line


@dataclass(frozen=True, order=True)
class Import:
    """One import; `module` in lower case, `name` is `#<ordinal>` where there is none."""

    module: str
    name: str


def imports_of(path: Path) -> tuple[Import, ...]:
    """The imports of an image in the order in which it names them; ConfigurationError for what is no such image."""
    try:
        with pefile.PE(str(path), fast_load=True) as image:
            image.parse_data_directories([pefile.DIRECTORY_ENTRY["IMAGE_DIRECTORY_ENTRY_IMPORT"]])
            return tuple(
                Import(
                    safe_line(entry.dll).lower(),
                    safe_line(one.name) if one.name is not None else f"#{one.ordinal}",
                )
                for entry in getattr(image, "DIRECTORY_ENTRY_IMPORT", ())
                for one in entry.imports
            )
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read", details=(str(error),)) from error
    except Exception as error:
        # pefile runs into errors of any kind in an image whose parts lie about each other (check.py).
        raise ConfigurationError(
            f"{path} is not a Windows image: {type(error).__name__}: {error}", hint="name a .sys or .exe file"
        ) from error
