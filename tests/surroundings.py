"""What a test may rely on of the process that it runs in, whoever has started that, and with which environment."""

import logging
import os
import signal
import threading
import time
from pathlib import Path

SPEAKS = {"LC_ALL": "C.UTF-8", "LANGUAGE": "", "TZ": "UTC"}
"""What programs say, and when, in words that tests look for."""

CHANGES = (
    "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "PY_COLORS", "COLORTERM",
    "CI", "BUILD_NUMBER", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITLAB_CI", "TF_BUILD",
    "PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTHONWARNINGS", "PYTHONOPTIMIZE",
    "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "CPATH", "C_INCLUDE_PATH", "INCLUDE", "LIB", "SOURCE_DATE_EPOCH",
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "FLTLAB_TEMPLATES_GIB", "FLTLAB_URL",
)  # fmt: skip
"""Variables that change what a program prints, finds or builds: the tests that are about one set it."""

NEAR = "127.0.0.1,localhost"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


def settle() -> None:
    """Make this process one in which tests pass or fail for what they test."""
    os.environ.update(SPEAKS)
    time.tzset()
    for name in CHANGES:
        os.environ.pop(name, None)
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), NEAR]))
    os.umask(0o022)
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            # What a shell has us ignore, in the background or by nohup, our children would ignore as well; what we
            # handle, even by doing nothing, they do not.
            if signal.getsignal(number) is signal.SIG_IGN:
                signal.signal(number, lambda *_: None)


def state() -> dict[str, object]:
    """What a test must leave as it was: the tests after it live in it."""
    logger = logging.getLogger()
    return {
        "working directory": Path.cwd(),
        "environment": {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
        "signal handlers": {number.name: signal.getsignal(number) for number in SIGNALS},
        "root logger": (logger.level, list(logger.handlers)),
    }
