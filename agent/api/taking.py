"""A file on its way from a storage host into its place, part by part, with somebody looking on."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import httpx

from agent.api.containers import ENOUGH_BYTES, is_video
from agent.api.partial import Accepted, Origin, range_headers, read_head, too_large
from agent.errors import NotNowError, UnfitError


class Sink(Protocol):
    """Where a file goes: what of it is here, and whose it is."""

    @property
    def have_bytes(self) -> int:
        """How much of it is here."""

    @property
    def origin(self) -> Origin | None:
        """What is here is a part of that; None where nothing is known of it."""

    def begin(self, origin: Origin) -> None:
        """Forget what is here: a file comes from its beginning."""

    def write(self, part: bytes) -> None:
        """Add a part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a file has come."""

    part_bytes: int  # came just now
    have_bytes: int  # in all, that part included
    total_bytes: int | None
    can_resume: bool  # whether the rest could come another time


# Is told before the first part, and of every part before the next is asked for.  It may take its
# time, which is not held against the host; what it raises ends the fetching.
Pace = Callable[[Progress], None]


class Taking:
    """One file on its way into its sink."""

    def __init__(self, sink: Sink, most_bytes: int, pace: Pace) -> None:
        """Prepare to take a file of at most so many bytes."""
        self._sink = sink
        self._most_bytes = most_bytes
        self._pace = pace
        self.received_bytes = 0  # over all exchanges
        self.paced_s = 0.0  # that were our own wish
        self.is_pacing = False

    def headers(self) -> dict[str, str]:
        """Return the headers that ask for what is missing."""
        return range_headers(self._sink.have_bytes, self._sink.origin)

    def take(self, response: httpx.Response, *, now_s: float) -> None:
        """Take the file that an answer brings.

        Raises:
            OtherFile: what is in the sink is of no use: ask for the whole.
            NotNowError, LinkExpiredError, UnfitError: it brings none, or not all of it.
        """
        asked_for_rest = "Range" in response.request.headers
        accepted = read_head(
            response.status_code,
            response.headers,
            have_bytes=self._sink.have_bytes if asked_for_rest else 0,
            origin=self._sink.origin if asked_for_rest else None,
            most_bytes=self._most_bytes,
            now_s=now_s,
        )
        self._look_on(accepted, have_bytes=accepted.start, part_bytes=0)
        if not accepted.is_complete:
            self._receive(response, accepted)

    def _receive(self, response: httpx.Response, accepted: Accepted) -> None:
        parts = response.iter_raw()
        if accepted.start == 0:
            parts = self._from_the_beginning(parts, accepted.origin)
        for part in parts:
            self.received_bytes += len(part)
            if self._sink.have_bytes + len(part) > self._most_bytes:
                raise too_large(self._most_bytes)
            self._sink.write(part)
            self._look_on(accepted, have_bytes=self._sink.have_bytes, part_bytes=len(part))
        total = accepted.origin.total_bytes
        if total is not None and self._sink.have_bytes != total:
            raise NotNowError(f"{self._sink.have_bytes} of {total} bytes came")

    def _from_the_beginning(self, parts: Iterator[bytes], origin: Origin) -> Iterator[bytes]:
        """Yield the parts of a file once its beginning is that of a video; else nothing is kept."""
        beginning = b""
        while len(beginning) < ENOUGH_BYTES:
            part = next(parts, None)
            if part is None:
                break
            beginning += part
        if not is_video(beginning):
            raise UnfitError("it is no video: it begins like something else")
        self._sink.begin(origin)
        yield beginning
        yield from parts

    def _look_on(self, accepted: Accepted, *, have_bytes: int, part_bytes: int) -> None:
        began_s = time.monotonic()
        self.is_pacing = True
        try:
            self._pace(
                Progress(
                    part_bytes=part_bytes,
                    have_bytes=have_bytes,
                    total_bytes=accepted.origin.total_bytes,
                    can_resume=accepted.can_resume,
                )
            )
        finally:
            self.paced_s += time.monotonic() - began_s
            self.is_pacing = False
