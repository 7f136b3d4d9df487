"""What a change comes to: one sentence for the coach, and the way back where there is one."""

from collections.abc import Callable
from typing import TypeVar

from starlette.responses import JSONResponse, RedirectResponse, Response

from agent.outbox.people.undoables import Undoable
from agent.web.page import Page
from agent.web.places import Visit

SET_BY = "page"
Answer = TypeVar("Answer")


async def change(page: Page, action: Callable[[], Answer]) -> Answer:
    """Carry out a change, and let every stage look at once."""
    done = await page.desk.write(action)
    page.signs.wake()
    return done


def said(page: Page, visit: Visit, text: str, *, undoable: Undoable | None = None) -> Response:
    """Answer a change: a sentence for the page's script, the start page for a bare browser."""
    if visit.wants_page:
        return RedirectResponse("/", 303)
    told: dict[str, object] = {"say": text}
    if undoable is not None:
        told["undo"] = {"id": undoable.id, "left_s": undoable.left_s(page.now())}
    return JSONResponse(told)
