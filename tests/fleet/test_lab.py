"""`lab`: rules become lines of the I/O script, and an answer that is not whole is a failure."""

import json
from typing import Any

import pytest

from fltlab import step
from harness.errors import ConfigurationError, DriverError, TestError
from harness.fleet.filters import FilterHandle
from harness.fleet.lab import Lab
from harness.fleet.volume import Volume
from harness.minifilter.probe import parse_probe
from harness.nt import BugCheck, IrpMajor, NtStatus, OperationClass
from harness.wire.kernel_state import Stop, StopKind


class Probe:
    """Answers every line of a script with success, unless told otherwise."""

    def __init__(self, **document: Any) -> None:
        self.scripts: list[str] = []
        self.document = document
        self.statuses: dict[str, int] = {}

    def __call__(self, script: str):
        self.scripts.append(script)
        steps = [
            {
                "line": number,
                "verb": (words := line.split())[0],
                "name": words[1],
                "status": self.statuses.get(line, 0),
                "information": 0,
                "thread_id": 4,
                "begin": number,
                "end": number,
                "data": "",
                "outstanding": False,
            }
            for number, line in enumerate(script.splitlines(), start=1)
        ]
        answer = json.dumps(
            {"version": 1, "process_id": 8, "thread_id": 4, "frequency": 10_000_000, "error": None, "steps": steps}
            | {"filters": {}}
            | self.document
        )
        return answer, parse_probe(answer)


@pytest.fixture
def probe() -> Probe:
    return Probe()


@pytest.fixture
def volume() -> Volume:
    return Volume()


@pytest.fixture
def lab(probe: Probe, volume: Volume) -> Lab:
    return Lab(
        [FilterHandle("above", "fltlab-above"), FilterHandle("completion", "fltlab-completion")],
        volume,
        probe,
        lambda: None,
        [],
    )


def test_rules_become_lines_before_the_steps_of_the_test(lab: Lab, probe: Probe):
    lab.completion.when(IrpMajor.CREATE, name="secret.txt").complete(NtStatus.ACCESS_DENIED)
    lab.above.when(None, cls=OperationClass.FAST_IO, paging=True, skip=2).with_callback(context=0x60D, hold=True)

    lab.io(r"open secret V:\secret.txt access=read")

    assert probe.scripts[0].splitlines() == [
        "filter above",
        "rule above class=fastio paging=yes skip=2 do=with-callback context=0x60D hold=yes",
        "filter completion",
        "rule completion major=create name=secret.txt do=complete status=0xC0000022 information=0",
        r"open secret V:\secret.txt access=read",
    ]


@pytest.mark.parametrize(
    ("give", "line"),
    [
        (lambda rule: rule.no_callback(), "do=no-callback"),
        (lambda rule: rule.synchronize(context=5), "do=synchronize context=5"),
        (lambda rule: rule.disallow_fastio(), "do=disallow-fastio"),
        (lambda rule: rule.pend("queue", hold=True), "do=pend mechanism=queue resume=no-callback hold=yes"),
        (
            lambda rule: rule.pend("thread", resume="complete", status=NtStatus.DISK_FULL, race=True),
            "do=pend mechanism=thread resume=complete status=0xC000007F race=yes",
        ),
        (
            lambda rule: rule.as_always(post="when-safe", post_context="stream-handle"),
            "post=when-safe post-context=stream-handle",
        ),
    ],
)
def test_every_answer_has_its_line(give, line: str):
    handle = FilterHandle("m", "fltlab-m")
    give(handle.when(IrpMajor.READ))

    assert handle.script == ["filter m", f"rule m major=read {line}"]


def test_files_are_made_before_the_rings_are_cleared(lab: Lab, volume: Volume, probe: Probe):
    volume.file("data.bin", length=4096, fill=0x5A)

    io = lab.io(r"open f V:\data.bin")

    lines = probe.scripts[0].splitlines()
    assert lines.index("write prepare0 offset=0 length=4096 fill=0x5A") < lines.index("filter above")
    assert [(step.line, step.verb) for step in io.steps] == [(1, "open")]


def test_files_are_made_once(lab: Lab, volume: Volume, probe: Probe):
    volume.file("data.bin", length=4096)
    lab.io("sleep 1")
    lab.io("sleep 1")

    assert "prepare0" in probe.scripts[0]
    assert "prepare0" not in probe.scripts[1]


def test_a_file_that_could_not_be_made_is_told(lab: Lab, volume: Volume, probe: Probe):
    volume.file("data.bin", length=4096)
    probe.statuses["close prepare0"] = NtStatus.DISK_FULL

    with pytest.raises(TestError, match="could not be made: line 3: close prepare0: 0xC000007F DISK_FULL"):
        lab.io("sleep 1")


def test_a_script_that_stopped_is_a_failure_with_its_steps(lab: Lab, probe: Probe):
    probe.document["error"] = "line 3: the minifilter refuses this rule"

    with pytest.raises(
        TestError, match="the I/O script stopped: line 1: the minifilter refuses this rule\n  in: sleep 1"
    ) as raised:
        lab.io("sleep 1")

    assert "sleep 1" in str(raised.value)


def test_lost_events_make_a_trace_worthless(lab: Lab, probe: Probe):
    probe.document["filters"] = {"above": {"dropped": 7, "outstanding": 0, "events": []}}

    with pytest.raises(TestError, match="the trace is not whole: above lost 7 events"):
        lab.io("sleep 1")


def test_a_label_that_the_stack_lacks_names_the_nearest(lab: Lab):
    with pytest.raises(AttributeError, match=r"no minifilter 'completon'; did you mean 'completion'\?"):
        lab.completon.when(IrpMajor.READ)


