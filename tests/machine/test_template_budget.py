"""How much of the disk templates may take, and what is left of those that had to go."""

import pytest
from filelock import FileLock

from harness.errors import ConfigurationError
from harness.machine import template_store
from harness.machine.template_store import BUDGET_VARIABLE, LEAST_BUDGET_MIB, MOST_BUDGET_MIB, TemplateStore

GONE = "0" * 32


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.delenv(BUDGET_VARIABLE, raising=False)
    return TemplateStore(tmp_path)


@pytest.mark.parametrize(
    ("free", "used", "budget"),
    [(30_000, 10_000, 10_000), (1_000, 2_000, LEAST_BUDGET_MIB), (4_000_000, 0, MOST_BUDGET_MIB)],
)
def test_templates_may_take_a_quarter_of_the_disk_within_bounds(store, monkeypatch, free, used, budget):
    monkeypatch.setattr(template_store, "free_mib", lambda _root: free)
    assert store.budget(used) == budget


def test_the_user_sets_the_budget(tmp_path, monkeypatch):
    monkeypatch.setenv(BUDGET_VARIABLE, "1.5")
    assert TemplateStore(tmp_path).budget(used_mib=0) == 1536


@pytest.mark.parametrize("said", ["much", "-1", "nan", "inf"])
def test_a_budget_that_is_no_size_is_the_users_mistake(tmp_path, monkeypatch, said):
    monkeypatch.setenv(BUDGET_VARIABLE, said)
    with pytest.raises(ConfigurationError, match=f"{BUDGET_VARIABLE} is '{said}'"):
        TemplateStore(tmp_path)


def test_marks_and_locks_go_with_their_template(store):
    kept = store.root / ("1" * 32)
    kept.mkdir()
    for key in (GONE, kept.name):
        (store.root / f".used-{key}").touch()
        (store.root / f".{key}.lock").touch()
    store.keep_within_budget()
    assert {path.name for path in store.root.iterdir()} == {kept.name, f".used-{kept.name}", f".{kept.name}.lock"}


def test_the_lock_of_a_template_that_is_being_made_stays(store):
    lock = store.root / f".{GONE}.lock"
    with FileLock(lock):
        store.keep_within_budget()
        assert lock.exists()
    store.keep_within_budget()
    assert not lock.exists()
