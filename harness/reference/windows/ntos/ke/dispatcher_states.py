"""Changes of dispatcher objects in guest memory that wake who waits."""

from typing import TYPE_CHECKING

from harness.reference.windows.ntos.ke.dispatcher_objects import DispatcherHeader

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive


def set_event(k: "Executive", event: int) -> int:
    """Signal a KEVENT; its previous state."""
    header = DispatcherHeader(k.memory, event)
    before = header.signal_state
    header.signal_state = 1
    k.scheduler.signal_key(event)
    return before & 0xFFFF_FFFF
