r"""Name providers: a virtualizer shows \real as \virtual to the filter above it, which asks in every way for names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from harness.reference.windows.fltmgr.name_cache import NameCache
from tests.reference.minifilters import Minifilters

HERE = Path(__file__).parent
OPEN = b"open f V:\\VIRTUAL\\sub\\some.txt access=read\nclose f\n"
NEW = b"open f V:\\virtual\\new.txt access=rw disposition=create\nclose f\n"
NO_CACHE = b"open f V:\\virtual\\nocache.txt access=read\nclose f\n"
RENAME = b"""open f V:\\virtual\\sub\\some.txt access=read,delete
set f class=rename path=V:\\virtual\\SUB\\Other.dat
close f
"""
MISS = "c01c0018 "

Names = Callable[..., list[str]]


class Thing:
    """Stands for an instance, a volume or a file object: whatever it is given."""

    def __init__(self, **given: Any) -> None:
        self.__dict__.update(given)


@pytest.fixture(scope="module", params=["as-requested", "opened"])
def policy(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def minifilters(tmp_path_factory: pytest.TempPathFactory, policy: str) -> Minifilters:
    drivers = {"namer": {"upper": "370090", "below": "160090"}, "virtualizer": {"one": "260090"}}
    chosen = {"name-provider-format": policy}
    made = Minifilters(HERE, tmp_path_factory.mktemp("names"), drivers, policy=chosen)
    (made.root / "real" / "Sub").mkdir(parents=True)
    (made.root / "real" / "Sub" / "Some.txt").write_text("abc")
    (made.root / "real" / "nocache.txt").write_text("abc")
    return made


@pytest.fixture
def told(minifilters: Minifilters) -> Names:
    """What the drivers print while a script runs; of one driver, without its name."""

    def run(script: bytes, driver: str) -> list[str]:
        before = len(minifilters.kernel.log)
        minifilters.run(script)
        lines = [line.rstrip("\n") for line in minifilters.kernel.log[before:]]
        return [line.partition(" ")[2] for line in lines if line.startswith(driver)]

    return run


def asked(lines: list[str], instance: str) -> dict[str, str]:
    """What one instance of the namer was told: status and name, by what it asked."""
    words = [line.split(" ", 2) for line in lines]
    return {what: answer.removeprefix("00000000 ") for who, what, answer in words if who == instance}


def test_whoever_is_above_is_told_the_provider_s_name_and_whoever_is_below_the_file_system_s(told: Names) -> None:
    lines = told(OPEN, "namer")

    above, below = asked(lines, "upper"), asked(lines, "lower")
    name = r"\virtual\Sub\Some.txt"
    assert [above[key] for key in ("pre", "opened", "fresh", "unsafe", "from-the-top")] == [name] * 5
    assert (below["pre"], below["opened"]) == (r"\real\Sub\Some.txt",) * 2


def test_a_provider_s_name_is_cached_where_it_says_so(told: Names) -> None:
    cached, not_cached = asked(told(OPEN, "namer"), "upper"), asked(told(NO_CACHE, "namer"), "upper")

    assert cached["again"] == r"\virtual\Sub\Some.txt"
    assert not_cached["again"] == MISS


def test_a_purge_takes_what_the_instance_and_those_above_it_have_given(told: Names) -> None:
    lines = told(OPEN, "namer")

    assert asked(lines, "lower")["purged-above"] == MISS, "the file system's"
    assert asked(lines, "upper")["purged-above"] == r"\virtual\Sub\Some.txt", "of the provider below"


def test_a_query_past_the_cache_asks_the_provider_and_one_from_the_cache_does_not(told: Names, policy: str) -> None:
    lines = told(OPEN, "virtualizer")

    form = 2 if policy == "opened" else 1
    assert [line for line in lines if line.startswith("generate")] == [
        f"generate 200010{form} data",  # pre
        "generate 102 data",  # opened
        "generate 302 data",  # fresh; "again" and "unsafe" come from the cache
        f"generate 10{form} -",  # from the top
    ]


def test_components_are_normalized_from_the_root_down_with_one_context(told: Names) -> None:
    lines = told(OPEN, "virtualizer")

    first = lines[1 : lines.index("cleanup") + 1]
    assert [line.split(" file ")[0] for line in first] == [
        r"normalize VIRTUAL in \Device\HarddiskVolume1\ flags 0",
        r"normalize sub in \Device\HarddiskVolume1\virtual\ flags 0",
        r"normalize some.txt in \Device\HarddiskVolume1\virtual\Sub\ flags 0",
        "cleanup",
    ]
    assert all(line.endswith("file 1") for line in first[:-1]), "the Ex form, where both are registered"


def test_a_file_that_does_not_exist_yet_has_a_name_all_the_same(told: Names) -> None:
    assert asked(told(NEW, "namer"), "upper")["pre"] == r"\virtual\new.txt"


def test_the_destination_of_a_rename_is_normalized_and_a_renamed_file_has_no_cached_name(told: Names) -> None:
    lines = told(RENAME, "namer")

    above = asked(lines, "upper")
    assert (above["destination"], above["renamed"]) == (r"\virtual\Sub\Other.dat",) * 2


def test_nothing_is_left_behind(minifilters: Minifilters, told: Names) -> None:
    del told
    assert minifilters.unload() == []


def test_a_purge_of_a_provider_leaves_those_below_it_and_other_volumes() -> None:
    on: Any = Thing()
    volume = object()

    def instance() -> Any:
        return Thing(on=on, volume=volume, filter=Thing(registration=Thing(generate_name=1)))

    high, middle, low = instance(), instance(), instance()
    on.instances = [high, middle, low]
    here, elsewhere = cast("Any", Thing(volume=volume)), cast("Any", Thing(volume=object()))
    cache = NameCache()
    for file in (here, elsewhere):
        for provider in (high, middle, low, None):
            cache.keep(file, provider, 2, "true", "made up")

    cache.purge(middle, None)

    assert [cache.find(here, item, 2, "true") is None for item in (high, middle, low, None)] == [
        True,
        True,
        False,
        False,
    ]
    assert all(cache.find(elsewhere, item, 2, "true") for item in (high, middle, low, None))
    assert cache.find(here, low, 2, "another") is None
