"""The names of a program's image, as drivers are told them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.reference.windows.io.volumes import Volume

_ELSEWHERE = "\\fltlab\\"
"""Where on the first volume an image is said to be that lies on none."""


@dataclass(frozen=True, slots=True)
class ImageNames:
    r"""\Device\HarddiskVolume1\dir\a.exe and C:\dir\a.exe; whether there is a volume on which that file lies."""

    nt: str
    dos: str
    on_volume: bool


def image_names(volumes: "Iterable[Volume]", path: str) -> ImageNames:
    """The names of an image by its path: of the host's, or a DOS path."""
    first = ("\\Device\\HarddiskVolume1", "C:")
    for volume in volumes:
        if path[:2].upper() == volume.dos_name.upper():
            return ImageNames(volume.device_name + path[2:], path, on_volume=True)
        root = volume.file_system.store.host_root if volume.file_system is not None else None
        if root is not None and Path(path).is_relative_to(root):
            rest = "".join("\\" + part for part in Path(path).relative_to(root).parts)
            return ImageNames(volume.device_name + rest, volume.dos_name + rest, on_volume=True)
    if path[1:2] == ":":
        return ImageNames(first[0] + path[2:], path, on_volume=False)
    name = _ELSEWHERE + path.replace("\\", "/").rpartition("/")[2]
    return ImageNames(first[0] + name, first[1] + name, on_volume=False)
