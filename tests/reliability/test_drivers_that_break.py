"""A driver that brings the guest down fails its test, by name, with evidence; what fltlab lacks is an error."""

import pytest

from harness.errors import ExitCode

LOCAL = "--guest=reference-local"

BREAKS = [
    ("crash", "failure", "bug check SYSTEM_SERVICE_EXCEPTION (0x3B) in driver fltlab-crash", "bugcheck"),
    ("deadlock", "failure", "fltlab-deadlock does not come back", "running"),
    ("spin", "failure", "runaway in driver fltlab-spin", "hang"),
    ("strange", "error", "the reference kernel lacks a function that a driver needs", "bugcheck"),
]


IMPATIENT = """
    # The kernel's processes begin with this: code that does not come back is found after one second, not fifteen.
    import sys
    from pathlib import Path
    from types import SimpleNamespace
    from harness.guest import local

    here = Path(__file__).parent / "impatient"
    here.mkdir()
    (here / "sitecustomize.py").write_text(
        "import sys\\n"
        "if 'harness.reference.process.nursery' in sys.orig_argv:\\n"
        "    from harness.reference.machine.scheduler import engine\\n"
        "    engine.PATIENCE = 2\\n"
    )
    python = here / "python"
    python.write_text(f'#!/bin/sh\\nPYTHONPATH={here}:$PYTHONPATH exec {sys.executable} "$@"\\n')
    python.chmod(0o755)
    local.sys = SimpleNamespace(executable=str(python))
"""


@pytest.mark.parametrize(("driver", "tag", "message", "state"), BREAKS, ids=[entry[0] for entry in BREAKS])
def test_it_is_named_and_the_evidence_is_kept(project, driver: str, tag: str, message: str, state: str):
    project.conftest(IMPATIENT)
    project.test(f"""
        @pytest.mark.stack("observer@above", "{driver}")
        def test_it(lab):
            lab.io(READ)

        def test_the_next_one(guest):
            assert guest.run("ver").ok
    """)

    code, output = project.end(LOCAL)

    assert code == (ExitCode.FAILED if tag == "failure" else ExitCode.HOST), output
    assert project.case("test_it")[0] == tag
    assert project.case("test_it")[1].startswith(message)
    assert project.case("test_the_next_one") == ("passed", "")
    assert output.count(f"\n  {message}") == 1
    assert "fltlab-kernel-stopped" not in output
    assert project.kernel("test_it")["state"] == state
    assert {"winrm.json", "daemon.log", "host.json"} <= set(project.evidence("test_it"))
    assert "fltprobe.exe" in project.evidence("test_it")["winrm.json"]
    project.assert_nothing_is_left()
