"""The hub's page: every station on one screen.  Served in a thread that harms nothing else."""

import contextlib
import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from jinja2 import Environment
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from agent.clock import Now, read_clock
from agent.errors import AgentError, ConfigError, plain_words
from agent.facility.membership import NAME
from agent.facility.orders import Turn
from agent.hub.chain import SiteBoard
from agent.hub.folder import HubFolder
from agent.hub.planning import HubAthlete, HubRoster, Planner, user_id_among
from agent.hub.settings import HubSettings
from agent.hub.stations import AWAY_AFTER_S, StationBoard, StationView, WorkerView
from agent.outbox.devices import Role
from agent.outbox.outbox import Outbox
from agent.outbox.pauses import Pause
from agent.outbox.recovery import open_as_owner
from agent.retry import Backoff, BackoffTimer
from agent.stage import ShutdownRequested, StageName, StopFlag
from agent.web.auth import Authenticator
from agent.web.context import DatabaseExecutor
from agent.web.i18n import ACTIVITIES, ENTRY_STATES, STATES, Texts, Wording
from agent.web.page_routes import LOGIN_ROUTES, icon, manifest, script
from agent.web.routing import (
    Endpoint,
    Form,
    GetEndpoint,
    PostEndpoint,
    RequestContext,
    RequiredAccess,
    application,
    draw,
    make_templates,
    static,
)
from agent.web.server import (
    LimitedListener,
    listen_on,
    serve_app,
    warn_without_pin,
    why_refused,
)
from agent.web.tls import PageCertificate

_AGAIN = Backoff(base_s=5.0, longest_s=60.0)
_MOST_OFFERED = 1000  # athletes, in the list under the field
_KEPT_A_WHILE = {"cache-control": "private, max-age=600"}  # its address changes with it
_STYLES = static("page.css") + static("board.css")

