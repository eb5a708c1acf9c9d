"""What a test minifilter registers, how it comes and goes, and what it records; see stub_filter_manager."""

import pytest

from harness.minifilter.events import Mechanism, Phase
from harness.minifilter.imports import SUPPORT
from harness.minifilter.package import find_packages
from harness.nt import ContextType, IrpMajor, Irql, NtStatus, PreopStatus, RegistrationFlags
from tests.minifilter.driver_code import CLOSE, CREATE, NOBODY, PEND, READ, Load
from tests.minifilter.stub_filter_manager import PROCESS, load

__all__ = ["load"]

# Registration


def test_without_parameters_a_driver_registers_a_broad_set_with_both_callbacks(load: Load):
    stub = load("observer")

    assert {CREATE, READ, IrpMajor.WRITE, IrpMajor.CLEANUP, CLOSE} <= set(stub.operations)
    assert all(pre and post for _, pre, post in stub.operations.values())
    assert stub.port == r"\fltlab-x"
    assert stub.contexts == []


def test_parameters_say_what_is_registered(load: Load):
    stub = load(
        "observer",
        Operations=["read pre post skip-paging-io", "create  post", "acquire-for-section-synchronization pre"],
        Contexts=["stream-handle", "volume"],
        Options=["no-query-teardown", "no-unload", "do-not-support-service-stop"],
    )

    registered = {
        IrpMajor(major): (flags, bool(pre), bool(post)) for major, (flags, pre, post) in stub.operations.items()
    }
    assert registered == {
        READ: (1, True, True),
        CREATE: (0, False, True),
        IrpMajor.ACQUIRE_FOR_SECTION_SYNCHRONIZATION: (0, True, False),
    }
    assert stub.contexts == [ContextType.STREAM_HANDLE, ContextType.VOLUME]
    assert stub.registration_flags == RegistrationFlags.DO_NOT_SUPPORT_SERVICE_STOP
    assert (stub.callbacks["query-teardown"], stub.callbacks["unload"]) == (NOBODY, NOBODY)


@pytest.mark.parametrize("major", IrpMajor, ids=lambda major: major.spelling)
def test_every_major_that_can_be_registered_has_its_spelling(load: Load, major: IrpMajor):
    status = load("observer", Operations=[f"{major.spelling} pre"]).status

    never_registered = {IrpMajor.POWER, IrpMajor.DEVICE_CHANGE, IrpMajor.SYSTEM_CONTROL}
    assert (status == NtStatus.SUCCESS) == (major not in never_registered)


@pytest.mark.parametrize(
    "parameters",
    [
        {"Operations": ["reed pre"]},
        {"Operations": ["read pre later"]},
        {"Operations": ["read pre", "read post"]},
        {"Contexts": ["section"]},
        {"Options": ["no-such-option"]},
        {"EventCapacity": 0},
        {"EventCapacity": 65537},
    ],
    ids=str,
)
def test_a_parameter_that_is_not_understood_keeps_the_driver_from_loading(load: Load, parameters: dict[str, object]):
    stub = load("observer", **parameters)

    assert stub.status == NtStatus.INVALID_PARAMETER
    assert list(stub.kernel.pool.live("fltlab-x")) == []


# Attaching and unloading


def test_an_instance_is_attached_only_by_hand(load: Load):
    stub = load("observer")

    assert stub.lifecycle("setup", 1, 7, 2) == NtStatus.FLT_DO_NOT_ATTACH
    assert stub.query()["instances"] == 1


def test_unload_closes_the_port_first_and_leaves_nothing_behind(load: Load):
    stub = load("pending")
    stub.rule(READ, action=PEND, mechanism=Mechanism.THREAD)  # starts the thread
    stub.lifecycle("teardown-start", 2)
    stub.lifecycle("teardown-complete", 2)

    assert stub.lifecycle("unload", 0) == NtStatus.SUCCESS

    order = [name for name, *_ in stub.calls if name in ("FltCloseCommunicationPort", "FltUnregisterFilter")]
    assert order == ["FltCloseCommunicationPort", "FltUnregisterFilter"]
    stub.kernel.drivers.remove(stub.kernel.drivers.loaded["fltlab-x"])
    assert stub.kernel.verifier.findings == []


