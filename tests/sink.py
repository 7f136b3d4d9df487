"""An API that only swallows: what an upload costs beside the fastest server there can be.

Run as a process of its own, so that it takes nothing from the one that is measured; it prints
its port, and answers every upload with a session once it has read the whole body.
"""

import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_BUFFER_BYTES = 1 << 20
_ANSWER = b'{"session_id": "swallowed", "title": "swallowed"}'


@contextmanager
def sink() -> Iterator[str]:
    """Run a sink; yield its address."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.sink"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.terminate()


def swallow(connection: socket.socket) -> None:
    """Read one request to its end, and answer it."""
    head = bytearray()
    while b"\r\n\r\n" not in head:
        head += connection.recv(4096)
    headers, _, body = bytes(head).partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", headers)
    left = (int(length[1]) if length else 0) - len(body)
    buffer = bytearray(_BUFFER_BYTES)
    while left > 0:
        left -= connection.recv_into(buffer) or left  # a client that went away: enough
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(_ANSWER), _ANSWER)
    )


def main() -> None:
    """Serve one connection after another until the process is ended."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)  # noqa: T201  # for whoever started it
        while True:
            connection, _ = listener.accept()
            with connection:
                swallow(connection)


if __name__ == "__main__":
    main()
