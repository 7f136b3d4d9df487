"""A chain: what a site's hub sends the chain's, and what that one knows of its sites.

The site's broker is a leaf of the chain's, by an account in which the site's hub alone speaks.  So
nothing crosses but what is written here: what stations do without the addresses of their pages, and
their events.  Athletes are user ids in both; roster, names and pictures have no way out.

Events are copied by the hub rather than by the broker: a stream that takes its messages from
another one (a source) stalls when that other one comes back shorter or empty.
Source: github.com/nats-io/nats-server, issues 6206 and 8346.
"""

import asyncio
import base64
import json
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn

import nats.errors
import structlog
from nats.aio.client import Client
from nats.js.api import KeyValueConfig
from nats.js.errors import KeyNotFoundError
from nats.js.kv import KeyValue
from pydantic import BaseModel, ConfigDict, Field

from agent.clock import Instant
from agent.disk.state_folder import open_plain, rewriting
from agent.errors import NotifyError
from agent.facility.broker import ANSWER_WITHIN_S, StoredMessage, stored_message
from agent.facility.membership import EVENTS_STREAM, NAME, SiteSubjects
from agent.facility.receiver import EVENT_NUMBER, NOTICE_ID
from agent.hub.folder import KnownStation
from agent.hub.stations import (
    StationView,
    StationWord,
    age_of,
    in_order,
    instant_document,
    instant_of,
)
from agent.retry import Backoff, BackoffTimer
from agent.stage import StageName
from agent.text import printable, read_json

ORIGIN = "Spotter-Sequence"  # heads an event at the chain: where the site has stored it
MOST_SITE_BYTES = 1 << 16  # of what a site says at once, compressed
_MOST_UNPACKED = 1 << 22
_MOST_STATIONS = 1000
_TELL_EVERY_S = 4.0
_READ_EVERY_S = 1.0  # at most, of one site: reading a long word takes time
_LOOK_EVERY_S = 0.5
_COMPARE_EVERY_S = 5.0
_BUCKET, _SENT = "chain", "sent"
_EXPECTED = "Nats-Expected-Last-Sequence"
_KEPT = (NOTICE_ID, EVENT_NUMBER)  # of an event's headers
_AGAIN = Backoff(base_s=1.0, longest_s=30.0)
_MOST_FILE_BYTES = 1 << 26

log = structlog.get_logger(stage=StageName.HUB)


class _SiteStation(BaseModel):
    """One station as its site knows it."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    station: str = Field(pattern=f"^{NAME}$")
    group: Annotated[str, Field(max_length=40)] | None = None
    age_s: Annotated[float, Field(ge=0)] | None = None
    told: StationWord | None = None


class SiteWord(BaseModel):
    """What a site says of its stations."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    stations: tuple[_SiteStation, ...] = Field((), max_length=_MOST_STATIONS)

    @classmethod
    def of(cls, views: Sequence[StationView]) -> "SiteWord":
        """Return what is said of stations: no page of theirs, and no details."""
        return cls(
            stations=tuple(
                _SiteStation(
                    station=view.station,
                    group=view.group,
                    age_s=view.age_s,
                    told=None if view.word is None else _without_private(view.word),
                )
                for view in views[:_MOST_STATIONS]
            )
        )

    @classmethod
    def opened(cls, body: bytes) -> "SiteWord":
        """Return what a message says.

        Raises:
            ValueError: it cannot be read, or is too long.
        """
        unpacking = zlib.decompressobj()
        try:
            text = unpacking.decompress(body, _MOST_UNPACKED)
        except zlib.error as error:
            raise ValueError(str(error)) from None
        if not unpacking.eof:
            raise ValueError("too long, or cut off")
        told = cls.model_validate_json(text)
        stations = [
            one.model_copy(update={"told": one.told and _without_private(one.told)})
            for one in told.stations
        ]
        return cls(stations=tuple(stations))

    def closed(self) -> bytes:
        """Return it as a message."""
        return zlib.compress(self.model_dump_json(exclude_defaults=True).encode())


def _without_private(word: StationWord) -> StationWord:
    """Return a word without the page, which another network has another machine at, and details."""
    plan = word.plan.model_copy(update={"detail": None})
    settings = word.settings.model_copy(update={"detail": None})
    release = word.release.model_copy(update={"detail": None})
    orders = {"plan": plan, "settings": settings, "release": release}
    return word.model_copy(update={"page": None, **orders})