def test_a_driver_told_to_refuse_refuses_unless_it_must(load: Load):
    stub = load("observer", Options=["refuse-unload", "refuse-query-teardown"])

    assert stub.lifecycle("query-teardown", 0) == NtStatus.FLT_DO_NOT_DETACH
    assert stub.lifecycle("unload", 0) == NtStatus.FLT_DO_NOT_DETACH
    assert stub.lifecycle("unload", 1) == NtStatus.SUCCESS


WRONG = sorted(name for name, package in find_packages(SUPPORT).items() if package.violates and package.common)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_driver_does_nothing_wrong_until_a_rule_asks_for_it(load: Load, name: str):
    stub = load(name)
    stub.pre(data := stub.data(stub.file(r"\a"), READ))

    assert stub.status == NtStatus.SUCCESS
    (event,) = stub.events()[1:]
    assert event.returned in (PreopStatus.SUCCESS_NO_CALLBACK, PreopStatus.SUCCESS_WITH_CALLBACK)
    assert stub.io_status(data) == (0, 0)
    assert stub.query()["outstanding"] == 0


# Events


def test_each_callback_is_one_event_and_the_name_stays_with_the_file_object(load: Load):
    stub = load("passthrough")
    file = stub.file(r"\folder\Secret.TXT")
    stub.pre(create := stub.data(file, CREATE))
    stub.post(create)
    stub.pre(read := stub.data(file, READ, offset=4096))
    stub.post(read, irql=Irql.DISPATCH)

    setup, *events = stub.events()

    assert setup.phase is Phase.INSTANCE_SETUP
    assert [(event.phase, event.major, event.irql) for event in events] == [
        (Phase.PRE, CREATE, 0),
        (Phase.POST, CREATE, 0),
        (Phase.PRE, READ, 0),
        (Phase.POST, READ, 2),
    ]
    assert {event.name for event in events} == {"Secret.TXT"}
    assert [event.sequence for event in events] == [2, 3, 4, 5]
    assert [event.time_stamp for event in events] == sorted(event.time_stamp for event in events)
    assert (events[-1].offset, events[-1].length, events[-1].requestor_process) == (4096, 512, PROCESS)
    assert {event.callback_data for event in events[2:]} == {read}


def test_a_name_is_forgotten_when_the_file_object_goes(load: Load):
    stub = load("passthrough")
    file = stub.file(r"\a.txt")
    stub.pre(stub.data(file, CREATE))
    stub.pre(close := stub.data(file, CLOSE))
    stub.post(close)
    stub.kernel.memory.write(file + 0x58, bytes(16))  # another object at the same address, without a name
    stub.pre(stub.data(file, READ))

    assert [event.name for event in stub.events()[1:]] == ["a.txt", "a.txt", "a.txt", ""]


def test_the_names_of_many_files_are_kept_apart(load: Load):
    stub = load("passthrough")
    files = {f"file{n}": stub.file(f"\\file{n}") for n in range(200)}
    for file in files.values():
        stub.pre(stub.data(file, CREATE))
    stub.events()
    for file in files.values():
        stub.post(stub.data(file, READ), irql=Irql.DISPATCH)

    assert [event.name for event in stub.events()] == list(files)


def test_a_full_ring_keeps_the_beginning_and_counts_the_loss(load: Load):
    stub = load("passthrough", EventCapacity=4)
    file = stub.file(r"\a")
    for _ in range(5):
        stub.pre(stub.data(file, READ))

    events, dropped, _ = stub.drain(room=16 + 3 * 192)

    assert ([event.sequence for event in events], dropped) == ([1, 2, 3, 4], 2)
    stub.pre(stub.data(file, READ))
    assert [event.sequence for event in stub.events()] == [7]
