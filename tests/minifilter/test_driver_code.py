"""What the test minifilters' own code does, callback by callback, under a filter manager that is only a stub."""

import struct
from collections.abc import Callable

import pytest

from harness.minifilter.events import ContextCall, Mechanism, Phase
from harness.nt import ContextType, IrpMajor, Irql, NtStatus, PostopStatus, PreopStatus, RegistrationFlags
from tests.minifilter.stub_filter_manager import FAST_IO, FS_FILTER, PROCESS, Stub, load

Load = Callable[..., Stub]
__all__ = ["load"]

PAGING_IO, HOLD, CONTEXT, RACE, READ_OWN, OFFSET, NOT_DIRTY = (1 << n for n in range(7))
SET_CONTEXT, PRE_CONTEXT, POST_CONTEXT, POST_STATUS, POST_HOLD = (1 << n for n in range(7, 12))
NO_CALLBACK, WITH_CALLBACK, SYNCHRONIZE, COMPLETE, PEND, DISALLOW_FASTIO, DISALLOW_FSFILTER = range(1, 8)
RESUME_NO_CALLBACK, RESUME_WITH_CALLBACK, RESUME_COMPLETE, RESUME_SYNCHRONIZE = range(1, 5)
POST_PEND, POST_WHEN_SAFE = 2, 3
READ, CREATE, CLOSE = IrpMajor.READ, IrpMajor.CREATE, IrpMajor.CLOSE
NOBODY = 0

every_mechanism = pytest.mark.parametrize("mechanism", list(Mechanism), ids=lambda value: value.name.lower())


def phases(stub: Stub) -> list[Phase]:
    return [event.phase for event in stub.events()]


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


# The control port


def test_requests_that_make_no_sense_are_refused(load: Load):
    stub = load("observer")

    assert stub.send(9)[0] == NtStatus.INVALID_PARAMETER
    assert stub.send(1, version=2)[0] == NtStatus.REVISION_MISMATCH
    assert stub.send(2, b"short")[0] == NtStatus.INVALID_PARAMETER
    assert stub.send(6, bytes(8))[0] == NtStatus.NOT_FOUND
    assert stub.send(3, room=100)[0] == NtStatus.BUFFER_TOO_SMALL
    assert stub.send(5, room=8)[0] == NtStatus.BUFFER_TOO_SMALL
    assert stub.message(stub.input, 15, stub.output, 100)[0] == NtStatus.INVALID_PARAMETER
    assert stub.message(0, 0, stub.output, 100)[0] == NtStatus.INVALID_PARAMETER


def test_a_bad_address_from_user_mode_is_an_error_and_no_bug_check(load: Load):
    stub = load("observer")
    stub.kernel.memory.write(stub.input, struct.pack("<IIII", 1, 5, 16, 0))

    assert stub.message(0x10000, 16, stub.output, 100)[0] == NtStatus.ACCESS_VIOLATION
    assert stub.message(stub.input, 16, 0x10000, 100)[0] == NtStatus.ACCESS_VIOLATION


@pytest.mark.parametrize(
    ("driver", "rule", "status"),
    [
        ("passthrough", {"action": COMPLETE}, NtStatus.NOT_SUPPORTED),
        ("observer", {"action": WITH_CALLBACK, "flags": READ_OWN}, NtStatus.NOT_SUPPORTED),
        ("completion", {"action": COMPLETE, "status": 0x103}, NtStatus.INVALID_PARAMETER),
        ("completion", {"action": COMPLETE, "status": 0xC01C0004}, NtStatus.INVALID_PARAMETER),
        ("completion", {"major": CLOSE, "action": COMPLETE, "status": 0xC0000022}, NtStatus.INVALID_PARAMETER),
        ("pending", {"action": PEND, "resume": RESUME_SYNCHRONIZE}, NtStatus.NOT_SUPPORTED),
        ("pending", {"action": WITH_CALLBACK, "post": POST_PEND, "post_mechanism": 3}, NtStatus.INVALID_PARAMETER),
        ("passthrough", {"action": 99}, NtStatus.INVALID_PARAMETER),
        ("passthrough", {"flags": 0x1000}, NtStatus.INVALID_PARAMETER),
        ("passthrough", {"flags": CONTEXT | PRE_CONTEXT}, NtStatus.INVALID_PARAMETER),
        ("passthrough", {"classes": 8}, NtStatus.INVALID_PARAMETER),
        ("passthrough", {"reserved": 1}, NtStatus.INVALID_PARAMETER),
    ],
)
def test_a_driver_refuses_rules_it_cannot_or_must_not_keep(
    load: Load, driver: str, rule: dict[str, int], status: NtStatus
):
    assert load(driver).rule(**rule) == status


