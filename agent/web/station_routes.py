"""Routes for the station: assignments, queue, recording, athletes, and check-in by card."""

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, Literal

import structlog
from pydantic import Field, ValidationError, model_validator
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from agent.buttons import ButtonAction
from agent.errors import RequestError
from agent.outbox.assignments import Assignment
from agent.outbox.corrections import UndoableAction
from agent.outbox.models import ClipTarget
from agent.outbox.states import Recipient
from agent.stage import StageName
from agent.station import assignments, clip_actions
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
from agent.station.erasure import forget, receipt, receipt_content
from agent.station.recording_pause import start_filming, stop_filming
from agent.station.roster import name_of, note_guest, request_roster, resolve_guest, split_key
from agent.web.routing import (
    SET_BY,
    Form,
    FormType,
    GetEndpoint,
    PostEndpoint,
    RequestContext,
    RequiredAccess,
    WebContext,
    action_endpoint,
    change,
    draw,
    form_fields,
    said,
)
from agent.web.views.dashboard import RosterEntry

_COACH, _KIOSK = RequiredAccess.COACH, RequiredAccess.KIOSK
Key = Annotated[str, Field(min_length=1, max_length=128)]


class EditForm(Form):
    """What somebody does; mass in the page's own unit."""

    activity: Literal["running", "jumping", "weightlifting"]
    exercise: str | None = Field(None, max_length=40)
    mass: float | None = Field(None, gt=0, le=1200, allow_inf_nan=False)
    incline: float | None = Field(None, ge=-30, le=60, allow_inf_nan=False)

    def movement(self, page: WebContext) -> ClipTarget:
        """Return it, of nobody."""
        mass_kg = None if self.mass is None else page.board.wording.kilograms(self.mass)
        return ClipTarget(
            recipient=Recipient.UNKNOWN,
            user_id=None,
            activity=self.activity,
            exercise=self.exercise,
            barbell_mass_kg=mass_kg,
            incline_deg=self.incline,
        )


class AssignForm(EditForm):
    """Somebody, and what they do."""

    key: Key


class KeyForm(Form):
    """Somebody."""

    key: Key


class MassForm(Form):
    """More or less on the bar, or all of it, in the page's own unit."""

    by: Literal["-5", "-1", "1", "5"] | None = None
    to: float | None = Field(None, gt=0, le=1200, allow_inf_nan=False)
    seen: int | None = Field(None, ge=0, le=2**62)  # the assignment that the buttons were drawn for
    who: Key | None = None  # the athlete whose weight is entered

    @model_validator(mode="after")
    def _one_of_them(self) -> "MassForm":
        if (self.by is None) == (self.to is None):
            raise ValueError("either by or to")
        return self


class PresentForm(Form):
    """The athlete on the station for whom the button was drawn."""

    who: Key | None = None


class NextForm(Form):
    """The place of the queue that the button names."""

    place: int | None = Field(None, ge=0, le=2**62)


class MoveForm(Form):
    """Where in the queue; 1 is next."""

    to: int = Field(ge=1, le=1000)


class SwitchForm(Form):
    """On or off."""

    on: Literal["yes", "no"]


class GuestForm(Form):
    """A name that the account does not know."""

    name: str = Field(min_length=1, max_length=100)


class ResolveForm(Form):
    """Which athlete of the account a guest is."""

    key: Key
    user_id: Key


async def assign(page: WebContext, context: RequestContext, form: AssignForm) -> Response:
    """Put somebody on the station."""
    return await _put(page, context, form.key, form.movement(page))


async def repeat(page: WebContext, context: RequestContext, form: KeyForm) -> Response:
    """Put somebody on the station with what they did last."""
    return await _put(page, context, form.key, None)


async def _put(
    page: WebContext, context: RequestContext, key: str, wanted: ClipTarget | None
) -> Response:
    def put() -> str:
        assignments.assign_person(
            page.outbox, key, wanted, rules=page.rules, now=page.now(), set_by=SET_BY
        )
        return name_of_key(page, key)

    return said(page, context, _is_on(page, await change(page, put)))


def _is_on(page: WebContext, name: str) -> str:
    return page.texts.gettext("%(name)s is on the station.", name=name)


