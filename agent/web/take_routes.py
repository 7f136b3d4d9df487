"""Routes for takes: correct, hold, discard, send, resend, undo, and their media."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Protocol

from pydantic import Field, field_validator
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from agent.errors import RequestError
from agent.outbox.corrections import UndoableAction
from agent.outbox.models import Capture, ClipTarget, Entry, is_clip_code
from agent.outbox.outbox import Outbox
from agent.outbox.results import VideoState
from agent.outbox.states import SENT, CaptureState
from agent.station import clip_actions
from agent.station.clip_actions import want_video
from agent.web.routing import (
    Form,
    GetEndpoint,
    PostEndpoint,
    RequestContext,
    RequiredAccess,
    WebContext,
    action_endpoint,
    change,
    said,
)
from agent.web.station_routes import EditForm, Key, KeyForm, name_of_key

_COACH = RequiredAccess.COACH
_VIDEO = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".webm": "video/webm",
}


async def entry_of(page: WebContext, context: RequestContext) -> Entry:
    """Return the clip that a path names."""
    code = context.parameter("code")
    entry = None
    if is_clip_code(code):
        entry = await page.database.read(lambda: page.outbox.entries.by_code(code))
    if entry is None:
        raise HTTPException(404, page.texts.gettext("There is no such take."))
    return entry


async def picture(page: WebContext, context: RequestContext) -> Response:
    """Return a take's poster."""
    entry = await entry_of(page, context)
    return file_answer(page, page.folder.pictures_of(entry.clip_code)[0], "image/jpeg")


async def strip(page: WebContext, context: RequestContext) -> Response:
    """Return a take's filmstrip."""
    entry = await entry_of(page, context)
    return file_answer(page, page.folder.pictures_of(entry.clip_code)[1], "image/jpeg")


async def skeleton(page: WebContext, context: RequestContext) -> Response:
    """Return the athlete's landmarks in a take's clip."""
    entry = await entry_of(page, context)
    return file_answer(page, page.folder.skeleton_of(entry.clip_code), "application/json")


async def clip(page: WebContext, context: RequestContext) -> Response:
    """Return a take's clip, or the range of it that a player asks for."""
    entry = await entry_of(page, context)
    path = page.folder.clips / entry.stored_name
    return file_answer(page, path, _VIDEO.get(path.suffix, "application/octet-stream"))


def file_answer(page: WebContext, path: Path, media_type: str) -> Response:
    """Return a file of the state folder, or the range of it that a player asks for."""
    try:
        found = path.stat()
    except OSError:
        raise HTTPException(404, page.texts.gettext("There is no such take.")) from None
    return FileResponse(path, media_type=media_type, stat_result=found)


MEDIA_ROUTES = (
    GetEndpoint(path="/picture/{code}.jpg", access=RequiredAccess.WALL, answer=picture),
    GetEndpoint(path="/strip/{code}.jpg", access=_COACH, answer=strip),
    GetEndpoint(path="/skeleton/{code}.json", access=_COACH, answer=skeleton),
    GetEndpoint(path="/clip/{code}", access=_COACH, answer=clip),
)


_MOST_AT_ONCE = 100


class Steering(Protocol):
    """What can be done with one clip."""

    def __call__(self, outbox: Outbox, entry: Entry, /, *, now_s: float) -> object:
        """Do it."""