class SiteBoard:
    """The last word of every site of a chain; usable from any thread."""

    def __init__(self) -> None:
        self._words: dict[str, tuple[SiteWord, Instant]] = {}  # with when it was heard
        self._read_at: dict[str, float] = {}

    def hear(self, site: str, body: bytes, *, now: Instant) -> bool:
        """Take a site's word; False where it cannot be read, or comes too soon after another."""
        if 0 <= now.utc_s - self._read_at.get(site, -_READ_EVERY_S) < _READ_EVERY_S:
            return False
        self._read_at[site] = now.utc_s
        try:
            word = SiteWord.opened(body)
        except (ValueError, RecursionError):
            return False
        self._words = {**self._words, site: (word, now)}
        return True

    def age_s(self, site: str, *, now: Instant) -> float | None:
        """Return how many seconds ago a site was heard last; None: never, or no clock can tell."""
        found = self._words.get(site)
        return None if found is None else age_of(found[1], now)

    def views(self, sites: dict[str, KnownStation], *, now: Instant) -> list[StationView]:
        """Return every station of some sites, in the order of sites, groups and names."""
        words = self._words
        ages = {site: age_of(heard, now) for site, (_, heard) in words.items()}
        return in_order(
            StationView(
                station=one.station,
                site=site,
                group=one.group,
                word=one.told,
                age_s=None
                if one.age_s is None or (silent := ages[site]) is None
                else one.age_s + silent,
            )
            for site, (word, _) in words.items()
            if site in sites
            for one in word.stations
        )

    def save(self, path: Path, sites: dict[str, KnownStation]) -> None:
        """Write every word, so that the next start knows how old they are.

        Raises:
            OSError: the old file stays.
        """
        document = {
            site: {**instant_document(heard), "told": base64.b64encode(word.closed()).decode()}
            for site, (word, heard) in self._words.items()
            if site in sites
        }
        with rewriting(path, 0o600) as file:
            file.write(json.dumps(document).encode())

    def load(self, path: Path) -> None:
        """Take what an earlier run has written; a file that is damaged is ignored."""
        try:
            with open_plain(path) as file:
                document = read_json(file.read(_MOST_FILE_BYTES))
            for site, kept in document.items():
                told = base64.b64decode(kept["told"])
                self.hear(site, told, now=instant_of(kept))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """How far the chain has a site's events."""

    sent: int  # the last one that it has, by the sequence at the site
    stored: int  # the last sequence of its own stream


