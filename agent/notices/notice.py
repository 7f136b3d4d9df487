"""A notice: what a receiver is told, made of one change of a clip or its session.  Pure.

No names and no links: the clip code and at most the user_id (promise 7).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from agent.clock import iso_utc
from agent.outbox.events import EventKind
from agent.outbox.states import EntryState
from agent.outbox.views.happenings import Happening

SCHEMA = 1  # raised when a field changes its meaning; new fields may come at any time

STATION_STATE = "station.state"
TEST = "station.test"

# A clip that comes back from a try, or a look-up, is no news.
_ARRIVES_FROM = frozenset({None, str(EntryState.HELD), str(EntryState.DEAD)})
_NAMES: Mapping[str, str] = {
    EntryState.READY: "take.ready",
    EntryState.HELD: "take.held",
    EntryState.DEAD: "take.refused",
    EntryState.UPLOADED: "take.delivered",
    EntryState.COMPLETED: "session.completed",
}
_WITHOUT_ANALYSIS = "session.failed"
_WITH_SESSION = frozenset({"take.delivered", "session.completed", _WITHOUT_ANALYSIS})

_MOST_NUMBERS = 64
_LARGEST = 1e15  # beyond it readers of JSON disagree; no number is none either


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One notice, ready to be sent."""

    id: str  # the same whenever it is sent again
    event: str
    body: bytes  # JSON


def name_of(happening: Happening) -> str | None:
    """Return what a change is called in a notice; None where it is no news."""
    if happening.what is EventKind.FOLLOW_UP:  # of a clip that was discarded it is no news
        return _WITHOUT_ANALYSIS if happening.entry.state is EntryState.UPLOADED else None
    if happening.state == EntryState.READY and happening.before not in _ARRIVES_FROM:
        return None
    return _NAMES.get(happening.state)


def notice_of(happening: Happening, *, station: str, numbers: Mapping[str, object]) -> Notice:
    """Return the notice of a change that has a name.

    Its id is made of what every rebuild of the outbox keeps, so that it names the same for ever.

    Args:
        happening: the change.
        station: the station's id.
        numbers: of the session's analysis, as the API calls them; none where it is not there.
    """
    name, entry = name_of(happening), happening.entry
    assert name is not None  # the caller's question
    has_session, is_without = name in _WITH_SESSION, name == _WITHOUT_ANALYSIS
    told: dict[str, object] = {
        "clip_code": entry.clip_code,
        "user_id": entry.user_id,
        "activity": entry.activity,
        "exercise": entry.exercise,
        "barbell_mass": entry.barbell_mass_kg,
        "filmed_at": iso_utc(entry.filmed_at),
        "clip_seconds": round(entry.clip_seconds, 3),
        "state": str(entry.state) if is_without else happening.state,
        "reason": happening.state if is_without else happening.reason,
        "session_id": entry.session_id if has_session else None,
        "title": entry.title if has_session else None,
        "numbers": _plain(numbers) if name == "session.completed" else None,
    }
    return encode(name, told, station=station, about=entry.clip_code, at=happening.at)


def _plain(numbers: Mapping[str, object]) -> dict[str, float]:
    """Return what is a number: a text of the API's may be a name or a link."""
    found = {
        name: value
        for name, value in numbers.items()
        if isinstance(value, int | float)
        and not isinstance(value, bool)
        and -_LARGEST < value < _LARGEST
    }
    return dict(list(found.items())[:_MOST_NUMBERS])


def station_notice(told: Mapping[str, object], *, station: str, at: float) -> Notice:
    """Return the notice of the station's state."""
    return encode(STATION_STATE, told, station=station, about=None, at=at)


def trial_notice(*, station: str, at: float) -> Notice:
    """Return a notice by which a receiver is tried out; it is about nothing."""
    return encode(TEST, {}, station=station, about=None, at=at)


def encode(
    event: str, told: Mapping[str, object], *, station: str, about: str | None, at: float
) -> Notice:
    """Return a notice with the fields that all have in common before its own."""
    parts = (station, about, event.replace(".", "-"), str(round(at * 1000)))  # signed between dots
    notice_id = "-".join(part for part in parts if part is not None)
    document = {
        "schema": SCHEMA,
        "id": notice_id,
        "event": event,
        "at": iso_utc(at),
        "station": station,
        **told,
    }
    return Notice(id=notice_id, event=event, body=json.dumps(document).encode("ascii"))