class TrayForm(Form):
    """Several takes, and whose they are."""

    key: Key
    code: Annotated[list[str], Field(min_length=1, max_length=_MOST_AT_ONCE)]

    @field_validator("code", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value


class UndoForm(Form):
    """What is to be taken back."""

    id: int = Field(ge=0, le=2**62)


async def give(page: WebContext, context: RequestContext, form: KeyForm) -> Response:
    """Give a take that was not sent to somebody else."""
    entry = await entry_of(page, context)

    undoable = await _correct(
        page,
        entry,
        lambda now_s: clip_actions.give(
            page.outbox, entry, form.key, rules=page.rules, now_s=now_s
        ),
    )
    name = await page.database.read(lambda: name_of_key(page, form.key))
    return said(
        page, context, page.texts.gettext("Assigned to %(name)s.", name=name), undoable=undoable
    )


async def release(page: WebContext, context: RequestContext) -> Response:
    """Send a held take as it is."""
    entry = await entry_of(page, context)
    undoable = await _correct(
        page,
        entry,
        lambda now_s: clip_actions.release(
            page.outbox, entry, said=None, rules=page.rules, now_s=now_s
        ),
    )
    return said(
        page, context, page.texts.gettext("It will be uploaded as it is."), undoable=undoable
    )


async def edit(page: WebContext, context: RequestContext, form: EditForm) -> Response:
    """Correct what a take shows; one that was sent is resent as it should be."""
    entry = await entry_of(page, context)
    shows = form.movement(page)
    words = page.board.wording.movement(shows)
    if entry.state in SENT:
        undoable = await _resend(page, entry, str(entry.user_id), shows)
        text = page.texts.gettext(
            "Uploading again as %(movement)s; then the wrong session is deleted.", movement=words
        )
        return said(page, context, text, undoable=undoable)
    undoable = await _correct(
        page,
        entry,
        lambda now_s: clip_actions.edit(page.outbox, entry, shows, rules=page.rules, now_s=now_s),
    )
    return said(
        page, context, page.texts.gettext("Saved: %(movement)s.", movement=words), undoable=undoable
    )


async def _correct(
    page: WebContext, entry: Entry, action: Callable[[float], Entry]
) -> UndoableAction:
    """Correct a take, so that it can be taken back."""

    def correct() -> UndoableAction:
        now = page.now()
        with page.outbox.transaction():
            corrected = action(now.utc_s)
            return clip_actions.remember_given(page.outbox, [(entry, corrected)], now=now)

    return await change(page, correct)


async def give_several(page: WebContext, context: RequestContext, form: TrayForm) -> Response:
    """Give several takes to somebody."""

    def hand_over() -> tuple[str, int, int, UndoableAction]:
        now = page.now()
        with page.outbox.transaction():
            outcomes = clip_actions.give_all(
                page.outbox, form.code, form.key, rules=page.rules, now_s=now.utc_s
            )
            given = [outcome.change for outcome in outcomes if outcome.change is not None]
            if not given:
                raise RequestError(outcomes[0].error or "")
            undoable = clip_actions.remember_given(page.outbox, given, now=now)
        return name_of_key(page, form.key), len(given), len(outcomes) - len(given), undoable

    name, n, failed, undoable = await change(page, hand_over)
    gettext = page.texts.gettext
    if failed:
        text = gettext(
            "%(n)s takes assigned to %(name)s, %(failed)s failed.", name=name, n=n, failed=failed
        )
    elif n == 1:
        text = gettext("Assigned to %(name)s.", name=name)
    else:
        text = gettext("%(n)s takes assigned to %(name)s.", name=name, n=n)
    return said(page, context, text, undoable=undoable)


async def hold(page: WebContext, context: RequestContext) -> Response:
    """Let a take wait for a person."""
    await _steer(page, context, clip_actions.hold)
    return said(page, context, page.texts.gettext("On hold."))


async def send_now(page: WebContext, context: RequestContext) -> Response:
    """Let a take that counts down go at once."""
    await _steer(page, context, clip_actions.send_now)
    return said(page, context, page.texts.gettext("Uploading now."))


async def retry(page: WebContext, context: RequestContext) -> Response:
    """Try a take again that was refused."""
    await _steer(page, context, clip_actions.retry)
    return said(page, context, page.texts.gettext("Trying again."))


async def discard(page: WebContext, context: RequestContext) -> Response:
    """End a take without sending it; for ten seconds it can be taken back."""
    return await _discard(page, context, await entry_of(page, context))


async def _discard(page: WebContext, context: RequestContext, subject: Capture | Entry) -> Response:
    undoable = await change(
        page, lambda: clip_actions.discard_undoably(page.outbox, subject, now=page.now())
    )
    return said(page, context, page.texts.gettext("Discarded."), undoable=undoable)


async def resend(page: WebContext, context: RequestContext, form: KeyForm) -> Response:
    """Resend a delivered take for the right athlete; then the wrong session is deleted."""
    entry = await entry_of(page, context)
    undoable = await _resend(page, entry, form.key, None)
    name = await page.database.read(lambda: name_of_key(page, form.key))
    return said(
        page,
        context,
        page.texts.gettext(
            "Uploading again for %(name)s; then the wrong session is deleted.", name=name
        ),
        undoable=undoable,
    )


async def _resend(
    page: WebContext, entry: Entry, key: str, shows: ClipTarget | None
) -> UndoableAction | None:
    def ask() -> UndoableAction | None:
        clips, rules, now = page.folder.clips, page.rules, page.now()
        asked = clip_actions.resend(page.outbox, clips, entry, key, shows, rules=rules, now=now)
        return page.outbox.undoables.by_id(asked.undoable_id)

    return await change(page, ask)


async def delete_wrong(page: WebContext, context: RequestContext) -> Response:
    """Try again to delete a wrong session that the API kept."""
    resend_id = context.number("resend")
    await change(
        page,
        lambda: clip_actions.retry_deletion(page.outbox, resend_id, now_s=page.now().utc_s),
    )
    return said(page, context, page.texts.gettext("Trying again."))


async def undo(page: WebContext, context: RequestContext, form: UndoForm) -> Response:
    """Take back what was ended in the last ten seconds."""
    await change(page, lambda: clip_actions.undo(page.outbox, form.id, now=page.now()))
    return said(page, context, page.texts.gettext("Undone."))


async def _steer(page: WebContext, context: RequestContext, action: Steering) -> None:
    entry = await entry_of(page, context)
    await change(page, lambda: action(page.outbox, entry, now_s=page.now().utc_s))


TAKE_ROUTES = (
    PostEndpoint(path="/take/{code}/give", access=_COACH, form=KeyForm, answer=give),
    action_endpoint(path="/take/{code}/release", access=_COACH, answer=release),
    PostEndpoint(path="/take/{code}/edit", access=_COACH, form=EditForm, answer=edit),
    action_endpoint(path="/take/{code}/hold", access=_COACH, answer=hold),
    action_endpoint(path="/take/{code}/send", access=_COACH, answer=send_now),
    action_endpoint(path="/take/{code}/retry", access=_COACH, answer=retry),
    action_endpoint(path="/take/{code}/discard", access=_COACH, answer=discard),
    PostEndpoint(path="/take/{code}/resend", access=_COACH, form=KeyForm, answer=resend),
    action_endpoint(path="/resend/{resend:int}/delete", access=_COACH, answer=delete_wrong),
    PostEndpoint(path="/tray/give", access=_COACH, form=TrayForm, answer=give_several),
    PostEndpoint(path="/undo", access=_COACH, form=UndoForm, answer=undo),
)


async def retry_recording(page: WebContext, context: RequestContext) -> Response:
    """Analyse a quarantined recording again."""
    capture = await _capture_of(page, context)
    await change(page, lambda: clip_actions.retry(page.outbox, capture, now_s=page.now().utc_s))
    return said(page, context, page.texts.gettext("Trying again."))


async def discard_recording(page: WebContext, context: RequestContext) -> Response:
    """End a recording; for ten seconds it can be taken back."""
    return await _discard(page, context, await _capture_of(page, context))


async def _capture_of(page: WebContext, context: RequestContext) -> Capture:
    number = context.number("recording")
    capture = await page.database.read(lambda: page.outbox.captures.by_id(number))
    if capture is None or capture.state is not CaptureState.QUARANTINED:
        raise HTTPException(404, page.texts.gettext("There is no such take."))
    return capture


RECORDING_ROUTES = (
    action_endpoint(path="/recording/{recording:int}/retry", access=_COACH, answer=retry_recording),
    action_endpoint(
        path="/recording/{recording:int}/discard", access=_COACH, answer=discard_recording
    ),
)


async def look(page: WebContext, context: RequestContext) -> Response:
    """Request an analysis again that failed or was not seen."""
    entry = await entry_of(page, context)

    def resume() -> None:
        if not page.outbox.follow_ups.resume(entry.id, now_s=page.now().utc_s):
            raise RequestError(f"nothing is to be looked for of {entry.name}")

    await change(page, resume)
    return said(page, context, page.texts.gettext("Checking again."))


async def fetch(page: WebContext, context: RequestContext) -> Response:
    """Request a take's analysed video."""
    entry = await entry_of(page, context)
    await change(page, lambda: want_video(page.outbox, entry, now_s=page.now().utc_s))
    return said(page, context, page.texts.gettext("Downloading the analysed video."))


async def video(page: WebContext, context: RequestContext) -> Response:
    """Return a take's analysed video, or the range of it that a player asks for."""
    entry = await entry_of(page, context)
    state = await page.database.read(lambda: page.outbox.videos.state(entry.id))
    if state is not VideoState.PRESENT:
        raise HTTPException(404, page.texts.gettext("There is no such take."))
    return file_answer(page, page.folder.analysed_video(entry.clip_code), "video/mp4")


RESULT_ROUTES = (
    action_endpoint(path="/take/{code}/look", access=_COACH, answer=look),
    action_endpoint(path="/take/{code}/fetch", access=_COACH, answer=fetch),
    GetEndpoint(path="/analysed/{code}", access=_COACH, answer=video),
)
