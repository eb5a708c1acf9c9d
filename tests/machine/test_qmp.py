"""The synchronous front of QMP, against a server that plays QEMU by a script."""

import json
import socket
import threading

import pytest

from harness.machine.deadlines import Deadline, DeadlineError, Deadlines, Wait
from harness.machine.qmp import Qmp, QmpClosedError, QmpError
from tests.limits import HANG, Impatient

GREETING = {"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 7}, "package": ""}, "capabilities": []}}
STAMP = {"seconds": 1700000000, "microseconds": 500000}


class Server:
    """Plays QEMU: answers each command with the messages that the script has for it."""

    def __init__(self, script, greeting=GREETING):
        self.ours, self.theirs = socket.socketpair()
        self.script = {"qmp_capabilities": [{"return": {}}], **script}
        self.greeting = greeting
        self.commands = []
        self.descriptors = []
        self.thread = threading.Thread(target=self.play, daemon=True)
        self.thread.start()

    def play(self):
        if self.greeting is not None:
            self.send(self.greeting)
        buffer = b""
        while True:
            try:
                data, descriptors, _, _ = socket.recv_fds(self.ours, 65536, 4)
            except OSError:
                return
            if not data:
                return
            self.descriptors += descriptors
            buffer += data
            while True:
                try:
                    text = buffer.decode().lstrip()
                    message, end = json.JSONDecoder().raw_decode(text)
                except ValueError:
                    break
                buffer = text[end:].encode()
                self.answer(message)

    def answer(self, message):
        self.commands.append((message["execute"], message.get("arguments", {})))
        for reply in self.script.get(message["execute"], [{"error": {"class": "CommandNotFound", "desc": "what?"}}]):
            if reply == "hang up":
                self.ours.shutdown(socket.SHUT_RDWR)
                return
            self.send(reply if "event" in reply or "id" not in message else {**reply, "id": message["id"]})

    def send(self, message):
        self.ours.sendall(json.dumps(message).encode() + b"\r\n")


@pytest.fixture
def qmp():
    opened = []

    def connect(script=None, deadlines=None):
        server = Server(script or {})
        client = Qmp("test", deadlines or Deadlines())
        client.connect(server.theirs)
        opened.append(client)
        return client, server

    yield connect
    for client in opened:
        client.close()


def event(name, **data):
    return {"event": name, "data": data, "timestamp": STAMP}


def test_a_command_gives_what_qemu_returned(qmp):
    client, server = qmp({"query-status": [{"return": {"status": "running"}}]})
    assert client.execute("query-status") == {"status": "running"}
    assert server.commands == [("qmp_capabilities", {}), ("query-status", {})]


def test_underscores_in_names_of_arguments_stand_for_dashes(qmp):
    client, server = qmp({"blockdev-del": [{"return": {}}]})
    client.execute("blockdev-del", node_name="x")
    client.execute("blockdev-del", {"bps_rd": 0})
    assert [arguments for _, arguments in server.commands[1:]] == [{"node-name": "x"}, {"bps_rd": 0}]


def test_a_refusal_names_the_command_and_says_what_qemu_said(qmp):
    client, _ = qmp({"cont": [{"error": {"class": "GenericError", "desc": "Resetting required"}}]})
    with pytest.raises(QmpError, match="QEMU refused cont: Resetting required") as caught:
        client.execute("cont")
    assert (caught.value.command, caught.value.kind) == ("cont", "GenericError")


def test_events_are_kept_in_the_order_they_came_with_their_data_and_time(qmp, short):
    client, _ = qmp({"stop": [event("STOP"), event("RTC_CHANGE", offset=1), {"return": {}}]})
    client.execute("stop")
    client.wait_event("RTC_CHANGE", short)
    assert [(e.number, e.name, dict(e.data), e.time) for e in client.events] == [
        (1, "STOP", {}, 1700000000.5),
        (2, "RTC_CHANGE", {"offset": 1}, 1700000000.5),
    ]


def test_an_event_that_came_before_the_wait_counts_unless_it_is_too_old(qmp, short):
    client, _ = qmp({"stop": [event("STOP"), {"return": {}}]})
    client.execute("stop")
    first = client.wait_event("STOP", short)
    client.execute("stop")
    assert client.wait_event("STOP", short, after=first.number).number == 2


def test_an_event_is_picked_by_its_data(qmp, short):
    gone = [event("DEVICE_DELETED", path="/x"), event("DEVICE_DELETED", device="vdata"), {"return": {}}]
    client, _ = qmp({"device_del": gone})
    client.execute("device_del")
    found = client.wait_event("DEVICE_DELETED", short, where=lambda e: e.data.get("device") == "vdata")
    assert found.number == 2


def test_a_wait_that_ends_says_what_it_waited_for_and_what_it_saw(qmp):
    client, _ = qmp({"stop": [event("STOP"), {"return": {}}]})
    client.execute("stop")
    client.wait_event("STOP", Deadline(HANG, "the guest to stop"))
    with pytest.raises(DeadlineError, match=r"waited 0 s for the guest to shut down\n.*last seen: STOP"):
        client.wait_event("SHUTDOWN", Deadline(0.05, "the guest to shut down"))


def test_a_qemu_that_goes_away_ends_every_wait(qmp):
    client, _ = qmp({"quit": ["hang up"]})
    waiting = []

    def wait():
        try:
            client.wait_event("SHUTDOWN", Deadline(HANG, "a shutdown"))
        except QmpClosedError as error:
            waiting.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    with pytest.raises(QmpClosedError, match="quit had no answer"):
        client.execute("quit")
    thread.join(HANG)
    assert len(waiting) == 1
    assert client.closed
    with pytest.raises(QmpClosedError):
        client.execute("query-status")


def test_a_command_without_an_answer_ends_with_its_deadline(qmp):
    client, _ = qmp({"stop": []}, Impatient(only={Wait.QMP_COMMAND: 0.3}))
    with pytest.raises(DeadlineError, match="no answer to stop"):
        client.execute("stop")


def test_a_descriptor_goes_with_its_command(qmp, tmp_path):
    client, server = qmp({"getfd": [{"return": {}}]})
    with (tmp_path / "file").open("w") as file:
        client.execute_with_fd("getfd", file.fileno(), fdname="state")
    assert len(server.descriptors) == 1
    assert server.commands[-1] == ("getfd", {"fdname": "state"})


def test_something_that_is_no_qemu_is_no_connection():
    server = Server({}, greeting={"hello": "there"})
    with pytest.raises(QmpClosedError, match="did not answer QMP"):
        Qmp("test").connect(server.theirs)


def test_something_that_says_nothing_is_given_up():
    server = Server({}, greeting=None)
    with pytest.raises(DeadlineError, match="QEMU to answer QMP"):
        Qmp("test", Impatient(only={Wait.QEMU_START: 0.3})).connect(server.theirs)


def test_many_threads_may_ask_at_once(qmp):
    client, _ = qmp({"query-name": [{"return": {"name": "x"}}]})
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(client.execute("query-name"))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(HANG)
    assert answers == [{"name": "x"}] * 20
