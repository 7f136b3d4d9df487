"""A clip on its way into a request: paced, counted, and marked before its end."""

import io
import time
from collections.abc import Callable
from pathlib import Path

# Is told how many bytes may go next and how many are left; waits for as long as they must, and
# returns how many may go.  What it raises ends the upload.
Pace = Callable[[int, int], int]


class ClipBody(io.FileIO):
    """A clip file, read part by part by the HTTP client.

    Before the last part is handed out, `on_last_part` is called and must have made its mark
    durable: an upload without that mark was certainly not made.
    """

    def __init__(
        self,
        path: Path,
        *,
        on_last_part: Callable[[], None],
        pace: Pace | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the clip.

        Args:
            path: the clip.
            on_last_part: called once, before the last part is handed out.
            pace: called before every part; None: as fast as the line takes it.
            monotonic: the clock of all its times.
        """
        super().__init__(path)
        self.size_bytes = path.stat().st_size
        self._on_last_part = on_last_part
        self._pace = pace
        self._monotonic = monotonic
        self.sent_bytes = 0  # handed to the network
        self.is_complete = False  # the last part was handed out
        self.throttled_s = 0.0  # waited because of our own cap
        self.began_at_s: float | None = None  # when the first part was asked for
        self.out_at_s: float | None = None  # when the whole body was seen to have arrived

    def read(self, size: int | None = -1) -> bytes:
        """Return the next part of the clip, as large as the pace allows."""
        if self.is_complete:
            return b""
        if self.began_at_s is None:
            self.began_at_s = self._monotonic()
        rest_bytes = self.size_bytes - self.sent_bytes
        wanted_bytes = rest_bytes if size is None or size < 0 else size
        part = super().read(self._admitted(wanted_bytes, rest_bytes)) or b""
        if self.sent_bytes + len(part) >= self.size_bytes:
            self._on_last_part()
            self.is_complete = True
        self.sent_bytes += len(part)
        return part

    def sending_s(self) -> float | None:
        """Return the seconds that the body took until now or until it had arrived."""
        if self.began_at_s is None:
            return None
        ended_at_s = self._monotonic() if self.out_at_s is None else self.out_at_s
        return ended_at_s - self.began_at_s

    def _admitted(self, wanted_bytes: int, rest_bytes: int) -> int:
        if self._pace is None:
            return wanted_bytes
        asked_at_s = self._monotonic()
        try:
            return self._pace(wanted_bytes, rest_bytes)
        finally:
            self.throttled_s += self._monotonic() - asked_at_s
