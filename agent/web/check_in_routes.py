"""Routes by which cards put athletes on the station, and are linked to them."""

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic

import structlog
from pydantic import Field, ValidationError
from starlette.responses import JSONResponse, Response

from agent.buttons import ButtonAction
from agent.errors import RequestError
from agent.stage import StageName
from agent.station import queue
from agent.station.check_in import (
    MOST_GROUP_NAME,
    MOST_MEMBERS,
    SET_BY_CARD,
    Tap,
    TapOutcome,
    change_members,
    new_group,
    put_member,
    queue_group,
    remove_group,
)
from agent.station.recording_pause import stop_filming
from agent.station.roster import name_of
from agent.web.auth import LoginSession
from agent.web.rendering import draw
from agent.web.routing import (
    Form,
    FormType,
    GetEndpoint,
    NoForm,
    PostEndpoint,
    RequestContext,
    RequiredAccess,
    WebContext,
    change,
    form_fields,
    said,
)
from agent.web.station_routes import KeyForm, name_of_key
from agent.web.views.people import RosterEntry

_SET_BY_BUTTON = "button"

log = structlog.get_logger(stage=StageName.PAGE)


class TapForm(Form):
    """What a card says."""

    card: str = Field(max_length=256)


class ButtonForm(Form):
    """What a button means."""

    action: ButtonAction


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderEndpoint(Generic[FormType]):
    """An endpoint for readers and buttons: by a bearer token instead of a device's session."""

    path: str
    form: type[FormType]
    answer: Callable[[WebContext, FormType], Awaitable[Response]]
    method: str = "POST"
    access: RequiredAccess = RequiredAccess.ANYBODY  # whoever has the token

    async def respond(self, page: WebContext, context: RequestContext) -> Response:
        """Check token and form, then carry it out; always answers JSON."""
        refusal = _refusal(page, context)
        if refusal is not None:
            return refusal
        try:
            form = self.form.model_validate(await form_fields(context.request))
        except ValidationError:
            (field,) = self.form.model_fields
            return _told(422, "rejected", f"the body must be a form with the field {field}")
        return await self.answer(page, form)


async def tap(page: WebContext, form: TapForm) -> Response:
    """Put the athlete of a card on the station."""
    try:
        done = await change(page, lambda: _tapped(page, form.card))
    except RequestError as fault:
        return _told(422, "rejected", str(fault))
    athlete = None if done.athlete is None else done.athlete.key
    log.info("card tapped", outcome=str(done.outcome), athlete=athlete)
    return _answer(page, done)


async def press(page: WebContext, form: ButtonForm) -> Response:
    """Do what a button means."""
    try:
        said_back = await change(page, lambda: _pressed(page, form.action))
    except RequestError as fault:  # as where nobody is in the queue
        return _told(409, "refused", str(fault))
    log.info("button pressed", action=str(form.action))
    return _told(200, form.action, said_back)


def _refusal(page: WebContext, context: RequestContext) -> Response | None:
    """Return what is said to somebody who is no reader, or asks too often; None: go ahead."""
    is_reader = page.taps.is_reader(
        context.request.headers.get("authorization", ""),
        address=context.address,
        now_s=page.now().boot_s or 0.0,
    )
    if is_reader is False:
        log.warning("tap rejected", address=context.address)
        return _told(401, "rejected", "bearer token required")
    if is_reader is not True:
        retry = {"retry-after": str(math.ceil(is_reader))}
        return _told(429, "rejected", "too many requests", headers=retry)
    return None


def _pressed(page: WebContext, action: ButtonAction) -> str:
    """Do what a button means, as the page's own buttons do; return it in words."""
    now, gettext = page.now(), page.texts.gettext
    if action is ButtonAction.NEXT:
        following = queue.next_in_queue(page.outbox, rules=page.rules, now=now)
        name = name_of(page.outbox, *following.who) or ""
        return gettext("%(name)s is on the station.", name=name)
    if action is ButtonAction.STOP:
        stop_filming(page.outbox, now=now, set_by=_SET_BY_BUTTON, lasts_s=None)
        return gettext("Recording stopped.")
    queue.finish(page.outbox, now=now, set_by=_SET_BY_BUTTON)
    return gettext("Nobody is on the station.")


