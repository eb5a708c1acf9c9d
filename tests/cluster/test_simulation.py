"""A run on machines that only pretend: nothing is lost, nothing counts twice, and no run is shorter than it can be.

What is looked at holds for every draw; how near the bound a run comes is for `fltlab bench cluster` to tell.
"""

import json

import pytest

from harness.cli.main import main
from harness.cluster.simulated import Simulated, World
from harness.cluster.simulation import Simulation
from harness.errors import ExitCode


@pytest.fixture(scope="module")
def told() -> Simulated:
    return Simulation(World(workers=50, tests=2000, workers_of_machine=5, cold=0.3, worker_dies=400.0)).run()


def test_every_test_has_one_result_or_was_given_up(told: Simulated):
    counted = {nodeid for nodeid, count in told.results.items() if count}

    assert max(told.results.values()) == 1
    assert not counted & set(told.given_up)
    assert len(counted) + len(told.given_up) == 2000
    assert len(set(told.given_up)) == len(told.given_up) >= World().killers


def test_what_a_dead_worker_had_is_run_again(told: Simulated):
    assert told.deaths > 2 * World().killers
    assert told.repeated >= told.deaths - len(told.given_up)


def test_no_run_is_shorter_than_the_bound_and_all_its_time_is_told(told: Simulated):
    assert told.bound == max(told.work / 50, told.chain)
    assert told.makespan > told.bound * (1 - len(told.given_up) / 2000) * 0.99  # tests that are given up end early
    assert sum(told.seconds.values()) == pytest.approx(50 * told.makespan)
    assert {"tests", "templates", "images", "idle", "lost", "cut off", "restarting"} <= set(told.seconds)


def test_the_same_seed_is_the_same_run_and_another_is_another():
    first, again, other = (Simulation(World(workers=10, tests=200, seed=seed)).run() for seed in (1, 1, 2))

    assert first == again
    assert first.makespan != other.makespan


def test_a_worker_that_is_alone_gets_to_the_end():
    told = Simulation(World(workers=1, tests=100, killers=1, cold=1.0)).run()

    assert sum(told.results.values()) + len(told.given_up) == 100


def test_the_command_tells_what_came_of_it(capsys: pytest.CaptureFixture[str]):
    assert main(["bench", "cluster", "--workers", "10", "--tests", "200", "--json"]) == ExitCode.PASSED
    document = json.loads(capsys.readouterr().out)

    assert document["results"] + len(document["given_up"]) == 200
    assert document["over"] == pytest.approx(document["makespan"] / document["bound"] - 1, abs=1e-4)
    assert main(["bench", "cluster", "--workers", "10", "--tests", "200"]) == ExitCode.PASSED
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("makespan ")
    assert lines[-1].startswith(("holds: within 10%", "MISSED: within 10%"))
