"""fltprobe as the service of a driver: it takes messages and answers them, alone or beside another fltprobe."""

from collections.abc import Callable

import pytest

from harness.nt import NtStatus
from harness.wire import kernel as wire
from harness.wire import programs
from tests.fltprobe.conftest import Bench

ASKING = r"connect svc \fltlab-asks"
PORT_DISCONNECTED = 0x80070006
NOT_FOUND = 0x80070002


@pytest.fixture
def asking(make_bench: Callable[..., Bench]) -> Bench:
    """A kernel with a driver that asks about each open of a name that ends with .ask, for one second at most."""
    bench = make_bench()
    bench.load("asks")
    return bench


def said(bench: Bench) -> list[str]:
    lines = [line.strip() for line in bench.system.log]
    bench.system.log.clear()
    return lines


def test_a_message_is_taken_and_answered(asking: Bench):
    result = asking(
        ASKING + "\nspawn opening open f V:\\a.ask access=read disposition=open-if\n"
        "get-message svc\nreply svc data=07000000\nwait opening"
    )

    taken = result.step("get-message")
    assert (taken.status, taken.information, taken.data.decode("utf-16-le").rstrip("\0")) == (0, 4, "\\a.ask")
    assert result.step("reply").status == 0
    (message,) = result.ports["svc"]
    assert (message.text, message.reply_length, message.answer) == ("\\a.ask", 4, 0)
    assert said(asking) == ["asked 00000000 7"]


def test_threads_answer_by_rules(asking: Bench):
    result = asking(
        ASKING + "\n"
        f"answer svc contains={'evil'.encode('utf-16-le').hex()} data=01000000\n"
        "answer svc at=2 contains=6200 status=0xC0000022\n"
        "answer svc max=1 data=05000000\n"
        "serve svc threads=2\n"
        + "".join(
            f"open f{n} V:\\{name}.ask access=read disposition=open-if\n"
            for n, name in enumerate(["evil", "bad", "one", "two"])
        )
        + "expect-messages svc count=4"
    )

    assert result.step("expect-messages").information == 4
    assert [message.text for message in result.ports["svc"]] == ["\\evil.ask", "\\bad.ask", "\\one.ask", "\\two.ask"]
    assert said(asking) == ["asked 00000000 1", "asked c0000022 0", "asked 00000000 5", "asked 00000000 0"]


def test_the_driver_is_let_go_when_its_time_is_over_and_the_answer_comes_too_late(asking: Bench):
    result = asking(
        ASKING + "\nspawn opening open f V:\\a.ask access=read disposition=open-if\n"
        "get-message svc\nwait opening\nreply svc data=07000000\nget-message svc timeout=10"
    )

    assert result.step("reply").status == 0x801F0020, "no waiter is present"
    assert result.all("get-message")[1].status == NtStatus.TIMEOUT
    assert said(asking) == ["asked 00000102 0"]


def test_an_answer_that_is_too_long_is_cut_and_both_sides_are_told(asking: Bench):
    result = asking(
        ASKING + "\nspawn opening open f V:\\a.ask access=read disposition=open-if\n"
        "get-message svc\nreply svc data=0700000009000000\nwait opening"
    )

    assert result.step("reply").status == 0x800700EA
    assert said(asking) == ["asked 80000005 7"]


def test_the_end_of_the_connection_lets_the_driver_go(asking: Bench):
    result = asking(
        ASKING + "\nspawn opening open f V:\\forever.ask access=read disposition=open-if\n"
        "get-message svc\ndisconnect svc\nwait opening timeout=100\nget-message svc"
    )

    assert result.step("wait").status == 0
    assert result.all("get-message")[1].status == PORT_DISCONNECTED
    assert said(asking) == ["asked c0000037 0"]


def test_a_message_to_the_driver_is_answered_by_it(asking: Bench):
    result = asking(ASKING + "\nsend-message svc data=0102030405 room=16")

    step = result.step("send-message")
    assert (step.status, step.information, step.data) == (0, 5, bytes([5, 4, 3, 2, 1]))


def test_a_port_that_is_not_there_is_told_and_what_is_no_port_ends_the_script(bench: Bench):
    assert bench(r"connect svc \nobody").step("connect").status == NOT_FOUND
    assert bench.error("get-message svc").endswith("no `connect` line names this port: svc")
    assert bench.error("connect svc \\x\nreply svc").endswith("no get-message has taken one from: svc")
    assert bench.error("connect svc \\x context=abc").endswith("not: abc")


def test_a_service_in_a_process_of_its_own(asking: Bench):
    """It serves while another process does I/O, ends when it is told to, and has the messages."""
    image = str(asking.built["fltprobe"].sys)
    script = ASKING + "\nanswer svc data=2a000000\nserve svc\nsignal ready\nawait stop\n"
    started = asking.ask(programs.Start(image, (), script.encode()))
    assert started.exit_code is None

    asking("await ready timeout=1000\nopen f V:\\a.ask access=read disposition=open-if\nsignal stop")
    asking.ask(programs.Await(started.process))

    ended = asking.ask(programs.Look(started.process))
    assert ended.exit_code == 0
    assert b'"reply_length":4,"answer":0' in ended.stdout
    assert said(asking) == ["asked 00000000 42"]


def test_the_death_of_a_service_lets_the_driver_go(asking: Bench):
    """Its process is terminated between two requests; the driver's next question finds no port."""
    image = str(asking.built["fltprobe"].sys)
    started = asking.ask(programs.Start(image, (), (ASKING + "\nget-message svc\nsleep 100000").encode()))
    program = asking.ask(
        programs.Start(image, (), b"open f V:\\forever.ask access=read disposition=open-if\n", patience=10_000)
    )
    assert program.exit_code is None, "the driver waits for the service"

    asking.ask(programs.End(started.process, 0))
    asking.ask(programs.Await(program.process))

    assert said(asking) == ["asked c0000037 0"]
    assert asking.ask(wire.Status()).findings == ()


def test_a_port_takes_one_service_at_a_time(asking: Bench):
    result = asking(ASKING + "\n" + ASKING.replace("svc", "second"))

    assert [step.status for step in result.all("connect")] == [0, 0x800704D6]


def test_an_answer_that_is_said_to_be_longer_than_its_buffer_is_a_finding(asking: Bench):
    asking(f"{ASKING}\nsend-message svc data=0102 room=8")
    assert asking.system.verifier.findings == []

    asking(f"{ASKING}\nsend-message svc data={'07' * 13} room=8")

    (finding,) = asking.system.verifier.findings
    assert finding.driver == "fltlab-asks"
    assert finding.text.endswith("its message callback says that it returned 9 bytes, of 8")
