"""All reports of a run that has ended, written into its directory."""

from pathlib import Path
from typing import TYPE_CHECKING

from harness.report.provenance import Provenance, write_run_json
from harness.report.records import TestRecord
from harness.report.summary import Summary, summarise

if TYPE_CHECKING:
    from harness.report.coverage.measured import Measured


def write_reports(
    directory: Path,
    provenance: Provenance,
    records: list[TestRecord],
    seconds: float,
    *,
    coverage: "Measured | None" = None,
) -> Summary:
    """Write run.json, junit.xml and report.html of a run that has ended."""
    from harness.contract import load_catalogue, load_proven
    from harness.report.html import RuleText, write_html
    from harness.report.junit import write_junit

    guarded = load_proven()
    summary = summarise(records, guarded, seconds)
    rules = {
        rule.id: RuleText(rule.statement, rule.source, rule.address, rule.area.value, rule.kind.value)
        for rule in load_catalogue().rules
    }
    write_run_json(directory, provenance, summary)
    write_junit(directory, provenance, records, guarded)
    write_html(directory, provenance, records, summary, guarded, rules, coverage)
    return summary
