"""Messages to receivers: the events of clips and sessions, the station's status, and MQTT's topics.

No names and no links: the clip code and at most the user_id (promise 7).

    spotter/platform-3/event/take.ready    each notice, once
    spotter/platform-3/state               the station's state, kept by the broker
    spotter/platform-3/availability        online or offline, kept; offline by last will

Source of the discovery documents: home-assistant.io, "MQTT Discovery", "MQTT Sensor" and "MQTT
Binary sensor".
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from agent import __version__
from agent.clock import Clock, iso_utc
from agent.disk.space import measure
from agent.outbox.entries import EventKind
from agent.outbox.outbox import Outbox
from agent.outbox.queries import FeedEvent
from agent.outbox.states import EntryState
from agent.settings import Settings
from agent.station.assignments import api_host
from agent.station.camera import CameraWatch
from agent.station.recording_pause import filming
from agent.station.status import StationStatus, StatusInputs, read_facts, station_status

SCHEMA = 1  # raised when a field changes its meaning; new fields may come at any time

STATION_STATE = "station.state"
TEST = "station.test"
UPDATE_REVERTED = "station.update_reverted"

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
_LONGEST_REASON = 500
_LARGEST = 1e15  # beyond it readers of JSON disagree; no number is none either


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One notice, ready to be sent."""

    id: str  # the same whenever it is sent again
    event: str
    body: bytes  # JSON


def name_of(happening: FeedEvent) -> str | None:
    """Return what a change is called in a notice; None where it is no news."""
    if happening.what is EventKind.FOLLOW_UP:  # of a clip that was discarded it is no news
        return _WITHOUT_ANALYSIS if happening.entry.state is EntryState.UPLOADED else None
    if happening.state == EntryState.READY and happening.before not in _ARRIVES_FROM:
        return None
    return _NAMES.get(happening.state)


def notice_of(happening: FeedEvent, *, station: str, numbers: Mapping[str, object]) -> Notice:
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


def reverted_notice(version: str, failed: str, reason: str, *, station: str, at: float) -> Notice:
    """Return the notice that a new version failed, and which one runs again."""
    told = {"version": version, "failed_version": failed, "reason": reason[:_LONGEST_REASON]}
    return encode(UPDATE_REVERTED, told, station=station, about=None, at=at)


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


_DISK_STEP = 0.01  # of the disk: less is no news
_DISK_NEWS_S = 60.0  # nor is more of it, sooner than this


class Interest(Enum):
    """How much a receiver wants to hear of the state."""

    CHANGES = "changes"  # its word, and what a person must do
    NUMBERS = "numbers"  # the counts and the disk, too


@dataclass(frozen=True, slots=True, kw_only=True)
class StationReport:
    """What the station does at one moment."""

    facts: StatusInputs
    backlog_bytes: int
    free_bytes: int
    total_bytes: int
    last_delivered_at: float | None

    @property
    def word(self) -> StationStatus:
        """The one large word, as on the coach's page."""
        return station_status(self.facts)

    @property
    def needs_person(self) -> bool:
        """Whether something waits for action by a person."""
        facts = self.facts
        return facts.is_faulty

    def document(self) -> dict[str, object]:
        """Return it ready for JSON."""
        facts = self.facts
        return {
            "state": str(self.word),
            "needs_person": self.needs_person,
            "filming_stopped": facts.is_stopped,
            "captures_waiting": facts.captures_waiting,
            "held": facts.held,
            "refused": facts.refused,
            "failing": facts.failing,
            "unreadable": facts.unreadable,
            "backlog": {"clips": facts.clips_waiting, "bytes": self.backlog_bytes},
            "delivered_today": facts.sent,
            "last_delivered_at": iso_utc(self.last_delivered_at),
            "paused": list(facts.paused),
            "uploads_paused": facts.lane_reason,
            "camera": None if facts.camera is None else str(facts.camera.state),
            "last_recording_at": None if facts.camera is None else iso_utc(facts.camera.last_at),
            "disk": {"free_bytes": self.free_bytes, "total_bytes": self.total_bytes},
        }


def is_news(
    before: StationReport | None, now: StationReport, *, interest: Interest, age_s: float
) -> bool:
    """Tell whether a receiver should hear of a state.

    Args:
        before: what it heard last; None: nothing.
        now: what holds.
        interest: how much it wants to hear.
        age_s: how long ago it heard that.
    """
    if before is None or _changes(before) != _changes(now):
        return True
    if interest is Interest.CHANGES:
        return False
    if _numbers(before) != _numbers(now) or before.last_delivered_at != now.last_delivered_at:
        return True
    moved_bytes = abs(before.free_bytes - now.free_bytes)
    return age_s >= _DISK_NEWS_S and moved_bytes > _DISK_STEP * now.total_bytes


def _numbers(report: StationReport) -> StatusInputs:
    """Return what is counted: not the moment of the last recording, which always moves on."""
    camera = report.facts.camera
    seen = None if camera is None else replace(camera, last_at=None)
    return replace(report.facts, camera=seen)


def _changes(report: StationReport) -> tuple[object, ...]:
    facts = report.facts
    needing = (facts.held, facts.refused, facts.failing, facts.unreadable)
    fault = facts.camera.state if facts.camera is not None and facts.camera.is_faulty else None
    return report.word, report.needs_person, needing, facts.paused, facts.lane_reason, fault


