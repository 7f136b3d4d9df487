"""What the hub knows of its stations: the last word of each, its picture, and how old they are.

A station's document is other people's data: what is not as it should be is left out, never shown.
Browsers of the facility decode a picture, so only what every camera writes is let through: one
JPEG, no metadata, nothing behind its end (ITU-T T.81, annex B).  Prometheus reads from a file which
stations it scrapes (prometheus.io, configuration, file_sd_config).
"""

import hashlib
import json
import threading
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from agent.clock import Instant, iso_utc
from agent.disk.state_folder import open_plain, rewriting
from agent.facility.broker import HubConnection
from agent.facility.membership import MOST_POSTER_BYTES, STATES, Subjects
from agent.facility.orders import MOST_REVISION
from agent.hub.folder import Register
from agent.station.status import StationStatus
from agent.text import read_json

_SIDES = range(8, 641)  # pixels
_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive
_TABLES = frozenset({0xC4, 0xDB, 0xDD, 0xE0})  # Huffman, quantisation, restart interval, JFIF
_RESTARTS = range(0xD0, 0xD8)


def is_small_jpeg(body: bytes) -> bool:
    """Tell whether bytes are one picture of at most 640 pixels and 16 kB, without metadata."""
    if not 4 <= len(body) <= MOST_POSTER_BYTES or body[:2] != bytes([0xFF, _START]):
        return False
    at, frames, scans = 2, 0, 0
    while at + 2 <= len(body) and body[at] == 0xFF:
        marker = body[at + 1]
        if marker == _END:
            return at + 2 == len(body) and frames == 1 and scans > 0
        length = int.from_bytes(body[at + 2 : at + 4], "big")
        segment = body[at + 4 : at + 2 + length]
        if length < 2 or len(segment) != length - 2:
            return False
        at += 2 + length
        if marker in _FRAMES and frames == 0 and _is_frame(segment):
            frames = 1
        elif marker == _SCAN and frames == 1:
            scans += 1
            at = _end_of_scan(body, at)
        elif marker not in _TABLES:
            return False
    return False


def _is_frame(segment: bytes) -> bool:
    """Tell whether a frame header is of 8 bits, of a bounded size, grey or in colour."""
    if len(segment) < 6 or segment[0] != 8 or segment[5] not in {1, 3}:
        return False
    height, width = (int.from_bytes(segment[n : n + 2], "big") for n in (1, 3))
    return height in _SIDES and width in _SIDES and len(segment) == 6 + 3 * segment[5]


def _end_of_scan(body: bytes, at: int) -> int:
    """Return where the marker behind a scan's data is; behind the end where there is none."""
    while True:
        at = body.find(b"\xff", at)
        if at < 0 or at + 1 >= len(body):
            return len(body)
        if body[at + 1] != 0 and body[at + 1] not in _RESTARTS:
            return at
        at += 2


AWAY_AFTER_S = 15.0  # no word is shown as if it were fresh for longer
_CLOCK_STEPS_S = 1.0  # the clock is set back by so much at most without anybody's doing
_MOST_BYTES = 1 << 24

_Text = Annotated[str, Field(max_length=160)]
_Count = Annotated[int, Field(ge=0, le=10**15)]


def _checked_address(address: str) -> str:
    """Return the address of a page as it is.

    Raises:
        ValueError: it has no host, or no such port.
    """
    parts = urlsplit(address)
    if not parts.hostname or parts.port == 0:
        raise ValueError("not an address")
    return address


_Page = Annotated[
    str, Field(pattern=r"^https?://[A-Za-z0-9.:\[\]-]{1,200}$"), AfterValidator(_checked_address)
]


def age_of(heard: Instant, now: Instant) -> float | None:
    """Return how many seconds ago something was heard; None where no clock can tell.

    In one boot the time since then decides, which nobody sets.  Across boots UTC does: a moment
    that lies ahead was heard before the clock was set back, and none is fresh after a boot.
    """
    if heard.boot_id is not None and heard.boot_id == now.boot_id:
        return max(0.0, heard.elapsed_s(now))
    age_s = now.utc_s - heard.utc_s
    if age_s < -_CLOCK_STEPS_S or (heard.boot_id is not None and age_s <= AWAY_AFTER_S):
        return None
    return max(0.0, age_s)


