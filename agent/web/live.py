"""The page's live voice: server-sent events with the parts that have changed.

One look at the outbox serves all watchers: the parts are drawn once for all of them, and only
when something was written.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping

from starlette.responses import Response, StreamingResponse

from agent.web.access.sessions import Session
from agent.web.drawing import version_of
from agent.web.page import Page
from agent.web.places import Access, See, Visit

_LOOK_EVERY_S = 0.5
_BEAT_EVERY_S = 5.0  # a page that hears nothing for twice as long says so
_MOST_WATCHERS = 32


async def watch(page: Page, visit: Visit) -> Response:
    """Send a coach's page its changes for as long as it listens."""
    return _stream(page, visit, wall=False)


async def watch_wall(page: Page, visit: Visit) -> Response:
    """Send the wall its changes for as long as it listens."""
    return _stream(page, visit, wall=True)


def _stream(page: Page, visit: Visit, *, wall: bool) -> Response:
    if visit.request.method == "HEAD":
        return Response(media_type="text/event-stream")
    if page.watchers >= _MOST_WATCHERS:
        return Response("too many connections", 429, headers={"retry-after": "30"})
    assert visit.session is not None  # not for anybody
    asked = visit.request  # a browser that listens again says what it heard last
    mark = asked.headers.get("last-event-id") or asked.query_params.get("mark", "")
    events = _events(page, visit.session, mark, wall=wall)
    return StreamingResponse(events, media_type="text/event-stream")


async def _events(page: Page, session: Session, mark: str, *, wall: bool) -> AsyncIterator[str]:
    """Yield events until the daemon ends or the device may no longer come in."""
    page.watchers += 1
    quiet_s = _BEAT_EVERY_S  # the first event goes out at once
    try:
        marks = await page.desk.read(lambda: _shown(page, mark, wall=wall))
        while not page.signs.stop.is_set() and await page.door.lets_in(session):
            drawing = await page.desk.read(lambda: page.board.drawing(wall=wall))
            parts = drawing.changed_since(marks)
            marks = drawing.marks
            if parts or quiet_s >= _BEAT_EVERY_S:
                quiet_s = 0.0
                yield _event(page, drawing.mark, parts)
            await asyncio.sleep(_LOOK_EVERY_S)
            quiet_s += _LOOK_EVERY_S
    finally:
        page.watchers -= 1


def _shown(page: Page, mark: str, *, wall: bool) -> Mapping[str, str]:
    """Return the marks of what a page shows, if it was drawn just now."""
    drawing = page.board.drawing(wall=wall)
    return drawing.marks if drawing.mark == mark else {}


def _event(page: Page, mark: str, parts: Mapping[str, str]) -> str:
    told = {"now": page.now().utc_s, "version": version_of("page.js"), "parts": parts}
    return f"id: {mark}\ndata: {json.dumps(told, ensure_ascii=False)}\n\n"


PLACES = (
    See(path="/live", access=Access.COACH, answer=watch),
    See(path="/wall/live", access=Access.WALL, answer=watch_wall),
)
