"""What an upload says: endpoint, fields and title.  Pure."""

from dataclasses import dataclass
from datetime import datetime, tzinfo

from agent.activities import ACTIVITIES
from agent.api.contract import path_of
from agent.errors import RequestError
from agent.outbox.entry import Entry
from agent.outbox.states import Recipient

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


def upload_form(entry: Entry, *, on_behalf: bool, zone: tzinfo | None = None) -> UploadForm:
    """Return how a clip is sent.

    Args:
        entry: the clip.
        on_behalf: for its athlete, by the management endpoint; else to the key owner's account.
        zone: of the time in the title; None for the box's own.

    Raises:
        RequestError: the entry's activity is none of the API's.
    """
    if entry.activity not in ACTIVITIES:
        raise RequestError(f"{entry.name}: the API has no activity {entry.activity!r}")
    fields = {"session_name": session_title(entry, zone=zone), **_movement_fields(entry)}
    if on_behalf and entry.recipient is Recipient.ATHLETE and entry.user_id is not None:
        fields["user_id"] = entry.user_id
    name = "upload_on_behalf" if "user_id" in fields else "upload"
    return UploadForm(
        path=path_of(name, entry.activity), fields=fields, file_name=f"{entry.clip_code}.mp4"
    )


def session_title(entry: Entry, *, zone: tzinfo | None = None) -> str:
    """Return `[{code}] {exercise} {mass} {date} {time}`: ASCII, at most 60 characters, no names."""
    moment = datetime.fromtimestamp(entry.filmed_at or entry.created_at, zone)
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
