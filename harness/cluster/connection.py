"""The way to a Dask scheduler: one that is there already, or a cluster in this very process.

A cluster of this process has one worker for each guest at a time, and they are threads: what may die, the tests, has
processes of its own anyway. It listens on loopback only, and there only for Dask's pages.
"""

import asyncio
import contextlib
import ipaddress
import logging
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from harness.errors import ConfigurationError, HostError

if TYPE_CHECKING:
    from distributed import Client

LOCAL = "local"
"""What stands for a cluster in this process."""
ENCRYPTED = ("tls", "wss")
LOOPBACK = "127.0.0.1"
PATIENCE = 30
"""Seconds that a scheduler has to answer."""
_ADDRESS = re.compile(r"(?:(?:tcp|tls|ws|wss)://)?(?:\[[0-9a-fA-F:.]+\]|[^/\s:\[\]]+):\d+/?")
_NEEDED = ("distributed", "fsspec")
QUIET: dict[str, object] = {
    "distributed.worker.profile.enabled": False,  # a hundred times a second, of threads that wait for a process
    "distributed.admin.tick.interval": "1s",  # whether a loop is late: fifty times a second, of each part
    "distributed.admin.system-monitor.interval": "1 minute",
    "distributed.scheduler.active-memory-manager.start": False,  # of results of tasks: ours have none
    "distributed.scheduler.work-stealing": False,  # of tasks that wait at a worker: ours never do
}
"""What Dask does all the time and nobody here asks for: a thirtieth of a processor, for as long as a run takes."""


def is_address(word: str) -> bool:
    """Whether a word of the command line can be nothing but the address of a scheduler."""
    return bool(_ADDRESS.fullmatch(word))


def require_dask() -> None:
    """Raise ConfigurationError unless what the extra `cluster` has is installed."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"--cluster needs what is not installed here: {', '.join(missing)}",
            hint="pip install 'fltlab[cluster]', or in a checkout: .venv/bin/pip install -e '.[cluster]'",
        )


def require_address(address: str, *, insecure: bool) -> str:
    """The address as Dask takes it; ConfigurationError for one that is none, or whose link anybody could listen to."""
    if address == LOCAL:
        return address
    if "@" in address:
        raise ConfigurationError("--cluster takes an address without a user's name and password")
    if not is_address(address):
        raise ConfigurationError(
            f"--cluster takes the address of a Dask scheduler, not {address!r}",
            hint="--cluster tls://scheduler.example:8786, or --cluster alone for workers on this machine",
        )
    whole = address if "://" in address else f"tcp://{address}"
    url = urlsplit(whole)
    if url.scheme not in ENCRYPTED and not _is_loopback(url.hostname or "") and not insecure:
        raise ConfigurationError(
            f"the link to {whole} is not encrypted",
            details=("whoever can reach a scheduler without TLS can run programs on all of its workers",),
            hint="tls://… with certificates (docs/cluster.md), or --cluster-insecure where the network is yours alone",
        )
    if url.scheme in ENCRYPTED:
        _require_certificates(whole)
    return whole


def _require_certificates(address: str) -> None:
    """Raise ConfigurationError if Dask has been told of no certificates, or of files that are not there."""
    from distributed import Security

    security = Security()
    files = {"ca-file": security.tls_ca_file, "client.cert": security.tls_client_cert}
    files["client.key"] = security.tls_client_key or security.tls_client_cert
    for name, file in files.items():
        if file is None or ("\n" not in file and not Path(file).is_file()):  # Dask takes the text of a file, too
            raise ConfigurationError(
                f"there is no certificate for {address}",
                details=(f"distributed.comm.tls.{name} of Dask's configuration is {file or 'not set'}",),
                hint="docs/cluster.md says how certificates are made, and where Dask is told of them",
            )


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


@contextlib.contextmanager
def connected(address: str, workers: int, *, dashboard: bool) -> Iterator["Client"]:
    """A client of the scheduler at `address`, or of a cluster of this process with so many workers."""
    from distributed import Client

    class OurClient(Client):  # type: ignore[misc]
        def __del__(self) -> None:
            """Its context closes it; one that has reached nobody would wait a minute for an answer to that."""

    with contextlib.ExitStack() as scope:
        scope.enter_context(_cancelled_untold())
        try:
            where: Any = (
                scope.enter_context(_cluster_here(workers, dashboard=dashboard)) if address == LOCAL else address
            )
            client = scope.enter_context(
                OurClient(where, timeout=PATIENCE, set_as_default=False, name="fltlab", direct_to_workers=False)
            )
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            raise HostError(
                f"the scheduler at {address} cannot be reached",
                details=(f"{type(error).__name__}: {error}".splitlines()[0],),
                hint="is it running, and are the certificates those of its authority? docs/cluster.md",
            ) from error
        yield client


@contextlib.contextmanager
def _cancelled_untold() -> Iterator[None]:
    """Dask logs as an error, with pages of calls, that it was told to look for a lost scheduler no longer."""
    logger = logging.getLogger("distributed.client")

    def wanted(record: logging.LogRecord) -> bool:
        kind = record.exc_info[0] if record.exc_info else None
        return kind is None or not issubclass(kind, asyncio.CancelledError)

    logger.addFilter(wanted)
    try:
        yield
    finally:
        logger.removeFilter(wanted)


@contextlib.contextmanager
def _cluster_here(workers: int, *, dashboard: bool) -> Iterator[Any]:
    import dask.config
    from distributed import Scheduler, SpecCluster, Worker

    # LocalCluster would have the HTTP servers of all of them listen on every interface where there is no dashboard.
    parts = {"protocol": "inproc://", "dashboard_address": f"{LOOPBACK}:0"}
    worker = {**parts, "dashboard": False, "nthreads": 1, "memory_limit": None}
    with (
        dask.config.set({} if dashboard else QUIET),
        SpecCluster(
            scheduler={"cls": Scheduler, "options": {**parts, "dashboard": dashboard}},
            workers={number: {"cls": Worker, "options": worker} for number in range(workers)},
            silence_logs=False,
            name="fltlab",
        ) as cluster,
    ):
        yield cluster
