"""What a coach does with recordings that were set aside: look again, or discard."""

from starlette.exceptions import HTTPException
from starlette.responses import Response

from agent.outbox.capture import Capture
from agent.outbox.states import CaptureState
from agent.station import steering, undoing
from agent.web.page import Page
from agent.web.places import Access, Do, NoForm, Visit
from agent.web.saying import change, said


async def retry(page: Page, visit: Visit, form: NoForm) -> Response:  # noqa: ARG001  # every place gets its form
    """Let a recording be looked into again."""
    capture = await _capture_of(page, visit)
    await change(page, lambda: steering.retry(page.outbox, capture, now_s=page.now().utc_s))
    return said(page, visit, page.texts.gettext("Trying again."))


async def discard(page: Page, visit: Visit, form: NoForm) -> Response:  # noqa: ARG001  # as above
    """End a recording; for ten seconds it can be taken back."""
    capture = await _capture_of(page, visit)
    undoable = await change(page, lambda: undoing.discard(page.outbox, capture, now=page.now()))
    return said(page, visit, page.texts.gettext("Discarded."), undoable=undoable)


async def _capture_of(page: Page, visit: Visit) -> Capture:
    number = visit.number("recording")
    capture = await page.desk.read(lambda: page.outbox.captures.by_id(number))
    if capture is None or capture.state is not CaptureState.QUARANTINED:
        raise HTTPException(404, page.texts.gettext("There is no such take."))
    return capture


PLACES = (
    Do(path="/recording/{recording:int}/retry", access=Access.COACH, form=NoForm, answer=retry),
    Do(
        path="/recording/{recording:int}/discard",
        access=Access.COACH,
        form=NoForm,
        answer=discard,
    ),
)
