"""The script, the icon, and what a tablet needs to put the page on its home screen."""

from starlette.responses import JSONResponse, Response

from agent.web.drawing import static, version_of
from agent.web.page import Page
from agent.web.places import Access, See, Visit

_FOR_EVER = {"cache-control": "public, max-age=31536000, immutable"}


async def script(page: Page, visit: Visit) -> Response:  # noqa: ARG001  # every place gets both
    """Return the page's script; by its version it may be kept for ever."""
    is_named = visit.request.query_params.get("v") == version_of("page.js")
    headers = _FOR_EVER if is_named else None
    return Response(static("page.js"), media_type="text/javascript", headers=headers)


async def icon(page: Page, visit: Visit) -> Response:  # noqa: ARG001  # as above
    """Return the icon."""
    return Response(static("icon.svg"), media_type="image/svg+xml")


async def manifest(page: Page, visit: Visit) -> Response:  # noqa: ARG001  # as above
    """Return what makes the page an application on a home screen; it names nobody."""
    document = {
        "name": "Spotter",
        "short_name": "Spotter",
        "start_url": "/",
        "display": "standalone",
        "background_color": "#101316",
        "theme_color": "#101316",
        "icons": [{"src": "/icon.svg", "sizes": "any", "type": "image/svg+xml"}],
    }
    return JSONResponse(document, media_type="application/manifest+json")


PLACES = (
    See(path="/page.js", access=Access.ANYBODY, answer=script),
    See(path="/icon.svg", access=Access.ANYBODY, answer=icon),
    See(path="/manifest.webmanifest", access=Access.ANYBODY, answer=manifest),
)
