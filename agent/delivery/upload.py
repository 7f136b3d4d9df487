"""One upload: multipart form, bandwidth limit, and upload hours.

An upload that is under way when uploads close is ended as not made, unless the rest goes out
within a minute.  It could neither wait for hours in mid-body, for no server keeps an exchange
open for so long, nor continue at a trickle, for `off` was chosen for a reason.  That costs what was
sent in vain; so `agent.delivery.scheduling` begins none that is not likely to end in time.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from agent.api.client import ApiClient
from agent.api.contract import path_of
from agent.api.responses import CreatedSession
from agent.api.transfer import ClipBody
from agent.bandwidth_schedule import UNLIMITED, Timetable, UplinkShare
from agent.clock import Now
from agent.delivery.circuit_breaker import ApiAccess
from agent.errors import (
    OutcomeUnknownError,
    OutOfHoursError,
    RequestError,
    UploadError,
    plain_words,
)
from agent.exercises import ACTIVITIES
from agent.failpoints import crash_point
from agent.outbox.entries import AttemptEnd
from agent.outbox.models import Entry
from agent.outbox.outbox import Outbox
from agent.outbox.states import Recipient
from agent.token_bucket import TokenBucket

_MOST_TITLE = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadForm:
    """One upload, but for the video itself."""

    path: str
    fields: dict[str, str]
    file_name: str

    @property
    def title(self) -> str:
        """The session title that is asked for."""
        return self.fields["session_name"]


def upload_form(entry: Entry, *, on_behalf: bool) -> UploadForm:
    """Return how a clip is sent.

    Args:
        entry: the clip.
        on_behalf: for its athlete, by the management endpoint; else to the key owner's account.

    Raises:
        RequestError: the entry's activity is none of the API's.
    """
    if entry.activity not in ACTIVITIES:
        raise RequestError(f"{entry.name}: the API has no activity {entry.activity!r}")
    fields = {"session_name": session_title(entry), **_movement_fields(entry)}
    if on_behalf and entry.recipient is Recipient.ATHLETE and entry.user_id is not None:
        fields["user_id"] = entry.user_id
    name = "upload_on_behalf" if "user_id" in fields else "upload"
    return UploadForm(
        path=path_of(name, entry.activity), fields=fields, file_name=f"{entry.clip_code}.mp4"
    )


def session_title(entry: Entry) -> str:
    """Return `[{code}] {exercise} {mass} {date} {time}`: ASCII, at most 60 characters, no names."""
    moment = datetime.fromtimestamp(entry.filmed_at or entry.created_at).astimezone()
    words = [f"[{entry.clip_code}]", entry.exercise or entry.activity]
    if entry.barbell_mass_kg is not None:
        words.append(f"{plain_number(entry.barbell_mass_kg)}kg")
    words.append(f"{moment:%Y-%m-%d %H:%M}")
    return " ".join(words).encode("ascii", "replace").decode("ascii")[:_MOST_TITLE]


def plain_number(value: float) -> str:
    """Return a number as people write it: 60, 62.5."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _movement_fields(entry: Entry) -> dict[str, str]:
    fields: dict[str, str | None] = {}
    if entry.activity == "weightlifting":
        fields["exercise_name"] = entry.exercise
        fields["barbell_mass"] = _number(entry.barbell_mass_kg)
    else:
        fields["incline_degree"] = _number(entry.incline_deg)
    if entry.activity == "jumping":
        fields["exercise"] = entry.exercise
    return {name: value for name, value in fields.items() if value is not None}


def _number(value: float | None) -> str | None:
    return None if value is None else plain_number(value)


BURST_S = 0.1  # so much of the rate goes out at once, at most
_LEAST_PART_BYTES = 1200  # a packet's worth
_SHORTEST_WAIT_S = 0.001  # less is made up for by the next
_LONGEST_WAIT_S = 0.2  # then the rate is measured again
_GRACE_S = 60.0


