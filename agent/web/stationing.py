"""Who is on the station and who comes next, as a coach says it."""

from typing import Annotated, Literal

from pydantic import Field
from starlette.responses import Response

from agent.outbox.entry import Whose
from agent.outbox.states import Recipient
from agent.station import assigning, queueing, undoing
from agent.station.roster import name_of, note_guest, resolve_guest, split_key
from agent.web.page import Page
from agent.web.places import Access, Do, Form, NoForm, Visit
from agent.web.saying import SET_BY, change, said

Key = Annotated[str, Field(min_length=1, max_length=128)]


class EditForm(Form):
    """What somebody does; mass in the page's own unit."""

    activity: Literal["running", "jumping", "weightlifting"]
    exercise: str | None = Field(None, max_length=40)
    mass: float | None = Field(None, gt=0, le=1200, allow_inf_nan=False)
    incline: float | None = Field(None, ge=-30, le=60, allow_inf_nan=False)

    def movement(self, page: Page) -> Whose:
        """Return it, of nobody."""
        mass_kg = None if self.mass is None else page.board.wording.kilograms(self.mass)
        return Whose(
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
    """More or less on the bar, in the page's own unit."""

    by: Literal["-5", "-1", "1", "5"]


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


async def assign(page: Page, visit: Visit, form: AssignForm) -> Response:
    """Put somebody on the station."""
    wanted = form.movement(page)

    def put() -> str:
        assigning.assign_person(
            page.outbox, form.key, wanted, rules=page.rules, now=page.now(), set_by=SET_BY
        )
        return name_of_key(page, form.key)

    return said(
        page, visit, page.texts.gettext("%(name)s is on the station.", name=await change(page, put))
    )


async def repeat(page: Page, visit: Visit, form: KeyForm) -> Response:
    """Put somebody on the station with what they did last."""

    def put() -> str:
        assigning.assign_person(
            page.outbox, form.key, rules=page.rules, now=page.now(), set_by=SET_BY
        )
        return name_of_key(page, form.key)

    return said(
        page, visit, page.texts.gettext("%(name)s is on the station.", name=await change(page, put))
    )


async def step_mass(page: Page, visit: Visit, form: MassForm) -> Response:
    """Put more or less on the bar, from now on."""
    by_kg = page.board.wording.kilograms(float(form.by))
    stepped = await change(
        page,
        lambda: assigning.step_mass(
            page.outbox, by_kg, rules=page.rules, now=page.now(), set_by=SET_BY
        ),
    )
    mass = page.board.wording.mass(stepped.barbell_mass_kg or 0.0)
    return said(page, visit, page.texts.gettext("%(mass)s on the bar.", mass=mass))


async def keep(page: Page, visit: Visit, form: NoForm) -> Response:  # noqa: ARG001  # every place gets its form
    """Say that it is still the same athlete."""

    def stay() -> str:
        kept = assigning.keep(page.outbox, now=page.now(), set_by=SET_BY)
        return name_of(page.outbox, *kept.who) or ""

    return said(page, visit, page.texts.gettext("Still %(name)s.", name=await change(page, stay)))


async def done(page: Page, visit: Visit, form: NoForm) -> Response:  # noqa: ARG001  # as above
    """Say that nobody is on the station."""
    await change(page, lambda: assigning.assign_nobody(page.outbox, now=page.now(), set_by=SET_BY))
    return said(page, visit, page.texts.gettext("Nobody is on the station."))


async def next_one(page: Page, visit: Visit, form: NoForm) -> Response:  # noqa: ARG001  # as above
    """Let the next one onto the station."""

    def advance() -> str:
        following = queueing.next_in_queue(page.outbox, rules=page.rules, now=page.now())
        return name_of(page.outbox, *following.who) or ""

    return said(
        page,
        visit,
        page.texts.gettext("%(name)s is on the station.", name=await change(page, advance)),
    )


async def enqueue(page: Page, visit: Visit, form: AssignForm) -> Response:
    """Put somebody at the queue's end."""
    wanted = form.movement(page)

    def append() -> str:
        queueing.enqueue(page.outbox, form.key, wanted, rules=page.rules)
        return name_of_key(page, form.key)

    return said(
        page,
        visit,
        page.texts.gettext("%(name)s added to the queue.", name=await change(page, append)),
    )


async def move(page: Page, visit: Visit, form: MoveForm) -> Response:
    """Put somebody elsewhere in the queue."""
    place = visit.number("place")
    await change(page, lambda: queueing.move_in_queue(page.outbox, place, to=form.to))
    return said(page, visit, page.texts.gettext("Queue updated."))


async def remove(page: Page, visit: Visit, form: NoForm) -> Response:  # noqa: ARG001  # as above
    """Take somebody out of the queue; for ten seconds it can be taken back."""
    place = visit.number("place")
    undoable = await change(page, lambda: undoing.unqueue(page.outbox, place, now=page.now()))
    return said(page, visit, page.texts.gettext("Queue updated."), undoable=undoable)


async def clear(page: Page, visit: Visit, form: NoForm) -> Response:  # noqa: ARG001  # as above
    """Empty the queue; for ten seconds it can be taken back."""
    undoable = await change(page, lambda: undoing.clear_queue(page.outbox, now=page.now()))
    return said(page, visit, page.texts.gettext("Queue updated."), undoable=undoable)


async def rotate(page: Page, visit: Visit, form: SwitchForm) -> Response:
    """Let whoever is done go to the queue's end, or no longer."""
    on = form.on == "yes"
    await change(page, lambda: queueing.set_rotate(page.outbox, on=on))
    return said(
        page,
        visit,
        page.texts.gettext("Rotation on.") if on else page.texts.gettext("Rotation off."),
    )


async def guest(page: Page, visit: Visit, form: GuestForm) -> Response:
    """Note somebody whom the account does not know."""
    noted = await change(page, lambda: note_guest(page.outbox, form.name, now_s=page.now().utc_s))
    return said(page, visit, page.texts.gettext("Guest added: %(name)s.", name=noted.name))


async def resolve(page: Page, visit: Visit, form: ResolveForm) -> Response:
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
        visit,
        page.texts.ngettext(
            "Linked to %(name)s. %(n)s take will be uploaded.",
            "Linked to %(name)s. %(n)s takes will be uploaded.",
            n,
            name=name,
        ),
    )


def name_of_key(page: Page, key: str) -> str:
    """Return a person's name by their key."""
    return name_of(page.outbox, *split_key(key)) or ""


PLACES = (
    Do(path="/assign", access=Access.COACH, form=AssignForm, answer=assign),
    Do(path="/repeat", access=Access.COACH, form=KeyForm, answer=repeat),
    Do(path="/mass", access=Access.COACH, form=MassForm, answer=step_mass),
    Do(path="/keep", access=Access.COACH, form=NoForm, answer=keep),
    Do(path="/done", access=Access.COACH, form=NoForm, answer=done),
    Do(path="/next", access=Access.COACH, form=NoForm, answer=next_one),
    Do(path="/queue", access=Access.COACH, form=AssignForm, answer=enqueue),
    Do(path="/queue/{place:int}/move", access=Access.COACH, form=MoveForm, answer=move),
    Do(path="/queue/{place:int}/remove", access=Access.COACH, form=NoForm, answer=remove),
    Do(path="/queue/clear", access=Access.COACH, form=NoForm, answer=clear),
    Do(path="/queue/rotate", access=Access.COACH, form=SwitchForm, answer=rotate),
    Do(path="/guest", access=Access.COACH, form=GuestForm, answer=guest),
    Do(path="/guest/resolve", access=Access.COACH, form=ResolveForm, answer=resolve),
)
