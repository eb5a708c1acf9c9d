"""What happens at once: operations that a resume overtakes, handles closed under way, instances that come and go."""

import random
from collections.abc import Callable

import pytest

from harness.minifilter.events import Mechanism, Phase
from harness.nt import IrpMajor, NtStatus, PostopStatus
from harness.wire import kernel as wire
from tests.fltprobe.conftest import Bench, Run

MakeBench = Callable[..., Bench]
MAJORS = (
    *("create", "read", "write", "query-information", "set-information", "flush-buffers", "cleanup", "close"),
    *("lock-control", "directory-control", "query-volume-information", "acquire-for-section-synchronization"),
    *("release-for-section-synchronization", "network-query-open", "fast-io-check-if-possible"),
)
DOES = {
    "passthrough": ("no-callback", "with-callback"),
    "completion": ("complete status=0xC0000022", "complete status=0 information=16"),
    "pending": ("pend",),
    "synchronize": ("synchronize",),
    "fastio": ("disallow-fastio",),
}
FILES = {"a": "access=rw", "b": "access=rw options=noncached", "c": "access=rw options=noncached,overlapped"}
SECTION = "section q a\nmap v q\npoke v offset=0 fill=3\npeek v offset=99 length=16\nunmap v\nclose-section q"


@pytest.mark.parametrize("mechanism", list(Mechanism), ids=lambda value: value.name.lower())
def test_an_instance_can_go_after_resumes_that_overtook_the_callback(bench: Bench, mechanism: Mechanism):
    (bench.volume / "data.bin").write_bytes(bytes(4096))
    bench.load("pending")

    result = bench(
        "filter pending\n"
        f"rule pending major=read do=pend mechanism={mechanism.name.lower()} resume=with-callback race=yes\n"
        "open f V:\\data.bin options=noncached\nread f offset=0 length=512\ndetach pending\n"
    )

    assert [step.status for step in result.steps] == [0] * 5
    assert bench.ask(wire.Status()).findings == ()


def test_a_file_that_is_closed_while_an_operation_is_under_way_is_closed_after_it(bench: Bench):
    (bench.volume / "data.bin").write_bytes(bytes(4096))
    bench.load("passthrough")

    result = bench(r"""
        filter passthrough
        rule   passthrough major=set-information do=with-callback delay=20
        open   f V:\data.bin access=rw options=overlapped
        spawn  setting set f class=end-of-file value=100
        sleep  5
        close  f
        wait   setting
    """)

    order = [
        event.major
        for event in result.filters["passthrough"].events
        if event.phase is Phase.POST and event.major in {IrpMajor.SET_INFORMATION, IrpMajor.CLEANUP, IrpMajor.CLOSE}
    ]
    assert [result.step("close").status, result.step("wait").status] == [0, 0]
    assert order == [IrpMajor.CLEANUP, IrpMajor.SET_INFORMATION, IrpMajor.CLOSE]


@pytest.mark.parametrize("seed", range(1, 6))
def test_instances_come_and_go_while_the_thread_looks_into_their_queues(make_bench: MakeBench, seed: int):
    bench = make_bench(seed)
    (bench.volume / "data.bin").write_bytes(bytes(4096))
    bench.load("pending")

    result = bench(
        "filter pending\nrule pending major=read do=pend mechanism=queue resume=no-callback\n"
        "open f V:\\data.bin options=noncached,overlapped\n"
        + "".join(f"read f offset=0 length=512 async=r{n}\ndetach pending\nattach pending\n" for n in range(10))
        + "".join(f"wait r{n}\n" for n in range(10))
    )

    assert {step.status for step in result.all("detach") + result.all("attach") + result.all("wait")} == {0}


def rules(choose: random.Random, driver: str) -> list[str]:
    """Up to two rules that tell a driver to do what it does."""
    found = []
    for _ in range(choose.randint(0, 2)):
        words = [f"rule {driver} do={choose.choice(DOES[driver])}"]
        major = choose.choice(MAJORS if driver != "completion" else MAJORS[:6])  # it refuses to fail cleanup and close
        words += choose.sample([f"major={major}", "paging=yes", "process=any", "max=2", "skip=1"], 2)
        if driver == "pending":
            mechanism = choose.choice(["deferred", "generic", "queue", "thread"])
            words += [f"mechanism={mechanism}", f"resume={choose.choice(['no-callback', 'with-callback'])}"]
            words += choose.sample(["race=yes", "post=pend post-mechanism=generic", "delay=2"], choose.randint(0, 2))
        if driver == "passthrough":
            words += choose.sample(
                ["read-own=yes", "set-context=stream-handle", "post=when-safe"], choose.randint(0, 2)
            )
        found.append(" ".join(words))
    return found


