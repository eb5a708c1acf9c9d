"""Operation rules: the control port that takes them, matching, and what a driver does with an operation."""

import struct

import pytest

from harness.minifilter.events import ContextCall, Phase
from harness.nt import IrpMajor, Irql, NtStatus, PostopStatus, PreopStatus
from tests.minifilter.driver_code import (
    CLOSE,
    COMPLETE,
    CONTEXT,
    CREATE,
    DISALLOW_FASTIO,
    HOLD,
    NO_CALLBACK,
    NOT_DIRTY,
    OFFSET,
    PAGING_IO,
    PEND,
    POST_CONTEXT,
    POST_PEND,
    POST_STATUS,
    POST_WHEN_SAFE,
    PRE_CONTEXT,
    READ,
    READ_OWN,
    RESUME_SYNCHRONIZE,
    SET_CONTEXT,
    SYNCHRONIZE,
    WITH_CALLBACK,
    Load,
    phases,
)
from tests.minifilter.stub_filter_manager import FAST_IO, FS_FILTER, PROCESS, load

__all__ = ["load"]

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
        ("passthrough", {"flags": 0x4000}, NtStatus.INVALID_PARAMETER),
        ("passthrough", {"flags": CONTEXT | PRE_CONTEXT}, NtStatus.INVALID_PARAMETER),
        ("passthrough", {"classes": 8}, NtStatus.INVALID_PARAMETER),
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


def test_a_query_through_a_system_buffer_is_no_paging_io(load: Load):
    stub = load("passthrough")
    stub.rule(IrpMajor.QUERY_INFORMATION, action=NO_CALLBACK)
    input_operation = 0x74  # IRP_INPUT_OPERATION is the bit of IRP_SYNCHRONOUS_PAGING_IO

    query = stub.data(stub.file(r"\a"), IrpMajor.QUERY_INFORMATION, irp_flags=input_operation)

    assert stub.pre(query)[0] == PreopStatus.SUCCESS_NO_CALLBACK


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
