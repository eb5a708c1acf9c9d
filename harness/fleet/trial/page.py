"""The verdict of a trial as one page of a terminal, and as data."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from textwrap import shorten, wrap

from harness.fleet.kernel_exports import Needs
from harness.fleet.places import with_words
from harness.fleet.trial.sightings import Seen
from harness.fleet.trial.verdict import Verdict
from harness.fleet.trial.workload import WORKLOAD
from harness.guest import GuestKind
from harness.guest.deploy import VOLUME
from harness.nt import IrpMajor
from harness.report.coverage.measured import in_words
from harness.wire.kernel_state import Finding
from harness.wire.schedule import moves_text

WIDTH = 80
MOST_ROWS, MOST_CHANGES, MOST_REFUSALS, MOST_FINDINGS, MOST_TURNS = 10, 6, 2, 4, 8
_COLUMNS = ("SUCCESS_NO_CALLBACK", "SUCCESS_WITH_CALLBACK", "COMPLETE", "PENDING", "SYNCHRONIZE", "DISALLOW_FASTIO")
_HEADINGS = ("pre", "post", "passed", "+post", "completed", "pended", "synced", "no-fast")
_BETWEEN = ("above", "below", "stopped", "own")
_NAME = 24
_OTHER_VOLUMES = (
    "fltlab run has other volumes for a suite of yours: --filesystem fat32, --data-volume E:exfat,removable"
)
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{12,16}\b")


def page(verdict: Verdict, needs: Needs | None) -> str:
    """The page: what was tried, what was seen, what changed, what is wrong."""
    lines = [*_head(verdict), *_imports(needs), *_life(verdict)]
    if verdict.parts:
        lines += ["", *_table(verdict)]
        lines += ["", *_changes(verdict), *_findings("findings", _not_told(verdict), verdict.where, hang=verdict.hang)]
        lines += _findings("leaks", verdict.leaks, verdict.where, tried=verdict.unloaded == "yes")
    elif verdict.findings:  # of its DriverEntry
        lines += ["", *_findings("findings", _not_told(verdict), verdict.where)]
    for told in verdict.hard:
        lines += _wrapped("hard       ", told, 1)
    lines += _coverage(verdict)
    if verdict.hard_findings:
        lines += _findings("  then", verdict.hard_findings, verdict.where)
    lines += _schedules(verdict)
    if verdict.stop is not None:
        lines += ["", *_stop(verdict)]
    return "\n".join([*lines, "", _last(verdict)])


def _schedules(verdict: Verdict) -> Iterator[str]:
    explored = verdict.explored
    if explored is None:
        return
    if explored.found is None:
        yield f"schedules  {explored.tried} tried: it fails under none"
        return
    failure, *told = verdict.race
    yield from _wrapped("schedules  ", failure, 3)
    for line in told[:MOST_TURNS]:
        yield from _wrapped("  ", line, 3)
    yield from _wrapped("  ", f"again: --schedule '{moves_text(explored.found.moves)}'", 4)


def _coverage(verdict: Verdict) -> Iterator[str]:
    measured = verdict.measured
    for files in measured.drivers.values() if measured else ():
        yield from _wrapped("coverage   ", in_words(files), 2)
    for reason in measured.without.values() if measured else ():
        yield from _wrapped("coverage   ", f"none: {reason}", 2)


def _head(verdict: Verdict) -> Iterator[str]:
    candidate = verdict.candidate
    yield shorten(f"{candidate.title} on {verdict.options.guest}, seed {verdict.options.seed}", WIDTH)
    made_up = ("made up: " + ", ".join(candidate.made_up),) if candidate.made_up else ()
    read = ("read: " + ", ".join(candidate.read),) if candidate.read else ()
    for text in (*read, *made_up):
        yield from _wrapped("", text, 2)


def _imports(needs: Needs | None) -> Iterator[str]:
    if needs is None:
        return
    number = len(needs.has) + len(needs.stops) + len(needs.refused)
    if not (needs.stops or needs.refused):
        yield f"imports    {number}, all implemented"
        return
    for some, what in ((needs.refused, "nobody exports: it cannot be loaded"), (needs.stops, "missing, if called")):
        if some:
            names = ", ".join(one.name for one in some)
            yield from _wrapped("imports    ", f"{number}, {len(some)} {what}: {names}", 2)


def _life(verdict: Verdict) -> Iterator[str]:
    both = f"loaded     {verdict.loaded:<27} attached   {verdict.attached}"
    if len(both) <= WIDTH:
        yield both
    else:
        yield f"loaded     {verdict.loaded}"
        yield from _wrapped("attached   ", verdict.attached, 2)
    if verdict.parts:
        total = len(verdict.options.parts)
        done = f"workload   {f'{verdict.parts} of {total} parts, {verdict.steps} steps':<27} {_took_part(verdict)}"
        yield done.rstrip()
    if verdict.unloaded != "not tried":
        if max(len(verdict.detached), len(verdict.unloaded)) < 27:
            yield f"detached   {verdict.detached:<27} unloaded   {verdict.unloaded}"
        else:
            yield from _wrapped("detached   ", verdict.detached, 2)
            yield from _wrapped("unloaded   ", verdict.unloaded, 2)


def _took_part(verdict: Verdict) -> str:
    seen = verdict.sightings
    if not seen.by_kernel:
        return ""
    return f"{_number(len(seen.threads), 'thread')}, up to {seen.irql}_LEVEL"


def _table(verdict: Verdict) -> Iterator[str]:
    seen = verdict.sightings
    rows = list(seen.rows().items())
    if not verdict.is_attached or not rows:
        yield from _wrapped("seen       ", f"nothing: {_why_nothing(verdict)}", 4)
        if not verdict.is_attached:
            yield from _wrapped("hint       ", _OTHER_VOLUMES, 2)
        return
    headings = _HEADINGS if seen.by_kernel else _BETWEEN
    cells = {name: _cells(row, by_kernel=seen.by_kernel) for name, row in rows}
    used = [at for at in range(len(headings)) if at < 2 or any(row[at] for row in cells.values())]
    yield f"{'operation':<{_NAME}}" + "".join(f"{headings[at]:>{_width(headings[at])}}" for at in used)
    for name, _ in rows[:MOST_ROWS]:
        said = _said(name)
        said = said if len(said) <= _NAME else f"{said[: _NAME - 1]}…"
        yield f"{said:<{_NAME}}" + "".join(f"{cells[name][at] or '.':>{_width(headings[at])}}" for at in used)
    if len(rows) > MOST_ROWS:
        yield f"{len(rows) - MOST_ROWS} more: {shorten(', '.join(name.lower() for name, _ in rows[MOST_ROWS:]), 68)}"
    if seen.by_kernel:
        yield from _in_callbacks(rows)
    else:
        yield from _between(verdict)
    own = sum(row.own for row in seen.majors.values())
    if own:
        yield f"I/O of its own: {_number(own, 'operation')}"
    if not seen.did_anything and not verdict.changes:
        yield from _wrapped("hint       ", _nothing_done(verdict), 3)


def _why_nothing(verdict: Verdict) -> str:
    """Of a driver that was shown nothing of the workload."""
    registered = verdict.registered
    if not verdict.is_attached:
        volumes = " and ".join(dict.fromkeys(verdict.elsewhere))
        where = f"it is attached to {volumes} alone" if volumes else "it is attached to no volume"
        told = [f"{where}, and the workload is on {VOLUME} (NTFS, a local disk)"]
    elif registered is None:
        told = ["none of its callbacks was called"]
    else:
        known = {int(one): one.name for one in IrpMajor}
        names = [known.get(major, hex(major)) for major in registered.majors]
        told = [
            f"it is registered for {_said(', '.join(names))} alone" if names else "it is registered for no operation"
        ]
    if registered is not None and registered.supports_pipes:
        told.append(
            "it is registered for named pipes and mailslots, too, whose volumes a reference guest does not have"
        )
    return "; ".join(told)


def _nothing_done(verdict: Verdict) -> str:
    """Of a driver that let everything pass: it may be one that does, or one that none of this concerned."""
    chosen = len(verdict.options.parts) > len(WORKLOAD)
    named = "of these names either" if chosen else "of the workload's names: *.txt and *.bin below V:\\create, …"
    told = f"it saw operations and did nothing to any, {named}."
    return told if chosen else f"{told} If it acts on some alone, say so: --suffix .docx, --directory Documents"


def _width(heading: str) -> int:
    return max(6, len(heading) + 1)


def _cells(row: Seen, *, by_kernel: bool) -> list[int]:
    if not by_kernel:
        return [row.above, row.below, row.stopped, row.own]
    return [row.pre, row.post, *(row.returned[name] for name in _COLUMNS)]


def _in_callbacks(rows: Sequence[tuple[str, Seen]]) -> Iterator[str]:
    """What its callbacks have changed, and how long they have pended operations, in a line or two each."""
    changed: dict[tuple[str, str], list[str]] = {}
    for name, row in rows:
        for (callback, what), count in row.changed.items():
            changed.setdefault((name, callback), []).append(f"{what} ({count})")
    told = [f"{_said(name)} {callback}: {', '.join(what)}" for (name, callback), what in changed.items()]
    if told:
        yield from _wrapped("changed in ", "; ".join(told), 2)
    pended = [
        f"{_said(name)} {_number(len(row.pends), 'time')}, {_time(sum(row.pends) // len(row.pends))} each, "
        f"{_time(max(row.pends))} at most"
        for name, row in rows
        if row.pends
    ]
    if pended:
        yield from _wrapped("pended     ", "; ".join(pended), 2)


def _said(name: str) -> str:
    return name.lower().replace("_", "-")


def _time(ticks: int) -> str:
    """A span of the reference kernel's performance counts, of 100 ns."""
    return f"{ticks / 10:.0f} us" if ticks < 10_000 else f"{ticks / 10_000:.1f} ms"


