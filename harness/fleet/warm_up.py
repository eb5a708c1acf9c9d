"""What a guest does before it becomes a template: some I/O through its stack, and none of it remains.

Code that has run once is translated: the minifilters' and fltprobe's by the reference kernel, in memory that every
fork shares. It is done with fltlab's own drivers only, unreplaced, in a kernel without a break: what a user's driver
does, or a wrong one, it is to do in a test.
"""

from collections.abc import Iterator

from harness.fleet.scene import Scene
from harness.minifilter.imports import SUPPORT
from harness.minifilter.package import Control

FILE = r"V:\fltlab-warm-up"
NAME = FILE.rpartition("\\")[2]


def warm_up_script(scene: Scene, *, correct_kernel: bool) -> str:
    """The I/O script that warms a scene up; with any driver that is not ours it only connects to the minifilters."""
    labels = [item.entry.label for item in scene.minifilters if item.driver.package.control is Control.FLTLAB]
    ours = all(item.driver.package.directory.is_relative_to(SUPPORT) for item in scene.minifilters)
    lines = [f"filter {label}" for label in labels]
    if ours and not scene.plan.replaced and correct_kernel:
        lines += [f'rule {label} major=create name="{NAME}" do=with-callback' for label in labels]
        lines += _input_and_output()
    return "\n".join([*lines, "sleep 1"]) + "\n"


def _input_and_output() -> Iterator[str]:
    for handle, options in (("direct", "noncached,delete-on-close"), ("cached", "delete-on-close")):
        yield f'open {handle} "{FILE}" access=rw,delete disposition=overwrite-if options={options}'
        yield f"write {handle} offset=0 length=4096 fill=0x5A"
        yield f"read {handle} offset=0 length=4096"
        yield f"read {handle} offset=0 length=512"
        yield f"query {handle} class=standard"
        yield f"close {handle}"
