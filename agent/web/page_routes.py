"""Routes of the pages, of logging in and out, of static files and of server-sent events."""

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator, Mapping
from typing import TypedDict
from urllib.parse import urlencode

from pydantic import Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)

from agent.errors import RequestError
from agent.exercises import EXERCISES
from agent.station.check_in import MOST_MEMBERS
from agent.web.auth import LoginSession
from agent.web.i18n import Texts, Wording
from agent.web.routing import (
    HOME,
    Form,
    GetEndpoint,
    PostEndpoint,
    RequestContext,
    RequiredAccess,
    SharedContext,
    WebContext,
    action_endpoint,
    draw,
    static,
    version_of,
)
from agent.web.take_routes import entry_of
from agent.web.views.athlete import (
    MOST_NAME,
    SPANS_DAYS,
    STATE_GROUPS,
    AthletePage,
    HistoryPage,
    HistoryQuery,
    TakePage,
)
from agent.web.views.cards import figures_of
from agent.web.views.dashboard import CSRF_PLACE, MOST_FOUND, MOST_RECENT, NOW_PLACE, GroupEntry

_MOST_SEARCHED = 100  # characters
_GROUP = re.compile(r"[0-9]{0,18}")


async def start(page: WebContext, context: RequestContext) -> Response:
    """Show a coach the station."""
    drawing = await page.database.read(lambda: page.board.drawing(wall=False))
    csrf_token = page.auth.signer.csrf_token(context.login)
    return HTMLResponse(_filled(page, drawing.page).replace(CSRF_PLACE, csrf_token))


async def wall(page: WebContext, context: RequestContext) -> Response:  # noqa: ARG001  # every endpoint gets its context
    """Show everybody in the hall what the station is doing."""
    drawing = await page.database.read(lambda: page.board.drawing(wall=True))
    return HTMLResponse(_filled(page, drawing.page))


def _filled(page: WebContext, drawn: str) -> str:
    return drawn.replace(NOW_PLACE, repr(page.now().utc_s), 1)


async def athletes(page: WebContext, context: RequestContext) -> Response:
    """Return athletes by any part of their names, as tiles."""
    text, group = (context.request.query_params.get(name, "") for name in ("q", "group"))
    if len(text) > _MOST_SEARCHED or not _GROUP.fullmatch(group):
        field = "q" if _GROUP.fullmatch(group) else "group"
        raise HTTPException(422, page.texts.gettext("Invalid input: %(fields)s", fields=field))
    group_id = int(group) if group else None
    searched = bool(text.strip())
    most = MOST_MEMBERS if group else MOST_FOUND if searched else MOST_RECENT
    known = page.board.people
    people = await page.database.read(
        lambda: known.found(known.assignment_status(), text, most=most, group_id=group_id)
    )
    template = page.templates.get_template("parts/tiles.html")
    return HTMLResponse(
        template.render(
            people=people, searched=searched, grouped=bool(group), wording=page.board.wording
        )
    )


START_ROUTES = (
    GetEndpoint(path="/", access=RequiredAccess.COACH, answer=start),
    GetEndpoint(path="/wall", access=RequiredAccess.WALL, answer=wall),
    GetEndpoint(path="/athletes", access=RequiredAccess.COACH, answer=athletes),
)


class _Common(TypedDict):
    """What every live page needs."""

    csrf_token: str  # the device's own
    mark: str  # of the start page's parts: what changes them may change this page
    now: float
    exercises: Mapping[str, tuple[str, ...]]  # by activity
    wording: Wording


async def athlete(page: WebContext, context: RequestContext) -> Response:
    """Show an athlete's takes, and a number of theirs over time."""
    key, query = context.parameter("key"), context.request.query_params
    days = next((span for span in SPANS_DAYS if str(span) == query.get("days")), SPANS_DAYS[0])
    wished = query.get("number", "")
    number = wished if 0 < len(wished) <= MOST_NAME and wished.isprintable() else None

    def read() -> tuple[AthletePage | None, str]:
        sheet = page.board.sheets.of(key, days=days, number=number)
        return sheet, page.board.drawing(wall=False).mark

    try:
        sheet, mark = await page.database.read(read)
    except RequestError:
        sheet, mark = None, ""
    if sheet is None:
        raise HTTPException(404, page.texts.gettext("No athlete with this name."))
    return draw(
        page,
        "athlete.html",
        **_common(page, context, mark),
        sheet=sheet,
        spans=_spans(page.texts),
    )


def _spans(texts: Texts) -> dict[int, str]:
    """Return the periods that can be chosen, by their days."""
    names = (
        texts.gettext("Today"),
        texts.gettext("7 days"),
        texts.gettext("30 days"),
        texts.gettext("1 year"),
    )
    return dict(zip(SPANS_DAYS, names, strict=True))


