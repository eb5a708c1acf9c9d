"""What a campaign has come to, for a terminal and as data."""

import shlex
from pathlib import Path

from harness.fleet.fuzz.campaign import Outcome
from harness.fleet.fuzz.case import script_of
from harness.fleet.fuzz.suite_file import Suite

SHOWN_STEPS = 12


def line(outcome: Outcome) -> str:
    """Where it stands."""
    rate = outcome.executions / outcome.seconds if outcome.seconds else 0.0
    return (
        f"{outcome.executions} executions, {rate:.0f}/s; {outcome.edges} edges, corpus {outcome.corpus}; "
        f"{len(outcome.found)} faults"
    )


def page(outcome: Outcome, suite: Suite) -> str:
    """All of it."""
    lines = [f"{line(outcome)} in {outcome.seconds:.1f} s{' (interrupted)' if outcome.interrupted else ''}"]
    for found in outcome.found.values():
        lines += ["", *found.fault.lines]
        lines.append(f"  first after {found.executions} executions, {found.seconds:.1f} s; {found.times} times")
        steps = script_of(found.case).splitlines()
        lines += [f"    {step[:120]}" for step in steps[:SHOWN_STEPS]]
        lines += [f"    and {len(steps) - SHOWN_STEPS} steps more"] if len(steps) > SHOWN_STEPS else []
        words = ["fltlab", "run", str(found.file), "--drivers", _shown(suite.drivers), "--guest", "reference-local"]
        lines.append(f"  again: {shlex.join(words)}")
    for fault, case in outcome.others.values():
        lines += ["", f"no verdict on the driver: {fault.message}"]
        lines += [f"    {step[:120]}" for step in script_of(case).splitlines()[:SHOWN_STEPS]]
    if outcome.lost:
        lines += ["", f"{len(outcome.lost)} more came once and not again: they are not kept (another --seed may tell)"]
    return "\n".join(lines)


def as_data(outcome: Outcome) -> dict[str, object]:
    """The same for --json."""
    return {
        "executions": outcome.executions,
        "seconds": round(outcome.seconds, 3),
        "corpus": outcome.corpus,
        "edges": outcome.edges,
        "interrupted": outcome.interrupted,
        "lost": len(outcome.lost),
        "others": [{"message": fault.message, "script": script_of(case)} for fault, case in outcome.others.values()],
        "faults": [
            {
                "message": found.fault.message,
                "rule": found.fault.rule,
                "chain": list(found.fault.chain),
                "times": found.times,
                "executions": found.executions,
                "seconds": round(found.seconds, 3),
                "script": script_of(found.case),
                "file": str(found.file),
            }
            for found in outcome.found.values()
        ],
    }


def _shown(directory: Path) -> str:
    here = Path.cwd()
    return str(directory.relative_to(here) if directory.is_relative_to(here) else directory)