log = structlog.get_logger(stage=StageName.PAGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardContext:
    """What the endpoints of a hub's page share."""

    folder: HubFolder
    board: StationBoard
    sites: SiteBoard
    planner: Planner
    roster: HubRoster
    database: DatabaseExecutor
    auth: Authenticator
    texts: Texts
    templates: Environment
    now: Now

    def athletes(self) -> Mapping[str, HubAthlete]:
        """Return the site's athletes by user id; none where their file is damaged."""
        with contextlib.suppress(ConfigError):  # the doctor says so; user ids are shown
            return self.roster.athletes()
        return {}

    def views(self) -> list[StationView]:
        """Return every station as it is now."""
        register, now = self.folder.register(), self.now()
        own = self.board.views(register, now=now)
        return [*own, *self.sites.views(register.sites, now=now)]

    def workers(self) -> list[WorkerView]:
        """Return every worker as it is now."""
        return self.board.workers(self.folder.register(), now=self.now())


async def show(page: BoardContext, context: RequestContext) -> Response:
    """Show every station."""
    csrf_token = page.auth.signer.csrf_token(context.login)
    can_assign = context.login.role is Role.COACH
    return draw(
        page,
        "board.html",
        views=page.views(),
        workers=page.workers(),
        athletes=page.athletes(),
        csrf_token=csrf_token,
        can_assign=can_assign,
        most_offered=_MOST_OFFERED,
    )


async def parts(page: BoardContext, context: RequestContext) -> Response:  # noqa: ARG001  # every endpoint gets its context
    """Return the stations alone, which the page asks for every second."""
    return draw(
        page,
        "parts/stations.html",
        views=page.views(),
        workers=page.workers(),
        athletes=page.athletes(),
    )


async def poster(page: BoardContext, context: RequestContext) -> Response:
    """Return the picture of a station's last take, but not of somebody who does not consent."""
    station = context.parameter("station")
    views = {view.station: view for view in page.views() if view.site is None}
    found = page.board.poster(station) if station in views else None
    if found is None or not shows_poster(views[station], page.athletes()):
        raise HTTPException(404, page.texts.gettext("There is no such take."))
    return Response(found.jpeg, media_type="image/jpeg", headers=_KEPT_A_WHILE)


def shows_poster(view: StationView, athletes: Mapping[str, HubAthlete]) -> bool:
    """Tell whether the picture of a station's last take is there, and may be shown."""
    take = None if view.word is None else view.word.last_take
    if view.poster_mark is None or take is None:
        return False
    athlete = athletes.get(take.user_id or "")
    return athlete is None or athlete.consent != "no"


class PlanForm(Form):
    """Whom a coach puts on a station from now on."""

    station: str = Field(pattern=f"^{NAME}$")
    user_id: str = Field(max_length=128, pattern=r"^\S")


async def assign(page: BoardContext, context: RequestContext, form: PlanForm) -> Response:  # noqa: ARG001  # as above
    """Plan an athlete for a station, from now on."""
    now_s = page.now().utc_s
    turn = Turn(user_id=user_id_among(page.roster.athletes(), form.user_id), begins=now_s)
    await page.database.write(lambda: page.planner.add(form.station, [turn], now_s=now_s))
    return RedirectResponse("/", 303)


HUB_ROUTES: tuple[Endpoint[BoardContext], ...] = (
    GetEndpoint(path="/", access=RequiredAccess.COACH, answer=show),
    GetEndpoint(path="/wall", access=RequiredAccess.WALL, answer=show),
    PostEndpoint(path="/assign", access=RequiredAccess.COACH, form=PlanForm, answer=assign),
    GetEndpoint(path="/poster/{station}.jpg", access=RequiredAccess.WALL, answer=poster),
    GetEndpoint(path="/stations", access=RequiredAccess.WALL, answer=parts),
    *LOGIN_ROUTES,
    GetEndpoint(path="/page.js", access=RequiredAccess.ANYBODY, answer=script),
    GetEndpoint(path="/board.js", access=RequiredAccess.ANYBODY, answer=script),
    GetEndpoint(path="/icon.svg", access=RequiredAccess.ANYBODY, answer=icon),
    GetEndpoint(path="/manifest.webmanifest", access=RequiredAccess.ANYBODY, answer=manifest),
)


class BoardServer:
    """Serves the board until the hub ends; a page that fails is tried again after pauses."""

    def __init__(
        self, settings: HubSettings, folder: HubFolder, board: StationBoard, sites: SiteBoard
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._board = board
        self._sites = sites
        self._now = read_clock
        self._stop = StopFlag()
        self._thread = threading.Thread(target=self._run, name="board", daemon=True)

    def start(self) -> None:
        """Begin to serve, unless the page is turned off."""
        if self._settings.web.listen:
            self._thread.start()

    def stop(self) -> None:
        """End it."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        timer = BackoffTimer(_AGAIN)
        while not self._stop.is_set():
            try:
                with open_as_owner(self._folder.root, now_s=self._now().utc_s) as outbox:
                    self._serve(outbox)
            except (AgentError, OSError) as error:
                words = (error.strerror if isinstance(error, OSError) else None) or str(error)
                log.error("page failed", listen=self._settings.web.listen, error=words)
            except Exception:  # the page never harms the broker
                log.exception("page failed", listen=self._settings.web.listen)
            with contextlib.suppress(ShutdownRequested):
                self._stop.wait(timer.note_failure())

    def _serve(self, outbox: Outbox) -> None:
        web, root = self._settings.web, self._folder.places
        certificate, listener = self._opened(outbox)
        database, texts = DatabaseExecutor(), Texts(web.language)
        with contextlib.closing(listener):
            auth = Authenticator(web, root, outbox, database, now=self._now)
            listener.is_known = auth.is_known
            page = BoardContext(
                folder=self._folder,
                board=self._board,
                sites=self._sites,
                planner=Planner(self._settings.hub, self._folder),
                roster=HubRoster(self._folder.roster),
                database=database,
                auth=auth,
                texts=texts,
                templates=board_templates(self._settings, texts),
                now=self._now,
            )
            warn_without_pin(web)
            log.info("page opened", listen=web.listen, tls=certificate is not None)
            try:
                app = application(page, HUB_ROUTES, styles=_STYLES)
                serve_app(app, listener, certificate, stop=self._stop)
            finally:
                database.close()

    def _opened(self, outbox: Outbox) -> tuple[PageCertificate | None, LimitedListener]:
        """Return the page's certificate and its listener; a fault is recorded for `status`.

        Raises:
            ConfigError: the certificate cannot be used.
            OSError: it cannot be written, or the address is taken or not this machine's.
        """
        web, root = self._settings.web, self._folder.places
        try:
            (root.tmp).mkdir(exist_ok=True)  # where a certificate of its own is written first
            uses_tls = web.certificate is not None
            certificate = PageCertificate(web, root, now=self._now) if uses_tls else None
        except (OSError, ConfigError) as error:
            self._record(outbox, "not_open", error)
            raise
        try:
            listener = listen_on(web.listen)
        except OSError as error:
            self._record(outbox, why_refused(error), error)
            raise
        with contextlib.suppress(sqlite3.DatabaseError, OSError, AgentError):
            outbox.pauses.end(StageName.PAGE)
        return certificate, listener

    def _record(self, outbox: Outbox, reason: str, error: OSError | ConfigError) -> None:
        """Record why the page is not served; where the disk refuses, the log alone has it."""
        words = (error.strerror if isinstance(error, OSError) else None) or plain_words(error)
        pause = Pause(
            part=StageName.PAGE,
            reason=reason,
            detail=f"{self._settings.web.listen}: {words}",
            since=self._now().utc_s,
        )
        with contextlib.suppress(sqlite3.DatabaseError, OSError, AgentError):
            outbox.pauses.begin(pause)


def board_templates(settings: HubSettings, texts: Texts) -> Environment:
    """Return the templates of a hub's page."""
    return make_templates(
        texts,
        styles=_STYLES,
        station_name=settings.hub.site,
        pair_command="spotter hub pair",
        away_after_s=AWAY_AFTER_S,
        states={state: texts.translated(words) for state, words in STATES.items()},
        take_states={state: texts.translated(words) for state, words in ENTRY_STATES.items()},
        wording=Wording(texts, settings.web.unit),
        activities=ACTIVITIES,
        shows_poster=shows_poster,
        duration=texts.duration,
    )
