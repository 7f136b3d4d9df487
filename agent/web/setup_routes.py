"""Routes of the set-up page and of the camera view.

By the set-up page a person with only a browser sets a new station up.  What is set there goes
before station.toml, is checked by the same model, and takes nothing down that works: a key is kept
that the API accepts, or that nobody could try; a camera that does not send gives way to the one
before.  docs/decisions/0014 says what can be set there, and why no more.  The camera view shows
what a camera sees, how its recorder does, zone and framing.
"""

import asyncio
import os
import secrets
import time
from urllib.parse import quote

from pydantic import Field, ValidationError
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from agent.api.client import ask_whose_key
from agent.api.responses import lane_fault, read_account
from agent.camera_link import CameraChoice, PictureKind, RecorderState
from agent.clipping.analysis_process import zone_corners
from agent.disk.state_folder import rewriting
from agent.errors import ApiUnavailableError, BusyError
from agent.settings.load import is_of_environment
from agent.settings.model import (
    AnalysisSettings,
    StationSettings,
    WebSettings,
    has_own_key,
    is_key,
    is_loopback,
)
from agent.stage import ShutdownRequested
from agent.station.camera import CameraState
from agent.station.network import find_cameras
from agent.station.page_settings import (
    camera_choice,
    save_camera_choice,
    save_page_secret,
    save_page_settings,
)
from agent.station.recorders import RecorderSight
from agent.web.auth import LONGEST_PIN, SHORTEST
from agent.web.i18n import N_, Wording
from agent.web.routing import (
    HOME,
    Form,
    GetEndpoint,
    PostEndpoint,
    RequestContext,
    RequiredAccess,
    WebContext,
    action_endpoint,
    change,
    draw,
)
from agent.web.views.camera import camera_view, fault_words, setup_view

_CAMERA_WITHIN_S = 20.0  # a camera on the network may take long to begin
_REPORTS_WITHIN_S = 6.0
_LOOK_EVERY_S = 0.2
_ANSWERS_WITHIN_S = 2.0  # of cameras that are looked for
_NETWORK = "network"
_SENDS = {RecorderState.WATCHING, RecorderState.RECORDING, RecorderState.NOT_STORED}


def _taker(page: WebContext) -> RecorderSight | None:
    """Return the recorder that films the camera that is chosen here; None where there is none."""
    sights = page.signs.recorders()
    return next(
        (one for one in sights if one.report.choice is not None and not one.is_silent), None
    )


async def show(page: WebContext, context: RequestContext) -> Response:
    """Show the steps of the set-up."""
    device = await page.database.read(lambda: page.outbox.devices.get(context.login.device_id))
    taker, sights = _taker(page), page.signs.recorders()
    sight = taker or (sights[0] if sights else None)
    is_safe = is_loopback(context.address) or context.request.url.scheme == "https"
    left_s = 0.0 if device is None else page.auth.setup_left_s(device)
    return draw(
        page,
        "setup.html",
        csrf_token=page.auth.signer.csrf_token(context.login),
        setup=setup_view(page, taker, left_s=left_s, is_open=not is_safe),
        wording=Wording(page.texts, page.settings.web.unit),
        started=id(page),
        view=None if sight is None else camera_view(sight, page.texts),
        zone=" ".join(f"{x:g},{y:g}" for x, y in zone_corners(page.settings.analysis.zone)),
        zone_is_fixed=is_of_environment("analysis", "zone"),
    )


class StationForm(Form):
    """What the station is called, and what is done there."""

    name: str = Field("", max_length=80)
    activity: str = Field(max_length=40)
    exercise_jumping: str | None = Field(None, max_length=40)
    exercise_weightlifting: str | None = Field(None, max_length=40)
    language: str = Field(max_length=20)
    unit: str = Field(max_length=20)

    @property
    def chosen(self) -> dict[str, dict[str, object]]:
        """The settings that this says, by table and key."""
        exercise = getattr(self, f"exercise_{self.activity}", None)
        station = {
            "name": self.name.strip() or None,
            "activity": self.activity,
            "exercise": exercise,
        }
        return {"station": station, "web": {"language": self.language, "unit": self.unit}}


async def set_station(page: WebContext, context: RequestContext, form: StationForm) -> Response:  # noqa: ARG001  # every endpoint gets both
    """Keep name, activity, exercise, language and unit, and let the daemon go by them."""
    gettext, settings = page.texts.gettext, page.settings
    chosen = form.chosen
    if not form.name.isprintable():
        raise HTTPException(422, gettext("This name cannot be used."))
    before = {table: dict(getattr(settings, table)) for table in chosen}
    station = {**before["station"], **chosen["station"]}
    if form.activity != settings.station.activity:
        station = {**station, "barbell_mass": None, "incline_degree": None}
    try:
        StationSettings.model_validate(station)
        WebSettings.model_validate({**before["web"], **chosen["web"]})
    except ValidationError:
        raise HTTPException(422, gettext("Choose an activity and an exercise.")) from None
    changed = {
        (table, key)
        for table, values in chosen.items()
        for key, value in values.items()
        if value != before[table][key]
    }
    if any(is_of_environment(table, key) for table, key in changed):
        raise HTTPException(409, gettext("An environment variable on the station sets this."))
    await page.database.write(lambda: save_page_settings(page.folder, chosen))
    # The daemon ends this page and begins with another one: not before the answer is out.
    reload = BackgroundTask(page.signs.reload) if changed else None
    told = {"say": gettext("Saved."), "again": ("web", "language") in changed}
    return JSONResponse(told, background=reload)