async def set_mass(page: WebContext, context: RequestContext, form: MassForm) -> Response:
    """Put more or less on the bar, from now on: of two devices that do so at once, one does."""
    kilograms = page.board.wording.kilograms

    def put() -> Assignment | None:
        rules, now = page.rules, page.now()
        if form.to is not None:
            mass_kg = kilograms(form.to)
            with page.outbox.transaction():  # nobody else takes the station meanwhile
                _expect(page, form.who)
                return assignments.set_mass(
                    page.outbox, mass_kg, rules=rules, now=now, set_by=SET_BY
                )
        by_kg = kilograms(float(form.by or 0))
        with page.outbox.transaction():  # nobody else changes the bar meanwhile
            is_as_seen = form.seen is None or assignments.is_present(
                page.outbox, form.seen, now=now
            )
            if not is_as_seen:
                return None
            return assignments.step_mass(page.outbox, by_kg, rules=rules, now=now, set_by=SET_BY)

    changed = await change(page, put)
    if changed is None:
        raise HTTPException(
            409,
            page.texts.gettext(
                "Already changed on another device. Check the weight, then try again."
            ),
        )
    mass = page.board.wording.mass(changed.barbell_mass_kg or 0.0)
    text = page.texts.gettext("%(mass)s on the bar.", mass=mass)
    return said(page, context, text, seen=changed.id)


def _expect(page: WebContext, key: str | None) -> None:
    """Refuse what is meant for an athlete who is no longer on the station.

    Raises:
        HTTPException: somebody else is, or nobody.
    """
    if key is not None and not assignments.is_on_station(page.outbox, key, now=page.now()):
        raise HTTPException(
            409,
            page.texts.gettext(
                "The athlete was changed on another device. Nothing else was changed."
            ),
        )


async def keep(page: WebContext, context: RequestContext, form: PresentForm) -> Response:
    """Say that it is still the same athlete."""

    def stay() -> str:
        with page.outbox.transaction():  # nobody else takes the station meanwhile
            _expect(page, form.who)
            kept = assignments.keep(page.outbox, now=page.now(), set_by=SET_BY)
        return name_of(page.outbox, *kept.who) or ""

    return said(page, context, page.texts.gettext("Still %(name)s.", name=await change(page, stay)))


async def done(page: WebContext, context: RequestContext, form: PresentForm) -> Response:
    """End the current assignment; in a rotation the finished athlete goes to the queue's end."""

    def leave() -> bool:
        with page.outbox.transaction():  # as above
            _expect(page, form.who)
            assignments.finish(page.outbox, now=page.now(), set_by=SET_BY)
        return assignments.rotates(page.outbox)

    gettext = page.texts.gettext
    if await change(page, leave):
        return said(page, context, gettext("Nobody is on the station; rotation continues."))
    return said(page, context, gettext("Nobody is on the station."))


async def next_one(page: WebContext, context: RequestContext, form: NextForm) -> Response:
    """Assign the next athlete: the one whom the button names, even if another device pressed it."""

    def advance() -> str:
        following = assignments.next_in_queue(
            page.outbox, rules=page.rules, now=page.now(), expected=form.place
        )
        return name_of(page.outbox, *following.who) or ""

    return said(page, context, _is_on(page, await change(page, advance)))


async def enqueue(page: WebContext, context: RequestContext, form: AssignForm) -> Response:
    """Put somebody at the queue's end."""
    wanted = form.movement(page)

    def append() -> str:
        assignments.enqueue(page.outbox, form.key, wanted, rules=page.rules)
        return name_of_key(page, form.key)

    return said(
        page,
        context,
        page.texts.gettext("%(name)s added to the queue.", name=await change(page, append)),
    )


async def move(page: WebContext, context: RequestContext, form: MoveForm) -> Response:
    """Put somebody elsewhere in the queue."""
    place = context.number("place")
    await change(page, lambda: assignments.move_in_queue(page.outbox, place, to=form.to))
    return said(page, context, page.texts.gettext("Queue updated."))


async def remove(page: WebContext, context: RequestContext) -> Response:
    """Take somebody out of the queue; for ten seconds it can be taken back."""
    place = context.number("place")
    undoable = await change(page, lambda: clip_actions.unqueue(page.outbox, place, now=page.now()))
    return said(page, context, page.texts.gettext("Queue updated."), undoable=undoable)


async def clear(page: WebContext, context: RequestContext) -> Response:
    """Empty the queue; for ten seconds it can be taken back."""
    undoable = await change(page, lambda: clip_actions.clear_queue(page.outbox, now=page.now()))
    return said(page, context, page.texts.gettext("Queue updated."), undoable=undoable)


async def rotate(page: WebContext, context: RequestContext, form: SwitchForm) -> Response:
    """Turn rotation on or off: whether the finished athlete goes to the queue's end."""
    on = form.on == "yes"
    await change(page, lambda: assignments.set_rotate(page.outbox, on=on))
    return said(
        page,
        context,
        page.texts.gettext("Rotation on.") if on else page.texts.gettext("Rotation off."),
    )


