"""One upload: from a claimed entry to what came of it, on record."""

import time
from dataclasses import dataclass
from pathlib import Path

from agent.api.answers import Made
from agent.api.body import ClipBody
from agent.api.client import ApiClient
from agent.clock import Now
from agent.crashpoints import crash_point
from agent.delivery.form import UploadForm, upload_form
from agent.delivery.gate import Passage
from agent.delivery.throttle import Throttle
from agent.errors import OutcomeUnknownError, UploadError
from agent.outbox.attempts import AttemptEnd
from agent.outbox.entry import Entry
from agent.outbox.store import Outbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """An upload that was answered with a session; its attempt is not on record yet."""

    made: Made
    title: str  # as asked for
    end: AttemptEnd


class Uploader:
    """Sends clips, one at a time, and keeps the record of each attempt."""

    def __init__(
        self,
        outbox: Outbox,
        client: ApiClient,
        *,
        clips: Path,
        throttle: Throttle,
        now: Now,
    ) -> None:
        self._outbox = outbox
        self._client = client
        self._clips = clips
        self._throttle = throttle
        self._now = now

    def send(self, entry: Entry, attempt_id: int, passage: Passage) -> Sent:
        """Send one clip and return the session that was made of it.

        Raises:
            UploadError: as the retry table says; the attempt's end is on record.
            OSError: the clip cannot be read.
        """
        form = upload_form(entry, on_behalf=passage.acts_for_others)
        began_s = time.monotonic()
        self._throttle.begin()
        with ClipBody(
            self._clips / entry.stored_name,
            on_last_part=lambda: self._mark(attempt_id, passage),
            pace=self._throttle.pace,
        ) as body:
            try:
                made = self._post(form, body, passage)
            except Exception as error:
                failed = _end(body, began_s, _outcome(error, body), error)
                self._outbox.attempts.end(attempt_id, failed)
                raise
            crash_point("after-answer")
            return Sent(made=made, title=form.title, end=_end(body, began_s, "uploaded", made))

    def _post(self, form: UploadForm, body: ClipBody, passage: Passage) -> Made:
        crash_point("before-upload")
        return self._client.upload(
            form.path, fields=form.fields, file_name=form.file_name, body=body, key=passage.key
        )

    def _mark(self, attempt_id: int, passage: Passage) -> None:
        self._outbox.attempts.mark_body_complete(
            attempt_id, now_s=self._now().utc_s, account=passage.uid
        )
        crash_point("body-marked")


def _outcome(error: Exception, body: ClipBody) -> str:
    """Name how a failed upload ended; what ended it from outside leaves a whole body unknown."""
    if body.is_complete and not isinstance(error, UploadError):
        return OutcomeUnknownError.__name__
    return type(error).__name__


def _end(body: ClipBody, began_s: float, outcome: str, ended_by: Made | Exception) -> AttemptEnd:
    return AttemptEnd(
        outcome=outcome,
        seconds=time.monotonic() - began_s,
        size_bytes=body.sent_bytes,
        sending_s=body.sending_s(),
        throttled_s=body.throttled_s,
        status=getattr(ended_by, "status", None),
        detail=str(ended_by) if isinstance(ended_by, Exception) else None,
    )
