"""What came of takes after their upload: looking again, and the analysed video."""

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent.errors import RequestError
from agent.outbox.results.videos import VideoState
from agent.station.videos import want_video
from agent.web.media import entry_of, file_answer
from agent.web.page import Page
from agent.web.places import Access, Do, NoForm, See, Visit
from agent.web.saying import change, said


async def look(page: Page, visit: Visit, form: NoForm) -> Response:  # noqa: ARG001  # every place gets its form
    """Look for an analysis again that failed or was not seen."""
    entry = await entry_of(page, visit)

    def resume() -> None:
        if not page.outbox.follow_ups.resume(entry.id, now_s=page.now().utc_s):
            raise RequestError(f"nothing is to be looked for of {entry.name}")

    await change(page, resume)
    return said(page, visit, page.texts.gettext("Checking again."))


async def fetch(page: Page, visit: Visit, form: NoForm) -> Response:  # noqa: ARG001  # as above
    """Wish for a take's analysed video."""
    entry = await entry_of(page, visit)
    await change(page, lambda: want_video(page.outbox, entry, now_s=page.now().utc_s))
    return said(page, visit, page.texts.gettext("Downloading the analysed video."))


async def video(page: Page, visit: Visit) -> Response:
    """Return a take's analysed video, or the range of it that a player asks for."""
    entry = await entry_of(page, visit)
    state = await page.desk.read(lambda: page.outbox.videos.state(entry.id))
    if state is not VideoState.PRESENT:
        raise HTTPException(404, page.texts.gettext("There is no such take."))
    return file_answer(page, page.folder.analysed_video(entry.clip_code), "video/mp4")


PLACES = (
    Do(path="/take/{code}/look", access=Access.COACH, form=NoForm, answer=look),
    Do(path="/take/{code}/fetch", access=Access.COACH, form=NoForm, answer=fetch),
    See(path="/analysed/{code}", access=Access.COACH, answer=video),
)
