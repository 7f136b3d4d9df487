"""Routes of the camera view: what a camera sees, how its recorder does, zone and framing."""

import asyncio

from pydantic import Field, ValidationError
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from agent.camera_link import PictureKind
from agent.clipping.stage import zone_corners
from agent.disk.state_folder import rewriting
from agent.errors import BusyError
from agent.settings.load import is_of_environment
from agent.settings.model import AnalysisSettings
from agent.stage import ShutdownRequested
from agent.station.page_settings import save_page_settings
from agent.station.recorders import RecorderSight
from agent.web.rendering import draw
from agent.web.routing import (
    Form,
    GetEndpoint,
    NoForm,
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
        zone_is_fixed=is_of_environment("analysis", "zone"),
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
    is_live = context.request.query_params.get("live") == "1"
    kind = PictureKind.LIVE if is_live else PictureKind.GLANCE
    try:
        seen = await page.pictures.of(sight.report.camera, kind)
    except BusyError:
        raise HTTPException(404, page.texts.gettext("No picture at the moment.")) from None
    headers = {"x-picture-age": f"{seen.age_s:.2f}"}
    return Response(seen.jpeg, media_type="image/jpeg", headers=headers)


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
    if is_of_environment("analysis", "zone"):
        raise HTTPException(409, page.texts.gettext("The station's environment sets the zone."))
    await page.database.write(lambda: save_page_settings(page.folder, {"analysis": {"zone": zone}}))
    # The daemon ends this page and begins with another one: not before the answer is out.
    reload = BackgroundTask(page.signs.reload)
    return JSONResponse({"say": page.texts.gettext("Zone saved.")}, background=reload)


class CheckForm(Form):
    """Which camera."""

    camera: str = Field(max_length=40)


async def check(page: WebContext, context: RequestContext, form: CheckForm) -> Response:  # noqa: ARG001  # as above
    """Let the analysis look at what a camera sees."""
    gettext = page.texts.gettext
    found = [one for one in page.signs.recorders() if one.report.camera == form.camera]
    if not found or found[0].fault is not None:
        raise HTTPException(404, gettext("No picture at the moment."))
    try:
        checked = await asyncio.to_thread(page.framing.look, found[0])
    except (BusyError, ShutdownRequested):
        text = gettext("No picture at the moment. Try again in a few seconds.")
        raise HTTPException(404, text) from None
    remarks = checked.remarks(page.texts)
    text = gettext("Correct this:") if remarks else gettext("The camera stands well.")
    return JSONResponse({"say": text, "remarks": remarks})


async def checked(page: WebContext, context: RequestContext) -> Response:  # noqa: ARG001  # as above
    """Return the picture that was looked at last, with the skeleton on it."""
    last = page.framing.last
    if last is None:
        raise HTTPException(404, page.texts.gettext("No picture at the moment."))
    return Response(last.drawn, media_type="image/jpeg")


async def set_reference(page: WebContext, context: RequestContext, form: NoForm) -> Response:  # noqa: ARG001  # as above
    """Keep the picture that was looked at last as what the camera is to see from now on."""
    last = page.framing.last
    if last is None:
        raise HTTPException(404, page.texts.gettext("Check the framing first."))
    if is_of_environment("analysis", "reference"):
        text = page.texts.gettext("The station's environment sets the reference picture.")
        raise HTTPException(409, text)

    def keep() -> None:
        with rewriting(page.folder.reference) as file:
            file.write(last.empty)
        save_page_settings(page.folder, {"analysis": {"reference": page.folder.reference.name}})

    await page.database.write(keep)
    reload = BackgroundTask(page.signs.reload)
    return JSONResponse({"say": page.texts.gettext("Reference picture saved.")}, background=reload)


_CAMERA = RequiredAccess.CAMERA
CAMERA_ROUTES = (
    GetEndpoint(path="/camera", access=RequiredAccess.COACH, answer=camera),
    GetEndpoint(path="/camera/words", access=_CAMERA, answer=words),
    GetEndpoint(path="/camera/picture", access=_CAMERA, answer=picture),
    PostEndpoint(path="/camera/zone", access=_CAMERA, form=ZoneForm, answer=set_zone),
    PostEndpoint(path="/camera/check", access=_CAMERA, form=CheckForm, answer=check),
    GetEndpoint(path="/camera/checked", access=_CAMERA, answer=checked),
    PostEndpoint(path="/camera/reference", access=_CAMERA, form=NoForm, answer=set_reference),
)
