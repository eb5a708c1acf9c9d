"""The I/O script has one grammar: fltprobe's table and the host's are the same, whoever adds a verb."""

from harness.minifilter.script import GRAMMAR
from tests.minifilter.test_script import SOURCE, grammar_of_fltprobe


def test_the_grammar_of_the_host_is_the_one_that_fltprobe_has() -> None:
    theirs = grammar_of_fltprobe()

    assert len(theirs) == SOURCE.read_text().partition("Grammar[] = {")[2].partition("\n};")[0].count('{"')
    assert dict(GRAMMAR) == theirs