def steps(choose: random.Random, drivers: list[str]) -> list[str]:
    """Some I/O, partly in threads of its own."""
    names = [choose.choice(["x", "y"]) for _ in FILES]
    opened = [
        f"open {file} V:\\{name}.bin disposition=open-if {how}"
        for (file, how), name in zip(FILES.items(), names, strict=True)
    ]
    body, beside = [], []
    for number in range(choose.randint(4, 14)):
        file, offset, driver = choose.choice("abc"), choose.randint(0, 4) * 4096, choose.choice(drivers)
        step = choose.choice(
            [
                f"read {file} offset={offset} length=4096",
                f"write {file} offset={offset} length=4096 fill={number}",
                f"flush {file}",
                f"query {file} class=standard",
                f"set {file} class=end-of-file value={offset}",
                f"query-path V:\\{choose.choice('xyz')}.bin",
                SECTION,
                f"detach {driver}\nattach {driver}",
                f"close {file}\n{choose.choice(opened)}",
            ]
        )
        if "\n" not in step and choose.random() < 0.3:
            step = f"spawn s{number} {step}"
            beside.append(f"wait s{number}")
        body.append(step)
    return [*opened, *body, *beside]


def some_io(bench: Bench, seed: int, *lowest: str) -> Run:
    """Some I/O through some drivers that are told to do something, and through `lowest`; they are unloaded then."""
    choose = random.Random(seed)
    for name, length in (("x.bin", 20480), ("y.bin", 4096)):
        (bench.volume / name).write_bytes(bytes(length))
    drivers = choose.sample(list(DOES), choose.randint(1, 3))
    for driver in (*drivers, *lowest):
        bench.load(driver)
    script = [f"filter {driver}" for driver in drivers] + [rule for driver in drivers for rule in rules(choose, driver)]
    ran = bench.run("\n".join([*script, *steps(choose, drivers)]))
    for driver in (*drivers, *lowest):
        bench.ask(wire.Unload(f"fltlab-{driver}"))
    return ran


@pytest.mark.parametrize("seed", range(1, 61))
def test_whatever_good_drivers_are_told_and_asked_they_break_no_rule(make_bench: MakeBench, seed: int):
    bench = make_bench(seed)

    ran = some_io(bench, seed)

    assert (ran.exit_code, ran.result.error, ran.remain) == (0, None, ())
    assert bench.ask(wire.Status()).findings == ()


@pytest.mark.parametrize("seed", range(1, 21))
def test_machine_code_in_place_of_python_leaves_the_same_trace(make_bench: MakeBench, seed: int):
    ends = []
    for leaves in (True, False):
        bench = make_bench(seed, leaves=leaves)
        ran = some_io(bench, seed, "observer")
        trace = [(entry.time, entry.thread, entry.what) for entry in bench.system.trace.entries]
        ends.append((trace, bench.system.now, bench.system.trace.digest, ran.statuses()))

    assert ends[0] == ends[1]


# -- what is held


def test_a_notification_that_is_cancelled_while_a_filter_has_it_ends(bench: Bench):
    bench.load("pending")

    result = bench(r"""
        filter  pending
        rule    pending major=directory-control do=pend mechanism=thread resume=no-callback hold=yes
        open    d V:\ options=directory,overlapped access=list
        notify  d async=changed
        expect-held pending count=1
        cancel  d
        release pending
        wait    changed
    """)

    assert result.step("wait").status == NtStatus.CANCELLED


def held_steps(choose: random.Random, drivers: list[str]) -> list[str]:
    """I/O of which some is held, cancelled, released or left as it is."""
    body, begun = [], []
    for number in range(choose.randint(3, 10)):
        file, offset = choose.choice("ab"), choose.randint(0, 4) * 4096
        transfer = f"{choose.choice(['read', 'write'])} {file} offset={offset} length=4096 async=o{number}"
        step = choose.choice(
            [
                *(
                    transfer,
                    transfer,
                    f"notify d async=o{number}",
                    f"cancel {file}",
                    "release pending",
                    f"close {file}",
                ),
                *(f"spawn s{number} flush {file}", f"spawn s{number} detach {choose.choice(drivers)}"),
            ]
        )
        body.append(step)
        begun += [f"wait o{number}"] if "async=" in step else []
    end = [f"release {driver}" for driver in drivers] + ["cancel d", *begun]
    return body + choose.choice([end, [], [f"unload fltlab-{choose.choice(drivers)}"]])