async def guest(page: WebContext, context: RequestContext, form: GuestForm) -> Response:
    """Note somebody whom the account does not know."""
    noted = await change(page, lambda: note_guest(page.outbox, form.name, now_s=page.now().utc_s))
    return said(page, context, page.texts.gettext("Guest added: %(name)s.", name=noted.name))


async def resolve(page: WebContext, context: RequestContext, form: ResolveForm) -> Response:
    """Say who a guest is, and let their takes go."""

    def tell() -> tuple[str, int]:
        released = resolve_guest(
            page.outbox,
            form.key,
            form.user_id,
            now_s=page.now().utc_s,
            send_delay_s=page.rules.send_delay_s,
        )
        return name_of_key(page, form.user_id), len(released)

    name, n = await change(page, tell)
    return said(
        page,
        context,
        page.texts.ngettext(
            "Linked to %(name)s. %(n)s clip will be uploaded.",
            "Linked to %(name)s. %(n)s clips will be uploaded.",
            n,
            name=name,
        ),
    )


def name_of_key(page: WebContext, key: str) -> str:
    """Return a person's name by their key."""
    return name_of(page.outbox, *split_key(key)) or ""


STATION_ROUTES = (
    PostEndpoint(path="/assign", access=_COACH, form=AssignForm, answer=assign),
    PostEndpoint(path="/repeat", access=_COACH, form=KeyForm, answer=repeat),
    PostEndpoint(path="/mass", access=_COACH, form=MassForm, answer=set_mass),
    PostEndpoint(path="/keep", access=_COACH, form=PresentForm, answer=keep),
    PostEndpoint(path="/done", access=_COACH, form=PresentForm, answer=done),
    PostEndpoint(path="/next", access=_COACH, form=NextForm, answer=next_one),
    PostEndpoint(path="/queue", access=_COACH, form=AssignForm, answer=enqueue),
    PostEndpoint(path="/queue/{place:int}/move", access=_COACH, form=MoveForm, answer=move),
    action_endpoint(path="/queue/{place:int}/remove", access=_COACH, answer=remove),
    action_endpoint(path="/queue/clear", access=_COACH, answer=clear),
    PostEndpoint(path="/queue/rotate", access=_COACH, form=SwitchForm, answer=rotate),
    PostEndpoint(path="/guest", access=_COACH, form=GuestForm, answer=guest),
    PostEndpoint(path="/guest/resolve", access=_COACH, form=ResolveForm, answer=resolve),
)


_MOST_RECEIPTS = 20
_LENGTHS_S = {"yes": None, "30": 1800.0}


class FilmingForm(Form):
    """Stop until further notice, stop for 30 minutes, or film again."""

    stop: Literal["yes", "30", "no"]


async def film(page: WebContext, context: RequestContext, form: FilmingForm) -> Response:
    """Pause or resume the recording; a pause can be undone for half a minute."""
    if form.stop == "no":
        await change(page, lambda: start_filming(page.outbox, now=page.now(), set_by=SET_BY))
        return said(page, context, page.texts.gettext("Recording resumed."))
    lasts_s = _LENGTHS_S[form.stop]
    undoable = await change(
        page,
        lambda: stop_filming(page.outbox, now=page.now(), set_by=SET_BY, lasts_s=lasts_s),
    )
    return said(page, context, page.texts.gettext("Recording stopped."), undoable=undoable)


async def refresh(page: WebContext, context: RequestContext) -> Response:
    """Request the account's athletes at once."""
    await change(page, lambda: request_roster(page.outbox, now_s=page.now().utc_s))
    return said(page, context, page.texts.gettext("Refreshing the athlete list."))


class ForgetForm(KeyForm):
    """Whom to forget, and whether at the API too."""

    also_at_api: Literal["", "yes"] = ""


async def forget_athlete(page: WebContext, context: RequestContext, form: ForgetForm) -> Response:
    """Remove everything of an athlete from this box; for ten seconds it can be taken back."""

    def ask() -> tuple[str, UndoableAction]:
        at_api = form.also_at_api == "yes"
        name = name_of_key(page, form.key)
        return name, forget(page.outbox, form.key, now=page.now(), at_api=at_api)

    name, undoable = await change(page, ask)
    return said(
        page,
        context,
        page.texts.gettext("Data of %(name)s will be deleted.", name=name),
        undoable=undoable,
    )