async def take(page: WebContext, context: RequestContext) -> Response:
    """Show one take with a player and every number of it, beside another one if asked."""
    entry = await entry_of(page, context)
    beside = context.request.query_params.get("with", "")

    def read() -> tuple[TakePage, str]:
        shown = page.board.sheets.take(page.outbox.gallery.of_entry(entry.id), beside=beside)
        return shown, page.board.drawing(wall=False).mark

    shown, mark = await page.database.read(read)
    return draw(
        page,
        "take.html",
        **_common(page, context, mark),
        card=shown.card,
        figures=figures_of(shown.numbers, page.texts),
        player=shown.player,
        others=shown.others,
    )


async def history(page: WebContext, context: RequestContext) -> Response:
    """Show the takes that pass a filter."""
    query = _history_query(page, context)

    def read() -> tuple[HistoryPage, str]:
        return page.board.history.page(query), page.board.drawing(wall=False).mark

    found, mark = await page.database.read(read)
    asked = query.model_dump(mode="json", exclude_none=True, exclude={"before"})
    return draw(
        page,
        "history.html",
        **_common(page, context, mark),
        history=found,
        query=query,
        states={value: page.texts.gettext(name) for value, (name, _) in STATE_GROUPS.items()},
        more=urlencode({**asked, "before": found.next_before}),
    )


async def history_csv(page: WebContext, context: RequestContext) -> Response:
    """Return the takes that pass a filter as a file for a spreadsheet."""
    query = _history_query(page, context)
    text = await page.database.read(lambda: page.board.history.csv(query))
    headers = {"content-disposition": 'attachment; filename="takes.csv"'}
    return Response(text, media_type="text/csv", headers=headers)


def _history_query(page: WebContext, context: RequestContext) -> HistoryQuery:
    try:
        return HistoryQuery.model_validate(dict(context.request.query_params))
    except ValidationError as error:
        fields = ", ".join(sorted({str(part["loc"][0]) for part in error.errors()}))
        text = page.texts.gettext("Invalid input: %(fields)s", fields=fields)
        raise HTTPException(422, text) from None


async def groups(page: WebContext, context: RequestContext) -> Response:
    """Show the groups of athletes, to edit them."""

    def read() -> tuple[list[GroupEntry], str]:
        return page.board.people.groups(), page.board.drawing(wall=False).mark

    known, mark = await page.database.read(read)
    return draw(page, "groups.html", **_common(page, context, mark), groups=known)


def _common(page: WebContext, context: RequestContext, mark: str) -> _Common:
    csrf_token = page.auth.signer.csrf_token(context.login)
    return _Common(
        csrf_token=csrf_token,
        mark=mark,
        now=page.now().utc_s,
        exercises=EXERCISES,
        wording=page.board.wording,
    )


ATHLETE_ROUTES = (
    GetEndpoint(path="/athlete/{key:path}", access=RequiredAccess.COACH, answer=athlete),
    GetEndpoint(path="/take/{code}", access=RequiredAccess.COACH, answer=take),
    GetEndpoint(path="/groups", access=RequiredAccess.COACH, answer=groups),
    GetEndpoint(path="/history", access=RequiredAccess.COACH, answer=history),
    GetEndpoint(path="/history.csv", access=RequiredAccess.COACH, answer=history_csv),
)


_LOOK_EVERY_S = 0.5
_BEAT_EVERY_S = 5.0  # a page that hears nothing for twice as long says so
_MOST_WATCHERS = 32


async def watch(page: WebContext, context: RequestContext) -> Response:
    """Send a coach's page its changes for as long as it listens."""
    return _stream(page, context, wall=False)


async def watch_wall(page: WebContext, context: RequestContext) -> Response:
    """Send the wall its changes for as long as it listens."""
    return _stream(page, context, wall=True)


def _stream(page: WebContext, context: RequestContext, *, wall: bool) -> Response:
    if context.request.method == "HEAD":
        return Response(media_type="text/event-stream")
    if page.watchers >= _MOST_WATCHERS:
        return Response("too many connections", 429, headers={"retry-after": "30"})
    asked = context.request  # a browser that listens again says what it heard last
    mark = asked.headers.get("last-event-id") or asked.query_params.get("mark", "")
    events = _events(page, context.login, mark, wall=wall)
    return StreamingResponse(events, media_type="text/event-stream")


async def _events(
    page: WebContext, session: LoginSession, mark: str, *, wall: bool
) -> AsyncIterator[str]:
    """Yield events until the daemon ends or the device may no longer come in."""
    page.watchers += 1
    quiet_s = _BEAT_EVERY_S  # the first event goes out at once
    try:
        marks = await page.database.read(lambda: _shown(page, mark, wall=wall))
        while not page.signs.stop.is_set() and await page.auth.lets_in(session):
            drawing = await page.database.read(lambda: page.board.drawing(wall=wall))
            parts = drawing.changed_since(marks)
            marks = drawing.marks
            if parts or quiet_s >= _BEAT_EVERY_S:
                quiet_s = 0.0
                yield _event(page, drawing.mark, parts)
            await asyncio.sleep(_LOOK_EVERY_S)
            quiet_s += _LOOK_EVERY_S
    finally:
        page.watchers -= 1


