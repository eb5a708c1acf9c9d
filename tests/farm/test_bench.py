"""What a bench says of its figures, and a soak that is short."""

import json
import textwrap
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from harness.cli.main import main
from harness.errors import ExitCode, HostError
from harness.farm.bench import kernel, long, overhead
from harness.farm.bench.figures import Figures, Series
from harness.farm.bench.ground import Ground
from harness.farm.bench.labgrid import forwarded
from harness.farm.bench.picture import svg
from harness.farm.bench.soak import FAULTS, Footprint, Soak

STARTS = "from nothing"


def figures(fork: float = 0.4, forks_mib: float = 700) -> Figures:
    return Figures(
        (
            Series("cold_boot_s", "cold boot", STARTS, "s", (7.0, 9.0, 8.0)),
            Series("fork_s", "fork (fltlab)", STARTS, "s", (fork,)),
            Series("memory_mib.forks.8", "8 forks", "memory", "MiB", (forks_mib,)),
            Series("memory_mib.cold_boots.8", "8 cold boots", "memory", "MiB", (2400.0,)),
        ),
        ("labgrid was not measured",),
        {"QEMU": "7.2"},
    )


def test_the_json_has_medians_by_name_and_every_single_value():
    document = json.loads(json.dumps(figures().as_json()))

    assert (document["cold_boot_s"], document["fork_s"]) == (8.0, 0.4)
    assert document["memory_mib"] == {"forks": {"8": 700.0}, "cold_boots": {"8": 2400.0}}
    assert document["runs"]["cold_boot_s"] == [7.0, 9.0, 8.0]
    assert document["notes"] == ["labgrid was not measured"]


@pytest.mark.parametrize(("fork", "forks_mib", "holds"), [(0.4, 700, [True, True]), (0.9, 900, [False, False])])
def test_a_goal_holds_or_is_missed(fork: float, forks_mib: float, holds: list[bool]):
    goals = list(figures(fork, forks_mib).goals())

    assert [goal.holds for goal in goals] == holds
    assert [str(goal).startswith("holds" if goal.holds else "MISSED") for goal in goals] == [True, True]