def test_there_is_room_for_64_rules(load: Load):
    stub = load("passthrough")

    assert [stub.rule(READ) for _ in range(64)] == [NtStatus.SUCCESS] * 64
    assert stub.rule(READ) == NtStatus.INSUFFICIENT_RESOURCES
    assert stub.send(6, struct.pack("<II", 7, 0))[0] == NtStatus.SUCCESS
    assert stub.rule(READ) == NtStatus.SUCCESS


def test_when_the_last_client_goes_its_rules_go_and_nothing_stays_held(load: Load):
    stub = load("passthrough")
    cookie = stub.kernel.memory.read_u64(stub.slot)
    stub.rule(READ, action=WITH_CALLBACK, flags=HOLD)
    held = stub.spawn_pre(stub.data(stub.file(r"\a"), READ))
    assert not held.ended

    stub.call(stub.callbacks["disconnect"], cookie)
    stub.kernel.settle()

    assert held.ended
    assert stub.pre(stub.data(stub.file(r"\a"), READ))[0] == PreopStatus.SUCCESS_WITH_CALLBACK


# Matching


def test_a_rule_is_for_what_it_names(load: Load):
    stub = load("passthrough")
    stub.rule(READ, "SECRET.txt", action=NO_CALLBACK, classes=1)
    secret, other = stub.file(r"\dir\secret.TXT"), stub.file(r"\dir\secret.TXT2")

    def answer(file: int, major: int = READ, **more: int) -> int:
        return stub.pre(stub.data(file, major, **more))[0]

    stub.pre(stub.data(secret, CREATE))
    stub.pre(stub.data(other, CREATE))
    assert answer(secret) == PreopStatus.SUCCESS_NO_CALLBACK
    assert answer(secret, IrpMajor.WRITE) == PreopStatus.SUCCESS_WITH_CALLBACK
    assert answer(secret, kind=FAST_IO) == PreopStatus.SUCCESS_WITH_CALLBACK
    assert answer(other) == PreopStatus.SUCCESS_WITH_CALLBACK


def test_operations_of_other_processes_and_paging_io_are_left_alone_unless_asked_for(load: Load):
    stub = load("passthrough")
    file = stub.file(r"\a")

    def answers(**rule: int) -> tuple[int, int]:
        stub.send(1)
        stub.rule(READ, action=NO_CALLBACK, **rule)
        return stub.pre(stub.data(file, READ))[0], stub.pre(stub.data(file, READ, irp_flags=2))[0]

    assert answers(process=PROCESS) == (PreopStatus.SUCCESS_NO_CALLBACK, PreopStatus.SUCCESS_WITH_CALLBACK)
    assert answers(process=PROCESS + 1) == (PreopStatus.SUCCESS_WITH_CALLBACK, PreopStatus.SUCCESS_WITH_CALLBACK)
    assert answers(flags=PAGING_IO) == (PreopStatus.SUCCESS_NO_CALLBACK, PreopStatus.SUCCESS_NO_CALLBACK)


def test_skip_and_max_count_matching_operations(load: Load):
    stub = load("passthrough")
    stub.rule(READ, action=NO_CALLBACK, skip=1, max=2)
    file = stub.file(r"\a")

    answers = [stub.pre(stub.data(file, READ))[0] for _ in range(5)]

    passed, acted = PreopStatus.SUCCESS_WITH_CALLBACK, PreopStatus.SUCCESS_NO_CALLBACK
    assert answers == [passed, acted, acted, passed, passed]


def test_the_first_rule_that_matches_decides(load: Load):
    stub = load("passthrough")
    stub.rule(READ, action=NO_CALLBACK, max=1)
    stub.rule(action=WITH_CALLBACK, flags=CONTEXT, context=0x77)
    file = stub.file(r"\a")

    assert stub.pre(stub.data(file, READ)) == (PreopStatus.SUCCESS_NO_CALLBACK, 0)
    assert stub.pre(stub.data(file, READ)) == (PreopStatus.SUCCESS_WITH_CALLBACK, 0x77)


# Acting