class CameraForm(Form):
    """Which camera is filmed: one that is plugged in, or one on the network."""

    device: str = Field(max_length=40)
    address: str = Field("", max_length=256)
    user: str = Field("", max_length=128)
    password: str = Field("", max_length=128)

    def choice(self) -> CameraChoice:
        """Return the camera.

        Raises:
            ValueError: it is none.
        """
        source = self.device
        if source == _NETWORK:
            address = self.address.strip()
            scheme, found, rest = address.partition("://")
            if not found and address != "test:":
                scheme, rest = "rtsp", address
            user = quote(self.user.strip(), safe="")
            if user and self.password:
                user = f"{user}:{quote(self.password, safe='')}"
            source = address if address == "test:" else f"{scheme}://{user and f'{user}@'}{rest}"
        return CameraChoice(id=secrets.token_hex(8), source=source)


async def set_camera(page: WebContext, context: RequestContext, form: CameraForm) -> Response:  # noqa: ARG001  # as above
    """Hand a camera over to the recorder and see whether it sends; else the one before stays."""
    gettext = page.texts.gettext
    try:
        choice = form.choice()
    except ValueError:
        text = gettext("This is not the address of a camera, such as rtsp://192.168.1.20/stream.")
        raise HTTPException(422, text) from None
    if not await _reports(page):
        raise HTTPException(409, gettext("The recorder is not running."))
    before = camera_choice(page.folder)
    await page.database.write(lambda: save_camera_choice(page.folder, choice))
    fault = await _fault_of(page, choice)
    if fault is None:
        return JSONResponse({"say": gettext("The camera sends its picture.")})
    if before is not None:
        await page.database.write(lambda: save_camera_choice(page.folder, before))
        stays = gettext("The previous camera stays in use.")
        fault = f"{fault} {stays}"
    raise HTTPException(409, fault)


async def find(page: WebContext, context: RequestContext) -> Response:  # noqa: ARG001  # as above
    """Say which cameras answer on the network."""
    found = await asyncio.to_thread(find_cameras, within_s=_ANSWERS_WITHIN_S)
    return JSONResponse({"cameras": [{"host": one.host, "name": one.name} for one in found]})


async def _reports(page: WebContext) -> bool:
    """Wait until the recorder reports, as it does again after a restart of the daemon."""
    latest_s = time.monotonic() + _REPORTS_WITHIN_S
    while _taker(page) is None and time.monotonic() < latest_s:
        await asyncio.sleep(_LOOK_EVERY_S)
    return _taker(page) is not None


async def _fault_of(page: WebContext, choice: CameraChoice) -> str | None:
    """Wait until a camera sends; return what is wrong where it does not."""
    latest_s = time.monotonic() + _CAMERA_WITHIN_S
    while time.monotonic() < latest_s:
        await asyncio.sleep(_LOOK_EVERY_S)
        sight = _taker(page)
        if sight is None or sight.report.choice != choice.id:
            continue
        if sight.report.state in _SENDS:
            return None
        if sight.report.state is RecorderState.CAMERA_LOST:
            return fault_words(sight.trouble, CameraState.LOST, page.texts)
    return fault_words(None, CameraState.LOST, page.texts)


class ApiKeyForm(Form):
    """The key of the account."""

    key: str = Field(max_length=4096)


async def set_key(page: WebContext, context: RequestContext, form: ApiKeyForm) -> Response:  # noqa: ARG001  # as above
    """Try a key at the API, and keep it unless it is rejected."""
    gettext, api, key = page.texts.gettext, page.settings.api, form.key.strip()
    if has_own_key(api, os.environ) or api.page_key_file is None:
        raise HTTPException(
            409, gettext("The station has its key in a file, which takes precedence.")
        )
    if not key or not is_key(key):
        raise HTTPException(422, gettext("This is not an API key: one line without spaces."))
    said, is_kept = await asyncio.to_thread(_tried, page, key)
    if not is_kept:
        raise HTTPException(409, gettext(said))
    path = api.page_key_file
    await change(page, lambda: save_page_secret(path, key))
    return JSONResponse({"say": gettext(said)})