async def receipts(page: WebContext, context: RequestContext) -> Response:  # noqa: ARG001  # every endpoint gets its context
    """Show the receipt of the latest erasures, to print."""

    def read() -> str:
        now_s = page.now().utc_s
        station = page.settings.station.name or page.settings.station.id
        found = receipt(page.outbox, None, station=station, now_s=now_s, most=_MOST_RECEIPTS)
        return receipt_content(found, language=page.texts.language)

    return draw(page, "erasures.html", content=await page.database.read(read))


SETTINGS_ROUTES = (
    GetEndpoint(path="/erasures", access=_COACH, answer=receipts),
    PostEndpoint(path="/filming", access=_COACH, form=FilmingForm, answer=film),
    action_endpoint(path="/roster", access=_COACH, answer=refresh),
    PostEndpoint(path="/forget", access=_COACH, form=ForgetForm, answer=forget_athlete),
)


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
    access: RequiredAccess = RequiredAccess.ANYBODY  # anybody who has the token

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
        following = assignments.next_in_queue(page.outbox, rules=page.rules, now=now)
        return _is_on(page, name_of(page.outbox, *following.who) or "")
    if action is ButtonAction.STOP:
        stop_filming(page.outbox, now=now, set_by=_SET_BY_BUTTON, lasts_s=None)
        return gettext("Recording stopped.")
    assignments.finish(page.outbox, now=now, set_by=_SET_BY_BUTTON)
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
    return _is_on(page, name)


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


async def dismiss(page: WebContext, context: RequestContext) -> Response:
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


async def delete_group(page: WebContext, context: RequestContext) -> Response:
    """Remove a group; the athletes stay."""
    group_id, now_s = context.number("group"), page.now().utc_s
    removed = await change(page, lambda: remove_group(page.outbox, group_id, now_s=now_s))
    return said(page, context, page.texts.gettext("Group deleted: %(name)s.", name=removed.name))


async def take_turns(page: WebContext, context: RequestContext) -> Response:
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

    def read() -> tuple[str | None, list[RosterEntry]]:
        group_id, known = _group_of_kiosk(page, context), page.board.people
        group = next((one for one in page.outbox.groups.all() if one.id == group_id), None)
        if group is None:
            return None, []
        stands = known.assignment_status()
        return group.name, known.found(stands, most=MOST_MEMBERS, group_id=group.id)

    name, people = await page.database.read(read)
    csrf_token = page.auth.signer.csrf_token(context.login)
    return draw(page, "kiosk.html", csrf_token=csrf_token, group=name, people=people)


async def start_at_kiosk(page: WebContext, context: RequestContext, form: KeyForm) -> Response:
    """Put an athlete of the kiosk's group on the station."""

    def put() -> Tap:
        return put_member(
            page.outbox,
            form.key,
            group_id=_group_of_kiosk(page, context),
            rules=page.rules,
            now=page.now(),
            set_by="kiosk",
        )

    tap = await change(page, put)
    return said(page, context, _words(page, tap), home="/kiosk")


def _group_of_kiosk(page: WebContext, context: RequestContext) -> int:
    """Return the id of a kiosk's group, which may be removed by now."""
    device = page.outbox.devices.get(context.login.device_id)
    return 0 if device is None or device.group_id is None else device.group_id


CHECK_IN_ROUTES = (
    ReaderEndpoint(path="/api/tap", form=TapForm, answer=tap),
    ReaderEndpoint(path="/api/button", form=ButtonForm, answer=press),
    GetEndpoint(path="/kiosk", access=_KIOSK, answer=show_kiosk),
    PostEndpoint(path="/kiosk", access=_KIOSK, form=KeyForm, answer=start_at_kiosk),
    PostEndpoint(path="/cards/link", access=_COACH, form=LinkForm, answer=link),
    action_endpoint(path="/cards/dismiss", access=_COACH, answer=dismiss),
    PostEndpoint(path="/cards/unlink", access=_COACH, form=CardForm, answer=unlink),
    PostEndpoint(path="/groups", access=_COACH, form=NameForm, answer=add_group),
    PostEndpoint(path="/groups/{group:int}/add", access=_COACH, form=KeyForm, answer=join),
    PostEndpoint(path="/groups/{group:int}/leave", access=_COACH, form=KeyForm, answer=leave),
    action_endpoint(path="/groups/{group:int}/remove", access=_COACH, answer=delete_group),
    action_endpoint(path="/groups/{group:int}/queue", access=_COACH, answer=take_turns),
)
