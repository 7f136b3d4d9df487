"""Pages about one athlete and about one take, with all that was measured."""

from typing import TypedDict

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent.errors import RequestError
from agent.web.board.figures import figures_of
from agent.web.board.sheet import MOST_NAME, SPANS_DAYS, Sheet
from agent.web.drawing import draw
from agent.web.i18n import Texts
from agent.web.media import entry_of
from agent.web.page import Page
from agent.web.places import Access, See, Visit


class _Common(TypedDict):
    """What every live page needs."""

    csrf_token: str  # the device's own
    mark: str  # of the start page's parts: what changes them may change this page
    now: float


async def athlete(page: Page, visit: Visit) -> Response:
    """Show an athlete's takes, and a number of theirs over time."""
    key, query = visit.parameter("key"), visit.request.query_params
    days = next((span for span in SPANS_DAYS if str(span) == query.get("days")), SPANS_DAYS[0])
    wished = query.get("number", "")
    number = wished if 0 < len(wished) <= MOST_NAME and wished.isprintable() else None

    def read() -> tuple[Sheet | None, str]:
        sheet = page.board.sheets.of(key, days=days, number=number)
        return sheet, page.board.drawing(wall=False).mark

    try:
        sheet, mark = await page.desk.read(read)
    except RequestError:
        sheet, mark = None, ""
    if sheet is None:
        raise HTTPException(404, page.texts.gettext("No athlete with this name."))
    return draw(
        page,
        "athlete.html",
        **_common(page, visit, mark),
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


async def take(page: Page, visit: Visit) -> Response:
    """Show one take with every number of it."""
    entry = await entry_of(page, visit)

    def read() -> tuple[object, object, str]:
        card, numbers = page.board.sheets.take(page.outbox.gallery.of_entry(entry.id))
        return card, figures_of(numbers, page.texts), page.board.drawing(wall=False).mark

    card, figures, mark = await page.desk.read(read)
    return draw(page, "take.html", **_common(page, visit, mark), card=card, figures=figures)


def _common(page: Page, visit: Visit, mark: str) -> _Common:
    assert visit.session is not None  # not for anybody
    csrf_token = page.door.signer.csrf_token(visit.session)
    return _Common(csrf_token=csrf_token, mark=mark, now=page.now().utc_s)


PLACES = (
    See(path="/athlete/{key:path}", access=Access.COACH, answer=athlete),
    See(path="/take/{code}", access=Access.COACH, answer=take),
)
