"""Coming in and leaving: PIN, pairing link, and out again."""

import math

from pydantic import Field
from starlette.responses import RedirectResponse, Response

from agent.outbox.people.devices import Role
from agent.web.access.sessions import Session
from agent.web.drawing import draw
from agent.web.page import Page
from agent.web.places import Access, Do, Form, NoForm, See, Visit

_HOME = {Role.COACH: "/", Role.WALL: "/wall"}


class PinForm(Form):
    """What somebody types at the door."""

    pin: str = Field(max_length=64)


class PairForm(Form):
    """What a pairing link carries."""

    token: str = Field(max_length=64)


async def show_login(page: Page, visit: Visit) -> Response:
    """Ask for the PIN; who is in already goes on."""
    if visit.session is not None:
        return RedirectResponse(_HOME[visit.session.role], 303)
    return draw(page, "door.html", pairing=False)


async def login(page: Page, visit: Visit, form: PinForm) -> Response:
    """Let a device in by PIN."""
    entered = await page.door.enter_by_pin(form.pin.strip(), address=visit.address)
    if isinstance(entered, Session):
        return _welcome(page, entered)
    if entered > 0:
        message = page.texts.gettext(
            "Too many wrong PINs. Wait %(wait)s.", wait=page.texts.duration(math.ceil(entered))
        )
        response = draw(page, "door.html", status=429, pairing=False, message=message)
        response.headers["retry-after"] = str(math.ceil(entered))
        return response
    message = page.texts.gettext("Wrong PIN.")
    return draw(page, "door.html", status=403, pairing=False, message=message)


async def show_pairing(page: Page, visit: Visit) -> Response:  # noqa: ARG001  # every place gets its visit
    """Take a pairing link, whose token is behind the # and so never in a request."""
    return draw(page, "door.html", pairing=True)


async def pair(page: Page, visit: Visit, form: PairForm) -> Response:  # as above
    """Let a device in by its pairing link."""
    session = await page.door.enter_by_pairing(form.token.strip().lower(), address=visit.address)
    if session is None:
        message = page.texts.gettext(
            "This code is used or expired. Create a new one with “spotter pair”."
        )
        return draw(page, "door.html", status=403, pairing=True, message=message)
    return _welcome(page, session)


async def leave(page: Page, visit: Visit, form: NoForm) -> Response:  # noqa: ARG001  # as above
    """Let this device in no longer."""
    assert visit.session is not None  # not for anybody
    await page.door.leave(visit.session)
    response = RedirectResponse("/login", 303)
    page.door.take_back(response)
    return response


def _welcome(page: Page, session: Session) -> Response:
    response = RedirectResponse(_HOME[session.role], 303)
    page.door.give(response, session)
    return response


PLACES = (
    See(path="/login", access=Access.ANYBODY, answer=show_login),
    Do(path="/login", access=Access.ANYBODY, form=PinForm, answer=login),
    See(path="/pair", access=Access.ANYBODY, answer=show_pairing),
    Do(path="/pair", access=Access.ANYBODY, form=PairForm, answer=pair),
    Do(path="/leave", access=Access.WALL, form=NoForm, answer=leave),
)
