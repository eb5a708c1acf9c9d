"""What `fltlab run` says on the terminal of what went wrong: each trouble once, in at most 25 lines of 80 columns.

pytest's own, whole account comes with -v, --tb or --full-trace, and stands in the report in any case.
"""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from harness.contract import load_catalogue
from harness.plugin.facts import is_of_command
from harness.report.records import Blame, SectionKind, TestRecord
from harness.report.troubles import Trouble

LINES = 25
"""How long one trouble is, at most."""
COLUMNS = 80
SENTENCE, PLACES, RULES, TIMELINE, LAST, OTHERS, RACE = 9, 4, 2, 8, 3, 2, 14
"""How many lines, at most, the sentence takes, places in drivers, rules (by number), the timeline or what the kernel
did last, and the names of further tests."""
_PLACE = re.compile(r"^(\S+?:\d+): ")


def wants_short_failures(config: pytest.Config) -> bool:
    """Whether it is `fltlab run` that speaks, and nobody asked for pytest's own account."""
    asked = config.option.tbstyle != "auto" or config.option.fulltrace or config.option.usepdb
    return is_of_command(config) and config.option.verbose <= 0 and not asked


def told(trouble: Trouble, around: Mapping[str, str], directory: Path, width: int = COLUMNS) -> list[str]:
    """One trouble in at most 25 lines; `around` is the timeline of the wrong operation by node id."""
    record, *others = trouble.tests
    place, sentence = _sentence(record)
    lines = [f"{record.outcome.value.upper()} {record.nodeid}"]
    lines += _cut([part for line in sentence for part in _wrapped(line, width, "  ")], SENTENCE)
    lines += _wrapped(f"at {place}", width, "  ") if place else []
    lines += [f"  {line}" for line in record.section(SectionKind.WHERE).splitlines()[:PLACES]]
    lines += [line for rule in _rules(record) for line in _wrapped(rule, width, "  ", most=2)]
    raced = record.section(SectionKind.SCHEDULE).splitlines()
    if raced:
        lines += _cut([part for line in raced for part in _wrapped(line, width, "  ")], RACE)
    elif record.nodeid in around:
        lines += _cut(around[record.nodeid].splitlines(), TIMELINE)
    else:  # nothing answered: what the kernel did last is what there is
        lines += [f"  {line}" for line in record.section(SectionKind.KERNEL).splitlines()[-LAST:]]
    if others:
        also = f"the same in {len(others)} more: {', '.join(other.name for other in others)}"
        lines += _cut(_wrapped(also, width, "  "), OTHERS)
    again = record.section(SectionKind.AGAIN)
    rest = [f"  again: {again}"] if again else []
    rest += [f"  files: {directory / record.folder}/"] if record.folder else []
    return [*lines[: LINES - len(rest)], *rest]


def _sentence(record: TestRecord) -> tuple[str, list[str]]:
    """Where a test failed, with the statement, and what is wrong in its own words."""
    text = record.section(SectionKind.FAILURE).splitlines()
    errors = textwrap.dedent("\n".join(line[1:] for line in text if line.startswith("E  "))).splitlines()
    if errors:
        errors[0] = errors[0].removeprefix("AssertionError: ").removeprefix("assert ")
        places = [match[1] for line in text if (match := _PLACE.match(line))]
        statements = [line[1:].strip() for line in text if line.startswith(">")]
        return ": ".join([*places[-1:], *statements[-1:]]), errors
    place = text[0].partition(": in ")[0] if text and _PLACE.match(text[0]) else ""
    begin = text.index(record.message) if record.message in text else 0
    return place, text[begin:] or [record.message]


def _rules(record: TestRecord) -> Iterator[str]:
    """What the documentation says of what is wrong; of a test with several rules only as many as help.

    A leak or a source that does not compile has nothing to do with the rules that the test is about: none is told.
    """
    catalogue = load_catalogue()
    rules = record.violated or (record.rules if record.blame is Blame.ASSERTION else ())
    said = record.section(SectionKind.FAILURE)
    for rule in rules[:RULES]:
        if rule in catalogue and catalogue[rule].statement not in said:
            yield f"{rule}  {catalogue[rule].statement}"
    if len(rules) > RULES:
        yield f"also about {', '.join(rules[RULES:])}"


def _wrapped(text: str, width: int, indent: str, most: int | None = None) -> list[str]:
    inner = text[: len(text) - len(text.lstrip())]
    return textwrap.wrap(
        text.strip(),
        width,
        initial_indent=indent + inner,
        subsequent_indent=f"{indent}{inner}  ",
        break_on_hyphens=False,
        break_long_words=False,
        max_lines=most,
        placeholder=" …",
    )


def _cut(lines: Sequence[str], most: int) -> list[str]:
    return list(lines) if len(lines) <= most else [*lines[: most - 1], f"  … {len(lines) - most + 1} more lines"]