def instant_document(heard: Instant) -> dict[str, object]:
    """Return a moment ready for JSON, so that a later run knows how long ago it was."""
    return {"heard_at": heard.utc_s, "boot_id": heard.boot_id, "boot_s": heard.boot_s}


def instant_of(kept: Mapping[str, Any]) -> Instant:
    """Return a moment from its document; one of an earlier version has UTC alone.

    Raises:
        KeyError, TypeError, ValueError: it cannot be read.
    """
    boot_id, boot_s = kept.get("boot_id"), kept.get("boot_s")
    if not isinstance(boot_id, str) or boot_s is None:
        return Instant(utc_s=float(kept["heard_at"]))
    return Instant(utc_s=float(kept["heard_at"]), boot_id=boot_id, boot_s=float(boot_s))


class _Word(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, str_max_length=300, allow_inf_nan=False)


class AthleteWord(_Word):
    """Who is on a station."""

    user_id: _Text | None = None
    guest: bool = False
    exercise: _Text | None = None
    barbell_mass: float | None = None


class TakeWord(_Word):
    """The last take of a station."""

    clip_code: _Text
    state: _Text
    user_id: _Text | None = None
    exercise: _Text | None = None
    barbell_mass: float | None = None
    filmed_at: datetime | None = None


class BacklogWord(_Word):
    """What a station has still to send."""

    clips: _Count = 0
    bytes: _Count = 0


class OrderWord(_Word):
    """What became of a document of the hub's at a station."""

    revision: _Count | None = None
    state: _Text = "none"
    detail: _Text | None = None


class SettingsWord(OrderWord):
    """What became of the hub's settings; their mistakes need more words."""

    detail: Annotated[str, Field(max_length=300)] | None = None


class ReleaseWord(OrderWord):
    """Which version the hub wants of a station, as the station has it."""

    version: _Text | None = None
    hold: bool = False
    not_before: float | None = None  # Unix time


class StationWord(_Word):
    """A station's state as it reports it."""

    state: StationStatus
    at: AwareDatetime | None = None  # by the station's clock
    name: _Text | None = None
    version: _Text | None = None
    page: _Page | None = None
    needs_person: bool = False
    filming_stopped: bool = False
    captures_waiting: _Count = 0
    held: _Count = 0
    refused: _Count = 0
    failing: _Count = 0
    unreadable: _Count = 0
    backlog: BacklogWord = BacklogWord()
    delivered_today: _Count = 0
    uploads_paused: _Text | None = None
    camera: _Text | None = None
    goodput_bytes_s: _Count | None = None
    uplink_bytes_s: _Count | None = None  # what the hub lets it have; None: no limit
    overdue_s: _Count = 0  # of the clip that is longest due
    athlete: AthleteWord | None = None
    last_take: TakeWord | None = None
    plan: OrderWord = OrderWord()
    settings: SettingsWord = SettingsWord()
    release: ReleaseWord = ReleaseWord()

    @property
    def wanted_version(self) -> str | None:
        """The version that the hub wants, where another one runs."""
        wanted = self.release.version
        return None if wanted == self.version else wanted

    @property
    def to_review(self) -> int:
        """How many clips and recordings wait for a person."""
        return self.held + self.refused + self.failing + self.unreadable


