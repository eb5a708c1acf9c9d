"""What the tests of this room talk to in the guest: one shell command for each HTTP request.

It takes the place of fltlab's daemon, so that these tests see the machine itself: its disks, its clock, its randomness.
"""

import socketserver
import subprocess


class Handler(socketserver.StreamRequestHandler):
    """Runs the body of a request as a shell command; answers with what it printed, and its exit code in front."""

    def handle(self) -> None:
        length = 0
        while line := self.rfile.readline().strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        done = subprocess.run(["/bin/sh", "-c", self.rfile.read(length).decode()], capture_output=True, check=False)
        body = b"%d\n" % done.returncode + done.stdout + done.stderr
        self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


class Server(socketserver.ThreadingTCPServer):
    """One thread for each request, so that a command that hangs holds up no other."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 32


with Server(("0.0.0.0", 5985), Handler) as server:
    server.serve_forever()