def _tapped(page: WebContext, card: str) -> Tap:
    return page.check_in.tap(card, rules=page.rules, now=page.now(), set_by=SET_BY_CARD)


def _answer(page: WebContext, tap: Tap) -> Response:
    gettext = page.texts.gettext
    if tap.athlete is None:
        if tap.outcome is TapOutcome.UNKNOWN:
            return _told(404, tap.outcome, gettext("This card is not linked to an athlete."))
        text = gettext("The athlete of this card is no longer in the athlete list.")
        return _told(409, tap.outcome, text)
    return _told(200, tap.outcome, _words(page, tap), athlete=tap.athlete.key)


def _words(page: WebContext, tap: Tap) -> str:
    """Return what became of somebody who can be assigned."""
    name = "" if tap.athlete is None else tap.athlete.name
    if tap.outcome is TapOutcome.KEPT:
        return page.texts.gettext("Still %(name)s.", name=name)
    return page.texts.gettext("%(name)s is on the station.", name=name)


def _told(
    status: int,
    result: str,
    text: str,
    *,
    athlete: str | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    document = {"result": str(result), "say": text, "athlete": athlete}
    return JSONResponse(document, status, headers=headers)


class CardForm(Form):
    """A card, by its digest."""

    card: str = Field(min_length=1, max_length=128)


class LinkForm(KeyForm, CardForm):
    """Whose the card is that waits."""


class NameForm(Form):
    """What a group is called."""

    name: str = Field(min_length=1, max_length=MOST_GROUP_NAME)


async def link(page: WebContext, context: RequestContext, form: LinkForm) -> Response:
    """Link the card that waits to somebody."""

    def tell() -> str:
        page.check_in.link_waiting(form.card, form.key, now_s=page.now().utc_s)
        return name_of_key(page, form.key)

    name = await change(page, tell)
    text = page.texts.gettext("Card linked to %(name)s. Tap it again to start.", name=name)
    return said(page, context, text)


async def dismiss(page: WebContext, context: RequestContext, form: NoForm) -> Response:  # noqa: ARG001  # every endpoint gets its form
    """Show the card that waits no longer."""
    await change(page, page.check_in.dismiss)
    return said(page, context, page.texts.gettext("Card ignored."))


async def unlink(page: WebContext, context: RequestContext, form: CardForm) -> Response:
    """Let a card belong to nobody."""
    await change(page, lambda: page.check_in.unlink(form.card, now_s=page.now().utc_s))
    return said(page, context, page.texts.gettext("Card unlinked."))


async def add_group(page: WebContext, context: RequestContext, form: NameForm) -> Response:
    """Make a group without members."""

    def make() -> str:
        return new_group(page.outbox, form.name, now_s=page.now().utc_s).name

    name = await change(page, make)
    return said(page, context, page.texts.gettext("Group added: %(name)s.", name=name))


async def join(page: WebContext, context: RequestContext, form: KeyForm) -> Response:
    """Let somebody join a group."""
    return await _change_group(page, context, add=[form.key])


async def leave(page: WebContext, context: RequestContext, form: KeyForm) -> Response:
    """Let somebody leave a group."""
    return await _change_group(page, context, leave=[form.key])


async def _change_group(
    page: WebContext, context: RequestContext, *, add: Sequence[str] = (), leave: Sequence[str] = ()
) -> Response:
    group_id, now_s = context.number("group"), page.now().utc_s
    await change(
        page, lambda: change_members(page.outbox, group_id, add=add, leave=leave, now_s=now_s)
    )
    return said(page, context, page.texts.gettext("Group updated."))


async def remove(page: WebContext, context: RequestContext, form: NoForm) -> Response:  # noqa: ARG001  # as above
    """Remove a group; the athletes stay."""
    group_id, now_s = context.number("group"), page.now().utc_s
    removed = await change(page, lambda: remove_group(page.outbox, group_id, now_s=now_s))
    return said(page, context, page.texts.gettext("Group deleted: %(name)s.", name=removed.name))


async def take_turns(page: WebContext, context: RequestContext, form: NoForm) -> Response:  # noqa: ARG001  # as above
    """Let a group take turns."""
    group_id = context.number("group")
    _, n = await change(
        page, lambda: queue_group(page.outbox, group_id, rules=page.rules, now=page.now())
    )
    text = page.texts.ngettext(
        "%(n)s athlete added to the queue. Rotation on.",
        "%(n)s athletes added to the queue. Rotation on.",
        n,
    )
    return said(page, context, text)


async def show_kiosk(page: WebContext, context: RequestContext) -> Response:
    """Show the athletes of the kiosk's group, and nothing else."""
    session = context.session
    assert session is not None  # not for anybody

    def read() -> tuple[str | None, list[RosterEntry]]:
        group_id, known = _group_of_kiosk(page, session), page.board.people
        group = next((one for one in page.outbox.groups.all() if one.id == group_id), None)
        if group is None:
            return None, []
        stands = known.assignment_status()
        return group.name, known.found(stands, most=MOST_MEMBERS, group_id=group.id)

    name, people = await page.database.read(read)
    csrf_token = page.auth.signer.csrf_token(session)
    return draw(page, "kiosk.html", csrf_token=csrf_token, group=name, people=people)


async def start_at_kiosk(page: WebContext, context: RequestContext, form: KeyForm) -> Response:
    """Put an athlete of the kiosk's group on the station."""
    session = context.session
    assert session is not None  # not for anybody

    def put() -> Tap:
        return put_member(
            page.outbox,
            form.key,
            group_id=_group_of_kiosk(page, session),
            rules=page.rules,
            now=page.now(),
            set_by="kiosk",
        )

    tap = await change(page, put)
    return said(page, context, _words(page, tap), home="/kiosk")


def _group_of_kiosk(page: WebContext, session: LoginSession) -> int:
    """Return the id of a kiosk's group, which may be removed by now."""
    device = page.outbox.devices.get(session.device_id)
    return 0 if device is None or device.group_id is None else device.group_id


_COACH, _KIOSK = RequiredAccess.COACH, RequiredAccess.KIOSK
CHECK_IN_ROUTES = (
    ReaderEndpoint(path="/api/tap", form=TapForm, answer=tap),
    ReaderEndpoint(path="/api/button", form=ButtonForm, answer=press),
    GetEndpoint(path="/kiosk", access=_KIOSK, answer=show_kiosk),
    PostEndpoint(path="/kiosk", access=_KIOSK, form=KeyForm, answer=start_at_kiosk),
    PostEndpoint(path="/cards/link", access=_COACH, form=LinkForm, answer=link),
    PostEndpoint(path="/cards/dismiss", access=_COACH, form=NoForm, answer=dismiss),
    PostEndpoint(path="/cards/unlink", access=_COACH, form=CardForm, answer=unlink),
    PostEndpoint(path="/groups", access=_COACH, form=NameForm, answer=add_group),
    PostEndpoint(path="/groups/{group:int}/add", access=_COACH, form=KeyForm, answer=join),
    PostEndpoint(path="/groups/{group:int}/leave", access=_COACH, form=KeyForm, answer=leave),
    PostEndpoint(path="/groups/{group:int}/remove", access=_COACH, form=NoForm, answer=remove),
    PostEndpoint(path="/groups/{group:int}/queue", access=_COACH, form=NoForm, answer=take_turns),
)