class Throttle:
    """The pace of one lane's uploads."""

    def __init__(
        self,
        timetable: Timetable,
        share: UplinkShare,
        *,
        now: Now,
        wait: Callable[[float], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Keep to a timetable, and to the station's share of the uplink.

        Args:
            timetable: by the wall clock.
            share: of the site's uplink.
            now: the wall clock.
            wait: waits for so many seconds; what it raises ends the upload.
            monotonic: the clock of the waits.
        """
        self._timetable = timetable
        self._share = share
        self._now = now
        self._wait = wait
        self._monotonic = monotonic
        self._bucket = TokenBucket(capacity_s=BURST_S)
        self.begin()

    def begin(self) -> None:
        """Take note that another upload begins."""
        self._began_s = self._monotonic()
        self._gone_bytes = 0
        self._last_rate = UNLIMITED
        self._ends_at_s: float | None = None  # once uploads have closed

    def pace(self, wanted_bytes: int, rest_bytes: int) -> int:
        """Wait until the next part of an upload may go, and return how large it may be.

        Args:
            wanted_bytes: how large it should be.
            rest_bytes: how much of the upload is left.

        Raises:
            OutOfHoursError: uploads have closed, and too much is left.
        """
        while True:
            rate = self._timetable.rate_at(self._now().utc_s)
            if rate == 0:
                rate = self._rate_past_closing(rest_bytes)
            rate = min(rate, self._share.rate(self._monotonic()))
            wait_s = self._bucket.wait_s(self._monotonic())
            if wait_s < _SHORTEST_WAIT_S or rate == UNLIMITED:
                return self._let_go(wanted_bytes, rate)
            self._wait(min(wait_s, _LONGEST_WAIT_S))

    def _let_go(self, wanted_bytes: int, rate: float) -> int:
        size = wanted_bytes
        if rate != UNLIMITED:
            size = min(wanted_bytes, max(int(rate * BURST_S), _LEAST_PART_BYTES))
            self._bucket.take(size / rate, self._monotonic())
        self._last_rate = rate
        self._gone_bytes += size
        return size

    def _rate_past_closing(self, rest_bytes: int) -> float:
        """Return the rate at which an upload that is nearly done may end."""
        now_s = self._monotonic()
        if self._ends_at_s is None:
            own_pace = self._gone_bytes / max(now_s - self._began_s, 1e-3)
            self._ends_at_s = now_s + _GRACE_S if rest_bytes <= own_pace * _GRACE_S else now_s
        if now_s >= self._ends_at_s:
            raise OutOfHoursError(f"upload hours are over, with {rest_bytes} bytes left")
        return self._last_rate


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadReceipt:
    """An upload that was answered with a session; its attempt is not on record yet."""

    made: CreatedSession
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

    def send(self, entry: Entry, attempt_id: int, access: ApiAccess) -> UploadReceipt:
        """Send one clip and return the session that was made of it.

        Raises:
            UploadError: as the retry table says; the attempt's end is on record.
            OSError: the clip cannot be read.
        """
        form = upload_form(entry, on_behalf=access.acts_for_others)
        began_s = time.monotonic()
        self._throttle.begin()
        with ClipBody(
            self._clips / entry.stored_name,
            on_last_part=lambda: self._mark(attempt_id, access),
            pace=self._throttle.pace,
        ) as body:
            try:
                made = self._post(form, body, access)
            except Exception as error:
                failed = _end(body, began_s, _outcome(error, body), error)
                self._outbox.attempts.end(attempt_id, failed)
                raise
            crash_point("after-answer")
            return UploadReceipt(
                made=made, title=form.title, end=_end(body, began_s, "uploaded", made)
            )

    def _post(self, form: UploadForm, body: ClipBody, access: ApiAccess) -> CreatedSession:
        crash_point("before-upload")
        return self._client.upload(
            form.path, fields=form.fields, file_name=form.file_name, body=body, key=access.key
        )

    def _mark(self, attempt_id: int, access: ApiAccess) -> None:
        self._outbox.attempts.mark_body_complete(
            attempt_id, now_s=self._now().utc_s, account=access.uid
        )
        crash_point("body-marked")


def _outcome(error: Exception, body: ClipBody) -> str:
    """Name how a failed upload ended; what ended it from outside leaves a whole body unknown."""
    if body.is_complete and not isinstance(error, UploadError):
        return OutcomeUnknownError.__name__
    return type(error).__name__


def _end(
    body: ClipBody, began_s: float, outcome: str, ended_by: CreatedSession | Exception
) -> AttemptEnd:
    return AttemptEnd(
        outcome=outcome,
        seconds=time.monotonic() - began_s,
        size_bytes=body.sent_bytes,
        sending_s=body.sending_s(),
        throttled_s=body.throttled_s,
        status=getattr(ended_by, "status", None),
        detail=plain_words(ended_by) if isinstance(ended_by, Exception) else None,
    )
