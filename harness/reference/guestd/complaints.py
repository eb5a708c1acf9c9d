"""Tracebacks for the console, each once: what fails the same way a thousand times fills no log."""

import sys
import threading
import traceback

KNOWN = 100
"""Different tracebacks of which it is known that they were told; further ones are told each time."""
_LOCK = threading.Lock()
_TIMES: dict[str, int] = {}


def complain() -> None:
    """Print the traceback of the exception that is being handled; of an equal one only how often it came."""
    text = traceback.format_exc()
    with _LOCK:
        times = _TIMES.get(text, 0) + 1
        if times > 1 or len(_TIMES) < KNOWN:
            _TIMES[text] = times
    if times == 1:
        print(text, end="", file=sys.stderr, flush=True)
    elif times & times - 1 == 0:  # at 2, 4, 8, …
        print(f"the same for the {times}th time: {text.rstrip().splitlines()[-1]}", file=sys.stderr, flush=True)
