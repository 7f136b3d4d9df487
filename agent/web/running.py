"""What concerns the station as a whole: whether it films, and whom it knows."""

from typing import Literal

from starlette.responses import Response

from agent.outbox.people.undoables import Undoable
from agent.station.filming import start_filming, stop_filming
from agent.station.forgetting import forget
from agent.station.receipt import receipt, receipt_content
from agent.station.refreshing import request_roster
from agent.web.drawing import draw
from agent.web.page import Page
from agent.web.places import Access, Do, Form, NoForm, See, Visit
from agent.web.saying import SET_BY, change, said
from agent.web.stationing import KeyForm, name_of_key

_MOST_RECEIPTS = 20
_LENGTHS_S = {"yes": None, "30": 1800.0}


class FilmingForm(Form):
    """Stop until further notice, stop for 30 minutes, or film again."""

    stop: Literal["yes", "30", "no"]


async def film(page: Page, visit: Visit, form: FilmingForm) -> Response:
    """Stop filming, or go on; for half a minute a stop can be taken back."""
    if form.stop == "no":
        await change(page, lambda: start_filming(page.outbox, now=page.now(), set_by=SET_BY))
        return said(page, visit, page.texts.gettext("Recording resumed."))
    lasts_s = _LENGTHS_S[form.stop]
    undoable = await change(
        page,
        lambda: stop_filming(page.outbox, now=page.now(), set_by=SET_BY, lasts_s=lasts_s),
    )
    return said(page, visit, page.texts.gettext("Recording stopped."), undoable=undoable)


async def refresh(page: Page, visit: Visit, form: NoForm) -> Response:  # noqa: ARG001  # every place gets its form
    """Look for the account's athletes at once."""
    await change(page, lambda: request_roster(page.outbox, now_s=page.now().utc_s))
    return said(page, visit, page.texts.gettext("Refreshing the athlete list."))


class ForgetForm(KeyForm):
    """Whom to forget, and whether at the API too."""

    also_at_api: Literal["", "yes"] = ""


async def forget_athlete(page: Page, visit: Visit, form: ForgetForm) -> Response:
    """Remove everything of an athlete from this box; for ten seconds it can be taken back."""

    def ask() -> tuple[str, Undoable]:
        at_api = form.also_at_api == "yes"
        name = name_of_key(page, form.key)
        return name, forget(page.outbox, form.key, now=page.now(), at_api=at_api)

    name, undoable = await change(page, ask)
    return said(
        page,
        visit,
        page.texts.gettext("Data of %(name)s will be deleted.", name=name),
        undoable=undoable,
    )


async def receipts(page: Page, visit: Visit) -> Response:  # noqa: ARG001  # as above
    """Show the receipt of the latest erasures, to print."""

    def read() -> str:
        now_s = page.now().utc_s
        station = page.settings.station.name or page.settings.station.id
        found = receipt(page.outbox, None, station=station, now_s=now_s, most=_MOST_RECEIPTS)
        return receipt_content(found, language=page.texts.language)

    return draw(page, "erasures.html", content=await page.desk.read(read))


PLACES = (
    See(path="/erasures", access=Access.COACH, answer=receipts),
    Do(path="/filming", access=Access.COACH, form=FilmingForm, answer=film),
    Do(path="/roster", access=Access.COACH, form=NoForm, answer=refresh),
    Do(path="/forget", access=Access.COACH, form=ForgetForm, answer=forget_athlete),
)
