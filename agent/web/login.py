"""Routes for logging in and out."""

import math

from pydantic import Field
from starlette.responses import RedirectResponse, Response

from agent.outbox.devices import Role
from agent.web.auth import LoginSession
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

_HOME = {Role.COACH: "/", Role.WALL: "/wall"}


class PinForm(Form):
    """What somebody types at the door."""

    pin: str = Field(max_length=64)


class PairForm(Form):
    """What a pairing link carries."""

    token: str = Field(max_length=64)


async def show_login(page: WebContext, visit: RequestContext) -> Response:
    """Ask for the PIN; who is in already goes on."""
    if visit.session is not None:
        return RedirectResponse(_HOME[visit.session.role], 303)
    return draw(page, "door.html", pairing=False)


async def login(page: WebContext, visit: RequestContext, form: PinForm) -> Response:
    """Let a device in by PIN."""
    entered = await page.door.enter_by_pin(form.pin.strip(), address=visit.address)
    if isinstance(entered, LoginSession):
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


async def show_pairing(page: WebContext, visit: RequestContext) -> Response:  # noqa: ARG001  # every place gets its visit
    """Take a pairing link, whose token is behind the # and so never in a request."""
    return draw(page, "door.html", pairing=True)


async def pair(page: WebContext, visit: RequestContext, form: PairForm) -> Response:  # as above
    """Let a device in by its pairing link."""
    session = await page.door.enter_by_pairing(form.token.strip().lower(), address=visit.address)
    if session is None:
        message = page.texts.gettext(
            "This code is used or expired. Create a new one with “spotter pair”."
        )
        return draw(page, "door.html", status=403, pairing=True, message=message)
    return _welcome(page, session)


async def leave(page: WebContext, visit: RequestContext, form: NoForm) -> Response:  # noqa: ARG001  # as above
    """Let this device in no longer."""
    assert visit.session is not None  # not for anybody
    await page.door.leave(visit.session)
    response = RedirectResponse("/login", 303)
    page.door.take_back(response)
    return response


def _welcome(page: WebContext, session: LoginSession) -> Response:
    response = RedirectResponse(_HOME[session.role], 303)
    page.door.give(response, session)
    return response


LOGIN_ROUTES = (
    GetEndpoint(path="/login", access=RequiredAccess.ANYBODY, answer=show_login),
    PostEndpoint(path="/login", access=RequiredAccess.ANYBODY, form=PinForm, answer=login),
    GetEndpoint(path="/pair", access=RequiredAccess.ANYBODY, answer=show_pairing),
    PostEndpoint(path="/pair", access=RequiredAccess.ANYBODY, form=PairForm, answer=pair),
    PostEndpoint(path="/leave", access=RequiredAccess.WALL, form=NoForm, answer=leave),
)
