"""The names of a program's image, as drivers are told them."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.reference.windows.io.volumes import Volume

_ELSEWHERE = "\\fltlab\\"
"""Where on the first volume an image is said to be that lies on none."""


def image_names(volumes: "Iterable[Volume]", path: str) -> tuple[str, str]:
    r"""(\Device\HarddiskVolume1\dir\a.exe, C:\dir\a.exe) for the path of an image: of the host's, or a DOS path."""
    first = ("\\Device\\HarddiskVolume1", "C:")
    for volume in volumes:
        if path[:2].upper() == volume.dos_name.upper():
            return volume.device_name + path[2:], path
        root = volume.file_system.store.host_root if volume.file_system is not None else None
        if root is not None and Path(path).is_relative_to(root):
            rest = "".join("\\" + part for part in Path(path).relative_to(root).parts)
            return volume.device_name + rest, volume.dos_name + rest
    if path[1:2] == ":":
        return first[0] + path[2:], path
    name = _ELSEWHERE + path.replace("\\", "/").rpartition("/")[2]
    return first[0] + name, first[1] + name
