"""Endpoints, required access, request context, and the templates that answers are drawn from.

Every route is one of two kinds, and both check the request first: a `GetEndpoint` requires a
session of the right role; a `PostEndpoint` requires the device's CSRF token besides, and a form
whose every field is known, bounded and of its type.
"""

import asyncio
import hashlib
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Generic, Protocol, TypeVar
from urllib.parse import parse_qsl

import structlog
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import escape
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.applications import Starlette
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from agent.errors import AgentError
from agent.outbox.corrections import UndoableAction
from agent.outbox.devices import Role
from agent.stage import StageName
from agent.web.auth import API_PATH, Authenticator, Guard, LoginSession, TapGuard
from agent.web.context import DatabaseExecutor, PageContext
from agent.web.i18n import Texts
from agent.web.metrics import Metrics
from agent.web.views.camera import FramingChecker, LivePictures
from agent.web.views.dashboard import Dashboard

log = structlog.get_logger(stage=StageName.PAGE)


@dataclass(slots=True, kw_only=True)
class WebContext(PageContext):
    """What the endpoints of one station's page share."""

    database: DatabaseExecutor
    auth: Authenticator
    measures: Metrics | None = None  # from when they are first asked for
    watchers: int = 0  # how many listen to the page's events
    board: Dashboard = field(init=False)
    pictures: LivePictures = field(init=False)
    framing: FramingChecker = field(init=False)
    taps: TapGuard = field(init=False)

    def __post_init__(self) -> None:
        """Make the dashboard, which is drawn from all of this."""
        PageContext.__post_init__(self)
        self.taps = TapGuard(self.settings.web)
        self.board = Dashboard(self)
        self.pictures = LivePictures(self.folder.recorder_socket)
        self.framing = FramingChecker(self)


CSRF_FIELD = "csrf_token"
CSRF_HEADER = "x-csrf-token"
_FORM_TYPE = "application/x-www-form-urlencoded"
_MOST_BYTES = 16384
_MOST_FIELDS = 256
_BODY_WITHIN_S = 10.0


class _NumberConvertor(Convertor[int]):
    """A number in a path, no longer than the outbox can hold: a longer one matches no route."""

    regex = "[0-9]{1,18}"

    def convert(self, value: str) -> int:
        """Return it."""
        return int(value)

    def to_string(self, value: int) -> str:
        """Return it as it stands in a path."""
        return str(value)


register_url_convertor("int", _NumberConvertor())


class RequiredAccess(Enum):
    """Who may use an endpoint."""

    ANYBODY = "anybody"
    WALL = "wall"  # coaches, too
    COACH = "coach"
    KIOSK = "kiosk"
    SETUP = "setup"
    CAMERA = "camera"  # coaches, and who sets the station up


_REACH = {
    Role.WALL: {RequiredAccess.WALL},
    Role.KIOSK: {RequiredAccess.KIOSK},
    Role.SETUP: {RequiredAccess.SETUP, RequiredAccess.CAMERA},
    Role.COACH: {RequiredAccess.WALL, RequiredAccess.COACH, RequiredAccess.CAMERA},
}
HOME = {Role.COACH: "/", Role.WALL: "/wall", Role.KIOSK: "/kiosk", Role.SETUP: "/setup"}


class Form(BaseModel):
    """What a changing request says: nothing unknown, nothing twice."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_max_length=256)


class NoForm(Form):
    """Nothing but the CSRF token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext:
    """One request and the session that it came with."""

    request: Request
    session: LoginSession | None  # None only where the endpoint is open to anybody

    @property
    def login(self) -> LoginSession:
        """The session, at an endpoint that is not open to anybody."""
        assert self.session is not None  # checked by `GuardedEndpoint`
        return self.session

    @property
    def address(self) -> str:
        """Where the request came from."""
        return self.request.client.host if self.request.client else ""

    @property
    def wants_page(self) -> bool:
        """Tell whether a browser itself asks, not the page's script."""
        return "text/html" in self.request.headers.get("accept", "")

    def parameter(self, name: str) -> str:
        """Return a part of the path."""
        return str(self.request.path_params[name])

    def number(self, name: str) -> int:
        """Return a number in the path."""
        return int(self.request.path_params[name])


class SharedContext(Protocol):
    """What the endpoints of every page share, a station's or a hub's."""

    @property
    def auth(self) -> Authenticator:
        """Who may come in."""

    @property
    def texts(self) -> Texts:
        """The page's language."""

    @property
    def templates(self) -> Environment:
        """What is rendered."""


FormType = TypeVar("FormType", bound=Form)
PageType = TypeVar("PageType", bound=SharedContext, contravariant=True)


