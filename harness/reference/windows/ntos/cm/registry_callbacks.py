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
_IDENTITIES = 0xFFFF_B000_0000_1000
"""The first of what CmCallbackGetKeyObjectID tells."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One kind of operation: its REG_NOTIFY_CLASS before and after."""

    pre: int
    post: int
    context_at: int = 8
    """Where the ObjectContext is (of an open, the RootObjectContext), from the end of what is its own."""
    subject_at: int = 0
    """Where the object is whose context that is."""


DELETE_KEY = Notification(0, 15)
SET_VALUE = Notification(1, 16)
DELETE_VALUE = Notification(2, 17)
RENAME_KEY = Notification(4, 19)
ENUMERATE_KEY = Notification(5, 20)
ENUMERATE_VALUE = Notification(6, 21)
QUERY_KEY = Notification(7, 22)
QUERY_VALUE = Notification(8, 23)
CLOSE_HANDLE = Notification(14, 25)
CREATE_KEY = Notification(26, 27, context_at=0, subject_at=8)
OPEN_KEY = Notification(28, 29, context_at=0, subject_at=8)
_CONTEXT_CLEANUP = 40
"""RegNtCallbackObjectContextCleanup."""


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
    identities: dict[Key, int] = field(default_factory=dict)
    contexts: dict[tuple[int, int], int] = field(default_factory=dict)
    """CmSetCallbackObjectContext: by the object of an open key, and the cookie."""
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
        gone = {item.cookie for item in self.registered if item.driver == driver}
        self.registered = [item for item in self.registered if item.cookie not in gone]
        self.contexts = {known: context for known, context in self.contexts.items() if known[1] not in gone}

    def identity_of(self, key: Key) -> int:
        """What all opens of a key have in common."""
        return self.identities.setdefault(key, _IDENTITIES + 0x40 * len(self.identities))

    def opened(self, key: Key) -> Object:
        """The object of a key that is opened now: that of one open."""
        k = self.executive
        item = Object("Key", key, k.heap.allocate(_KEY_SIZE), references=0, closing=self._closed)
        item.on_delete = lambda gone: k.heap.free(gone.address)
        return k.objects.register(item)

    def _closed(self, item: Object) -> KernelCode:
        """The last handle of an open is closed: RegNtPreKeyHandleClose, the post, and the end of its contexts."""
        if self.registered:
            key = pack("<Q", item.address)
            yield from self._around(CLOSE_HANDLE, key, lambda: 0, lambda: item.address)
        for address, cookie in [known for known in self.contexts if known[0] == item.address]:
            yield from self._end_context(address, cookie)

    def unregister(self, cookie: int) -> KernelCode:
        """CmUnRegisterCallback: the contexts of a callback end with it; False if the cookie is nobody's."""
        for address, of in [known for known in self.contexts if known[1] == cookie]:
            yield from self._end_context(address, of)
        return self.remove(cookie)

    def _end_context(self, address: int, cookie: int) -> KernelCode:
        """Tell a callback to release what it has kept of an open."""
        k = self.executive
        context = self.contexts.pop((address, cookie), 0)
        known = next((item for item in self.registered if item.cookie == cookie), None)
        if context and known is not None:
            told = k.heap.allocate(24)
            k.memory.write(told, pack("<QQQ", address, context, 0))
            yield from self._call(known, _CONTEXT_CLEANUP, told)
            k.heap.free(told)

    def around(
        self,
        what: Notification,
        information: Callable[[], bytes],
        operation: Callable[[], int],
        subject: Callable[[], int],
    ) -> Any:
        """An operation with its callbacks: its NTSTATUS at once where nobody listens, else code that comes to it.

        `information` is the structure for the callbacks without its last three members (CallContext, ObjectContext,
        Reserved; of an open RootObjectContext, Transaction, Reserved); `subject` is the address of the object of the
        key, once that is known. Each callback has a CallContext and an ObjectContext of its own.
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
        of = int.from_bytes(information[what.subject_at : what.subject_at + 8], "little")
        context_at = before + len(information) + what.context_at
        asked: list[tuple[RegistryCallback, int]] = []
        status: int | None = None
        for callback in list(self.registered):
            k.memory.write(context_at - 8, pack("<QQ", 0, self.contexts.get((of, callback.cookie), 0)))
            answer = (yield from self._call(callback, what.pre, before)) & 0xFFFF_FFFF
            if answer & 0x8000_0000:
                status = int(NtStatus.SUCCESS) if answer == NtStatus.CALLBACK_BYPASS else answer
                break
            asked.append((callback, k.memory.read_u64(context_at - 8)))
        if status is None:
            status = operation()
        after = k.heap.allocate(56)
        for callback, call_context in reversed(asked):
            context = self.contexts.get((subject(), callback.cookie), 0)
            k.memory.write(after, pack("<QI4xQI4x3Q", subject(), status, before, status, call_context, context, 0))
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
