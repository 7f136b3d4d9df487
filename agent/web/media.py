"""Pictures and clips of takes, found by clip code alone: no path ever comes from a request."""

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from agent.outbox.clip_code import is_clip_code
from agent.outbox.entry import Entry
from agent.web.page import Page
from agent.web.places import Access, See, Visit

_VIDEO = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".webm": "video/webm",
}


async def entry_of(page: Page, visit: Visit) -> Entry:
    """Return the clip that a path names."""
    code = visit.parameter("code")
    entry = None
    if is_clip_code(code):
        entry = await page.desk.read(lambda: page.outbox.entries.by_code(code))
    if entry is None:
        raise HTTPException(404, page.texts.gettext("There is no such take."))
    return entry


async def picture(page: Page, visit: Visit) -> Response:
    """Return a take's poster."""
    entry = await entry_of(page, visit)
    return file_answer(page, page.folder.pictures_of(entry.clip_code)[0], "image/jpeg")


async def strip(page: Page, visit: Visit) -> Response:
    """Return a take's filmstrip."""
    entry = await entry_of(page, visit)
    return file_answer(page, page.folder.pictures_of(entry.clip_code)[1], "image/jpeg")


async def clip(page: Page, visit: Visit) -> Response:
    """Return a take's clip, or the range of it that a player asks for."""
    entry = await entry_of(page, visit)
    path = page.folder.clips / entry.stored_name
    return file_answer(page, path, _VIDEO.get(path.suffix, "application/octet-stream"))


def file_answer(page: Page, path: Path, media_type: str) -> Response:
    """Return a file of the state folder, or the range of it that a player asks for."""
    try:
        found = path.stat()
    except OSError:
        raise HTTPException(404, page.texts.gettext("There is no such take.")) from None
    return FileResponse(path, media_type=media_type, stat_result=found)


PLACES = (
    See(path="/picture/{code}.jpg", access=Access.WALL, answer=picture),
    See(path="/strip/{code}.jpg", access=Access.COACH, answer=strip),
    See(path="/clip/{code}", access=Access.COACH, answer=clip),
)
