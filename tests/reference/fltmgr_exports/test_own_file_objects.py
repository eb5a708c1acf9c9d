"""File objects that a filter has opened itself, opens that it cancels, and its reads at APC_LEVEL (owner/owner.c)."""

from pathlib import Path

import pytest

from harness.minifilter.probe import parse_probe
from harness.nt import NtStatus
from tests.reference.minifilters import Minifilters

FOREIGN = "of a file object that it has opened itself has reached the file system"


@pytest.fixture
def owner(tmp_path: Path) -> Minifilters:
    return Minifilters(Path(__file__).parent, tmp_path, {"owner": {"only": "370050"}})


def test_what_an_owner_does_not_complete_is_told_and_a_cancelled_open_leads_to_nothing(owner: Minifilters) -> None:
    ended = owner.run(b"""
        open  f V:\\mine.own access=read
        read  f offset=0 length=1
        query f class=standard
        close f
        open  c V:\\cancelled.own access=rw disposition=create
        open  d V:\\cancelled.own access=rw,delete options=delete-on-close
    """)
    result = parse_probe(ended.stdout.decode())
    statuses = [step.status for step in result.steps]
    findings = owner.unload()

    refused, denied = int(NtStatus.INVALID_PARAMETER), int(NtStatus.ACCESS_DENIED)
    assert statuses == [0, int(NtStatus.END_OF_FILE), refused, 0, denied, denied]
    assert [text.partition(" ")[0] for text in findings if FOREIGN in text] == ["QUERY_INFORMATION", "CLEANUP", "CLOSE"]
    assert [text for text in findings if FOREIGN not in text] == []
    assert {"after the cancel: 0xc00000bb\n", "contexts gone: 2\n"} <= set(owner.kernel.log)


def test_reads_of_a_filter_s_own_at_apc_level_are_for_paging_io(owner: Minifilters) -> None:
    with pytest.raises(AssertionError, match="FltReadFile without FLTFL_IO_OPERATION_PAGING was called at IRQL 1"):
        owner.run(b"open f V:\\raised.own access=read disposition=create\n")
    assert [line for line in owner.kernel.log if "as paging" in line] == ["as paging I/O: 0xc0000011\n"]
