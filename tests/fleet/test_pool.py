"""The pool of guests: nobody holds a machine that is not used while waiting for another."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from harness.fleet import pool as pools
from harness.fleet.pool import GuestPool
from harness.guest import GuestState


class OneMachine:
    """A host with room for one machine, which two providers share."""

    def __init__(self) -> None:
        self.taken = False
        self.opened: list[str] = []

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[Any]:
        assert not self.taken, f"{name} would wait for ever"
        self.taken = True
        self.opened.append(name)
        yield SimpleNamespace(guest=SimpleNamespace(name=name, state=GuestState.READY), stack=None, findings=0)
        self.taken = False


@pytest.fixture
def host() -> OneMachine:
    return OneMachine()


@pytest.fixture
def pool(host: OneMachine, monkeypatch: pytest.MonkeyPatch) -> Iterator[GuestPool]:
    def provider_for(name: str, settings: object) -> Any:
        del settings
        return SimpleNamespace(
            name=name,
            one_test_each=False,
            open=lambda directory, scene: host.open(name),
            next_test=lambda guest: None,
            close=lambda: None,
        )

    class Inline:
        """What is made ready or put away beside a test is so at once: an order that may happen."""

        def __init__(self, *_: object, **__: object) -> None: ...

        def submit(self, call: Any, *arguments: object) -> Any:
            result = call(*arguments)
            return SimpleNamespace(
                result=lambda: result, cancel=lambda: False, exception=lambda: None, done=lambda: True
            )

        def shutdown(self) -> None: ...

    monkeypatch.setattr(pools, "provider_for", provider_for)
    monkeypatch.setattr(pools, "ThreadPoolExecutor", Inline)
    made = GuestPool(cast("Any", None), lambda number, name: Path(name, str(number)))
    yield made
    made.close()


def test_the_guests_of_a_matrix_take_turns(pool: GuestPool, host: OneMachine):
    for name in ("win10", "win11", "win11", "win10"):
        assert pool.lease(name, "test_one.py").guest.name == name

    assert host.opened == ["win10", "win11", "win10"]


def test_a_guest_apart_is_made_when_no_test_has_one(pool: GuestPool, host: OneMachine):
    pool.lease("win11", "test_one.py")
    with pool.apart("win11"):
        assert host.taken
    pool.expect("win11", "test_one.py", None)
    with pool.apart("win11"):
        assert host.taken

    assert not host.taken
    assert host.opened == ["win11"] * 4


def test_what_was_made_ready_for_another_guest_is_not_kept(pool: GuestPool, host: OneMachine):
    pool.expect("win10", "test_one.py", None)

    assert pool.lease("win11", "test_one.py").guest.name == "win11"
    assert host.opened == ["win10", "win11"]