def _between(verdict: Verdict) -> Iterator[str]:
    """What is others below than above, in a line each."""
    parameters: Counter[str] = Counter()
    results: Counter[str] = Counter()
    for row in verdict.sightings.majors.values():
        parameters.update(row.parameters)
        results.update(row.results)
    if parameters:
        yield "on the way down it changes " + ", ".join(f"{name} ({n})" for name, n in parameters.items())
    if results:
        yield "on the way up it changes " + ", ".join(f"{name} ({n})" for name, n in results.items())


def _not_told(verdict: Verdict) -> list[Finding]:
    """The findings, without those that the end of the kernel says again."""
    said = verdict.stop.message if verdict.stop is not None else ""
    return [replace(one, text="see below") if one.text in said else one for one in verdict.findings]


def _changes(verdict: Verdict) -> Iterator[str]:
    changes, whole = verdict.changes, verdict.parts == len(verdict.options.parts)
    unmeant = [change for change in changes if change.allowed is None]
    meant = [change for change in changes if change.allowed is not None]
    if not changes:
        done = "every step" if whole else f"what was done in {_number(verdict.parts, 'part')}"
        yield f"changes    none: {done} comes out as it does without the driver"
        return
    told = f"changes    {_number(len(unmeant), 'kind')} of difference that nobody said it is meant to make"
    yield told if unmeant else f"changes    {_number(len(meant), 'kind')} of difference, all of them meant"
    for change in unmeant[:MOST_CHANGES]:
        yield from _wrapped("  ", change.words, 2)
        for refusal in verdict.refusals.get(change.first.part, ())[:MOST_REFUSALS]:
            yield from _wrapped("    there: ", refusal, 3)
    if len(unmeant) > MOST_CHANGES:
        yield f"  and {_number(len(unmeant) - MOST_CHANGES, 'more kind')}: --json has all"
    for change in meant[: max(0, 3 - len(unmeant))]:
        yield from _wrapped("  meant: ", f"{change.words}; {change.allowed}", 1)


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _findings(
    title: str, some: Iterable[Finding], where: Mapping[str, str], *, tried: bool = True, hang: str = ""
) -> Iterator[str]:
    told: Counter[str] = Counter()
    first: dict[str, str] = {}
    for one in some:
        text = with_words(f"{one.rule}: {one.text}" if one.rule else one.text, where)
        place = next((where[call] for call in one.chain if call in where), "")
        if place and place not in text:
            text += f", in {place}"
        told[first.setdefault(_ADDRESS.sub("", text), text)] += 1  # the same thing at another address
    if not told and not hang:
        yield f"{title:<11}{'none' if tried else 'not looked for: it was not unloaded'}"
        return
    if hang:
        yield from _wrapped(f"{title:<11}", f"a step does not end: {hang}", 2)
    for text, count in list(told.items())[:MOST_FINDINGS]:
        yield from _wrapped(f"{title:<11}", f"{text}{f' ({count} times)' if count > 1 else ''}", 3)
    if len(told) > MOST_FINDINGS:
        yield f"{title:<11}and {len(told) - MOST_FINDINGS} more: --json has all"


