"""Registry callbacks: drivers that are told of operations on keys before and after, and may refuse them.

The highest altitude is asked first. One that answers with an error has refused: nobody below is asked, and the
operation is not done; STATUS_CALLBACK_BYPASS has done it itself. Who was asked before is told of the end, from the
lowest up.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from struct import pack
from typing import TYPE_CHECKING, Any

from harness.nt import NtStatus
from harness.reference.machine.scheduler.requests import KernelCode
from harness.reference.windows.ntos.cm.registry import Key
from harness.reference.windows.ntos.ob.objects import Object
from harness.reference.windows.verifier.holdings import Kind

if TYPE_CHECKING:
    from harness.reference.windows.ntos.executive import Executive

_KEY_SIZE = 0x20
_CALLBACK = Kind("registry callback", "CmUnRegisterCallback")


@dataclass(frozen=True, slots=True)
class Notification:
    """One kind of operation: its REG_NOTIFY_CLASS before and after."""

    pre: int
    post: int


DELETE_KEY = Notification(0, 15)
SET_VALUE = Notification(1, 16)
DELETE_VALUE = Notification(2, 17)
ENUMERATE_KEY = Notification(5, 20)
ENUMERATE_VALUE = Notification(6, 21)
QUERY_KEY = Notification(7, 22)
QUERY_VALUE = Notification(8, 23)
CLOSE_HANDLE = Notification(14, 25)
CREATE_KEY = Notification(26, 27)
OPEN_KEY = Notification(28, 29)


@dataclass(frozen=True, slots=True)
class RegistryCallback:
    """What CmRegisterCallbackEx was given."""

    cookie: int
    routine: int
    altitude: tuple[int, ...]
    context: int
    driver: str | None


@dataclass(slots=True)
class RegistryCallbacks:
    """The callbacks of one kernel, the highest first, and the objects of keys that drivers are shown."""

    executive: "Executive"
    registered: list[RegistryCallback] = field(default_factory=list)
    objects: dict[Key, Object] = field(default_factory=dict)
    _cookies: "count[int]" = field(default_factory=lambda: count(0x1D0_0000_0001))

    def add(self, routine: int, altitude: str, context: int, driver: str | None) -> int:
        """Register a callback: its cookie, or 0 where the altitude is taken."""
        place = _altitude(altitude)
        if any(known.altitude == place for known in self.registered):
            return 0
        made = RegistryCallback(next(self._cookies), routine, place, context, driver)
        self.registered.append(made)
        self.registered.sort(key=lambda known: known.altitude, reverse=True)
        self.executive.holdings.take(_CALLBACK, made.cookie)
        return made.cookie

    def remove(self, cookie: int) -> bool:
        """Unregister; False if the cookie is nobody's."""
        known = [item for item in self.registered if item.cookie == cookie]
        for item in known:
            self.registered.remove(item)
            self.executive.holdings.give_back(_CALLBACK, cookie)
        return bool(known)

    def forget(self, driver: str) -> None:
        """A driver goes: what it has left registered, which is reported, would be called where its code is no more."""
        self.registered = [item for item in self.registered if item.driver != driver]

    def object_of(self, key: Key) -> Object:
        """The object of a key, which all its handles lead to."""
        known = self.objects.get(key)
        if known is None:
            address = self.executive.heap.allocate(_KEY_SIZE)
            known = self.objects[key] = self.executive.objects.register(Object("Key", key, address))
        return known

    def around(
        self,
        what: Notification,
        information: Callable[[], bytes],
        operation: Callable[[], int],
        subject: Callable[[], int],
    ) -> Any:
        """An operation with its callbacks: its NTSTATUS at once where nobody listens, else code that comes to it.

        `information` is the structure for the callbacks without its last three members (CallContext, ObjectContext,
        Reserved); `subject` is the address of the key, once that is known.
        """
        if not self.registered:
            return operation()
        return self._around(what, information(), operation, subject)

    def _around(
        self, what: Notification, information: bytes, operation: Callable[[], int], subject: Callable[[], int]
    ) -> KernelCode:
        k = self.executive
        before = k.heap.allocate(len(information) + 24)
        k.memory.write(before, information + bytes(24))
        asked: list[RegistryCallback] = []
        status: int | None = None
        for callback in list(self.registered):
            answer = (yield from self._call(callback, what.pre, before)) & 0xFFFF_FFFF
            if answer & 0x8000_0000:
                status = int(NtStatus.SUCCESS) if answer == NtStatus.CALLBACK_BYPASS else answer
                break
            asked.append(callback)
        if status is None:
            status = operation()
        after = k.heap.allocate(56)
        for callback in reversed(asked):
            k.memory.write(after, pack("<QI4xQI4x", subject(), status, before, status) + bytes(24))
            answer = (yield from self._call(callback, what.post, after)) & 0xFFFF_FFFF
            if answer == NtStatus.CALLBACK_BYPASS:
                status = k.memory.read_u32(after + 24)
        k.heap.free(after)
        k.heap.free(before)
        return status

    def _call(self, callback: RegistryCallback, notification: int, information: int) -> KernelCode:
        kept = self.executive.kept
        return (
            yield from kept.call("its registry callback", callback.routine, callback.context, notification, information)
        )


def _altitude(text: str) -> tuple[int, ...]:
    """An altitude as what orders it: its whole part, and its fraction digit by digit."""
    whole, _, fraction = text.partition(".")
    return (int(whole) if whole.isdecimal() else 0, *map(int, fraction if fraction.isdecimal() else ""))