def _shown(page: WebContext, mark: str, *, wall: bool) -> Mapping[str, str]:
    """Return the marks of what a page shows, if it was drawn just now."""
    drawing = page.board.drawing(wall=wall)
    return drawing.marks if drawing.mark == mark else {}


def _event(page: WebContext, mark: str, parts: Mapping[str, str]) -> str:
    event = {"now": page.now().utc_s, "version": version_of("page.js"), "parts": parts}
    return f"id: {mark}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n"


LIVE_ROUTES = (
    GetEndpoint(path="/live", access=RequiredAccess.COACH, answer=watch),
    GetEndpoint(path="/wall/live", access=RequiredAccess.WALL, answer=watch_wall),
)


_FOR_EVER = {"cache-control": "public, max-age=31536000, immutable"}


async def script(page: SharedContext, context: RequestContext) -> Response:  # noqa: ARG001  # every endpoint gets both
    """Return a script of the page; by its version it may be kept for ever."""
    name = context.request.url.path.lstrip("/")
    is_named = context.request.query_params.get("v") == version_of(name)
    headers = _FOR_EVER if is_named else None
    return Response(static(name), media_type="text/javascript", headers=headers)


async def icon(page: SharedContext, context: RequestContext) -> Response:  # noqa: ARG001  # as above
    """Return the icon."""
    return Response(static("icon.svg"), media_type="image/svg+xml")


async def manifest(page: SharedContext, context: RequestContext) -> Response:  # noqa: ARG001  # as above
    """Return what makes the page an application on a home screen; it names nobody."""
    document = {
        "name": "Spotter",
        "short_name": "Spotter",
        "start_url": "/",
        "display": "standalone",
        "background_color": "#101316",
        "theme_color": "#101316",
        "icons": [{"src": "/icon.svg", "sizes": "any", "type": "image/svg+xml"}],
    }
    return JSONResponse(document, media_type="application/manifest+json")


FILE_ROUTES = (
    GetEndpoint(path="/page.js", access=RequiredAccess.ANYBODY, answer=script),
    GetEndpoint(path="/camera.js", access=RequiredAccess.ANYBODY, answer=script),
    GetEndpoint(path="/setup.js", access=RequiredAccess.ANYBODY, answer=script),
    GetEndpoint(path="/icon.svg", access=RequiredAccess.ANYBODY, answer=icon),
    GetEndpoint(path="/manifest.webmanifest", access=RequiredAccess.ANYBODY, answer=manifest),
)


class PinForm(Form):
    """What somebody types at the door."""

    pin: str = Field(max_length=64)


class PairForm(Form):
    """What a pairing link carries."""

    token: str = Field(max_length=64)


async def show_login(page: SharedContext, context: RequestContext) -> Response:
    """Ask for the PIN; devices that are logged in are redirected."""
    if context.session is not None:
        return RedirectResponse(HOME[context.session.role], 303)
    return draw(page, "door.html", pairing=False)


async def login(page: SharedContext, context: RequestContext, form: PinForm) -> Response:
    """Let a device in by PIN."""
    entered = await page.auth.enter_by_pin(form.pin.strip(), address=context.address)
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


async def show_pairing(page: SharedContext, context: RequestContext) -> Response:  # noqa: ARG001  # every endpoint gets its context
    """Take a pairing link, whose token is behind the # and so never in a request."""
    return draw(page, "door.html", pairing=True)


async def pair(page: SharedContext, context: RequestContext, form: PairForm) -> Response:
    """Let a device in by its pairing link."""
    session = await page.auth.enter_by_pairing(form.token.strip().lower(), address=context.address)
    if session is None:
        message = page.texts.gettext(
            "This code is used or expired. Create a new one with “%(command)s”.",
            command=page.templates.globals["pair_command"],
        )
        return draw(page, "door.html", status=403, pairing=True, message=message)
    return _welcome(page, session)


async def leave(page: SharedContext, context: RequestContext) -> Response:
    """Let this device in no longer."""
    await page.auth.leave(context.login)
    response = RedirectResponse("/login", 303)
    page.auth.take_back(response)
    return response


def _welcome(page: SharedContext, session: LoginSession) -> Response:
    response = RedirectResponse(HOME[session.role], 303)
    page.auth.give(response, session)
    return response


LOGIN_ROUTES = (
    GetEndpoint(path="/login", access=RequiredAccess.ANYBODY, answer=show_login),
    PostEndpoint(path="/login", access=RequiredAccess.ANYBODY, form=PinForm, answer=login),
    GetEndpoint(path="/pair", access=RequiredAccess.ANYBODY, answer=show_pairing),
    PostEndpoint(path="/pair", access=RequiredAccess.ANYBODY, form=PairForm, answer=pair),
    action_endpoint(path="/leave", access=RequiredAccess.WALL, answer=leave),
)
