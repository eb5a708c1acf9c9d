"""Who is shown a request: the instances of a frame on a volume that registered for it, high to low."""

from typing import TYPE_CHECKING

from harness.reference.windows.fltmgr.chains import Turn
from harness.reference.windows.fltmgr.filters import Callbacks, Instance

if TYPE_CHECKING:
    from harness.reference.windows.fltmgr.filter_objects import FilterObjects
    from harness.reference.windows.fltmgr.filters import FrameDevice
    from harness.reference.windows.io.request import Request

Shown = list[tuple[Instance, Callbacks]]


class Selection:
    """Chooses the instances that an operation goes to; they are fixed when it starts (OQ-25)."""

    def __init__(self, objects: "FilterObjects") -> None:
        self.objects = objects
        self._kept: dict[tuple[FrameDevice, int, bool], Shown] = {}
        """By major function, and whether it is an IRP: nobody's registration leaves out single requests by flags."""

    def interested(self, at: "FrameDevice", request: "Request", below: Instance | None = None) -> Shown:
        """The instances that are shown a request that has come to a frame's device: those below one, if it is given."""
        if at.on is None:
            return []
        if below is not None:
            return self._look_for(at, request, below)
        key = (at, request.major, request.is_irp)
        kept = self._kept.get(key)
        if kept is None:
            kept = self._look_for(at, request, None)
            if not any(
                callbacks.flags
                for instance in at.on.instances
                for callbacks in instance.filter.registration.operations.values()
            ):
                self._kept[key] = kept
                self.objects.chains.keep(kept, [self._turn(instance, callbacks) for instance, callbacks in kept])
        return kept

    def instances_changed(self) -> None:
        """An instance comes or goes: operations under way go on step by step, and look at each."""
        for operation in self.objects.operations.values():
            operation.leave_chain()
        self._kept.clear()
        self.objects.chains.forget()

    def _turn(self, instance: Instance, callbacks: Callbacks) -> Turn:
        name = f"{instance.filter.name}@{instance.altitude_text}"
        related = self.objects.related_objects(instance)
        return Turn(name, instance.address, callbacks.pre, callbacks.post, related)

    def _look_for(self, at: "FrameDevice", request: "Request", below: Instance | None) -> Shown:
        found: Shown = []
        for instance in self.candidates(at, below):
            if not instance.attached:
                continue
            callbacks = self.callbacks(instance, request)
            if callbacks is not None and not callbacks.skips(request):
                found.append((instance, callbacks))
        return found

    def candidates(self, at: "FrameDevice", below: Instance | None) -> list[Instance]:
        """A frame's instances on a volume; of a filter's own request only those below the filter's instance (IO-01)."""
        assert at.on is not None
        stack = at.on.instances
        if below is not None:
            stack = stack[stack.index(below) + 1 :] if below in stack else []
        return [instance for instance in stack if instance.frame is at.frame]

    def callbacks(self, instance: Instance, request: "Request") -> Callbacks | None:
        """What the instance's filter registered for the request's major function."""
        return instance.filter.registration.operations.get(request.major)
