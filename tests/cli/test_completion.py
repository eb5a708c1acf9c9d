"""A shell completes commands, options and suites, with what `fltlab completion` prints."""

import os
import shutil
import subprocess
import sys

import pytest

from harness.cli.main import COMPLETE, main
from harness.errors import ExitCode


@pytest.mark.parametrize(
    ("line", "among"),
    [
        ("fltlab ru", {"run"}),
        ("fltlab new", {"new-driver", "new-suite"}),
        ("fltlab run comp", {"completion"}),
        ("fltlab run --se", {"--seed"}),
        ("fltlab image bu", {"build"}),
    ],
)
def test_a_half_typed_line_is_completed(line: str, among: set[str]):
    environment = {
        **os.environ,
        COMPLETE: "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split()) - 1),
    }

    done = subprocess.run(
        [sys.executable, "-m", "harness.cli"], env=environment, capture_output=True, text=True, check=True
    )

    assert among <= set(done.stdout.split())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_what_is_printed_is_a_script_of_that_shell(shell: str, capsys: pytest.CaptureFixture[str]):
    assert main(["completion", shell]) == ExitCode.PASSED

    script = capsys.readouterr().out
    assert COMPLETE in script
    if shutil.which(shell):
        subprocess.run([shell, "-n", "-c", script], check=True)


def test_another_shell_is_refused_with_those_that_are_known(capsys: pytest.CaptureFixture[str]):
    assert main(["completion", "tcsh"]) == ExitCode.USAGE

    assert "one of bash, zsh, fish" in capsys.readouterr().err