def next_revision(broker: HubConnection, subjects: Subjects, kind: str) -> int:
    """Return the lowest revision of a document that a station would take; 1 where it says nothing.

    It may have a higher one than the hub remembers, after a restore, or as the clock was ahead.

    Args:
        broker: of the hub.
        subjects: of the station.
        kind: of the document: plan, settings or release.

    Raises:
        NotifyError: the broker did not answer.
    """
    stored = broker.stored(subjects.last(f"KV_{STATES}", subjects.state))
    try:
        word = None if stored is None else StationWord.model_validate_json(stored.body)
    except ValidationError:
        word = None
    told: OrderWord | None = None if word is None else getattr(word, kind)
    held = 0 if told is None or told.revision is None else told.revision
    return held + 1 if held < MOST_REVISION else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class StationView:
    """One station as the board shows it."""

    station: str
    word: StationWord | None  # None: it has reported nothing yet
    age_s: float | None  # of that word; None: there is none, or no clock can tell
    heard_at: float | None = None  # Unix time
    group: str | None = None  # of stations
    site: str | None = None  # where it is another's of the chain
    poster_mark: str | None = None  # distinguishes pictures of its last take; None: there is none

    @property
    def place(self) -> str:
        """What distinguishes it from all others."""
        return self.station if self.site is None else f"{self.site}.{self.station}"

    @property
    def belongs_to(self) -> str | None:
        """What it is shown under: its site, its group, or both."""
        return " · ".join(filter(None, (self.site, self.group))) or None

    @property
    def title(self) -> str:
        """What people call it."""
        return (self.word.name if self.word is not None else None) or self.station

    @property
    def clock_off_s(self) -> float | None:
        """How far the station's clock was ahead when its last word came; None where it is away."""
        if self.word is None or self.word.at is None or self.heard_at is None or self.is_away:
            return None
        return self.word.at.timestamp() - self.heard_at

    @property
    def is_away(self) -> bool:
        """Whether its word is too old to hold."""
        return self.age_s is None or self.age_s > AWAY_AFTER_S

    def document(self) -> dict[str, object]:
        """Return it ready for JSON."""
        word = None if self.word is None else self.word.model_dump(mode="json")
        return {
            "station": self.station,
            **({} if self.site is None else {"site": self.site}),
            "group": self.group,
            "away": self.is_away,
            "age_s": None if self.age_s is None else round(self.age_s, 1),
            "told": word,
        }