def test_a_token_reaches_post_and_draining_only_cleans_up(load: Load):
    stub = load("passthrough")
    stub.rule(READ, action=WITH_CALLBACK, flags=CONTEXT | POST_STATUS, context=0x1234, post_status=0xC0000022)
    file = stub.file(r"\a")
    stub.pre(data := stub.data(file, READ))
    copy = stub.data(file, READ)

    assert stub.post(copy, 0x1234, flags=1) == PostopStatus.FINISHED_PROCESSING

    assert stub.io_status(copy) == (0, 0)
    assert stub.events()[-1].rule_id == 1
    stub.pre(data)
    stub.post(data, 0x1234)
    assert stub.io_status(data) == (0xC0000022, 0)


def test_a_filter_without_a_post_never_asks_for_one(load: Load):
    stub = load("passthrough", Operations=["read pre"])
    stub.rule(READ, action=WITH_CALLBACK, flags=CONTEXT, context=0x1234)

    assert stub.pre(stub.data(stub.file(r"\a"), READ)) == (PreopStatus.SUCCESS_NO_CALLBACK, 0)


def test_an_offset_is_changed_and_marked_unless_told_not_to(load: Load):
    stub = load("passthrough")
    file = stub.file(r"\a")
    stub.rule(READ, action=WITH_CALLBACK, flags=OFFSET, offset=0x9000, max=1)
    stub.rule(READ, action=WITH_CALLBACK, flags=OFFSET | NOT_DIRTY, offset=0x5000)

    stub.pre(marked := stub.data(file, READ))
    stub.pre(unmarked := stub.data(file, READ))

    assert (stub.offset(marked), stub.offset(unmarked)) == (0x9000, 0x5000)
    assert [call for call in stub.calls if call[0] == "FltSetCallbackDataDirty"] == [
        ("FltSetCallbackDataDirty", marked)
    ]


def test_io_of_its_own_is_on_the_same_file_and_recorded(load: Load):
    stub = load("passthrough")
    stub.rule(READ, action=WITH_CALLBACK, flags=READ_OWN)
    file = stub.file(r"\a")

    stub.pre(stub.data(file, READ, offset=5000))

    assert [call[1:4] for call in stub.calls if call[0] == "FltReadFile"] == [(file, 4096, 4096)]
    assert phases(stub)[-2:] == [Phase.GENERATED_IO, Phase.PRE]


def test_a_context_is_fetched_where_that_is_allowed_and_references_balance(load: Load):
    stub = load("passthrough")
    file = stub.file(r"\a")
    stub.rule(CREATE, action=WITH_CALLBACK, flags=SET_CONTEXT)
    stub.rule(READ, action=WITH_CALLBACK, flags=PRE_CONTEXT, max=2)
    stub.rule(READ, action=WITH_CALLBACK, flags=POST_CONTEXT)
    stub.pre(create := stub.data(file, CREATE))
    stub.post(create)
    (context,) = stub.references

    passed = [stub.pre(stub.data(file, READ)), stub.pre(drained := stub.data(file, READ))]
    stub.post(drained, context, flags=1)
    stub.pre(low := stub.data(file, READ))
    stub.post(low)
    stub.pre(high := stub.data(file, READ))
    stub.post(high, irql=Irql.DISPATCH)

    assert passed == [(PreopStatus.SUCCESS_WITH_CALLBACK, context)] * 2
    calls = [event.context_call for event in stub.events() if event.context_call]
    fetched = [ContextCall.GET_IN_PRE] * 2
    assert calls == [ContextCall.SET, *fetched, ContextCall.GET_IN_POST, ContextCall.NOT_SAFE]
    assert stub.references == {context: 2}  # the file's own, and the one under way


def test_a_passed_context_is_used_and_released_in_post_at_dispatch_level(load: Load):
    stub = load("passthrough")
    file = stub.file(r"\a")
    stub.rule(CREATE, action=WITH_CALLBACK, flags=SET_CONTEXT)
    stub.rule(READ, action=WITH_CALLBACK, flags=PRE_CONTEXT)
    stub.pre(create := stub.data(file, CREATE))
    stub.post(create)
    _, context = stub.pre(read := stub.data(file, READ))
    stub.post(read, context, irql=Irql.DISPATCH)

    used = [event for event in stub.events() if event.context_call is ContextCall.USED_IN_POST]
    assert [(event.irql, event.returned, event.completion_context) for event in used] == [(2, 0, context)]
    assert stub.references == {context: 1}