class Endpoint(Protocol[PageType]):
    """One path and method of the page."""

    @property
    def path(self) -> str:
        """The path."""

    @property
    def method(self) -> str:
        """The HTTP method."""

    @property
    def access(self) -> RequiredAccess:
        """Who may use it."""

    async def respond(self, page: PageType, context: RequestContext) -> Response:
        """Answer a request that is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetEndpoint(Generic[PageType]):
    """An endpoint that changes nothing."""

    path: str
    access: RequiredAccess
    answer: Callable[[PageType, RequestContext], Awaitable[Response]]
    method: str = "GET"

    async def respond(self, page: PageType, context: RequestContext) -> Response:
        """Return the response."""
        return await self.answer(page, context)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostEndpoint(Generic[PageType, FormType]):
    """An endpoint that changes something."""

    path: str
    access: RequiredAccess
    form: type[FormType]
    answer: Callable[[PageType, RequestContext, FormType], Awaitable[Response]]
    method: str = "POST"

    async def respond(self, page: PageType, context: RequestContext) -> Response:
        """Check the CSRF token and the form, then carry it out."""
        fields = await form_fields(context.request)
        given = fields.pop(CSRF_FIELD, None) or context.request.headers.get(CSRF_HEADER)
        token = given if isinstance(given, str) else ""
        is_open = self.access is RequiredAccess.ANYBODY
        if not (is_open or page.auth.signer.verify_csrf(context.login, token)):
            raise HTTPException(403, page.texts.gettext("The page is out of date: reload it."))
        try:
            form = self.form.model_validate(fields)
        except ValidationError as error:
            where = ", ".join(
                sorted({str(part["loc"][0]) for part in error.errors() if part["loc"]})
            )
            raise HTTPException(
                422, page.texts.gettext("Invalid input: %(fields)s", fields=where[:80])
            ) from None
        return await self.answer(page, context, form)


def action_endpoint(
    *,
    path: str,
    access: RequiredAccess,
    answer: Callable[[PageType, RequestContext], Awaitable[Response]],
) -> PostEndpoint[PageType, NoForm]:
    """Return an endpoint that changes something, for which its path says all that is needed."""
    return PostEndpoint(
        path=path,
        access=access,
        form=NoForm,
        answer=lambda page, context, _form: answer(page, context),
    )


class GuardedEndpoint(Generic[PageType]):
    """An endpoint that checks the session and its role first."""

    def __init__(self, page: PageType, endpoint: Endpoint[PageType]) -> None:
        self._page = page
        self.endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        session = await self._page.auth.session_of(request)
        context = RequestContext(request=request, session=session)
        if self.endpoint.access is not RequiredAccess.ANYBODY:
            if session is None:
                return _ask_in(self._page, context)
            if self.endpoint.access not in _REACH[session.role]:
                return _refuse_role(self._page, context, session.role)
        response = await self.endpoint.respond(self._page, context)
        if session is not None and self._may_renew(request, session):
            self._page.auth.give(response, session)
        return response

    def _may_renew(self, request: Request, session: LoginSession) -> bool:
        is_ours_to_give = self.endpoint.access is not RequiredAccess.ANYBODY
        return is_ours_to_give and self._page.auth.wants_new_cookie(request, session)


def application(
    page: PageType, endpoints: Iterable[Endpoint[PageType]], *, styles: str
) -> Starlette:
    """Return the application of a page, a station's or a hub's.

    Args:
        page: what its endpoints share.
        endpoints: all of them.
        styles: the only style sheet that a browser may use.
    """

    async def on_refusal(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # registered for nothing else
        return _refused(request, str(error.detail), error.status_code, error.headers)

    async def on_agent_error(request: Request, error: Exception) -> Response:
        text = page.texts.gettext("Not possible at the moment. (%(detail)s)", detail=str(error))
        return _refused(request, text, 409)

    async def on_refusing_disk(request: Request, error: Exception) -> Response:
        log.error("change not saved", path=request.url.path[:80], error=str(error))
        text = page.texts.gettext(
            "The disk cannot be written at the moment; nothing was changed. Try again."
        )
        return _refused(request, text, 503, {"retry-after": "5"})

    app = Starlette(
        routes=[route(page, endpoint) for endpoint in endpoints],
        middleware=[Middleware(Guard, hosts=page.auth.hosts, styles=styles)],
        exception_handlers={
            HTTPException: on_refusal,
            AgentError: on_agent_error,
            sqlite3.DatabaseError: on_refusing_disk,  # a refused reading, too, is called damage
            OSError: on_refusing_disk,
        },
    )
    app.router.redirect_slashes = False
    return app


def _refused(
    request: Request, text: str, status: int, headers: Mapping[str, str] | None = None
) -> Response:
    is_program = request.url.path.startswith(API_PATH)
    if is_program or "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"say": text}, status, headers=headers)
    return PlainTextResponse(text, status, headers=headers)


def route(page: PageType, endpoint: Endpoint[PageType]) -> Route:
    """Return an endpoint as a route of the application."""
    return Route(endpoint.path, GuardedEndpoint(page, endpoint), methods=[endpoint.method])


def _ask_in(page: SharedContext, context: RequestContext) -> Response:
    if context.wants_page and context.request.method == "GET":
        return RedirectResponse("/login", 303)
    raise HTTPException(401, page.texts.gettext("Login expired: reload the page."))


def _refuse_role(page: SharedContext, context: RequestContext, role: Role) -> Response:
    if context.wants_page and context.request.method == "GET":
        return RedirectResponse(HOME[role], 303)
    raise HTTPException(403, page.texts.gettext("This device is read-only."))


async def form_fields(request: Request) -> dict[str, str | list[str]]:
    """Return the fields of a form; one that is given several times as a list.

    Raises:
        HTTPException: it is no form, too large, or not here in time.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {_FORM_TYPE, ""}:
        raise HTTPException(415, "the body must be a form")
    try:
        async with asyncio.timeout(_BODY_WITHIN_S):
            body = await _body(request)
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except TimeoutError:
        raise HTTPException(408, "the form was not received in time") from None
    except (ValueError, ClientDisconnect):  # UnicodeDecodeError is one
        raise HTTPException(400, "malformed form") from None
    return _gathered(pairs)