@pytest.mark.parametrize(("more", "holds"), [(1.04, True), (1.06, False)])
def test_a_cluster_on_one_machine_is_held_against_xdist_in_pairs(
    more: float, holds: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    begun: list[str] = []

    def timed(words: list[str]) -> tuple[float, float]:
        begun.append("cluster" if "--cluster" in words else "xdist")
        return 30.0, (50.0 * more if begun[-1] == "cluster" else 50.0) + (len(begun) <= 2) * 100.0

    monkeypatch.setattr(overhead, "timed", timed)

    assert main(["bench", "cluster", "--overhead", "2", "--json"]) == ExitCode.PASSED

    document = json.loads(capsys.readouterr().out)
    assert begun == ["cluster", "xdist", "xdist", "cluster", "cluster", "xdist"]
    assert document["runs"]["xdist_cpu_s"] == [50.0, 50.0]
    assert [goal["holds"] for goal in document["goals"]] == [holds]


def test_the_picture_has_a_bar_for_each_series_as_long_as_its_share():
    picture = ET.fromstring(svg(figures(), "a < b"))
    namespace = {"s": "http://www.w3.org/2000/svg"}
    bars = [float(bar.get("width", "0")) for bar in picture.findall("s:rect", namespace)[1:]]

    assert len(bars) == 4
    assert bars[1] == pytest.approx(bars[0] * 0.4 / 8, abs=0.1)
    assert bars[2] == pytest.approx(bars[3] * 700 / 2400, abs=0.1)
    assert picture.findtext("s:title", namespaces=namespace) == "a < b"


def test_the_port_of_labgrids_machine_is_found_in_what_qemu_says():
    said = (
        "Hub -1 (net0):\r\n"
        "  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n"
        "  TCP[HOST_FORWARD]  15       127.0.0.1 38273       10.0.2.15  5985     0     0\r\n"
        "  TCP[HOST_FORWARD]  14       127.0.0.1 35011       10.0.2.15    22     0     0\r\n"
    )

    assert forwarded(said) == {5985: 38273}
    with pytest.raises(HostError, match="forwards no port"):
        forwarded(said.replace("5985", "5986"))


def test_a_part_that_is_none_is_wrong_use(capsys: pytest.CaptureFixture[str]):
    assert main(["bench", "guest", "--skip", "labgird"]) == ExitCode.USAGE

    assert "there is no part 'labgird'" in capsys.readouterr().err


def test_what_is_left_over_is_found(tmp_path: Path):
    before = Footprint(1, 10, 2, 70.0, ())
    after = Footprint(2, 30, 3, 200.0, ("7-fork/data.qcow2",))

    assert after.leaks(before) == [
        "7-fork/data.qcow2 is left",
        "1 processes more",
        "20 open files more",
        "1 threads more",
        "130 MiB of memory more",
    ]
    assert Footprint.now(tmp_path).leaks(Footprint.now(tmp_path)) == []


def test_forks_in_a_row_and_forks_with_a_fault_leave_nothing_behind():
    said: list[str] = []
    with Ground.prepared() as ground:
        soak = Soak(ground)
        soak.run(3, 4, said.append)

    assert soak.problems == []
    assert len(soak.boot_ids) == 3
    assert soak.faults == dict.fromkeys(list(FAULTS)[:4], 1)
    assert not ground.scratch.exists()


def test_the_bench_of_the_kernel_tells_every_figure(monkeypatch, capsys):
    monkeypatch.setattr(kernel, "ENOUGH_S", 0.01)

    assert main(["bench", "kernel", "--runs", "2", "--json"]) == ExitCode.PASSED

    document = json.loads(capsys.readouterr().out)
    assert all(document[key] > 0 for key in kernel.FIGURES)
    assert [len(document["runs"][key]) for key in kernel.FIGURES] == [2] * len(kernel.FIGURES)
    assert document["pairs_per_s"] == pytest.approx(3 * document["reads_per_s_three"], rel=0.01)


def test_another_checkout_is_measured_by_its_own_bench(monkeypatch, capsys, tmp_path: Path):
    monkeypatch.setattr(kernel, "ENOUGH_S", 0.01)
    other = tmp_path / "fltlab"
    figures = {key: number for number, key in enumerate(kernel.FIGURES, start=1)}
    other.write_text(f"#!/bin/sh\ntest \"$*\" = 'bench kernel --runs 1 --json' && echo '{json.dumps(figures)}'\n")
    other.chmod(0o755)

    assert main(["bench", "kernel", "--runs", "1", "--json", "--against", str(tmp_path)]) == ExitCode.PASSED

    assert json.loads(capsys.readouterr().out)["against"] == figures


def test_what_is_no_checkout_is_refused(capsys, tmp_path: Path):
    assert main(["bench", "kernel", "--against", str(tmp_path)]) == ExitCode.USAGE

    assert "is no checkout of fltlab" in capsys.readouterr().err


FUZZER = """
    import json, os

    def test_tries():
        with open(os.environ["FLTLAB_FUZZ_FIGURES"], "a") as file:
            print(json.dumps({"tried": 3 * float(os.environ["FLTLAB_FUZZ_FACTOR"])}), file=file)

    def test_finds_something():
        assert os.environ["FLTLAB_FUZZ_FACTOR"] != "2", "seed 7 breaks it"
"""


@pytest.mark.parametrize(("factor", "problems"), [(1, 0), (2, 2)])
def test_the_long_mode_does_more_of_what_the_tests_do_and_tells_what_it_found(
    factor: int, problems: int, tmp_path: Path
):
    for name in long.TESTS:
        path = tmp_path / name if name.endswith(".py") else tmp_path / name / "test_it.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(FUZZER))
    said: list[str] = []

    found = long.try_long(factor, tmp_path, said.append)

    assert found.figures == [{"tried": 3.0 * factor}] * 2
    assert len(found.problems) == problems
    assert all("seed 7 breaks it" in problem for problem in found.problems)
    assert len(said) == 2
    assert all((Path(__file__).parents[2] / name).exists() for name in long.TESTS)
