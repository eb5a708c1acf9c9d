"""Objects that were known by handles alone, and get a guest address."""

from typing import TYPE_CHECKING

from harness.reference.windows.ntos.ob.objects import Object

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive

_OPAQUE_SIZE = 0x40


def placed(k: "Executive", item: Object) -> Object:
    """An object with a guest address: one that has none gets one."""
    if item.address:
        return item
    item.address = k.heap.allocate(_OPAQUE_SIZE)
    before = item.on_delete

    def gone(_: Object) -> None:
        k.heap.free(item.address)
        if before is not None:
            before(item)

    item.on_delete = gone
    return k.objects.register(item)