class ChainLink:
    """Sends the chain what happens at a site.

    What the chain has stored says itself how far it has come: each event is headed by its sequence
    at the site, and is taken only behind the one before it.  A store of the chain that comes back
    shorter is filled again from there.  The site's own broker keeps how far it has ever sent: where
    its store comes back shorter, that does too, and the rest is sent again under the same ids.
    """

    def __init__(self, site: str, hub: Client, leaf: Client) -> None:
        """Prepare to send.

        Args:
            site: its name.
            hub: a connection to the site's broker, with all rights.
            leaf: another one, in the account that reaches the chain.
        """
        self._subjects = SiteSubjects(site=site)
        self._hub = hub
        self._leaf = leaf

    async def tell(self, look: Callable[[], Sequence[StationView]]) -> NoReturn:
        """Send every few seconds what the stations do; what is lost is soon replaced.

        Args:
            look: returns the stations.
        """
        while True:
            body = SiteWord.of(look()).closed()
            if len(body) > MOST_SITE_BYTES:
                log.warning("site state dropped", size_bytes=len(body))
            else:
                await self._leaf.publish(self._subjects.tell, body)
            await asyncio.sleep(_TELL_EVERY_S)

    async def send(self) -> NoReturn:
        """Send every event; a chain that is away is tried again after growing pauses."""
        timer, is_connected = BackoffTimer(_AGAIN), True
        settings = KeyValueConfig(bucket=_BUCKET, direct=True, max_bytes=1 << 20)
        sent = await self._hub.jetstream().create_key_value(settings)
        while True:
            try:
                furthest = await self._furthest(sent)
                place = await self._compare(furthest)
                log.info("chain connected", sent=place.sent)
                is_connected = True
                await self._send_behind(place, furthest, sent, timer)
            except (nats.errors.Error, TimeoutError, NotifyError) as error:
                if is_connected:
                    log.warning("chain disconnected", error=_words(error))
                is_connected = False
            await asyncio.sleep(timer.note_failure())

    async def _furthest(self, sent: KeyValue) -> int:
        """Return how far events were ever sent; 0 where the site's own store is another one."""
        try:
            furthest = int((await sent.get(_SENT)).value or b"0")
        except KeyNotFoundError:
            return 0
        if furthest <= await self._last_here():
            return furthest
        await sent.put(_SENT, b"0")
        return 0

    async def _last_here(self) -> int:
        info = await self._hub.jetstream().stream_info(EVENTS_STREAM)
        return info.state.last_seq

    async def _compare(self, furthest: int) -> _Place:
        """Return how far the chain has the events of this store.

        Raises:
            NotifyError: the chain's answer cannot be read.
        """
        stored = await self._last_there()
        asked = json.dumps({"seq": stored}).encode()
        answer = await self._leaf.request(self._subjects.ask_event, asked, timeout=ANSWER_WITHIN_S)
        last = stored_message(answer) if stored else None
        if last is None:
            return _Place(sent=0, stored=stored)
        try:
            origin = int(last.headers[ORIGIN])
        except (KeyError, ValueError):
            raise NotifyError("the chain's last event is not of this site") from None
        here = None if origin > furthest else await self._here(origin)
        if here is not None and here.headers.get(NOTICE_ID) != last.headers.get(NOTICE_ID):
            return _Place(sent=0, stored=stored)
        return _Place(sent=max(0, min(origin, furthest)), stored=stored)

    async def _last_there(self) -> int:
        """Return the last sequence of the chain's stream.

        Raises:
            NotifyError: there is no such stream, or the answer cannot be read.
        """
        answer = await self._leaf.request(self._subjects.ask_info, timeout=ANSWER_WITHIN_S)
        return number_in(answer.data, "state", "last_seq")

    async def _here(self, sequence: int) -> StoredMessage | None:
        """Return the site's event of a sequence; None where it has none."""
        return await self._stored_here({"seq": sequence})

    async def _stored_here(self, asked: Mapping[str, object]) -> StoredMessage | None:
        answer = await self._hub.request(
            f"$JS.API.DIRECT.GET.{EVENTS_STREAM}",
            json.dumps(asked).encode(),
            timeout=ANSWER_WITHIN_S,
        )
        return stored_message(answer)

    async def _send_behind(
        self, place: _Place, furthest: int, sent: KeyValue, timer: BackoffTimer
    ) -> NoReturn:
        """Send what is stored behind a place, and what comes; what was stored ends the pauses.

        Raises:
            NotifyError: the chain does not store it, or has lost something.
        """
        compared_s = time.monotonic()
        while True:
            asked = {"seq": place.sent + 1, "next_by_subj": ">"}
            message = await self._stored_here(asked)
            if message is not None:
                if message.sequence > furthest:
                    furthest = await self._last_here()
                    await sent.put(_SENT, str(furthest).encode())
                place = await self._store(message, place)
                timer.note_success()
                continue
            if time.monotonic() - compared_s > _COMPARE_EVERY_S:
                if await self._last_there() != place.stored:
                    raise NotifyError("the chain has lost events that it had confirmed")
                timer.note_success()
                compared_s = time.monotonic()
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _store(self, message: StoredMessage, place: _Place) -> _Place:
        """Let the chain store an event behind the one before it."""
        kept = {name: message.headers[name] for name in _KEPT if name in message.headers}
        answer = await self._leaf.request(
            message.subject,
            message.body,
            timeout=ANSWER_WITHIN_S,
            headers={**kept, ORIGIN: str(message.sequence), _EXPECTED: str(place.stored)},
        )
        number = number_in(answer.data, "seq")
        is_known = b'"duplicate":true' in answer.data  # then the chain stores nothing
        stored = place.stored if is_known else number
        return _Place(sent=message.sequence, stored=stored)


def number_in(body: bytes, *path: str) -> int:
    """Return a number of the chain's answer.

    Raises:
        NotifyError: it refuses, or the answer cannot be read.
    """
    try:
        told = read_json(body)
        if "error" in told:
            raise NotifyError(f"the chain refuses: {printable(str(told['error']), 200)}")
        for key in path:
            told = told[key]
        return int(told)
    except (ValueError, TypeError, KeyError, OverflowError):
        raise NotifyError("the chain's answer cannot be read") from None


def _words(error: Exception) -> str:
    if isinstance(error, nats.errors.NoRespondersError):
        return "the chain's broker cannot be reached"
    if isinstance(error, TimeoutError):
        return "the chain does not answer"
    return str(error)
