"""The application: all routes behind authentication."""

from jinja2 import Environment
from starlette.applications import Starlette

from agent.clock import Now
from agent.disk.state_folder import StateFolder
from agent.outbox.outbox import Outbox
from agent.settings import Settings
from agent.station.assignments import api_host, station_rules
from agent.web import monitoring, page_routes, setup_routes, station_routes, take_routes
from agent.web.auth import Authenticator
from agent.web.context import DaemonSignals, DatabaseExecutor
from agent.web.i18n import Texts
from agent.web.routing import WebContext, application, make_templates, static

ROUTES = (
    *(*page_routes.START_ROUTES, *page_routes.LIVE_ROUTES, *take_routes.MEDIA_ROUTES),
    *(
        *station_routes.STATION_ROUTES,
        *take_routes.TAKE_ROUTES,
        *take_routes.RESULT_ROUTES,
        *page_routes.ATHLETE_ROUTES,
    ),
    *(*take_routes.RECORDING_ROUTES, *station_routes.SETTINGS_ROUTES),
    *setup_routes.CAMERA_ROUTES,
    *setup_routes.SETUP_ROUTES,
    *station_routes.CHECK_IN_ROUTES,
    *(*page_routes.LOGIN_ROUTES, *page_routes.FILE_ROUTES, *monitoring.MONITORING_ROUTES),
)


def make_page(
    settings: Settings, outbox: Outbox, folder: StateFolder, *, signs: DaemonSignals, now: Now
) -> WebContext:
    """Return what the page's places work with.

    Raises:
        OSError: the secret that signs sessions cannot be read or written.
    """
    database = DatabaseExecutor()
    texts = Texts(settings.web.language)
    return WebContext(
        settings=settings,
        rules=station_rules(settings),
        host=api_host(settings),
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
        pair_command="spotter pair",
        send_delay_s=settings.delivery.send_delay_s,
        wall_metrics=settings.web.wall_metrics,
    )


def make_app(page: WebContext) -> Starlette:
    """Return the application of a station's page."""
    return application(page, ROUTES, styles=static("page.css"))
