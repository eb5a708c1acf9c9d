"""What the watchdog removes when its process is killed: a scratch directory, though somebody still writes into it."""

import signal
import subprocess
import sys
from pathlib import Path

from tests.processes import gone, until

WRITER = """
import itertools, pathlib, sys, time
end = time.monotonic() + 1.0
try:
    for number in itertools.count():
        (pathlib.Path(sys.argv[1]) / f"{number % 50}").write_bytes(b"x")
        if time.monotonic() > end:
            break
except OSError:
    pass
"""
PARENT = """
import subprocess, sys
from harness.machine.watchdog import watchdog

with watchdog().scratch_directory("fltlab-test-") as folder:
    print(folder, watchdog().process.pid, flush=True)
    sys.stdin.readline()
    subprocess.Popen([sys.executable, "-c", sys.argv[1], folder], start_new_session=True)
    print("writes", flush=True)
    sys.stdin.read()
"""


def test_a_scratch_directory_goes_with_a_process_that_is_killed_while_another_writes_there():
    with subprocess.Popen([sys.executable, "-c", PARENT, WRITER], stdin=-1, stdout=-1, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdin is not None
        name, dog = parent.stdout.readline().rsplit(maxsplit=1)
        parent.stdin.write("\n")
        parent.stdin.flush()
        assert parent.stdout.readline() == "writes\n"
        until(lambda: any(Path(name).iterdir()), "something to be written")
        parent.send_signal(signal.SIGKILL)

    until(lambda: gone(int(dog)), "the watchdog to be gone")
    assert not Path(name).exists()
