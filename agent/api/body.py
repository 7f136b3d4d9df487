"""A clip on its way into a request: bounded in time, stoppable, and marked before its end."""

import io
import time
from collections.abc import Callable
from pathlib import Path

from agent.errors import NotMadeError


class ClipBody(io.FileIO):
    """A clip file, read part by part by the HTTP client.

    Before the last part is handed out, `on_last_part` is called and must have made its mark
    durable: an upload without that mark was certainly not made.
    """

    def __init__(
        self,
        path: Path,
        *,
        deadline_s: float,
        on_last_part: Callable[[], None],
        check: Callable[[], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the clip.

        Args:
            path: the clip.
            deadline_s: on the monotonic clock; the last part must be out by then.
            on_last_part: called once, before the last part is handed out.
            check: called before every part; what it raises ends the upload.
            monotonic: the clock of the deadline.
        """
        super().__init__(path)
        self._size_bytes = path.stat().st_size
        self._deadline_s = deadline_s
        self._on_last_part = on_last_part
        self._check = check
        self._monotonic = monotonic
        self.sent_bytes = 0  # handed to the network
        self.is_complete = False  # the last part was handed out

    def read(self, size: int | None = -1) -> bytes:
        """Return the next part of the clip.

        Raises:
            NotMadeError: the deadline passed before the body was complete.
        """
        if self.is_complete:
            return b""
        self._check()
        if self._monotonic() > self._deadline_s:
            raise NotMadeError(
                f"too slow: {self.sent_bytes} of {self._size_bytes} bytes until the deadline"
            )
        part = super().read(-1 if size is None else size) or b""
        if self.sent_bytes + len(part) >= self._size_bytes:
            self._on_last_part()
            self.is_complete = True
        self.sent_bytes += len(part)
        return part
