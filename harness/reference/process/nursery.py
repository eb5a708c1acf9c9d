"""The nursery of kernels: a process that has loaded everything, and forks a kernel whenever one is asked for.

Loading takes seconds in an emulated guest, a fork takes milliseconds. The daemon talks to it over a Unix socket that
keeps messages apart, in JSON:

    -> {"arguments": ["--volume", "/v"]}, with three descriptors: the kernel's standard input, output and error
    <- {"started": 123}
    <- {"ended": 123, "code": -9}

The nursery ends when the socket does. Its kernels end with their standard input, or are killed by their ids.
"""

import gc
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from harness.reference.process import host

MOST = 65536


def _ignore(_signal: int, _frame: FrameType | None) -> None:
    """SIGCHLD only has to wake the loop, by the wakeup descriptor."""


class Nursery:
    """The loop of the nursery's process."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._wake_read, self._wake_write = os.pipe()
        for descriptor in (self._wake_read, self._wake_write):
            os.set_blocking(descriptor, False)
        signal.signal(signal.SIGCHLD, _ignore)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Fork kernels until the daemon is gone."""
        gc.collect()
        gc.freeze()
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(self._wake_read, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is not self._control:
                        os.read(self._wake_read, 4096)
                        self._reap()
                    elif not self._take_request():
                        return

    def _take_request(self) -> bool:
        """Fork one kernel; False when nobody asks any more."""
        message, descriptors, _, _ = socket.recv_fds(self._control, MOST, 3)
        if not message:
            return False
        child = os.fork()
        if child == 0:
            self._become_kernel(json.loads(message)["arguments"], descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        self._tell({"started": child})
        return True

    def _become_kernel(self, arguments: Sequence[str], descriptors: Sequence[int]) -> NoReturn:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for descriptor in (self._control.fileno(), self._wake_read, self._wake_write):
                os.close(descriptor)
            for number, descriptor in enumerate(descriptors):
                os.dup2(descriptor, number)
                os.close(descriptor)
            host.main(arguments)
            code = 0
        except SystemExit as leave:
            code = leave.code if isinstance(leave.code, int) else 1
        except BaseException:  # noqa: BLE001 - whatever it is, it goes to the kernel's standard error
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _reap(self) -> None:
        while True:
            try:
                child, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if child == 0:
                return
            self._tell({"ended": child, "code": os.waitstatus_to_exitcode(status)})

    def _tell(self, message: dict[str, int]) -> None:
        self._control.send(json.dumps(message).encode())


def main(arguments: Sequence[str]) -> None:
    """`python -m harness.reference.process.nursery DESCRIPTOR`: the descriptor is the nursery's end of the socket."""
    Nursery(socket.socket(fileno=int(arguments[0]))).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