_AT_LEAST_EVERY_S = 4.0  # what goes by the clock, or by other programs, shows by then


class StationLook:
    """Looks for one channel, in that channel's thread."""

    def __init__(
        self,
        outbox: Outbox,
        settings: Settings,
        *,
        is_filming: Callable[[], bool],
        camera: CameraWatch,
        clock: Clock,
    ) -> None:
        self._outbox = outbox
        self._host = api_host(settings)
        self._capture_folder = settings.paths.capture
        self._state_folder = settings.paths.state
        self._is_filming = is_filming
        self._camera = camera
        self._now = clock.now
        self._monotonic = clock.monotonic
        self._seen: tuple[object, ...] = ()
        self._report: StationReport | None = None

    def report(self) -> StationReport:
        """Return what the station does."""
        slot = self._monotonic() // _AT_LEAST_EVERY_S
        seen = (self._outbox.version(), self._is_filming(), slot)
        if self._report is None or seen != self._seen:
            self._seen = seen
            self._report = self._read(is_filming=bool(seen[1]))
        return self._report

    def _read(self, *, is_filming: bool) -> StationReport:
        now, room = self._now(), measure(self._state_folder)
        facts = read_facts(
            self._outbox,
            host=self._host,
            capture_folder=self._capture_folder,
            is_stopped=filming(self._outbox, now=now).stopped is not None,
            is_filming=is_filming,
            camera=self._camera.look(now),
            now_s=now.utc_s,
        )
        return StationReport(
            facts=facts,
            backlog_bytes=self._outbox.traffic.backlog().size_bytes,
            free_bytes=room.free_bytes,
            total_bytes=room.total_bytes,
            last_delivered_at=self._outbox.listing.last_sent_at(),
        )


def count_waiting(outbox: Outbox, cursor: int, *, wanted: Collection[str] | None, most: int) -> int:
    """Return how many notices wait behind a cursor, as far as `most` changes show.

    Args:
        outbox: with the feed.
        cursor: of the channel.
        wanted: the events that its receiver is to hear of; None: all.
        most: no more changes are read.
    """
    names = [name_of(happening) for happening in outbox.happenings.after(cursor, most=most)]
    return sum(name is not None and (wanted is None or name in wanted) for name in names)


ONLINE, OFFLINE = b"online", b"offline"
_MAKER = "Spotter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is published."""

    topic: str
    payload: bytes
    retain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """The topics of one station."""

    prefix: str
    station: str

    @property
    def state(self) -> str:
        """The topic of the station's state."""
        return f"{self.prefix}/{self.station}/state"

    @property
    def availability(self) -> str:
        """The topic of the station's availability."""
        return f"{self.prefix}/{self.station}/availability"

    def message_of(self, notice: Notice) -> Message:
        """Return how a notice is published."""
        if notice.event == STATION_STATE:
            return Message(topic=self.state, payload=notice.body, retain=True)
        topic = f"{self.prefix}/{self.station}/event/{notice.event}"
        return Message(topic=topic, payload=notice.body, retain=False)

    def presence(self, payload: bytes) -> Message:
        """Return what says whether the station is there."""
        return Message(topic=self.availability, payload=payload, retain=True)


_SENSORS: dict[str, tuple[str, dict[str, object]]] = {
    "state": (
        "sensor",
        {
            "name": "State",
            "device_class": "enum",
            "options": [str(word) for word in StationStatus],
            "value_template": "{{ value_json.state }}",
        },
    ),
    "needs_person": (
        "binary_sensor",
        {
            "name": "Action required",
            "device_class": "problem",
            "value_template": "{{ 'ON' if value_json.needs_person else 'OFF' }}",
        },
    ),
    "clips_to_send": (
        "sensor",
        {
            "name": "Clips to upload",
            "state_class": "measurement",
            "value_template": "{{ value_json.backlog.clips }}",
        },
    ),
    "takes_held": (
        "sensor",
        {
            "name": "Takes held for review",
            "state_class": "measurement",
            "value_template": "{{ value_json.held }}",
        },
    ),
    "disk_free": (
        "sensor",
        {
            "name": "Disk free",
            "device_class": "data_size",
            "state_class": "measurement",
            "unit_of_measurement": "GB",
            "entity_category": "diagnostic",
            "value_template": "{{ (value_json.disk.free_bytes / 1e9) | round(1) }}",
        },
    ),
}


def discovery(topics: Topics, *, prefix: str) -> Iterator[Message]:
    """Yield the Home Assistant discovery messages of the station: a device with its sensors.

    Args:
        topics: of the station.
        prefix: where Home Assistant subscribes.
    """
    node = f"spotter_{topics.station}"
    for name, (kind, own) in _SENSORS.items():
        document = {
            **own,
            "unique_id": f"{node}_{name}",
            "state_topic": topics.state,
            "availability_topic": topics.availability,
            "payload_available": ONLINE.decode(),
            "payload_not_available": OFFLINE.decode(),
            "qos": 1,
            "device": {
                "identifiers": [node],
                "name": f"Spotter {topics.station}",
                "manufacturer": _MAKER,
                "model": "Gym station",
                "sw_version": __version__,
            },
            "origin": {"name": _MAKER, "sw_version": __version__},
        }
        topic = f"{prefix}/{kind}/{node}/{name}/config"
        yield Message(topic=topic, payload=json.dumps(document).encode("ascii"), retain=True)
