"""The page as a part of the daemon: served in a thread of its own, ended with the others."""

import asyncio
import contextlib
import errno
from functools import partial
from typing import TYPE_CHECKING

import structlog
import uvicorn

from agent.clock import Now
from agent.errors import ConfigError
from agent.outbox.disk.folders import StateFolder
from agent.outbox.store import Outbox
from agent.outbox.waiting import Waiting
from agent.pulse import beat
from agent.settings import Settings, WebSettings
from agent.stage import StageName, StopFlag
from agent.station.assigning import StationRules
from agent.web.access.door import read_pin
from agent.web.app import make_app, make_page
from agent.web.connection import LimitedConnection
from agent.web.crowding import PageSocket, listen_on
from agent.web.page import Page
from agent.web.source import Signs

if TYPE_CHECKING:
    from agent.web.access.tls import PageCertificate

_AFTER_FAILURE_S = 30.0
_END_WITHIN_S = 2
_LET_END_S = 0.01
_TICK_S = 1.0  # the Date header is drawn anew
_KEEP_ALIVE_S = 30
_CERTIFICATE_EVERY_S = 600.0  # it is looked at
_LARGEST_HEAD = 16384

__all__ = ["PageServer", "Signs"]

log = structlog.get_logger(stage=StageName.PAGE)


class PageServer:
    """Serves the page until the daemon ends; whatever happens to it stays here."""

    name = StageName.PAGE

    def __init__(
        self,
        settings: Settings,
        rules: StationRules,
        outbox: Outbox,
        folder: StateFolder,
        *,
        signs: Signs,
        now: Now,
    ) -> None:
        self._settings = settings
        self._rules = rules
        self._outbox = outbox
        self._folder = folder
        self._signs = signs
        self._now = now
        self._stop = signs.stop
        self._waiting = Waiting(outbox.pauses, self.name, now=now)

    def step(self) -> float:
        """Serve until the daemon ends, or until the page fails: then it is tried again later."""
        listen = self._settings.web.listen
        try:
            certificate = self._certificate()
            listener = listen_on(listen)
        except (OSError, ConfigError) as error:
            words = (error.strerror if isinstance(error, OSError) else None) or str(error)
            is_taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
            self._waiting.begin("port_taken" if is_taken else "not_open", f"{listen}: {words}")
            return _AFTER_FAILURE_S
        self._waiting.end()
        with contextlib.closing(listener):
            page = make_page(
                self._settings,
                self._rules,
                self._outbox,
                self._folder,
                signs=self._signs,
                now=self._now,
            )
            listener.is_known = page.door.is_known
            try:
                self._serve(page, listener, certificate)
            finally:
                page.desk.close()
        return 0.0 if self._stop.is_set() else _AFTER_FAILURE_S

    def close(self) -> None:
        """Nothing is held: the server has ended with its step."""

    def _certificate(self) -> "PageCertificate | None":
        if self._settings.web.tls == "off":
            return None
        # Its cryptography takes 11 MiB, which a page without TLS does not need.
        from agent.web.access.tls import PageCertificate

        return PageCertificate(self._settings.web, self._folder, now=self._now)

    def _serve(
        self, page: Page, listener: PageSocket, certificate: "PageCertificate | None"
    ) -> None:
        warn_without_pin(self._settings.web)
        config = uvicorn.Config(
            make_app(page),
            http=LimitedConnection,
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            log_level="critical",  # what a neighbour sends must not fill the log
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_END_WITHIN_S,
            h11_max_incomplete_event_size=_LARGEST_HEAD,
        )
        config.load()
        config.ssl = None if certificate is None else certificate.context
        log.info("page opened", listen=self._settings.web.listen, tls=certificate is not None)
        asyncio.run(_serve_on(listener, _Server(config, listener, self._stop, certificate)))


def warn_without_pin(settings: WebSettings) -> None:
    """Say that the PIN that was meant is not there: until it is, only paired devices come in."""
    if settings.pin_file is not None and read_pin(settings) is None:
        log.warning("pin not configured", file=str(settings.pin_file))


async def _serve_on(listener: PageSocket, server: uvicorn.Server) -> None:
    """Serve, and at the end let no connection be left, not even those that never shook hands."""
    await server.serve(sockets=[listener])
    for left in list(server.server_state.connections):
        if isinstance(left, LimitedConnection):
            left.transport.abort()  # a listener's, that is not read from meanwhile
    loop = asyncio.get_running_loop()
    latest_s = loop.time() + _END_WITHIN_S
    while listener.end_all() and loop.time() < latest_s:
        await asyncio.sleep(_LET_END_S)


class _Server(uvicorn.Server):
    """uvicorn's server, ended by the daemon's wish."""

    def __init__(
        self,
        config: uvicorn.Config,
        listener: PageSocket,
        stop: StopFlag,
        certificate: "PageCertificate | None",
    ) -> None:
        super().__init__(config)
        self._listener = listener
        self._stop = stop
        self._certificate = certificate

    async def main_loop(self) -> None:
        """Serve until the daemon ends; uvicorn's own loop would wake ten times a second."""
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        keeping = None if self._certificate is None else loop.create_task(_keep(self._certificate))
        with self._stop.telling(partial(loop.call_soon_threadsafe, ended.set)):
            while not (await self.on_tick(0) or ended.is_set()):
                beat()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), _TICK_S)
        if keeping is not None:
            keeping.cancel()
        # What was accepted a moment ago becomes a connection of the server's before it closes:
        # afterwards asyncio refuses it, and nobody would close it.
        loop.remove_reader(self._listener)
        await asyncio.sleep(0)


async def _keep(certificate: "PageCertificate") -> None:
    """Keep a certificate up; what goes wrong leaves the one before in its place."""
    while True:
        await asyncio.sleep(_CERTIFICATE_EVERY_S)
        try:
            await asyncio.to_thread(certificate.renew)
            certificate.take_over()  # here: the one that serves is no other thread's to change
        except (OSError, ConfigError) as error:
            log.warning("certificate renewal failed", error=str(error))
