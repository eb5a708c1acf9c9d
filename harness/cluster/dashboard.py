"""Where the dashboard of a scheduler can be reached from here, if it can be."""

import contextlib
import json
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from harness.cluster.connection import LOCAL, LOOPBACK

if TYPE_CHECKING:
    from distributed import Client

PATIENCE = 3
"""Seconds that the dashboard has to answer."""
MOST = 8 << 20
"""So many bytes of a page are looked at."""


def dashboard_of(client: "Client", address: str) -> str:
    """The address of a scheduler's dashboard; "" if there is none that we reach.

    A scheduler without one still names a port, and one whose pages are for its own machine does not say so: what
    answers there may be any program's. So the page must say that it is this scheduler's.
    """
    told = client.scheduler_info()
    port = told["services"].get("dashboard")
    if address == LOCAL:
        return f"http://{LOOPBACK}:{port}/status" if port else ""
    host = urlsplit(told["address"]).hostname or ""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, HTTPException):
        identity = json.loads(_page(host, port, "/json/identity.json"))
        if identity["id"] == told["id"]:
            _page(host, port, "/")  # leads on to the dashboard, where there is one: that itself takes seconds to make
            return str(client.dashboard_link)
    return ""


def _page(host: str, port: int, path: str) -> bytes:
    """A page; HTTPException if there is none."""
    with contextlib.closing(HTTPConnection(host, port, timeout=PATIENCE)) as pages:
        pages.request("GET", path)
        answer = pages.getresponse()
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise HTTPException(answer.reason)
        return answer.read(MOST)
