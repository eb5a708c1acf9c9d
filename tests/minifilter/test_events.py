"""Decoding events."""

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import GuestError
from harness.minifilter.events import EVENT_SIZE, FIELDS, ContextCall, Mechanism, Phase, decode_event, decode_events
from harness.nt import IrpMajor, OperationClass, PostopStatus, PreopStatus
from harness.text import safe_line

RANGES = {"Q": 2**64, "I": 2**32, "B": 2**8}


def record(name: str = "", **values: int) -> bytes:
    """An FLTLAB_EVENT, written field by field at its offset."""
    raw = bytearray(EVENT_SIZE)
    given_values = {"phase_value": Phase.PRE, "class_value": 1, "name_length": len(name), **values}
    for field in FIELDS:
        struct.pack_into("<" + field.code, raw, field.offset, given_values.get(field.name, 0))
    raw[128 : 128 + 2 * len(name)] = name.encode("utf-16-le")
    return bytes(raw)


def test_a_preoperation_event_reads_as_it_was_recorded():
    event = decode_event(
        "above",
        record(
            "secret.txt",
            sequence=7,
            returned_value=4,
            status=0xC0000022,
            thread=1288,
            irql=1,
            major_value=0,
            completion_context=0xFFFF_8000_0000_1234,
        ),
    )

    assert event.filter == "above"
    assert event.sequence == 7
    assert event.phase is Phase.PRE
    assert event.major is IrpMajor.CREATE
    assert event.returned is PreopStatus.COMPLETE
    assert event.status == 0xC0000022
    assert event.thread == 1288
    assert event.irql == 1
    assert event.operation_class is OperationClass.IRP
    assert event.completion_context == 0xFFFF_8000_0000_1234
    assert event.name == "secret.txt"


def test_what_a_number_means_follows_the_phase():
    assert decode_event("x", record(phase_value=2, returned_value=1)).returned is PostopStatus.MORE_PROCESSING_REQUIRED
    assert decode_event("x", record(phase_value=3, returned_value=1)).returned is PreopStatus.SUCCESS_NO_CALLBACK
    assert decode_event("x", record(phase_value=16, returned_value=0xC01C000F)).returned == 0xC01C000F
    assert decode_event("x", record(phase_value=1, returned_value=0xBAADF00D)).returned == 0xBAADF00D


def test_flags_are_told_in_words():
    generated = decode_event("x", record(flags=0x00010001))
    paging = decode_event("x", record(irp_flags=0x02))
    fast = decode_event("x", record(irp_flags=0x02, class_value=2))
    query = decode_event("x", record(irp_flags=0x74))  # with IRP_INPUT_OPERATION, which is IRP_SYNCHRONOUS_PAGING_IO
    draining = decode_event("x", record(phase_value=2, post_flags=1))

    assert (generated.generated, generated.paging) == (True, False)
    assert (paging.generated, paging.paging) == (False, True)
    assert not fast.paging
    assert not query.paging
    assert (draining.draining, generated.draining) == (True, False)
    assert decode_event("x", record(phase_value=18)).is_lifecycle
    assert not draining.is_lifecycle


def test_what_detail_means_follows_the_phase():
    context = decode_event("x", record(phase_value=9, detail=2, returned_value=0xC0000225))
    resumed = decode_event("x", record(phase_value=3, detail=4))
    pre = decode_event("x", record(phase_value=1, detail=2))

    assert (context.context_call, context.returned, context.mechanism) == (ContextCall.GET_IN_PRE, 0xC0000225, None)
    assert (resumed.mechanism, resumed.context_call) == (Mechanism.THREAD, None)
    assert (pre.mechanism, pre.context_call, pre.is_pre, pre.is_post) == (None, None, True, False)


def test_an_unknown_major_stays_a_number_and_an_odd_class_is_none():
    event = decode_event("x", record(major_value=0x77, class_value=3))

    assert event.major == 0x77
    assert event.operation_class is None


@pytest.mark.parametrize(
    ("raw", "complaint"),
    [
        (record()[:-1], "191 bytes instead of 192"),
        (record(name_length=33), "name of 33 characters"),
        (record(phase_value=99), "phase 99"),
    ],
)
def test_a_record_that_is_not_an_event_is_refused(raw: bytes, complaint: str):
    with pytest.raises(GuestError, match=complaint):
        decode_event("below", raw)


def test_records_come_as_hexadecimal_text():
    events = list(decode_events("x", [record(sequence=1).hex(), record(sequence=2).hex().upper()]))

    assert [event.sequence for event in events] == [1, 2]
    with pytest.raises(GuestError, match="not hexadecimal"):
        list(decode_events("x", ["zz"]))


@given(st.fixed_dictionaries({field.name: st.integers(0, RANGES[field.code] - 1) for field in FIELDS}), st.data())
def test_every_field_keeps_its_value(values: dict[str, int], data: st.DataObject):
    values["phase_value"] = data.draw(st.sampled_from(sorted(Phase)))
    values["class_value"] = data.draw(st.sampled_from([1, 2, 4]))
    name = data.draw(st.text(st.characters(max_codepoint=0xD7FF), max_size=32))
    values["name_length"] = len(name)

    event = decode_event("x", record(name, **values))

    decoded: dict[str, Any] = {field.name: getattr(event, field.name) for field in FIELDS if hasattr(event, field.name)}
    assert decoded == {key: value for key, value in values.items() if key in decoded}
    assert (event.phase, int(event.major), event.name) == (
        values["phase_value"],
        values["major_value"],
        safe_line(name),
    )
