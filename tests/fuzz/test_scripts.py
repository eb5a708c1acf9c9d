"""Any I/O script ends: with its results, or with a sentence that says what is wrong with it; the kernel goes on."""

import gc
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.minifilter.build import SUPPORT, BuiltDriver, build_drivers
from harness.minifilter.probe import parse_probe
from harness.minifilter.script import mistakes
from harness.minifilter.script_grammar import GRAMMAR
from harness.reference.process.host import Host
from harness.wire import kernel as wire
from tests.fltprobe.conftest import Bench
from tests.fuzz.mutate import mutated

ROOT = Path(__file__).resolve().parents[2]
NUMBERS = (
    "0",
    "1",
    "511",
    "4096",
    "65536",
    "0x7fffffffffffffff",
    "0xffffffffffffffff",
    "-1",
    "99999999999999999999",
    "x",
)
NAMES = ("a", "b", r"V:\data.bin", r"V:\\", r"V:\a\b", "V:", "above", "pending", "fltlab-pending", "", "x" * 300)
OF_A_FILE = frozenset(
    {
        "read",
        "write",
        "flush",
        "lock",
        "unlock",
        "query",
        "set",
        "query-ea",
        "set-ea",
        "query-security",
        "fsctl",
        "close",
    }
)
BEGIN = r"""
deadline 200
filter pending
filter completion
open f V:\data.bin access=rw,delete
"""
DONE, WRONG, OUTSTANDING = 0, 2, 4
SCRIPTS_OF_A_KERNEL = 25


def corpus() -> list[str]:
    """Every line of every script in the suites: what the grammar is used for, to be put together anew."""
    lines = (line.strip() for file in sorted(ROOT.glob("suites/*/*.py")) for line in file.read_text().splitlines())
    found = [line for line in lines if re.match(rf"({'|'.join(GRAMMAR)}) +[^=({{]*", line) and "{" not in line]
    return [line for line in dict.fromkeys(map(adapted, found)) if not mistakes(line)]


def adapted(line: str) -> str:
    """A line about the file and the minifilters that are there."""
    words = re.sub(r"\b(above|below|low|passthrough|synchronize|fastio|completion)\b", "pending", line).split()
    if words[0] in OF_A_FILE and len(words) > 1:
        words[1] = "f"
    return " ".join(words)


def odd(line: str, chosen: random.Random) -> str:
    """A line with one of its words in another way."""
    words = line.split()
    at = chosen.randrange(1, len(words)) if len(words) > 1 else 0
    key, equals, _ = words[at].partition("=")
    match chosen.randrange(5):
        case 0:
            words[at] = f"{key}={chosen.choice(NUMBERS)}" if equals else chosen.choice(NAMES)
        case 1:
            del words[at]
        case 2:
            words.insert(at, words[at])
        case 3:
            verb = GRAMMAR[words[0]] if words[0] in GRAMMAR else GRAMMAR["open"]
            words.append(f"{chosen.choice(verb.keys or ('x',))}={chosen.choice(NUMBERS)}")
        case _:
            words[0] = chosen.choice(list(GRAMMAR))
    return " ".join(words)


def script_of(seed: int, lines: list[str]) -> bytes:
    """Some lines, some of them odd; now and then bytes that are no script."""
    chosen = random.Random(seed)
    picked = [chosen.choice(lines) for _ in range(chosen.randint(1, 12))]
    oddness = chosen.choice((0.0, 0.0, 0.1, 0.4))
    picked = [odd(line, chosen) if chosen.random() < oddness else line for line in picked]
    text = (BEGIN + "\n".join(picked)).encode()
    return mutated(text, chosen) if chosen.random() < 0.1 else text


@pytest.fixture(scope="module")
def built() -> dict[str, BuiltDriver]:
    return build_drivers(SUPPORT, SUPPORT.parent / "build" / "drivers", ["fltprobe", "pending", "completion"])


def bench_of(folder: Path, built: dict[str, BuiltDriver], seed: int) -> Bench:
    folder.mkdir()
    (folder / "data.bin").write_bytes(bytes(8192))
    bench = Bench(folder, built, seed)
    for driver in ("completion", "pending"):
        bench.load(driver)
    return bench


def test_any_script_ends_with_results_or_with_a_sentence(
    built: dict[str, BuiltDriver], times: Callable[[int], range], tell: dict[str, object], tmp_path: Path
):
    lines = corpus()
    assert len(lines) > 80
    program = str(built["fltprobe"].sys)
    ends: dict[int, int] = {}
    bench: Bench | None = None
    ran = 0
    for seed in times(125):
        if bench is None or ran >= SCRIPTS_OF_A_KERNEL:
            bench = None
            gc.collect()  # a kernel's memory is a cycle away
            bench, ran = bench_of(tmp_path / f"volume{seed}", built, seed), 0
        script = script_of(seed, lines)
        answer = Host(bench.system).answer(wire.Run(program, (), script))
        assert isinstance(answer, wire.Ended), (seed, answer, script)
        result = parse_probe(answer.stdout.decode())
        assert answer.exit_code in {DONE, WRONG, OUTSTANDING}, (seed, answer.exit_code, result.error)
        assert answer.exit_code == OUTSTANDING or bool(result.error) == (answer.exit_code == WRONG), (
            seed,
            result.error,
        )
        if _is_text(script) and mistakes(script.decode()):
            # A value is read when its step runs: one before it may have come to its deadline.
            assert answer.exit_code in {WRONG, OUTSTANDING}, (seed, mistakes(script.decode()), script)
        ends[answer.exit_code] = ends.get(answer.exit_code, 0) + 1
        ran += 1
        if answer.exit_code == OUTSTANDING or b"unload" in script:
            bench = None  # something is held back in it, as its rules say, or a minifilter is gone
    assert ends[DONE]
    assert ends[WRONG]
    tell |= {
        "I/O scripts": sum(ends.values()),
        "exit codes": {str(code): count for code, count in sorted(ends.items())},
    }


def _is_text(script: bytes) -> bool:
    return script.isascii() and b"\0" not in script and b"\r" not in script
