"""Routes of the camera view: what a camera sees, how its recorder does, and the zone."""

import os

from pydantic import Field, ValidationError
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from agent.clipping.stage import zone_corners
from agent.errors import BusyError
from agent.settings.model import ENV_PREFIX, AnalysisSettings
from agent.station.page_settings import save_page_settings
from agent.station.recorders import RecorderSight
from agent.web.rendering import draw
from agent.web.routing import (
    Form,
    GetEndpoint,
    PostEndpoint,
    RequestContext,
    RequiredAccess,
    WebContext,
)
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
        zone=" ".join(f"{x:g},{y:g}" for x, y in zone_corners(page.settings.analysis.zone)),
        zone_is_fixed=_is_fixed("zone"),
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
        raise HTTPException(404, page.texts.gettext("No picture at the moment."))
    try:
        seen = await page.pictures.of(sight.report.camera)
    except BusyError:
        raise HTTPException(404, page.texts.gettext("No picture at the moment.")) from None
    headers = {"x-picture-age": f"{seen.age_s:.2f}"}
    return Response(seen.jpeg, media_type="image/jpeg", headers=headers)


def _is_fixed(key: str) -> bool:
    """Tell whether the environment decides a setting, whatever is set on the page."""
    names = {f"{ENV_PREFIX}ANALYSIS__{key}".upper(), f"{ENV_PREFIX}ANALYSIS"}
    return not names.isdisjoint(name.upper() for name in os.environ)


class ZoneForm(Form):
    """The corners of the zone, as in 0.2,0 0.8,0 0.8,1; none: everywhere."""

    corners: str = Field("", max_length=256, pattern=r"^([01](\.\d{1,4})?,[01](\.\d{1,4})? ?)*$")

    def zone(self) -> tuple[tuple[float, float], ...]:
        """Return the corners as they are set.

        Raises:
            ValidationError: they enclose nothing.
        """
        pairs = [tuple(map(float, pair.split(","))) for pair in self.corners.split()]
        return AnalysisSettings.model_validate({"zone": pairs}).zone


async def set_zone(page: WebContext, context: RequestContext, form: ZoneForm) -> Response:  # noqa: ARG001  # every endpoint gets both
    """Keep where athletes stand, and let the daemon go by it."""
    try:
        zone = form.zone()
    except ValidationError:
        text = page.texts.gettext("This zone encloses nothing.")
        raise HTTPException(422, text) from None
    if _is_fixed("zone"):
        raise HTTPException(409, page.texts.gettext("The station's environment sets the zone."))
    await page.database.write(lambda: save_page_settings(page.folder, {"analysis": {"zone": zone}}))
    # The daemon ends this page and begins with another one: not before the answer is out.
    reload = BackgroundTask(page.signs.reload)
    return JSONResponse({"say": page.texts.gettext("Zone saved.")}, background=reload)


CAMERA_ROUTES = (
    GetEndpoint(path="/camera", access=RequiredAccess.COACH, answer=camera),
    GetEndpoint(path="/camera/words", access=RequiredAccess.COACH, answer=words),
    GetEndpoint(path="/camera/picture", access=RequiredAccess.COACH, answer=picture),
    PostEndpoint(path="/camera/zone", access=RequiredAccess.COACH, form=ZoneForm, answer=set_zone),
)