def test_completion_when_safe_is_done_once_wherever_it_is_done(load: Load):
    stub = load("passthrough")
    file = stub.file(r"\a")
    stub.rule(READ, action=WITH_CALLBACK, post=POST_WHEN_SAFE, flags=POST_STATUS, post_status=0xC0000022)
    for irql in (Irql.PASSIVE, Irql.DISPATCH):
        stub.pre(data := stub.data(file, READ))
        stub.events()

        assert stub.post(data, irql=irql) == PostopStatus.FINISHED_PROCESSING

        assert stub.io_status(data) == (0xC0000022, 0)
        post, *safe = stub.events()
        assert (post.phase, post.detail, len(safe)) == (Phase.POST, irql == Irql.PASSIVE, irql == Irql.PASSIVE)
    stub.pre(fast := stub.data(file, READ, kind=FAST_IO))
    stub.post(fast)
    assert Phase.SAFE_POST not in phases(stub)


def test_cleanup_and_close_are_never_failed(load: Load):
    stub = load("completion")
    stub.rule(action=COMPLETE, status=0xC0000022, information=7)
    file = stub.file(r"\a")

    for major, status in ((READ, 0xC0000022), (CLOSE, 0), (IrpMajor.CLEANUP, 0)):
        assert stub.pre(data := stub.data(file, major)) == (PreopStatus.COMPLETE, 0)
        assert stub.io_status(data) == (status, 7)


def test_what_must_not_be_synchronized_is_not(load: Load):
    stub = load("synchronize")
    stub.rule(action=SYNCHRONIZE)
    file = stub.file(r"\a")

    def answer(major: IrpMajor, **more: int) -> int:
        return stub.pre(stub.data(file, major, **more))[0]

    assert answer(READ) == PreopStatus.SYNCHRONIZE
    assert answer(IrpMajor.DIRECTORY_CONTROL, minor=1) == PreopStatus.SYNCHRONIZE
    assert answer(IrpMajor.DIRECTORY_CONTROL, minor=2) == PreopStatus.SUCCESS_WITH_CALLBACK
    assert answer(IrpMajor.LOCK_CONTROL, minor=1) == PreopStatus.SUCCESS_WITH_CALLBACK
    assert answer(CREATE) == PreopStatus.SUCCESS_WITH_CALLBACK
    stub.synchronous = False
    assert answer(READ) == PreopStatus.SUCCESS_WITH_CALLBACK


def test_only_fast_io_is_disallowed(load: Load):
    stub = load("fastio")
    stub.rule(action=DISALLOW_FASTIO)
    file = stub.file(r"\a")

    answers = [stub.pre(stub.data(file, READ, kind=kind))[0] for kind in (1, FAST_IO, FS_FILTER)]

    assert answers == [
        PreopStatus.SUCCESS_WITH_CALLBACK,
        PreopStatus.DISALLOW_FASTIO,
        PreopStatus.SUCCESS_WITH_CALLBACK,
    ]


# Pending


def resumes(stub: Stub) -> list[tuple[int, ...]]:
    return [call[1:] for call in stub.calls if call[0] == "resume"]


@every_mechanism
def test_a_pended_operation_is_resumed_once_as_the_rule_says(load: Load, mechanism: Mechanism):
    stub = load("pending")
    file = stub.file(r"\a")
    cases = {
        RESUME_NO_CALLBACK: (PreopStatus.SUCCESS_NO_CALLBACK, 0, 0),
        RESUME_WITH_CALLBACK: (PreopStatus.SUCCESS_WITH_CALLBACK, 0x60D, 0),
        RESUME_COMPLETE: (PreopStatus.COMPLETE, 0, 0xC0000022),
    }
    for resume, (status, context, io_status) in cases.items():
        stub.send(1)
        stub.calls.clear()
        more = {"status": 0xC0000022, "context": 0x60D, "flags": CONTEXT}
        assert stub.rule(READ, action=PEND, mechanism=mechanism, resume=resume, **more) == NtStatus.SUCCESS

        assert stub.pre(data := stub.data(file, READ)) == (PreopStatus.PENDING, 0)
        stub.kernel.settle()

        assert resumes(stub) == [(data, status, context, io_status)]
        assert phases(stub) == [Phase.PRE, Phase.WORK_ROUTINE, Phase.RESUME_PRE]
        assert (stub.query()["pended"], stub.query()["resumed"], stub.query()["outstanding"]) == (1, 1, 0)


@every_mechanism
def test_a_held_operation_waits_for_release(load: Load, mechanism: Mechanism):
    stub = load("pending")
    stub.rule(READ, action=PEND, mechanism=mechanism, flags=HOLD)
    stub.pre(stub.data(stub.file(r"\a"), READ))
    stub.kernel.settle()
    assert (stub.query()["held"], resumes(stub)) == (1, [])

    assert stub.release() == 1

    assert len(resumes(stub)) == 1
    assert stub.query()["held"] == 0


