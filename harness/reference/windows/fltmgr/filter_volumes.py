"""What the filter manager keeps of a volume: its FLT_VOLUME, the instances on it, volume contexts."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.contexts import Context
    from harness.reference.windows.fltmgr.filters import Instance
    from harness.reference.windows.io.volumes import Volume


@dataclass(eq=False, slots=True)
class FilterVolume:
    """A volume as minifilters see it. `address` is its FLT_VOLUME."""

    volume: "Volume"
    address: int
    instances: "list[Instance]" = field(default_factory=list)
    """Highest altitude first."""
    contexts: "dict[tuple[int, int], Context]" = field(default_factory=dict)
