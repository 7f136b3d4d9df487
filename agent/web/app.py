"""The application: all routes behind authentication."""

import sqlite3
from urllib.parse import urlsplit

import structlog
from jinja2 import Environment
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from agent.clock import Now
from agent.disk.state_folder import StateFolder
from agent.errors import AgentError
from agent.outbox.outbox import Outbox
from agent.settings import Settings
from agent.stage import StageName
from agent.station.assignments import StationRules
from agent.web import (
    camera_routes,
    check_in_routes,
    monitoring,
    page_routes,
    setup_routes,
    station_routes,
    take_routes,
)
from agent.web.auth import Authenticator
from agent.web.context import DaemonSignals, DatabaseExecutor
from agent.web.i18n import Texts
from agent.web.rendering import make_templates, static
from agent.web.routing import WebContext, route
from agent.web.security import API_PATH, Guard

log = structlog.get_logger(stage=StageName.PAGE)

ROUTES = (
    *(*page_routes.START_ROUTES, *page_routes.LIVE_ROUTES, *take_routes.MEDIA_ROUTES),
    *(
        *station_routes.STATION_ROUTES,
        *take_routes.TAKE_ROUTES,
        *take_routes.RESULT_ROUTES,
        *page_routes.ATHLETE_ROUTES,
    ),
    *(*take_routes.RECORDING_ROUTES, *station_routes.SETTINGS_ROUTES),
    *camera_routes.CAMERA_ROUTES,
    *setup_routes.SETUP_ROUTES,
    *check_in_routes.CHECK_IN_ROUTES,
    *(*page_routes.LOGIN_ROUTES, *page_routes.FILE_ROUTES, *monitoring.MONITORING_ROUTES),
)


def make_page(
    settings: Settings,
    rules: StationRules,
    outbox: Outbox,
    folder: StateFolder,
    *,
    signs: DaemonSignals,
    now: Now,
) -> WebContext:
    """Return what the page's places work with.

    Raises:
        OSError: the secret that signs sessions cannot be read or written.
    """
    database = DatabaseExecutor()
    texts = Texts(settings.web.language)
    return WebContext(
        settings=settings,
        rules=rules,
        host=urlsplit(settings.api.base_url).netloc,
        outbox=outbox,
        folder=folder,
        now=now,
        signs=signs,
        database=database,
        auth=Authenticator(settings.web, folder, outbox, database, now=now),
        texts=texts,
        templates=station_templates(settings, texts),
    )


def station_templates(settings: Settings, texts: Texts) -> Environment:
    """Return the templates of a station's page."""
    return make_templates(
        texts,
        styles=static("page.css"),
        station_name=settings.station.name or settings.station.id,
        send_delay_s=settings.delivery.send_delay_s,
        wall_metrics=settings.web.wall_metrics,
    )


def make_app(page: WebContext) -> Starlette:
    """Return the application of a page."""

    async def on_refusal(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # registered for nothing else
        return _answer(request, str(error.detail), error.status_code, error.headers)

    async def on_agent_error(request: Request, error: Exception) -> Response:
        return _answer(
            request,
            page.texts.gettext("Not possible at the moment. (%(detail)s)", detail=str(error)),
            409,
        )

    async def on_refusing_disk(request: Request, error: Exception) -> Response:
        log.error("change not saved", path=request.url.path[:80], error=str(error))
        return _answer(
            request,
            page.texts.gettext(
                "The disk cannot be written at the moment; nothing was changed. Try again."
            ),
            503,
            {"retry-after": "5"},
        )

    app = Starlette(
        routes=[route(page, endpoint) for endpoint in ROUTES],
        middleware=[Middleware(Guard, hosts=page.auth.hosts, styles=static("page.css"))],
        exception_handlers={
            HTTPException: on_refusal,
            AgentError: on_agent_error,
            sqlite3.DatabaseError: on_refusing_disk,  # a refused reading, too, is called damage
            OSError: on_refusing_disk,
        },
    )
    app.router.redirect_slashes = False
    return app


def _answer(request: Request, text: str, status: int, headers: object = None) -> Response:
    extra = dict(headers) if isinstance(headers, dict) else None
    is_program = request.url.path.startswith(API_PATH)
    if is_program or "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"say": text}, status, headers=extra)
    return PlainTextResponse(text, status, headers=extra)
