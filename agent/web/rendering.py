"""Renders templates."""

import hashlib
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import escape
from starlette.responses import HTMLResponse, Response

from agent.web.i18n import Texts
from agent.web.routing import SharedContext

_FOLDER = Path(__file__).parent


@cache
def static(name: str) -> str:
    """Return a file that goes to every browser."""
    return (_FOLDER / "static" / name).read_text(encoding="utf-8")


@cache
def version_of(name: str) -> str:
    """Return what changes whenever a file does."""
    return hashlib.sha256(static(name).encode()).hexdigest()[:12]


def make_templates(texts: Texts, *, styles: str, **used: object) -> Environment:
    """Return the templates.

    Args:
        texts: the page's language.
        styles: the only ones that the page may use.
        used: what else all of them use.
    """
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
        styles=styles,
        script_version=version_of("page.js"),
        version_of=version_of,
        **used,
    )
    # A translation is text like any other: its own < and " are escaped, as its values are.
    environment.install_gettext_callables(  # type: ignore[attr-defined]  # the extension adds it
        lambda message: escape(texts.translated(message)),
        lambda one, many, n: escape(texts.plural(one, many, n)),
        newstyle=True,
    )
    return environment


def draw(page: SharedContext, name: str, *, status: int = 200, **values: object) -> Response:
    """Return a template as an answer."""
    html = page.templates.get_template(name).render({"message": None, **values})
    return HTMLResponse(html, status)
