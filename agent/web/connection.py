"""Connections to the page: none that begins a request without ending it."""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

_REQUEST_WITHIN_S = 10.0  # for the head of a request, or what is left of one answered, to come


class LimitedConnection(H11Protocol):
    """A connection of uvicorn's, under this limit."""

    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn says less of the transport
        """Take a connection in."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take bytes in; those of a request's head must be followed by the rest of it."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Note that a request has its answer; what is left of its body must come soon."""
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_watching()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if not self._is_owed():
            self._stop_watching()
        elif self._limit is None and not self.transport.is_closing():
            self._limit = self.loop.call_later(_REQUEST_WITHIN_S, self._end)

    def _is_owed(self) -> bool:
        """Tell whether the other side has yet to say something before anything can be done."""
        if self.conn.their_state is h11.SEND_BODY:  # the body of what has its answer already
            return self.cycle is not None and self.cycle.response_complete
        return self.conn.their_state is h11.IDLE

    def _stop_watching(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _end(self) -> None:
        if self._is_owed() and not self.transport.is_closing():
            self.transport.abort()
