"""Renders templates."""

import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import escape
from starlette.responses import HTMLResponse, Response

from agent.settings import Settings
from agent.web.i18n import Texts
from agent.web.routing import WebContext

_FOLDER = Path(__file__).parent


@cache
def static(name: str) -> str:
    """Return a file that goes to every browser."""
    return (_FOLDER / "static" / name).read_text(encoding="utf-8")


@cache
def version_of(name: str) -> str:
    """Return what changes whenever a file does."""
    return hashlib.sha256(static(name).encode()).hexdigest()[:12]


def make_templates(settings: Settings, texts: Texts) -> Environment:
    """Return the templates, with what all of them use."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
    )
    environment.globals.update(
        language=texts.language,
        styles=static("page.css"),
        script_version=version_of("page.js"),
        version_of=version_of,
        station_name=settings.station.name or settings.station.id,
        send_delay_s=settings.delivery.send_delay_s,
        wall_metrics=settings.web.wall_metrics,
    )
    # A translation is text like any other: its own < and " are escaped, as its values are.
    environment.install_gettext_callables(  # type: ignore[attr-defined]  # the extension adds it
        lambda message: escape(texts.translated(message)),
        lambda one, many, n: escape(texts.plural(one, many, n)),
        newstyle=True,
    )
    return environment


def draw(page: WebContext, name: str, *, status: int = 200, **values: object) -> Response:
    """Return a template as an answer."""
    html = page.templates.get_template(name).render({"message": None, **values})
    return HTMLResponse(html, status)
