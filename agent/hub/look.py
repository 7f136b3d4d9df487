"""What another process than the hub can learn of it: its files, its broker, its stations."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from agent.clock import iso_utc
from agent.disk.lock import StateFolderLock
from agent.errors import NotifyError
from agent.facility.broker import HubConnection, StoredMessage
from agent.facility.membership import EVENTS_STREAM, STATES, SiteSubjects, Subjects
from agent.hub.chain import SiteBoard
from agent.hub.folder import HubFolder, OpenInvitation
from agent.hub.server import hub_access
from agent.hub.settings import SiteSettings
from agent.hub.stations import AWAY_AFTER_S, StationBoard, StationView, WorkerView


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteLook:
    """A site of a chain, as the chain's hub knows it."""

    site: str
    since: float  # Unix time
    age_s: float | None  # of its last message; None: there was none
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
    fault: str | None  # why the broker does not answer; None: it does
    events: int  # that the broker stores
    event_bytes: int
    stations: list[StationView]  # without the broker: as the hub has written them last
    invitations: Mapping[str, OpenInvitation]
    workers: list[WorkerView]
    worker_invitations: Mapping[str, OpenInvitation]
    sites: list[SiteLook]  # of the chain, where this is the chain's hub
    site_invitations: Mapping[str, OpenInvitation]
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
                for name, one in sorted(self.invitations.items())
            ],
            "workers": [worker.document() for worker in self.workers],
            "sites": [site.document() for site in self.sites],
            "chain": None if self.chain is None else self.chain.document(),
        }


def look_at_hub(site: SiteSettings, folder: HubFolder, *, now_s: float) -> HubLook:
    """Look at a hub and all of its stations; nothing of it is changed.

    Raises:
        ConfigError: its files cannot be used.
    """
    register = folder.register().without_expired(now_s=now_s)
    board, sites = StationBoard(), SiteBoard()
    board.load(folder.words)
    sites.load(folder.site_words)
    fault, kept = None, (0, 0)
    connection = HubConnection(hub_access(site.listen, folder, folder.key()))
    try:
        connection.open()
        kept = _events(connection)
        for station in register.stations:
            _hear(connection, board, Subjects(site=site.site, station=station))
        for name in register.workers:
            told = connection.stored(_last_of(Subjects(site=site.site, station=name).working))
            if told is not None:
                board.hear_worker(name, told.body, now_s=_at(told))
        for name in register.sites:
            told = connection.stored(_last_of(SiteSubjects(site=name).stations))
            if told is not None:
                sites.hear(name, told.body, now_s=_at(told))
    except NotifyError as error:
        fault = str(error)
    finally:
        connection.close()
    return HubLook(
        site=site.site,
        listen=site.listen,
        runs=StateFolderLock(folder.places).is_taken(),
        fault=fault,
        events=kept[0],
        event_bytes=kept[1],
        stations=board.views(register, now_s=now_s),
        invitations=register.invitations,
        workers=board.workers(register, now_s=now_s),
        worker_invitations=register.worker_invitations,
        sites=[
            SiteLook(
                site=name,
                since=known.since,
                age_s=None if (at := sites.heard_at(name)) is None else max(0.0, now_s - at),
                stations=sites.views({name: known}, now_s=now_s),
            )
            for name, known in sorted(register.sites.items())
        ],
        site_invitations=register.site_invitations,
        chain=_look_at_chain(site, folder),
    )


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
        state = json.loads(connection.ask(f"$JS.API.STREAM.INFO.{EVENTS_STREAM}"))["state"]
        return int(state["messages"]), int(state["bytes"])
    except (ValueError, TypeError, KeyError):  # it has only just been started
        return 0, 0


def _hear(connection: HubConnection, board: StationBoard, subjects: Subjects) -> None:
    told = connection.stored(_last_of(subjects.state))
    if told is not None:
        board.hear(subjects.station, told.body, now_s=_at(told))


def _last_of(subject: str) -> str:
    return f"$JS.API.DIRECT.GET.KV_{STATES}.{subject}"


def _at(message: StoredMessage) -> float:
    """Return when the broker has stored a message, in Unix time."""
    return datetime.fromisoformat(message.headers["Nats-Time-Stamp"]).timestamp()