def _stop(verdict: Verdict) -> Iterator[str]:
    assert verdict.stop is not None
    stage = f"during {verdict.stage}: " if verdict.loaded == "yes" else ""
    yield from _wrapped("stopped    ", stage + verdict.stop.message, 4)
    # What is known of the cause says it once; the rest would only say it again.
    told = (
        []
        if verdict.stop.hint
        else [line for line in verdict.stop.details if not line.startswith(("code: ", "exit code: "))]
    )
    for line in told[:4]:
        yield from _wrapped("  ", with_words(line, verdict.where), 2)
    if verdict.stop.hint:
        yield from _wrapped("  try:  ", verdict.stop.hint, 3)


def _last(verdict: Verdict) -> str:
    model = "" if verdict.kind is GuestKind.WINDOWS else ": a model, not Windows"
    return (
        f"{verdict.ended.value}, {verdict.seconds:.1f} s  ({verdict.kind.value}{model}; sha256 {verdict.sha256[:12]})"
    )


def _wrapped(title: str, text: str, most: int) -> list[str]:
    lines = wrap(text, WIDTH - len(title), break_on_hyphens=False) or [""]
    if len(lines) > most:
        lines = [*lines[: most - 1], shorten(" ".join(lines[most - 1 :]), WIDTH - len(title), placeholder=" …")]
    return [title + lines[0], *(" " * len(title) + line for line in lines[1:])]


