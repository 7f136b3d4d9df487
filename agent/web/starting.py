"""The start page, the wall, and the search for athletes."""

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from agent.web.board.parts import CSRF_PLACE, NOW_PLACE
from agent.web.board.people import MOST_FOUND, MOST_RECENT
from agent.web.page import Page
from agent.web.places import Access, See, Visit

_MOST_SEARCHED = 100  # characters


async def start(page: Page, visit: Visit) -> Response:
    """Show a coach the station."""
    assert visit.session is not None  # not for anybody
    drawing = await page.desk.read(lambda: page.board.drawing(wall=False))
    csrf_token = page.door.signer.csrf_token(visit.session)
    return HTMLResponse(_filled(page, drawing.page).replace(CSRF_PLACE, csrf_token))


async def wall(page: Page, visit: Visit) -> Response:  # noqa: ARG001  # every place gets its visit
    """Show everybody in the hall what the station is doing."""
    drawing = await page.desk.read(lambda: page.board.drawing(wall=True))
    return HTMLResponse(_filled(page, drawing.page))


def _filled(page: Page, drawn: str) -> str:
    return drawn.replace(NOW_PLACE, repr(page.now().utc_s), 1)


async def athletes(page: Page, visit: Visit) -> Response:
    """Return athletes by any part of their names, as tiles."""
    text = visit.request.query_params.get("q", "")
    if len(text) > _MOST_SEARCHED:
        raise HTTPException(422, page.texts.gettext("Invalid input: %(fields)s", fields="q"))
    most = MOST_FOUND if text.strip() else MOST_RECENT
    known = page.board.people
    people = await page.desk.read(lambda: known.found(known.standing(), text, most=most))
    template = page.templates.get_template("parts/tiles.html")
    searched = bool(text.strip())
    return HTMLResponse(
        template.render(people=people, searched=searched, wording=page.board.wording)
    )


PLACES = (
    See(path="/", access=Access.COACH, answer=start),
    See(path="/wall", access=Access.WALL, answer=wall),
    See(path="/athletes", access=Access.COACH, answer=athletes),
)
