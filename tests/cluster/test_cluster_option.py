"""`--cluster` on the command line, and what a cluster on this machine is."""

import json
import threading
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from harness.cli.run import with_cluster
from harness.cluster import connection
from harness.cluster.connection import LOCAL, connected, require_dask
from harness.cluster.coordinator import Coordinator
from harness.cluster.dashboard import dashboard_of
from harness.errors import ConfigurationError, ExitCode, HostError
from harness.report.journal import read_journal


@pytest.mark.parametrize(
    ("words", "whole"),
    [
        (["--cluster"], ["--cluster=local"]),
        (["--cluster", "completion", "-x"], ["--cluster=local", "completion", "-x"]),
        (["--cluster", "suites/one/test_a.py::test_b"], ["--cluster=local", "suites/one/test_a.py::test_b"]),
        (["--cluster", "tls://host.example:8786"], ["--cluster", "tls://host.example:8786"]),
        (["--cluster", "[::1]:8786", "io"], ["--cluster", "[::1]:8786", "io"]),
        (["--cluster=tcp://10.0.0.1:1", "io"], ["--cluster=tcp://10.0.0.1:1", "io"]),
        (["io"], ["io"]),
    ],
)
def test_what_comes_after_cluster_is_its_value_only_if_it_can_be_an_address(words: list[str], whole: list[str]):
    assert with_cluster(words) == whole


def test_without_the_extra_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, pytester: pytest.Pytester):
    pytester.makepyfile("def test_a(): pass")
    monkeypatch.setattr(connection, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError) as error:
        require_dask()
    assert "pip install 'fltlab[cluster]'" in str(error.value)

    ended = pytester.runpytest_inprocess("--cluster=local")

    assert ended.ret == pytest.ExitCode.USAGE_ERROR
    ended.stderr.fnmatch_lines(["*--cluster needs what is not installed here: distributed, fsspec*"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--cluster=local", "-s"), "--cluster does not go with -s"),
        (("--cluster=local", "--workers=0"), "--workers takes a number from 1, not 0"),
        (
            ("--cluster=127.0.0.1:1",),
            "a cluster with a scheduler needs a place where its machines have files in common",
        ),
    ],
)
def test_what_does_not_go_together_is_wrong_use(pytester: pytest.Pytester, words: tuple[str, ...], said: str):
    pytester.makepyfile("def test_a(): pass")

    ended = pytester.runpytest_inprocess(*words)

    assert ended.ret == pytest.ExitCode.USAGE_ERROR
    ended.stderr.fnmatch_lines([f"*{said}*"])


class Command:
    """What says that pytest was started by `fltlab run`."""

    fltlab_run_command = True


def test_a_run_whose_scheduler_is_lost_says_how_to_go_on(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch):
    pytester.makepyfile(test_one="import pytest\n@pytest.mark.rule('REG-01')\ndef test_a(): pass\ndef test_b(): pass")

    def run(coordinator: Coordinator) -> None:
        coordinator._listener.given_up("test_one.py::test_a", "its worker died of it 2 times", ())
        raise HostError("the connection to the scheduler of the cluster was lost")

    client = SimpleNamespace(scheduler_info=lambda **_: {"services": {}, "workers": {}})
    monkeypatch.setattr(Coordinator, "run", run)
    monkeypatch.setattr("harness.plugin.cluster.connected", lambda *_, **__: nullcontext(client))
    ended = pytester.runpytest_inprocess("--cluster=local", "--guest=reference-local", "--out=run", plugins=[Command()])

    assert ended.ret == ExitCode.HOST
    ended.stdout.fnmatch_lines(
        ["*the connection to the scheduler of the cluster was lost", f"*fltlab run --resume {pytester.path}/run*"]
    )
    assert [record.name for record in read_journal(pytester.path / "run")] == ["test_a"]


def test_a_cluster_on_this_machine_listens_on_loopback_only():
    def listening() -> set[tuple[str, int]]:
        own = psutil.Process().net_connections(kind="inet")
        return {tuple(one.laddr) for one in own if one.status == psutil.CONN_LISTEN}

    before = listening()
    with connected(LOCAL, 2, dashboard=False) as client:
        assert len(client.scheduler_info()["workers"]) == 2
        new = listening() - before
        assert {host for host, _ in new} == {"127.0.0.1"}
        assert dashboard_of(client, LOCAL).startswith("http://127.0.0.1:")
    assert listening() <= before


def asked(pages: dict[str, object]) -> str:
    """The dashboard of a scheduler `this` at whose port a server has these pages."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path in pages else 404)
            self.end_headers()
            self.wfile.write(json.dumps(pages.get(self.path)).encode())

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        port = server.server_address[1]
        told = {"id": "this", "address": "tls://127.0.0.1:1", "services": {"dashboard": port}}
        client: Any = SimpleNamespace(scheduler_info=lambda: told, dashboard_link="the link")
        try:
            return dashboard_of(client, "tls://127.0.0.1:1")
        finally:
            server.shutdown()


IDENTITY = "/json/identity.json"


@pytest.mark.parametrize(
    ("pages", "link"),
    [
        ({IDENTITY: {"id": "this"}, "/": ""}, "the link"),
        ({IDENTITY: {"id": "this"}}, ""),
        ({IDENTITY: {"id": "another"}, "/": ""}, ""),
        ({IDENTITY: ["id"], "/": ""}, ""),
        ({"/": ""}, ""),
    ],
    ids=["its own", "none", "another scheduler's", "another program's", "a page of another kind"],
)
def test_the_dashboard_that_is_told_is_the_schedulers_own(pages: dict[str, object], link: str):
    assert asked(pages) == link
