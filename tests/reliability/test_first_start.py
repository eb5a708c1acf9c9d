"""Ctrl-C while a run is still getting ready: one sentence, nothing left, and it can be gone on with."""

import os
import shutil
import signal
from pathlib import Path

from harness.errors import ExitCode
from harness.minifilter.toolchain import CLANG_VERSIONS
from tests.reliability.conftest import Project

LOCAL = "--guest=reference-local"


def test_ctrl_c_while_the_first_driver_is_built(project: Project):
    clang = next(found for n in CLANG_VERSIONS if (found := shutil.which(f"clang-{n}")))
    slow = project.root / "slow" / Path(clang).name
    slow.parent.mkdir()
    slow.write_text(
        f'#!/bin/sh\ncase "$*" in *--version*) exec {clang} "$@" ;; esac\n: > {project.suite}/reached\nexec sleep 60\n'
    )
    slow.chmod(0o755)
    project.test("""
        @pytest.mark.stack("spin")
        def test_it(lab):
            pass
    """)

    code, output = project.interrupt(
        signal.SIGINT,
        LOCAL,
        PATH=f"{slow.parent}:{os.environ['PATH']}",
        FLTLAB_HOME=str(project.root / "home"),
    )

    assert code == ExitCode.INTERRUPTED, output
    assert "Traceback" not in output
    assert "= no tests ran" in output
    assert "interrupted before any test had a result" in output
    assert ".py" not in output.partition("interrupted")[2]
    project.assert_nothing_is_left()
