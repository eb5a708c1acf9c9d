"""A file system of a few MiB that only one process sees."""

import subprocess

import pytest

WAYS = (["unshare", "--user", "--map-root-user", "--mount"], ["unshare", "--mount"])


def private_mounts() -> list[str]:
    """How a shell is started that may mount what nobody else sees; the test is skipped where no way is allowed."""
    for words in WAYS:
        if subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0:
            return [*words, "sh", "-c"]
    pytest.skip("this machine lets nobody have mounts of their own (unshare)")
