"""What one machine of a cluster builds, and the others fetch: under a name in the store, while one holds a lease.

A lease is a ticket, a file in a directory of its own. Stores have no lock, but all show what was written to whoever
lists it then: who finds its ticket alone holds the lease, and who finds another takes its own back and waits. A ticket
that its holder no longer renews, by the clock of the one who waits, is removed: that holder is dead. If two build the
same after all, nothing is wrong: one of the two trees gets the name.
"""

import contextlib
import random
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.cluster.store import Store
from harness.errors import HostError
from harness.fleet.progress import say
from harness.text import safe_line


@dataclass(frozen=True)
class Pace:
    """How often a lease is renewed, after how long without that it is nobody's, and how long a build may take."""

    renew: float = 10.0
    dead: float = 60.0
    patience: float = 3 * 3600.0
    look: float = 1.0


class Lease:
    """The right to build one thing, for as long as its context lasts."""

    def __init__(self, store: Store, name: str, pace: Pace) -> None:
        self._store = store
        self._directory = f"{store.root}/leases/{name}"
        self._ticket = f"{secrets.token_hex(16)}.json"
        self._pace = pace
        self._renewals = 0
        self._seen: dict[str, tuple[object, float]] = {}

    @property
    def path(self) -> str:
        return f"{self._directory}/{self._ticket}"

    def take(self) -> str:
        """Take it if nobody has it; "" if it is ours now, or whose it is."""
        holder = self._living(self._others())
        if holder:
            return holder
        self._renew()
        holder = self._living(self._others())
        if holder:  # both wanted it at the same time, and both try again
            self.give_back()
        return holder

    def give_back(self) -> None:
        self._store.delete(self.path)

    @contextlib.contextmanager
    def renewed(self) -> Iterator[None]:
        """Renew it until the context ends, and give it back."""
        over = threading.Event()

        def renew() -> None:
            while not over.wait(self._pace.renew):
                with contextlib.suppress(HostError):  # the build says what is wrong with the store
                    self._renew()

        thread = threading.Thread(target=renew, name="fltlab-lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            with contextlib.suppress(HostError):
                self.give_back()

    def _renew(self) -> None:
        self._renewals += 1
        self._store.write_json(self.path, {"host": socket.gethostname(), "renewals": self._renewals})

    def _others(self) -> list[str]:
        return [name for name in self._store.listed(self._directory) if name != self._ticket]

    def _living(self, tickets: list[str]) -> str:
        """Who holds one of these tickets; those that nobody renews are removed."""
        for name in tickets:
            path = f"{self._directory}/{name}"
            values = self._store.read_json(path) or {}
            now, renewals = time.monotonic(), values.get("renewals")
            known, since = self._seen.get(name, (None, now))
            if known != renewals:
                self._seen[name] = (renewals, now)
            elif now - since > self._pace.dead:
                self._store.delete(path)
                continue
            return safe_line(str(values.get("host", "another machine")))
        return ""


def find(store: Store, kind: str, key: str) -> str | None:
    """The digest of what was built under this name, if it is there whole; it counts as wanted now."""
    values = store.read_json(_named(store, kind, key)) or {}
    digest = values.get("digest")
    if not isinstance(digest, str) or not store.has(digest):
        return None
    store.want(digest)
    return digest


def name(store: Store, kind: str, key: str, digest: str) -> None:
    """Give a tree a name."""
    store.write_json(_named(store, kind, key), {"digest": digest})


def built_once(store: Store, kind: str, key: str, build: Callable[[], Path], pace: Pace | None = None) -> str:
    """The digest of what has this name: built here and put there, unless it is there or another machine builds it.

    `build` gives the directory or file that was built. What it raises is raised; another machine may try then.
    """
    pace = pace or Pace()
    lease = Lease(store, f"{kind}-{key}", pace)
    told = False
    until = time.monotonic() + pace.patience
    while True:
        digest = find(store, kind, key)
        if digest is not None:
            return digest
        holder = lease.take()
        if not holder:
            with lease.renewed():
                digest = find(store, kind, key)  # who had the lease before us may have just finished
                if digest is None:
                    digest = store.put(build()).digest
                    name(store, kind, key, digest)
                return digest
        if not told:
            say(f"waiting for {holder}, which builds the {kind} {key[:40]}")
            told = True
        if time.monotonic() > until:
            raise HostError(
                f"{holder} has been building the {kind} {key[:40]} for {pace.patience / 3600:.0f} hours",
                hint="see what it does; when it ends, another machine builds it",
            )
        time.sleep(pace.look * random.uniform(0.5, 1.5))


def _named(store: Store, kind: str, key: str) -> str:
    return f"{store.root}/names/{kind}/{key}"