def _coverage_as_json(verdict: Verdict) -> dict[str, dict[str, int]]:
    """By file; empty where it was not measured."""
    files = verdict.measured.files if verdict.measured is not None else ()
    return {
        file.name: {
            "lines": len(file.lines),
            "lines_hit": file.lines_hit,
            "branches": len(file.ways),
            "branches_hit": file.ways_gone,
        }
        for file in files
    }


def as_json(verdict: Verdict, needs: Needs | None) -> dict[str, object]:
    """The whole verdict as plain data."""
    candidate, seen = verdict.candidate, verdict.sightings
    return {
        "driver": candidate.title,
        "service": candidate.service,
        "altitude": str(candidate.altitude),
        "sha256": verdict.sha256,
        "guest": verdict.options.guest,
        "kind": verdict.kind.value,
        "seed": verdict.options.seed,
        "read": list(candidate.read),
        "made_up": list(candidate.made_up),
        "missing": {
            "stops": [f"{one.module}!{one.name}" for one in needs.stops] if needs else [],
            "refused": [f"{one.module}!{one.name}" for one in needs.refused] if needs else [],
        },
        "loaded": verdict.loaded,
        "attached": verdict.attached,
        "elsewhere": list(verdict.elsewhere),
        "detached": verdict.detached,
        "unloaded": verdict.unloaded,
        "coverage": _coverage_as_json(verdict),
        "workload": {"parts": verdict.parts, "steps": verdict.steps},
        "operations": {name: _row_as_json(row) for name, row in seen.rows().items()},
        "threads": len(seen.threads),
        "highest_irql": seen.irql,
        "pended": seen.pended,
        "events_lost": seen.lost,
        "changes": [
            {
                "what": change.words,
                "count": change.count,
                "allowed": change.allowed,
                "step": change.first.step,
                "refusals": list(verdict.refusals.get(change.first.part, ())),
            }
            for change in verdict.changes
        ],
        "findings": [{"rule": one.rule, "driver": one.driver, "text": one.text} for one in verdict.findings],
        "leaks": [{"rule": one.rule, "driver": one.driver, "text": one.text} for one in verdict.leaks],
        "hard": list(verdict.hard),
        "hard_findings": [{"rule": one.rule, "driver": one.driver, "text": one.text} for one in verdict.hard_findings],
        "schedules": _schedules_as_json(verdict),
        "hang": verdict.hang or None,
        "stop": None if verdict.stop is None else str(verdict.stop),
        "ended": verdict.ended.name.lower().replace("_", "-"),
        "seconds": round(verdict.seconds, 1),
    }


def _schedules_as_json(verdict: Verdict) -> dict[str, object] | None:
    explored = verdict.explored
    if explored is None:
        return None
    found = explored.found
    moves = moves_text(found.moves) if found is not None else None
    return {"tried": explored.tried, "schedule": moves, "race": list(verdict.race)}


def _row_as_json(row: Seen) -> dict[str, object]:
    return {
        **{name: getattr(row, name) for name in ("above", "below", "stopped", "own", "pre", "post")},
        "returned": dict(row.returned),
        "changed_parameters": dict(row.parameters),
        "changed_results": dict(row.results),
        "changed_in_callbacks": [
            {"callback": callback, "what": what, "count": count} for (callback, what), count in row.changed.items()
        ],
        "pended_microseconds": [ticks / 10 for ticks in row.pends],
    }