def _tried(page: WebContext, key: str) -> tuple[str, bool]:
    """Return what the API says of a key, and whether it is worth keeping."""
    try:
        answer = ask_whose_key(page.settings.api, key, now=page.now)
        if answer.status == 403 and answer.error_words():
            return N_("Key saved. It can only upload its owner's clips."), True
        if answer.status != 200:
            raise lane_fault(answer, now_s=page.now().utc_s)
        account = read_account(answer)
    except ApiUnavailableError as fault:
        if fault.reason in {"key", "account", "domain"}:
            return N_("AiKYNETIX rejects this key. It was not saved."), False
        return N_("Key saved, but not tested: AiKYNETIX cannot be reached at the moment."), True
    if not account.has_api_access:
        return N_("Key saved. The account's plan has no access to the API."), True
    if not account.acts_for_others:
        return N_("Key saved. It can only upload its owner's clips."), True
    return N_("Key saved: AiKYNETIX accepts it."), True


class NewPinForm(Form):
    """What lets people in from now on."""

    pin: str = Field(max_length=LONGEST_PIN)


async def set_pin(page: WebContext, context: RequestContext, form: NewPinForm) -> Response:  # noqa: ARG001  # as above
    """Keep the page's PIN."""
    gettext, web, pin = page.texts.gettext, page.settings.web, form.pin.strip()
    if web.pin is not None or web.page_pin_file is None or is_of_environment("web", "pin_file"):
        raise HTTPException(409, gettext("The station's settings file sets the PIN."))
    if len(pin) < SHORTEST or not pin.isprintable():
        text = gettext("The PIN needs %(n)s characters or more.", n=SHORTEST)
        raise HTTPException(422, text)
    path = web.page_pin_file
    await page.database.write(lambda: save_page_secret(path, pin))
    # A page that was open to this box asks for the PIN after its restart.
    reload = BackgroundTask(page.signs.reload) if page.auth.is_open else None
    return JSONResponse({"say": gettext("PIN saved.")}, background=reload)


async def finish(page: WebContext, context: RequestContext) -> Response:
    """End the set-up for everybody; this device stays paired as a coach's."""
    session = await page.auth.end_setup(context.address)
    response = JSONResponse({"say": page.texts.gettext("Saved."), "to": HOME[session.role]})
    page.auth.give(response, session)
    return response


_SETUP = RequiredAccess.SETUP
SETUP_ROUTES = (
    GetEndpoint(path="/setup", access=_SETUP, answer=show),
    PostEndpoint(path="/setup/station", access=_SETUP, form=StationForm, answer=set_station),
    GetEndpoint(path="/setup/cameras", access=_SETUP, answer=find),
    PostEndpoint(path="/setup/camera", access=_SETUP, form=CameraForm, answer=set_camera),
    PostEndpoint(path="/setup/key", access=_SETUP, form=ApiKeyForm, answer=set_key),
    PostEndpoint(path="/setup/pin", access=_SETUP, form=NewPinForm, answer=set_pin),
    action_endpoint(path="/setup/finish", access=_SETUP, answer=finish),
)


def _chosen(page: WebContext, context: RequestContext) -> RecorderSight | None:
    """Return the recorder that is asked for, else the first one; None where there is none."""
    sights = page.signs.recorders()
    wanted = context.request.query_params.get("camera")
    found = [sight for sight in sights if sight.report.camera == wanted] or list(sights)
    return found[0] if found else None


async def camera(page: WebContext, context: RequestContext) -> Response:
    """Show the live picture of a camera."""
    sight = _chosen(page, context)
    return draw(
        page,
        "camera.html",
        csrf_token=page.auth.signer.csrf_token(context.login),
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
        text = page.texts.gettext("This zone has no area.")
        raise HTTPException(422, text) from None
    if is_of_environment("analysis", "zone"):
        raise HTTPException(
            409, page.texts.gettext("An environment variable on the station sets the zone.")
        )
    await page.database.write(lambda: save_page_settings(page.folder, {"analysis": {"zone": zone}}))
    # The daemon ends this page and begins with another one: not before the answer is out.
    reload = BackgroundTask(page.signs.reload)
    return JSONResponse({"say": page.texts.gettext("Zone saved.")}, background=reload)


class CheckForm(Form):
    """Which camera."""

    camera: str = Field(max_length=40)


async def check(page: WebContext, context: RequestContext, form: CheckForm) -> Response:  # noqa: ARG001  # as above
    """Let the analysis check what a camera sees."""
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
    text = gettext("Correct this:") if remarks else gettext("The framing is good.")
    return JSONResponse({"say": text, "remarks": remarks})


async def checked(page: WebContext, context: RequestContext) -> Response:  # noqa: ARG001  # as above
    """Return the picture that was checked last, with the skeleton on it."""
    last = page.framing.last
    if last is None:
        raise HTTPException(404, page.texts.gettext("No picture at the moment."))
    return Response(last.drawn, media_type="image/jpeg")


async def set_reference(page: WebContext, context: RequestContext) -> Response:  # noqa: ARG001  # as above
    """Keep the picture that was checked last as what the camera is to see from now on."""
    last = page.framing.last
    if last is None:
        raise HTTPException(404, page.texts.gettext("Check the framing first."))
    if is_of_environment("analysis", "reference"):
        text = page.texts.gettext(
            "An environment variable on the station sets the reference picture."
        )
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
    action_endpoint(path="/camera/reference", access=_CAMERA, answer=set_reference),
)
