"""Where the page meets the outbox: one thread that reads, one that writes.

SQLite blocks, so it must stay out of the event loop; one thread each keeps the connections few,
and a write that waits for a lock never holds up what others read.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Answer = TypeVar("Answer")


class Desk:
    """Two threads for the outbox, and the way to them from the event loop."""

    def __init__(self) -> None:
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="page-read")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="page-write")

    async def read(self, look: Callable[[], Answer]) -> Answer:
        """Return what `look` finds; it must change nothing."""
        return await asyncio.get_running_loop().run_in_executor(self._reader, look)

    async def write(self, change: Callable[[], Answer]) -> Answer:
        """Carry out a change and return what it gives."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, change)

    def close(self) -> None:
        """Let the threads end; what has not begun is dropped."""
        for pool in (self._reader, self._writer):
            pool.shutdown(wait=False, cancel_futures=True)
