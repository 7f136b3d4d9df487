"""Connections to the page: few, and none that begins a request without ending it.

Without these limits a neighbour on the network could use up the daemon's file descriptors, and
delivery would suffer from the page.
"""

import asyncio
from collections import Counter

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_MOST = 96  # at once
_MOST_OF_ONE = 24  # of one address; a tablet with a full page of pictures uses six
_REQUEST_WITHIN_S = 10.0  # for the head of a request to come whole


class LimitedConnection(H11Protocol):
    """A connection of uvicorn's, under these limits."""

    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn says less of the transport
        """Take a connection in, or end it at once."""
        super().connection_made(transport)
        by_address = Counter(
            other.client[0]
            for other in self.connections
            if isinstance(other, H11Protocol) and other.client
        )
        own = by_address[self.client[0]] if self.client else 0
        if len(self.connections) > _MOST or own > _MOST_OF_ONE:
            transport.abort()
            return
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take bytes in; those of a request's head must be followed by the rest of it."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_watching()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop_watching()
        elif self._limit is None and not self.transport.is_closing():
            self._limit = self.loop.call_later(_REQUEST_WITHIN_S, self._end)

    def _stop_watching(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _end(self) -> None:
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self.transport.abort()
