"""The hub as another process than its own sees it: its files, broker and stations, and commands."""

import os
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

from pydantic import ValidationError

from agent.clock import Instant, Now, iso_utc
from agent.disk.state_folder import StateFolderLock
from agent.errors import BusyError, NotifyError, RequestError
from agent.facility.broker import HubConnection, StoredMessage
from agent.facility.membership import EVENTS_STREAM, STATES, SiteSubjects, Subjects
from agent.facility.remote import (
    LASTS_S,
    RemoteCommand,
    RemoteRequest,
    RemoteState,
)
from agent.facility.work import PART_BYTES, WorkRefusedError, granted, read_request
from agent.hub.chain import SiteBoard
from agent.hub.folder import HubFolder, Register
from agent.hub.server import broker_name, end_of_log, hub_access, storing_fault
from agent.hub.settings import SiteSettings
from agent.hub.stations import AWAY_AFTER_S, StationBoard, StationView, WorkerView
from agent.outbox.consistency import stored_pause
from agent.outbox.pauses import Pause
from agent.stage import StageName
from agent.text import read_json


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteLook:
    """A site of a chain, as the chain's hub knows it."""

    site: str
    since: float  # Unix time
    age_s: float | None  # of its last message; None: there was none, or no clock can tell
    stations: list[StationView]

    @property
    def is_away(self) -> bool:
        """Whether its last message is too old to hold."""
        return self.age_s is None or self.age_s > AWAY_AFTER_S

    def document(self) -> dict[str, object]:
        """Return it ready for JSON."""
        return {
            "site": self.site,
            "since": iso_utc(self.since),
            "away": self.is_away,
            "age_s": None if self.age_s is None else round(self.age_s, 1),
            "stations": len(self.stations),
            "stations_away": sum(view.is_away for view in self.stations),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainLook:
    """The chain of a site, as the site reaches it."""

    chain: str
    address: str
    fault: str | None  # why it does not answer; None: it does

    def document(self) -> dict[str, object]:
        """Return it ready for JSON."""
        answers = self.fault is None
        return {
            "chain": self.chain,
            "address": self.address,
            "answers": answers,
            "error": self.fault,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class HubLook:
    """A hub as it was found."""

    site: str
    listen: str
    runs: bool  # whether a process holds its state folder
    fault: str | None  # why the broker does not answer, or stores nothing; None: it does both
    page_pause: Pause | None  # why the running hub cannot serve its page; None: it can
    events: int  # that the broker stores
    event_bytes: int
    stations: list[StationView]  # without the broker: as the hub has written them last
    register: Register  # who may come in, without what has expired
    workers: list[WorkerView]
    sites: list[SiteLook]  # of the chain, where this is the chain's hub
    chain: ChainLook | None

    @property
    def everywhere(self) -> list[StationView]:
        """Its own stations, and those of its sites."""
        return [*self.stations, *(view for site in self.sites for view in site.stations)]

    @property
    def away(self) -> list[StationView]:
        """Stations without a message for too long."""
        return [view for view in self.stations if view.is_away]

    def document(self) -> dict[str, object]:
        """Return it ready for JSON."""
        words = [view.word for view in self.stations if view.word is not None]
        return {
            "site": self.site,
            "running": self.runs,
            "listen": self.listen,
            "broker": {
                "answers": self.fault is None,
                "error": self.fault,
                "events": self.events,
                "event_bytes": self.event_bytes,
            },
            "counts": {
                "stations": len(self.stations),
                "away": len(self.away),
                "to_review": sum(word.to_review for word in words),
                "clips_to_upload": sum(word.backlog.clips for word in words),
            },
            "stations": [view.document() for view in self.stations],
            "invitations": [
                {"station": name, "until": iso_utc(one.until)}
                for name, one in sorted(self.register.invitations.items())
            ],
            "workers": [worker.document() for worker in self.workers],
            "sites": [site.document() for site in self.sites],
            "chain": None if self.chain is None else self.chain.document(),
        }


def look_at_hub(site: SiteSettings, folder: HubFolder, *, now: Now) -> HubLook:
    """Look at a hub and all of its stations; nothing of it is changed.

    Args:
        site: the hub's settings.
        folder: its files.
        now: reads the clock.

    Raises:
        ConfigError: its files cannot be used.
    """
    register = folder.register().without_expired(now_s=now().utc_s)
    board, sites = StationBoard(), SiteBoard()
    board.load(folder.words)
    sites.load(folder.site_words)
    fault, kept = None, (0, 0)
    connection = HubConnection(hub_access(site.listen, folder, folder.key()))
    try:
        connection.open()
        fault = storing_fault(end_of_log(folder))
        kept = _events(connection)
        for station in register.stations:
            _hear(connection, board, Subjects(site=site.site, station=station))
        for name in register.workers:
            told = connection.stored(_last_of(Subjects(site=site.site, station=name).working))
            if told is not None:
                board.hear_worker(name, told.body, now=_at(told))
        for name in register.sites:
            told = connection.stored(_last_of(SiteSubjects(site=name).stations))
            if told is not None:
                sites.hear(name, told.body, now=_at(told))
    except NotifyError as error:
        fault = str(error)
    finally:
        connection.close()
    runs = StateFolderLock(folder.places).is_taken()
    seen = now()  # behind every message
    return HubLook(
        site=site.site,
        listen=site.listen,
        runs=runs,
        fault=fault,
        page_pause=stored_pause(folder.root, StageName.PAGE) if runs else None,
        events=kept[0],
        event_bytes=kept[1],
        stations=board.views(register, now=seen),
        register=register,
        workers=board.workers(register, now=seen),
        sites=[
            SiteLook(
                site=name,
                since=known.since,
                age_s=sites.age_s(name, now=seen),
                stations=sites.views({name: known}, now=seen),
            )
            for name, known in sorted(register.sites.items())
        ],
        chain=_look_at_chain(site, folder),
    )


def find_twin(site: SiteSettings, folder: HubFolder) -> str | None:
    """Return the address at which a second hub with the same keys answers; None: none is found.

    As after a restore on another machine while the old hub still runs: some stations would be
    connected to one of them, and some to the other.  Only where this hub's broker listens, and
    where stations call it, is a second one looked for.
    """
    runs = StateFolderLock(folder.places).is_taken()
    access = hub_access(site.listen, folder, folder.key())
    for address in dict.fromkeys((access.address, site.called)):
        with closing(HubConnection(replace(access, address=address))) as connection:
            try:
                connection.open()
            except NotifyError:
                continue  # nobody, or somebody else
            name = connection.broker_name
        if not (runs and name == broker_name(folder)):  # read behind it: it may have just started
            return address
    return None


def _look_at_chain(site: SiteSettings, folder: HubFolder) -> ChainLook | None:
    """Return how the site reaches its chain: by its broker, as the hub does."""
    chain = folder.chain()
    if chain is None:
        return None
    member, key = chain
    fault, connection = None, HubConnection(hub_access(site.listen, folder, key))
    try:
        connection.open()
        connection.ask(SiteSubjects(site=site.site).ask_info)
    except NotifyError:
        fault = f"the chain's broker at {member.address} cannot be reached, or refuses the site"
    finally:
        connection.close()
    return ChainLook(chain=member.site, address=member.address, fault=fault)


def _events(connection: HubConnection) -> tuple[int, int]:
    """Return how many events the broker stores, and their bytes."""
    try:
        state = read_json(connection.ask(f"$JS.API.STREAM.INFO.{EVENTS_STREAM}"))["state"]
        return int(state["messages"]), int(state["bytes"])
    except (ValueError, TypeError, KeyError):  # it has only just been started
        return 0, 0


def _hear(connection: HubConnection, board: StationBoard, subjects: Subjects) -> None:
    told = connection.stored(_last_of(subjects.state))
    if told is not None:
        board.hear_stored(subjects.station, told.body, stored=_at(told))


def _last_of(subject: str) -> str:
    return f"$JS.API.DIRECT.GET.KV_{STATES}.{subject}"


def _at(message: StoredMessage) -> Instant:
    """Return when the broker has stored a message, by UTC alone."""
    stamp = datetime.fromisoformat(message.headers["Nats-Time-Stamp"])
    return Instant(utc_s=stamp.timestamp())


_ANSWERS_WITHIN_S = 15.0  # a station that is connected
_AGAIN_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteResult:
    """What came of a command."""

    code: int  # of its process
    content: bytes  # what it printed, or wrote
    complaint: str


class StationCommander:
    """Gives commands to the stations of a site."""

    def __init__(self, site: SiteSettings, folder: HubFolder, *, now: Now) -> None:
        self._site = site.site
        self._folder = folder
        self._key = folder.key()
        self._access = hub_access(site.listen, folder, self._key)
        self._now = now

    def carry_out(
        self,
        station: str,
        command: RemoteCommand,
        arguments: Sequence[str] = (),
        *,
        waiting: Callable[[float], None] = lambda _for_s: None,
    ) -> RemoteResult:
        """Let a station carry out a command, and return its outcome.

        Args:
            station: its id.
            command: what it is to do.
            arguments: ids, for retry.
            waiting: is called repeatedly with how long it has taken, in seconds.

        Raises:
            RequestError: there is no such station, or it refuses.
            NotifyError: the broker or the station does not answer.
            BusyError: the command does not end.
        """
        self._folder.register().station(station)
        subject = f"{Subjects(site=self._site, station=station).do}.{command}"
        try:
            asked = RemoteRequest(
                site=self._site,
                station=station,
                id=os.urandom(16).hex(),
                command=command,
                arguments=tuple(arguments),
                issued_at=self._now().utc_s,
            )
        except ValidationError:
            raise RequestError("an id is like c12 or e7; at most 20 of them") from None
        began_s = time.monotonic()
        with closing(HubConnection(self._access)) as broker:
            broker.open()
            while True:
                state = self._state(broker, subject, asked)
                if state.state == "done":
                    break
                waited_s = time.monotonic() - began_s
                if waited_s > LASTS_S + _ANSWERS_WITHIN_S:
                    raise BusyError(f"{command} at {station} does not end", hint="try again")
                waiting(waited_s)
                time.sleep(_AGAIN_S)
            parts = range(-(-state.size // PART_BYTES))
            content = b"".join(
                self._ask(broker, subject, asked.model_copy(update={"part": part}))
                for part in parts
            )
        if sha256(content).hexdigest() != state.sha256:
            raise BusyError(f"the result of {station} is damaged", hint="try again")
        return RemoteResult(code=state.code, content=content, complaint=state.complaint)

    def _state(self, broker: HubConnection, subject: str, asked: RemoteRequest) -> RemoteState:
        try:
            state: RemoteState = read_request(self._ask(broker, subject, asked), RemoteState)[0]
        except ValidationError:
            raise RequestError(f"the answer of {asked.station} cannot be read") from None
        return state

    def _ask(self, broker: HubConnection, subject: str, asked: RemoteRequest) -> bytes:
        """Return a station's answer; asking again does nothing again.

        Raises:
            RequestError: it refuses.
            NotifyError: it does not answer.
        """
        body, latest_s = asked.sealed(self._key), time.monotonic() + _ANSWERS_WITHIN_S
        while True:
            try:
                if not broker.is_open:
                    broker.open()
                return granted(broker.ask(subject, body))
            except WorkRefusedError as error:
                raise RequestError(f"{asked.station}: {error}") from None
            except NotifyError as error:
                if time.monotonic() > latest_s:
                    raise NotifyError(
                        f"{asked.station} does not answer",
                        hint="spotter hub status shows whether it is connected",
                    ) from error
            time.sleep(_AGAIN_S)