@every_mechanism
def test_the_resume_can_be_made_to_win_the_race(load: Load, mechanism: Mechanism):
    stub = load("pending")
    stub.rule(READ, action=PEND, mechanism=mechanism, flags=RACE)

    assert stub.pre(stub.data(stub.file(r"\a"), READ)) == (PreopStatus.PENDING, 0)

    assert len(resumes(stub)) == 1  # before anything else was let run


@every_mechanism
def test_teardown_lets_everything_go_and_nothing_new_is_pended(load: Load, mechanism: Mechanism):
    stub = load("pending")
    stub.rule(READ, action=PEND, mechanism=mechanism, resume=RESUME_WITH_CALLBACK, flags=HOLD)
    file = stub.file(r"\a")
    held = [stub.data(file, READ) for _ in range(2)]
    for data in held:
        stub.pre(data)
    stub.kernel.settle()
    assert resumes(stub) == []

    stub.lifecycle("teardown-start", 1)

    assert sorted(data for data, *_ in resumes(stub)) == sorted(held)
    assert {status for _, status, *_ in resumes(stub)} == {PreopStatus.SUCCESS_NO_CALLBACK}
    assert stub.pre(stub.data(file, READ))[0] == PreopStatus.SUCCESS_WITH_CALLBACK
    assert stub.query()["outstanding"] == 0
    assert stub.queue_enabled is False


@pytest.mark.parametrize("kind", [FAST_IO, FS_FILTER], ids=["fast I/O", "FSFilter"])
def test_only_irp_based_operations_are_pended(load: Load, kind: int):
    stub = load("pending")
    stub.rule(READ, action=PEND)

    assert stub.pre(stub.data(stub.file(r"\a"), READ, kind=kind))[0] == PreopStatus.SUCCESS_WITH_CALLBACK


def test_an_operation_that_the_queue_refuses_is_passed_on_and_the_event_says_why(load: Load):
    stub = load("pending")
    stub.refuse_to_queue = NtStatus.FLT_NOT_SAFE_TO_POST_OPERATION
    stub.rule(READ, action=PEND)

    assert stub.pre(stub.data(stub.file(r"\a"), READ)) == (PreopStatus.SUCCESS_NO_CALLBACK, 0)

    event = stub.events()[-1]
    assert (event.phase, event.returned) == (Phase.PRE, PreopStatus.SUCCESS_NO_CALLBACK)
    assert event.detail == NtStatus.FLT_NOT_SAFE_TO_POST_OPERATION
    assert (stub.query()["pended"], stub.query()["outstanding"]) == (0, 0)


def test_a_cancelled_operation_in_the_queue_is_completed_as_cancelled(load: Load):
    stub = load("pending")
    stub.rule(READ, action=PEND, mechanism=Mechanism.QUEUE, flags=HOLD)
    stub.pre(data := stub.data(stub.file(r"\a"), READ))

    stub.cancel(data)

    assert resumes(stub) == [(data, PreopStatus.COMPLETE, 0, NtStatus.CANCELLED)]
    assert phases(stub)[-2:] == [Phase.PRE, Phase.CANCEL]
    assert stub.query()["outstanding"] == 0


@pytest.mark.parametrize("mechanism", [Mechanism.DEFERRED, Mechanism.GENERIC, Mechanism.THREAD])
def test_a_pended_completion_comes_back_with_its_status(load: Load, mechanism: Mechanism):
    stub = load("pending")
    post = {"post": POST_PEND, "post_mechanism": mechanism, "post_status": 0xC0000022}
    stub.rule(READ, action=WITH_CALLBACK, flags=POST_STATUS | POST_HOLD, **post)
    stub.pre(data := stub.data(stub.file(r"\a"), READ))

    assert stub.post(data, irql=Irql.DISPATCH) == PostopStatus.MORE_PROCESSING_REQUIRED
    stub.kernel.settle()
    assert stub.query()["held"] == 1
    stub.release()

    assert [call for call in stub.calls if call[0] == "resume-post"] == [("resume-post", data, 0xC0000022)]
    assert phases(stub)[-4:] == [Phase.PRE, Phase.POST, Phase.WORK_ROUTINE, Phase.RESUME_POST]


def test_a_draining_completion_is_not_pended(load: Load):
    stub = load("pending")
    stub.rule(READ, action=WITH_CALLBACK, post=POST_PEND)
    file = stub.file(r"\a")
    stub.pre(stub.data(file, READ))

    assert stub.post(stub.data(file, READ), flags=1) == PostopStatus.FINISHED_PROCESSING
