"""What a handle refers to."""

from typing import TYPE_CHECKING

from harness.reference.windows.ntos.ob.objects import CURRENT_PROCESS, CURRENT_THREAD, Object
from harness.reference.windows.ntos.ps.process_objects import process_object, thread_object

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive


def object_by_handle(k: "Executive", handle: int) -> Object | None:
    """What a handle refers to."""
    if handle == CURRENT_PROCESS:
        return process_object(k, k.current.process)
    if handle == CURRENT_THREAD:
        return thread_object(k, k.current)
    found = k.objects.lookup(handle)
    return found.object if found is not None else None
