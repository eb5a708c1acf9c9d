"""QMP, QEMU's control protocol: qemu.qmp behind a synchronous front, with every event kept.

QmpError        QEMU answered a command with an error
QmpClosedError  the connection ended: QEMU has gone
"""

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from qemu.qmp import EventListener, ExecInterruptedError, ExecuteError, QMPClient, QMPError, Runstate
from qemu.qmp.protocol import ConnectError

from harness.errors import HostError
from harness.machine.deadlines import Deadline, Deadlines, Wait
from harness.machine.loop import loop_thread

# The library logs what it also raises.
logging.getLogger("qemu.qmp").setLevel(logging.CRITICAL)


class QmpError(HostError):
    """QEMU answered a command with an error."""

    def __init__(self, command: str, kind: str, description: str) -> None:
        super().__init__(f"QEMU refused {command}: {description}")
        self.command = command
        self.kind = kind
        self.description = description


class QmpClosedError(HostError):
    """The connection to QEMU ended."""


@dataclass(frozen=True)
class Event:
    """An event that QEMU reported: its number in the order they came, name, data, and seconds since the epoch."""

    number: int
    name: str
    data: Mapping[str, Any]
    time: float


class Qmp:
    """A QMP connection. Its methods may be called from any thread and wait at most as long as the deadlines say."""

    def __init__(self, name: str, deadlines: Deadlines | None = None) -> None:
        self._deadlines = deadlines if deadlines is not None else Deadlines()
        self._loop = loop_thread()
        self._changed = threading.Condition()
        self._events: list[Event] = []
        self._closed = False
        self._on_event: list[Callable[[Event], None]] = []
        self._on_close: list[Callable[[], None]] = []
        self._client: QMPClient = self._loop.call(lambda: QMPClient(name))
        self._listener = EventListener()
        self._tasks: list[asyncio.Task[None]] = []
        self._end: asyncio.Task[None] | None = None

    @property
    def events(self) -> list[Event]:
        """All events so far, in the order they came."""
        with self._changed:
            return list(self._events)

    @property
    def closed(self) -> bool:
        """Whether the connection has ended."""
        return self._closed

    def subscribe(self, callback: Callable[[Event], None]) -> None:
        """Have every event handed to a function, in the event loop's thread: it must not wait."""
        self._on_event.append(callback)

    def after_last_event(self, callback: Callable[[], None]) -> None:
        """Have a function called when every event has been handed out and none can come; in the event loop's thread."""
        if self._closed:
            callback()
        else:
            self._on_close.append(callback)

    def connect(self, connection: socket.socket) -> None:
        """Take over a connected socket and greet QEMU; raises QmpClosedError if nobody or nothing sensible answers."""
        deadline = self._deadlines.begin(Wait.QEMU_START)
        try:
            self._loop.run(self._connect(connection, deadline.remaining))
        except TimeoutError as error:
            self.close()
            raise deadline.error("a process that says nothing") from error
        except (ConnectError, QMPError, OSError) as error:
            self.close()
            raise QmpClosedError(f"QEMU did not answer QMP: {error}") from error

    def execute(self, command: str, arguments: Mapping[str, Any] | None = None, **more: Any) -> Any:
        """Run a command and return what QEMU returned; underscores in keyword names stand for dashes.

        Raises QmpError when QEMU refuses it, QmpClosedError when QEMU has gone, DeadlineError when it does not answer.
        """
        return self.execute_with_fd(command, None, arguments, **more)

    def execute_with_fd(
        self, command: str, descriptor: int | None, arguments: Mapping[str, Any] | None = None, **more: Any
    ) -> Any:
        """Run a command with a file descriptor handed over beside it (`getfd`)."""
        everything = {**(arguments or {}), **{name.replace("_", "-"): value for name, value in more.items()}}
        deadline = self._deadlines.begin(Wait.QMP_COMMAND)
        try:
            return self._loop.run(self._execute(command, descriptor, everything), deadline.remaining)
        except ExecuteError as error:
            raise QmpError(command, error.error_class, str(error)) from error
        except TimeoutError as error:
            raise deadline.error(f"no answer to {command}") from error
        except (ExecInterruptedError, QMPError, EOFError, OSError) as error:
            raise QmpClosedError(f"QEMU has gone; {command} had no answer ({error})") from error

    def human(self, command: str) -> str:
        """Run a command of the human monitor and return what it prints: only for what QMP cannot tell."""
        return str(self.execute("human-monitor-command", {"command-line": command}))

    def wait_event(
        self,
        names: str | Iterable[str],
        deadline: Deadline,
        *,
        after: int = 0,
        where: Callable[[Event], bool] = lambda _: True,
    ) -> Event:
        """Return the first event with one of these names, numbered above `after`, for which `where` holds.

        Raises DeadlineError when none came in time, QmpClosedError when QEMU has gone without one.
        """
        wanted = {names} if isinstance(names, str) else set(names)

        def found() -> Event | None:
            for event in self._events:
                if event.number > after and event.name in wanted and where(event):
                    return event
            return None

        with self._changed:
            self._changed.wait_for(lambda: found() is not None or self._closed, deadline.remaining)
            event = found()
            if event is not None:
                return event
            seen = ", ".join(event.name for event in self._events if event.number > after) or "no event"
            if self._closed:
                raise QmpClosedError(f"QEMU has gone while waiting for {deadline.waiting_for}; events: {seen}")
            raise deadline.error(seen)

    @property
    def last_event(self) -> int:
        """The number of the newest event, 0 if none came: for `wait_event(after=…)`."""
        with self._changed:
            return len(self._events)

    def close(self) -> None:
        """End the connection."""
        self._loop.run(self._disconnect(), self._deadlines.seconds(Wait.QMP_COMMAND))

    async def _connect(self, connection: socket.socket, seconds: float) -> None:
        self._client.register_listener(self._listener)
        self._tasks.append(asyncio.create_task(self._collect()))
        await asyncio.wait_for(self._client.connect(connection), seconds)
        self._tasks.append(asyncio.create_task(self._watch()))

    async def _execute(self, command: str, descriptor: int | None, arguments: Mapping[str, Any]) -> Any:
        if descriptor is not None:
            self._client.send_fd_scm(descriptor)
        return await self._client.execute(command, dict(arguments))

    async def _collect(self) -> None:
        async for message in self._listener:
            self._take(message)

    def _take(self, message: Mapping[str, Any]) -> None:
        stamp = message.get("timestamp")
        seconds = stamp["seconds"] + stamp["microseconds"] / 1e6 if isinstance(stamp, Mapping) else 0.0
        data = message.get("data")
        with self._changed:
            number = len(self._events) + 1
            event = Event(number, str(message["event"]), data if isinstance(data, Mapping) else {}, seconds)
            self._events.append(event)
            for callback in self._on_event:
                callback(event)
            self._changed.notify_all()

    async def _watch(self) -> None:
        """Notice that the connection ends, whether or not anybody talks over it."""
        while self._client.runstate is Runstate.RUNNING:
            await self._client.runstate_changed()
        await self._disconnect()

    async def _disconnect(self) -> None:
        """End the connection once: the library must be told, and listened to, a single time."""
        if self._end is None:
            self._end = asyncio.create_task(self._finish())
        await asyncio.shield(self._end)

    async def _finish(self) -> None:
        try:
            if self._client.runstate is not Runstate.IDLE:
                await self._client.disconnect()
        except (EOFError, OSError, QMPError):
            pass  # how QEMU ends a connection is of no interest: that it has ended is
        finally:
            for task in self._tasks:
                task.cancel()
            for message in self._listener.clear():
                self._take(message)
            with self._changed:
                self._closed = True
                self._changed.notify_all()
            for callback in self._on_close:
                callback()