@pytest.mark.parametrize("seed", range(1, 41))
def test_whatever_is_held_when_a_script_ends_comes_back(make_bench: MakeBench, seed: int):
    choose, bench = random.Random(seed), make_bench(seed)
    for name in ("x.bin", "y.bin"):
        (bench.volume / name).write_bytes(bytes(20480))
    drivers = [*choose.sample(["observer", "passthrough", "synchronize"], choose.randint(0, 2)), "pending"]
    for driver in drivers:
        bench.load(driver)
    script = [f"filter {driver}" for driver in drivers]
    post = ("", " post=pend post-mechanism=thread", " post=pend post-mechanism=generic post-hold=yes")
    script += [
        f"rule pending major={major} do=pend hold=yes mechanism={choose.choice(list(Mechanism)).name.lower()}"
        f" resume={choose.choice(['no-callback', 'with-callback', 'complete'])}{choose.choice(post)}"
        for major in choose.sample(["read", "write", "flush-buffers", "directory-control"], 2)
    ]
    if "passthrough" in drivers:
        script.append(f"rule passthrough {choose.choice(['major=read hold=yes max=1', 'post=when-safe context=3'])}")
    script += ["deadline 200", f"open a V:\\x.bin {FILES['c']}", f"open b V:\\y.bin {FILES['c']}"]
    script.append("open d V:\\ options=directory,overlapped access=list")

    ran = bench.run("\n".join([*script, *held_steps(choose, drivers)]))
    for loaded in bench.ask(wire.ListFilters()).filters:
        bench.ask(wire.Unload(loaded.name))

    assert ran.exit_code in {0, 4}, ran.result.error
    assert ran.remain == ()
    assert bench.ask(wire.Status()).findings == ()


def test_a_completion_may_come_where_nothing_can_be_posted_and_where_it_can(make_bench: MakeBench):
    """The thread that the disk's interrupt comes into has a top-level IRP now and then: both ends are seen."""
    outcomes = set()
    for seed in range(1, 30):
        bench = make_bench(seed)
        (bench.volume / "data.bin").write_bytes(bytes(4096))
        bench.load("pending")
        result = bench(
            "filter pending\nrule pending major=read do=with-callback post=pend post-mechanism=deferred\n"
            "open f V:\\data.bin options=noncached,overlapped\n"
            + "read f offset=0 length=512 async=reading\nwait reading\n"
            * 8
        )
        posts = [event for event in result.filters["pending"].events if event.is_post and event.major == IrpMajor.READ]
        outcomes |= {(event.returned, event.detail) for event in posts}
        assert {step.status for step in result.all("wait")} == {0}
        assert bench.ask(wire.Status()).findings == ()
        if len(outcomes) > 1:
            break
    assert outcomes == {
        (PostopStatus.MORE_PROCESSING_REQUIRED, 0),
        (PostopStatus.FINISHED_PROCESSING, NtStatus.FLT_NOT_SAFE_TO_POST_OPERATION),
    }


@pytest.mark.parametrize("seed", range(3))
def test_files_are_paged_and_cut_short_while_others_are(make_bench: Callable[..., Bench], seed: int):
    """The cache's pages of several files are on their way at once, and one of them loses some of them meanwhile."""
    bench = make_bench(seed)
    files = range(4)
    lines = [
        *(rf"open f{n} V:\file{n} access=rw disposition=create" for n in files),
        *(f"spawn w{n} write f{n} offset=100 length=70000 fill=0x{n + 1}0" for n in files),
        *(f"wait w{n}" for n in files),
        *(rf"open g{n} V:\file{n} access=rw" for n in files),
        *(f"spawn x{n} flush f{n}" for n in files),
        *(f"spawn e{n} set g{n} class=end-of-file value={60000 + n}" for n in files),
        *(f"wait {verb}{n}" for n in files for verb in "xe"),
        *(f"flush f{n}" for n in files),
    ]

    result = bench("\n".join(lines))

    assert [step for step in result.steps if step.status != NtStatus.SUCCESS] == []
    for n in files:
        assert (bench.volume / f"file{n}").read_bytes() == bytes(100) + bytes([(n + 1) * 16]) * (59900 + n)
