"""A service manager for tests: the socket to which systemd would listen."""

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.station import PATIENCE_S


@dataclass(slots=True)
class Heard:
    """What a daemon has told, each line with its moment."""

    lines: list[tuple[float, str]] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)

    def times(self, line: str) -> list[float]:
        """Return when lines came that begin so."""
        with self.news:
            return [at_s for at_s, told in self.lines if told.startswith(line)]

    def wait_for(self, line: str, *, count: int = 1, timeout_s: float = PATIENCE_S) -> None:
        """Wait until a line that begins so has come so often."""
        with self.news:
            assert self.news.wait_for(
                lambda: sum(told.startswith(line) for _, told in self.lines) >= count, timeout_s
            ), f"{line} did not come {count} times: {self.lines[-20:]}"

    def longest_gap_s(self, line: str, *, until_s: float) -> float:
        """Return the longest time without such a line, from the first one on."""
        times = [*self.times(line), until_s]
        return max(later - earlier for earlier, later in itertools.pairwise(times))


@contextlib.contextmanager
def service_manager(folder: Path) -> Iterator[tuple[dict[str, str], Heard]]:
    """Listen as systemd does; give the environment that a daemon is started with."""
    heard = Heard()
    path = folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.settimeout(0.2)
        over = threading.Event()

        def listen() -> None:
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    told = listener.recv(65536).decode().splitlines()
                    with heard.news:
                        heard.lines += [(time.monotonic(), line) for line in told]
                        heard.news.notify_all()

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield {"NOTIFY_SOCKET": str(path)}, heard
        finally:
            over.set()
            thread.join()