def test_a_black_box_is_not_connected_to_and_takes_no_rules(volume: Volume, probe: Probe):
    lab = Lab([FilterHandle("theirs", "theirs", has_port=False)], volume, probe, lambda: None, [])

    lab.io("sleep 1")

    assert probe.scripts == ["sleep 1\n"]
    with pytest.raises(ConfigurationError, match="theirs takes no rules"):
        lab.theirs.when(IrpMajor.READ)


def test_a_trace_before_any_io_is_a_mistake_of_the_test(lab: Lab):
    with pytest.raises(ConfigurationError, match="before it has done any I/O"):
        _ = lab.trace


def test_a_script_that_is_wrong_is_told_by_its_place_and_never_run(lab: Lab, probe: Probe):
    with pytest.raises(TestError, match=r"wrong in line 3, column 11: read has no key 'ofset'") as told:
        lab.io("\n  open f V:\\a\n  read f  ofset=0\n")

    assert told.value.details == ("  read f  ofset=0", "          ^")
    assert probe.scripts == []


def test_steps_are_run_in_their_order_and_found_by_themselves(lab: Lab, probe: Probe):
    opened = step.open("f", "V:\\a", access="read")
    read = step.read(opened, length=1)
    probe.statuses["read f length=1"] = int(NtStatus.ACCESS_DENIED)

    io = lab.io(opened, read, "flush f\nflush f", step.close(opened))

    assert probe.scripts[0].splitlines()[2:] == [
        "open f V:\\a access=read", "read f length=1", "flush f", "flush f", "close f"
    ]  # fmt: skip
    assert (io[opened].status, io[read].status) == (NtStatus.SUCCESS, NtStatus.ACCESS_DENIED)
    assert [one.line for one in io.steps] == [1, 2, 3, 4, 5]
    assert io["f"].verb == "close"
    with pytest.raises(TestError, match="is no step of it"):
        io[step.flush("f")]
    with pytest.raises(ConfigurationError, match="given twice"):
        lab.io(opened, opened)
    with pytest.raises(TestError, match=r"lists no directory"):
        _ = io[read].names


def test_a_name_or_minifilter_that_there_is_not_is_told_before_the_guest_is_asked(lab: Lab, probe: Probe):
    with pytest.raises(TestError, match=r"line 1, column 13: no minifilter .* 'compleiton'; did you mean 'completion'"):
        lab.io("expect-held compleiton count=1")
    with pytest.raises(TestError, match=r"line 2, column 6: no `open` line names this file: 'g'"):
        lab.io("open f V:\\a\nread g length=1")
    assert probe.scripts == []


def test_lines_of_a_script_keep_the_numbers_that_they_have_in_the_test(lab: Lab):
    io = lab.io("""
        open f V:\\a

        flush f
    """)

    assert [one.line for one in io.steps] == [2, 4]


def test_what_fltprobe_says_of_a_line_has_the_number_that_the_line_has_in_the_test(
    lab: Lab, probe: Probe, volume: Volume
):
    volume.file("data.bin", length=4096)
    probe.document["error"] = f"line {len(volume._steps) + 3}: the view is mapped already"

    with pytest.raises(TestError, match=r"stopped: line 3: the view is mapped already\n  in: open f"):
        lab.io("\n\n  open f V:\\a access=read\n")


def test_a_status_shows_its_name(lab: Lab, probe: Probe):
    probe.statuses["open f V:\\a"] = int(NtStatus.ACCESS_DENIED)

    step = lab.io("open f V:\\a").step("open", "f")

    assert step.status == NtStatus.ACCESS_DENIED
    assert repr(step.status) == "0xC0000022 ACCESS_DENIED"


def test_files_that_fltprobe_cannot_make_are_put_into_the_guest(volume: Volume, probe: Probe):
    put: list[dict[str, bytes]] = []
    lab = Lab([], volume, probe, lambda: None, [], put=lambda files: put.append(dict(files)))
    volume.file("even.bin", length=4096)
    lab.io("sleep 1")
    volume.file("odd.bin", length=3, fill=0x41)
    volume.file("text.txt", content="text")
    lab.io("sleep 2")

    assert probe.scripts[0].startswith("open prepare0")
    assert probe.scripts[1] == "sleep 2\n"
    assert put == [{r"V:\odd.bin": b"AAA", r"V:\text.txt": b"text"}]


def test_under_a_black_box_all_files_are_put_there(volume: Volume, probe: Probe):
    put: list[dict[str, bytes]] = []
    theirs = FilterHandle("theirs", "theirs", has_port=False)
    lab = Lab([theirs], volume, probe, lambda: None, [], put=lambda files: put.append(dict(files)))
    volume.file("even.bin", length=4096)
    lab.io("sleep 1")

    assert probe.scripts == ["sleep 1\n"]
    assert put == [{r"V:\even.bin": bytes(4096)}]


def test_a_bug_check_that_is_expected_is_no_failure(volume: Volume, probe: Probe):
    stop = Stop(StopKind.BUGCHECK, "at 2", "theirs", int(BugCheck.IRQL_NOT_LESS_OR_EQUAL), "IRQL_NOT_LESS_OR_EQUAL")
    lab = Lab([], volume, probe, lambda: None, [], stop=lambda: stop)

    with lab.expect_bugcheck(BugCheck.IRQL_NOT_LESS_OR_EQUAL, driver="theirs") as seen:
        raise DriverError("bug check IRQL_NOT_LESS_OR_EQUAL (0xA) in driver theirs: at 2")

    assert (seen.code, seen.driver) == (0xA, "theirs")
    with pytest.raises(TestError, match="in theirs, not in ours"), lab.expect_bugcheck(driver="ours"):
        raise DriverError("bug check")
    with pytest.raises(TestError, match="survived"), lab.expect_bugcheck():
        lab.io("sleep 1")