class WorkerWord(_Word):
    """What a worker does, as it reports it."""

    version: _Text | None = None
    station: _Text | None = None  # whose recording it has in hand
    finished: _Count = 0  # recordings, since it started


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerView:
    """One worker as the board shows it."""

    worker: str
    since: float  # Unix time
    word: WorkerWord | None  # None: it has reported nothing yet
    age_s: float | None  # of that word; None: there is none, or no clock can tell

    @property
    def is_away(self) -> bool:
        """Whether its word is too old to hold."""
        return self.age_s is None or self.age_s > AWAY_AFTER_S

    def document(self) -> dict[str, object]:
        """Return it ready for JSON."""
        return {
            "worker": self.worker,
            "since": iso_utc(self.since),
            "away": self.is_away,
            "age_s": None if self.age_s is None else round(self.age_s, 1),
            "told": None if self.word is None else self.word.model_dump(mode="json"),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardPoster:
    """The picture of a station's last take."""

    clip_code: str
    jpeg: bytes
    mark: str  # of its content


class StationBoard:
    """The last word of every station; usable from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._words: dict[str, tuple[StationWord, Instant]] = {}  # with when it was heard
        self._posters: dict[str, BoardPoster] = {}
        self._workers: dict[str, tuple[WorkerWord, Instant]] = {}  # with when it was heard

    def hear(self, station: str, body: bytes, *, now: Instant) -> bool:
        """Take a station's word; False where it cannot be read."""
        try:
            word = StationWord.model_validate_json(body)
        except ValidationError:
            return False
        with self._lock:
            self._words[station] = word, now
        return True

    def hear_stored(self, station: str, body: bytes, *, stored: Instant) -> None:
        """Take a station's word as the broker stores it.

        The same word keeps the moment at which it was heard, by clocks that nobody sets.
        """
        with self._lock:
            before = self._words.get(station)
        self.hear(station, body, now=stored)
        with self._lock:
            if before is not None and before[0].at and self._words[station][0] == before[0]:
                self._words[station] = before

    def hear_worker(self, worker: str, body: bytes, *, now: Instant) -> bool:
        """Take a worker's word; False where it cannot be read."""
        try:
            word = WorkerWord.model_validate_json(body)
        except ValidationError:
            return False
        with self._lock:
            self._workers[worker] = word, now
        return True

    def workers(self, register: Register, *, now: Instant) -> list[WorkerView]:
        """Return every worker that has joined, in the order of their names."""
        with self._lock:
            words = dict(self._workers)
        found = []
        for name, known in sorted(register.workers.items()):
            word, heard = words.get(name, (None, None))
            age_s = None if heard is None else age_of(heard, now)
            found.append(WorkerView(worker=name, since=known.since, word=word, age_s=age_s))
        return found

    def see(self, station: str, clip_code: str, body: bytes) -> bool:
        """Take the picture of a last take, or none; False where it is not a small JPEG."""
        is_picture = is_small_jpeg(body)
        with self._lock:
            self._posters.pop(station, None)
            if is_picture:
                mark = hashlib.sha256(body).hexdigest()[:16]
                self._posters[station] = BoardPoster(clip_code=clip_code, jpeg=body, mark=mark)
        return is_picture or not body

    def keep_only(self, stations: Container[str]) -> None:
        """Forget what stations have said that are not among those."""
        with self._lock:
            self._words = {name: one for name, one in self._words.items() if name in stations}
            self._posters = {name: one for name, one in self._posters.items() if name in stations}

    def poster(self, station: str) -> "BoardPoster | None":
        """Return the picture of a station's last take; None where there is none."""
        with self._lock:
            found, word = self._posters.get(station), self._words.get(station)
        take = None if word is None else word[0].last_take
        fits = found is not None and take is not None and take.clip_code == found.clip_code
        return found if fits else None

    def views(self, register: Register, *, now: Instant) -> list[StationView]:
        """Return every station that has joined, in the order of their groups and names."""
        with self._lock:
            words = dict(self._words)
        found = []
        for station, known in register.stations.items():
            word, heard = words.get(station, (None, None))
            poster = self.poster(station)
            view = StationView(
                station=station,
                word=word,
                age_s=None if heard is None else age_of(heard, now),
                heard_at=None if heard is None else heard.utc_s,
                group=known.group,
                poster_mark=None if poster is None else poster.mark,
            )
            found.append(view)
        return in_order(found)

    def save(self, path: Path) -> None:
        """Write every word, so that the next start knows how old they are.

        Raises:
            OSError: the old file stays.
        """
        with self._lock:
            words = dict(self._words)
        document = {
            station: {**instant_document(heard), "told": word.model_dump(mode="json")}
            for station, (word, heard) in words.items()
        }
        with rewriting(path, 0o600) as file:
            file.write(json.dumps(document).encode())

    def load(self, path: Path) -> None:
        """Take what an earlier run has written; a file that is damaged is ignored."""
        try:
            with open_plain(path) as file:
                document = read_json(file.read(_MOST_BYTES))
        except (OSError, ValueError):
            return
        for station, kept in document.items() if isinstance(document, Mapping) else ():
            try:
                self.hear(station, json.dumps(kept["told"]).encode(), now=instant_of(kept))
            except (TypeError, KeyError, ValueError, AttributeError):
                continue


def in_order(views: Iterable[StationView]) -> list[StationView]:
    """Return stations in the order of their sites, groups and names."""
    return sorted(
        views,
        key=lambda one: [_natural(text or "") for text in (one.site, one.group, one.title)],
    )


def _natural(title: str) -> list[tuple[int, str]]:
    """Return what sorts rack 2 before rack 10."""
    parts: list[tuple[int, str]] = []
    digits = ""
    for sign in [*title.casefold(), ""]:
        if sign.isdecimal():
            digits += sign
            continue
        if digits:
            parts.append((int(digits[:9]), ""))
            digits = ""
        parts.append((-1, sign))
    return parts


# Prometheus runs as another user; addresses and names of stations are no secret.
_TARGETS_MODE = 0o644
_MOST_TARGETS_BYTES = 1 << 22


def targets_document(views: Sequence[StationView], *, site: str) -> bytes:
    """Return the file's content: every station whose page listens on the network.

    Those that are away are in it: that they do not answer is what an alert says.
    """
    found = []
    for view in sorted(views, key=lambda one: one.station):
        address = None if view.word is None else view.word.page
        if address is None:
            continue
        parts = urlsplit(address)
        labels = {"__scheme__": parts.scheme, "site": site, "station": view.station}
        group = {} if view.group is None else {"group": view.group}
        found.append({"targets": [parts.netloc], "labels": {**labels, **group}})
    return json.dumps(found, indent=1).encode()


def write_targets(path: Path, document: bytes) -> None:
    """Write the file where its content has changed.

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    try:
        with open_plain(path) as file:
            if file.read(_MOST_TARGETS_BYTES) == document:
                return
    except FileNotFoundError:
        pass
    with rewriting(path, _TARGETS_MODE) as written:
        written.write(document)
