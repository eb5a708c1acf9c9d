"""Two WinRM clients that know nothing of each other, and both ways of proving who they are."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import winrm
from pypsrp.shell import Process, WinRS
from pypsrp.wsman import WSMan
from winrm.exceptions import InvalidCredentialsError

from harness.errors import ExitCode
from harness.guest import Authentication, LocalGuest
from harness.guest.errors import CredentialsRefused
from harness.guest.winrm import WinRmSession
from tests.daemon.conftest import Raw

TRANSPORTS = ("basic", "ntlm")


def pypsrp_client(guest: LocalGuest, transport: str) -> WSMan:
    return WSMan(
        guest.endpoint.host,
        port=guest.endpoint.port,
        username=guest.endpoint.user,
        password=guest.endpoint.password,
        ssl=False,
        auth=transport,
        encryption="never" if transport == "basic" else "always",
        no_proxy=True,
    )


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_pywinrm_runs_a_command(daemon: LocalGuest, transport: str):
    session = winrm.Session(
        daemon.endpoint.url, auth=(daemon.endpoint.user, daemon.endpoint.password), transport=transport
    )

    result = session.run_cmd("echo", ["one", "two"])

    assert (result.status_code, result.std_out, result.std_err) == (0, b"one two\r\n", b"")


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_pypsrp_runs_a_command_and_gets_its_exit_code(daemon: LocalGuest, transport: str):
    with pypsrp_client(daemon, transport) as client, WinRS(client) as shell:
        process = Process(shell, "type", [r"C:\nothing\there"])
        process.invoke()

        assert process.rc == 1
        assert b"cannot find" in process.stderr


def test_pypsrp_sends_standard_input(daemon: LocalGuest):
    with pypsrp_client(daemon, "basic") as client, WinRS(client) as shell:
        process = Process(shell, "fltlab-receive", [r"C:\from\pypsrp.txt"])
        process.begin_invoke()
        process.send(b"twelve bytes", end=True)
        process.end_invoke()

        assert process.rc == 0
    assert daemon.get(r"C:\from\pypsrp.txt") == b"twelve bytes"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_wrong_password_is_refused(daemon: LocalGuest, transport: str):
    session = winrm.Session(daemon.endpoint.url, auth=(daemon.endpoint.user, "wrong"), transport=transport)

    with pytest.raises(InvalidCredentialsError):
        session.run_cmd("ver")


def test_the_harness_says_a_wrong_password_in_one_sentence(daemon: LocalGuest):
    endpoint = replace(daemon.endpoint, password="wrong")
    with WinRmSession(endpoint, "the guest") as session, pytest.raises(CredentialsRefused) as refused:
        session.run("ver")

    assert refused.value.exit_code is ExitCode.HOST
    assert "wrong" not in str(refused.value)


def test_several_shells_and_commands_at_a_time(daemon: LocalGuest):
    def run(number: int) -> str:
        with WinRmSession(daemon.endpoint, f"session {number}") as session:
            return session.run(f"echo {number}").output.strip()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(run, range(24))) == [str(number) for number in range(24)]


def test_identify_needs_no_password(raw: Raw):
    raw.session.auth = None
    identify = (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"'
        ' xmlns:i="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"><s:Header/>'
        "<s:Body><i:Identify/></s:Body></s:Envelope>"
    )

    answer = raw.post(identify, {"WSMANIDENTIFY": "unauthenticated"})

    assert answer.status == 200
    assert "fltlab reference guest" in answer.text


def test_ntlm_works_through_the_harness_too(folder):
    with LocalGuest(folder, authentication=Authentication.NTLM) as guest:
        assert guest.run("echo hello").output == "hello\n"
        guest.put(b"x" * 100_000, r"C:\big")
        assert guest.get(r"C:\big") == b"x" * 100_000
