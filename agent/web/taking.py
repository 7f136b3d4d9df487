"""What a coach does with takes: give, hold, discard, send now, send anew, and undo."""

from collections.abc import Callable
from typing import Annotated, Protocol

from pydantic import Field, field_validator
from starlette.responses import Response

from agent.errors import RequestError
from agent.outbox.entry import Entry
from agent.outbox.people.undoables import Undoable
from agent.outbox.store import Outbox
from agent.station import correcting, resending, steering, undoing
from agent.web.board.words import Movement
from agent.web.media import entry_of
from agent.web.page import Page
from agent.web.places import Access, Do, Form, NoForm, Visit
from agent.web.saying import change, said
from agent.web.stationing import EditForm, Key, KeyForm, name_of_key

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


async def give(page: Page, visit: Visit, form: KeyForm) -> Response:
    """Give a take that was not sent to somebody else."""
    entry = await entry_of(page, visit)

    undoable = await _correct(
        page,
        entry,
        lambda now_s: correcting.give(page.outbox, entry, form.key, rules=page.rules, now_s=now_s),
    )
    name = await page.desk.read(lambda: name_of_key(page, form.key))
    return said(
        page, visit, page.texts.gettext("Assigned to %(name)s.", name=name), undoable=undoable
    )


async def release(page: Page, visit: Visit, form: NoForm) -> Response:  # noqa: ARG001  # every place gets its form
    """Send a held take as it is."""
    entry = await entry_of(page, visit)
    undoable = await _correct(
        page,
        entry,
        lambda now_s: steering.release(
            page.outbox,
            entry,
            said=None,
            station=page.rules.default,
            now_s=now_s,
            send_delay_s=page.rules.send_delay_s,
        ),
    )
    return said(page, visit, page.texts.gettext("It will be uploaded as it is."), undoable=undoable)


async def edit(page: Page, visit: Visit, form: EditForm) -> Response:
    """Correct what a take shows that was not sent."""
    entry = await entry_of(page, visit)
    shows = form.movement(page)
    undoable = await _correct(
        page,
        entry,
        lambda now_s: correcting.edit(page.outbox, entry, shows, rules=page.rules, now_s=now_s),
    )
    words = page.board.wording.movement(Movement.of(shows))
    return said(
        page, visit, page.texts.gettext("Saved: %(movement)s.", movement=words), undoable=undoable
    )


async def _correct(page: Page, entry: Entry, action: Callable[[float], Entry]) -> Undoable:
    """Correct a take, so that it can be taken back."""

    def correct() -> Undoable:
        now = page.now()
        with page.outbox.transaction():
            corrected = action(now.utc_s)
            return undoing.remember_given(page.outbox, [(entry, corrected)], now=now)

    return await change(page, correct)


async def give_several(page: Page, visit: Visit, form: TrayForm) -> Response:
    """Give several takes to somebody."""

    def hand_over() -> tuple[str, int, int, Undoable]:
        now = page.now()
        with page.outbox.transaction():
            outcomes = correcting.give_all(
                page.outbox, form.code, form.key, rules=page.rules, now_s=now.utc_s
            )
            given = [outcome.change for outcome in outcomes if outcome.change is not None]
            if not given:
                raise RequestError(outcomes[0].error or "")
            undoable = undoing.remember_given(page.outbox, given, now=now)
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
    return said(page, visit, text, undoable=undoable)


async def hold(page: Page, visit: Visit, form: NoForm) -> Response:  # noqa: ARG001  # every place gets its form
    """Let a take wait for a person."""
    await _steer(page, visit, correcting.hold)
    return said(page, visit, page.texts.gettext("On hold."))


async def send_now(page: Page, visit: Visit, form: NoForm) -> Response:  # noqa: ARG001  # as above
    """Let a take that counts down go at once."""
    await _steer(page, visit, correcting.send_now)
    return said(page, visit, page.texts.gettext("Uploading now."))


async def retry(page: Page, visit: Visit, form: NoForm) -> Response:  # noqa: ARG001  # as above
    """Try a take again that was refused."""
    await _steer(page, visit, steering.retry)
    return said(page, visit, page.texts.gettext("Trying again."))


async def discard(page: Page, visit: Visit, form: NoForm) -> Response:  # noqa: ARG001  # as above
    """End a take without sending it; for ten seconds it can be taken back."""
    entry = await entry_of(page, visit)
    undoable = await change(page, lambda: undoing.discard(page.outbox, entry, now=page.now()))
    return said(page, visit, page.texts.gettext("Discarded."), undoable=undoable)


async def resend(page: Page, visit: Visit, form: KeyForm) -> Response:
    """Send a delivered take anew for the right athlete; then the wrong session is deleted."""
    entry = await entry_of(page, visit)

    def send_anew() -> tuple[str, Undoable | None]:
        asked = resending.resend(
            page.outbox, page.folder.clips, entry, form.key, rules=page.rules, now=page.now()
        )
        return name_of_key(page, form.key), page.outbox.undoables.by_id(asked.undoable_id)

    name, undoable = await change(page, send_anew)
    return said(
        page,
        visit,
        page.texts.gettext(
            "Uploading again for %(name)s; then the wrong session is deleted.", name=name
        ),
        undoable=undoable,
    )


async def delete_wrong(page: Page, visit: Visit, form: NoForm) -> Response:  # noqa: ARG001  # as above
    """Try again to delete a wrong session that the API kept."""
    resend_id = visit.number("resend")
    await change(
        page,
        lambda: resending.retry_deletion(page.outbox, resend_id, now_s=page.now().utc_s),
    )
    return said(page, visit, page.texts.gettext("Trying again."))


async def undo(page: Page, visit: Visit, form: UndoForm) -> Response:
    """Take back what was ended in the last ten seconds."""
    await change(page, lambda: undoing.undo(page.outbox, form.id, now=page.now()))
    return said(page, visit, page.texts.gettext("Undone."))


async def _steer(page: Page, visit: Visit, action: Steering) -> None:
    entry = await entry_of(page, visit)
    await change(page, lambda: action(page.outbox, entry, now_s=page.now().utc_s))


PLACES = (
    Do(path="/take/{code}/give", access=Access.COACH, form=KeyForm, answer=give),
    Do(path="/take/{code}/release", access=Access.COACH, form=NoForm, answer=release),
    Do(path="/take/{code}/edit", access=Access.COACH, form=EditForm, answer=edit),
    Do(path="/take/{code}/hold", access=Access.COACH, form=NoForm, answer=hold),
    Do(path="/take/{code}/send", access=Access.COACH, form=NoForm, answer=send_now),
    Do(path="/take/{code}/retry", access=Access.COACH, form=NoForm, answer=retry),
    Do(path="/take/{code}/discard", access=Access.COACH, form=NoForm, answer=discard),
    Do(path="/take/{code}/resend", access=Access.COACH, form=KeyForm, answer=resend),
    Do(path="/resend/{resend:int}/delete", access=Access.COACH, form=NoForm, answer=delete_wrong),
    Do(path="/tray/give", access=Access.COACH, form=TrayForm, answer=give_several),
    Do(path="/undo", access=Access.COACH, form=UndoForm, answer=undo),
)