async def _body(request: Request) -> bytes:
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > _MOST_BYTES:
            raise HTTPException(413, "form too large")
    return bytes(parts)


def _gathered(pairs: Iterable[tuple[str, str]]) -> dict[str, str | list[str]]:
    fields: dict[str, str | list[str]] = {}
    for name, value in pairs:
        before = fields.get(name)
        if before is None:
            fields[name] = value
        elif isinstance(before, list):
            before.append(value)
        else:
            fields[name] = [before, value]
    return fields


SET_BY = "page"
Answer = TypeVar("Answer")


async def change(page: WebContext, action: Callable[[], Answer]) -> Answer:
    """Carry out a change, and let every stage check for work at once."""
    done = await page.database.write(action)
    page.signs.wake()
    return done


def said(
    page: WebContext,
    context: RequestContext,
    text: str,
    *,
    undoable: UndoableAction | None = None,
    seen: int | None = None,
    home: str = "/",
) -> Response:
    """Answer a change: a sentence for the page's script, its start page for a bare browser.

    Args:
        page, context: as ever.
        text: the sentence.
        undoable: what can be taken back.
        seen: the assignment from which the same device steps on, before it is drawn.
        home: the start page.
    """
    if context.wants_page:
        return RedirectResponse(home, 303)
    document: dict[str, object] = {"say": text}
    if undoable is not None:
        document["undo"] = {"id": undoable.id, "left_s": undoable.left_s(page.now())}
    if seen is not None:
        document["seen"] = seen
    return JSONResponse(document)


_FOLDER = Path(__file__).parent


@cache
def static(name: str) -> str:
    """Return a file that goes to every browser."""
    return (_FOLDER / "static" / name).read_text(encoding="utf-8")


@cache
def version_of(name: str) -> str:
    """Return what changes whenever a file does."""
    return hashlib.sha256(static(name).encode()).hexdigest()[:12]


def make_templates(texts: Texts, *, styles: str, **used: object) -> Environment:
    """Return the templates.

    Args:
        texts: the page's language.
        styles: the only ones that the page may use.
        used: what else all of them use.
    """
    environment = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        extensions=["jinja2.ext.i18n"],
    )
    environment.globals.update(
        language=texts.language,
        styles=styles,
        script_version=version_of("page.js"),
        version_of=version_of,
        **used,
    )
    # A translation is text like any other: its own < and " are escaped, as its values are.
    environment.install_gettext_callables(  # type: ignore[attr-defined]  # the extension adds it
        lambda message: escape(texts.translated(message)),
        lambda one, many, n: escape(texts.plural(one, many, n)),
        newstyle=True,
    )
    return environment


def draw(page: SharedContext, name: str, *, status: int = 200, **values: object) -> Response:
    """Return a template as an answer."""
    html = page.templates.get_template(name).render({"message": None, **values})
    return HTMLResponse(html, status)
