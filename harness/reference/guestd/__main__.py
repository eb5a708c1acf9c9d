"""Start the guest daemon; see the package's docstring."""

import json
import os
import signal
import sys
import threading
from pathlib import Path

from harness.reference.guestd.authentication import Authenticator
from harness.reference.guestd.configuration import ConfigurationFault, read_configuration
from harness.reference.guestd.console import Console
from harness.reference.guestd.guest import Guest
from harness.reference.guestd.http import Server
from harness.reference.guestd.ssh import SshListener
from harness.reference.guestd.wsman import Service

EXIT_USAGE = 2


def main(arguments: list[str]) -> int:
    """Serve until the process is ended, or with --end-with-stdin until standard input is."""
    if len(arguments) < 2 or arguments[0] != "--config" or set(arguments[2:]) - {"--end-with-stdin"}:
        print("usage: python -m harness.reference.guestd --config FILE [--end-with-stdin]", file=sys.stderr)
        return EXIT_USAGE
    try:
        configuration = read_configuration(Path(arguments[1]))
    except ConfigurationFault as fault:
        print(f"fltlab daemon: {fault}", file=sys.stderr)
        return EXIT_USAGE
    guest = Guest(configuration)
    service = Service(Authenticator(configuration), configuration.hostname, Console(guest).run)
    try:
        server = Server(configuration.address, configuration.port, service.refuse, service.handle)
    except OSError as error:
        print(f"fltlab daemon: {configuration.address} port {configuration.port}: {error.strerror}", file=sys.stderr)
        return EXIT_USAGE
    if configuration.ssh is not None:
        SshListener(configuration.address, configuration.ssh)
    threading.Thread(target=lambda: guest.kernel, name="kernel start", daemon=True).start()
    if "--end-with-stdin" in arguments:
        threading.Thread(target=_end_with_stdin, args=(server,), name="watch stdin", daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(json.dumps({"address": configuration.address, "port": server.port}), flush=True)
    try:
        server.serve_forever(poll_interval=0.2)
    finally:
        guest.stop()
    return 0


def _end_with_stdin(server: Server) -> None:
    while os.read(0, 4096):
        continue
    server.shutdown()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
