"""The journal keeps every result, also of a run that was killed."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import ConfigurationError
from harness.report.journal import FILE_NAME, Journal, read_journal
from harness.report.records import Outcome, TestRecord


def test_what_was_written_is_read(tmp_path: Path, records: list[TestRecord]):
    with Journal(tmp_path) as journal:
        for record in records:
            journal.append(record)

    assert read_journal(tmp_path) == records


def test_a_result_is_on_disk_before_the_next_test_begins(tmp_path: Path, records: list[TestRecord]):
    with Journal(tmp_path) as journal:
        journal.append(records[0])

        assert read_journal(tmp_path) == records[:1]


def test_a_line_cut_short_by_a_kill_is_left_out(tmp_path: Path, records: list[TestRecord]):
    with Journal(tmp_path) as journal:
        journal.append(records[0])
        journal.append(records[1])
    path = tmp_path / FILE_NAME
    path.write_text(path.read_text()[:-40])

    assert read_journal(tmp_path) == records[:1]


def test_a_damaged_line_in_the_middle_is_an_error_that_names_it(tmp_path: Path, records: list[TestRecord]):
    with Journal(tmp_path) as journal:
        journal.append(records[0])
    path = tmp_path / FILE_NAME
    path.write_text('{"nodeid": 1\n' + path.read_text())

    with pytest.raises(ConfigurationError, match=r"results\.jsonl:1 is not a result"):
        read_journal(tmp_path)


def test_a_test_that_ran_again_counts_once_with_its_last_result(tmp_path: Path, records: list[TestRecord]):
    with Journal(tmp_path) as journal:
        journal.append(records[0])
        journal.append(records[1])
        journal.append(replace(records[0], outcome=Outcome.FAILED))

    assert [record.outcome for record in read_journal(tmp_path)] == [Outcome.FAILED, records[1].outcome]


def test_a_directory_without_a_run_is_the_users_mistake(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="holds no run"):
        read_journal(tmp_path)
