"""Routes of the camera view: what a camera sees, and how its recorder does."""

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent.errors import BusyError
from agent.station.recorders import RecorderSight
from agent.web.rendering import draw
from agent.web.routing import GetEndpoint, RequestContext, RequiredAccess, WebContext
from agent.web.views.camera import camera_view


def _chosen(page: WebContext, context: RequestContext) -> RecorderSight | None:
    """Return the recorder that is asked for, else the first one; None where there is none."""
    sights = page.signs.recorders()
    wanted = context.request.query_params.get("camera")
    found = [sight for sight in sights if sight.report.camera == wanted] or list(sights)
    return found[0] if found else None


async def camera(page: WebContext, context: RequestContext) -> Response:
    """Show the live picture of a camera."""
    assert context.session is not None  # not for anybody
    sight = _chosen(page, context)
    return draw(
        page,
        "camera.html",
        csrf_token=page.auth.signer.csrf_token(context.session),
        view=None if sight is None else camera_view(sight, page.texts),
        cameras=[one.report.camera for one in page.signs.recorders()],
    )


async def words(page: WebContext, context: RequestContext) -> Response:
    """Return how a camera's recorder does, as it is shown beside the picture."""
    sight = _chosen(page, context)
    if sight is None:
        raise HTTPException(404, page.texts.gettext("No recorder reports to this station."))
    return draw(page, "parts/camera.html", view=camera_view(sight, page.texts))


async def picture(page: WebContext, context: RequestContext) -> Response:
    """Return what a camera sees at this moment."""
    sight = _chosen(page, context)
    if sight is None or sight.is_silent:
        raise HTTPException(503, page.texts.gettext("No picture at the moment."))
    try:
        seen = await page.pictures.of(sight.report.camera)
    except BusyError:
        raise HTTPException(503, page.texts.gettext("No picture at the moment.")) from None
    headers = {"x-picture-age": f"{seen.age_s:.2f}"}
    return Response(seen.jpeg, media_type="image/jpeg", headers=headers)


CAMERA_ROUTES = (
    GetEndpoint(path="/camera", access=RequiredAccess.COACH, answer=camera),
    GetEndpoint(path="/camera/words", access=RequiredAccess.COACH, answer=words),
    GetEndpoint(path="/camera/picture", access=RequiredAccess.COACH, answer=picture),
)
