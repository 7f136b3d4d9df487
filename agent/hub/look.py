"""What another process than the hub can learn of it: its files, its broker, its stations."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from agent.clock import iso_utc
from agent.disk.lock import StateFolderLock
from agent.errors import NotifyError
from agent.facility.broker import HubConnection
from agent.facility.membership import EVENTS_STREAM, STATES, Subjects
from agent.hub.folder import HubFolder, OpenInvitation
from agent.hub.server import hub_access
from agent.hub.settings import SiteSettings
from agent.hub.stations import StationBoard, StationView


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
        }


def look_at_hub(site: SiteSettings, folder: HubFolder, *, now_s: float) -> HubLook:
    """Look at a hub and all of its stations; nothing of it is changed.

    Raises:
        ConfigError: its files cannot be used.
    """
    register = folder.register().without_expired(now_s=now_s)
    board = StationBoard()
    board.load(folder.words)
    fault, kept = None, (0, 0)
    connection = HubConnection(hub_access(site.listen, folder, folder.key()))
    try:
        connection.open()
        kept = _events(connection)
        for station in register.stations:
            _hear(connection, board, Subjects(site=site.site, station=station))
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
    )


def _events(connection: HubConnection) -> tuple[int, int]:
    """Return how many events the broker stores, and their bytes."""
    try:
        state = json.loads(connection.ask(f"$JS.API.STREAM.INFO.{EVENTS_STREAM}"))["state"]
        return int(state["messages"]), int(state["bytes"])
    except (ValueError, TypeError, KeyError):  # it has only just been started
        return 0, 0


def _hear(connection: HubConnection, board: StationBoard, subjects: Subjects) -> None:
    told = connection.stored(subjects.last(f"KV_{STATES}", subjects.state))
    if told is not None:
        heard_at = datetime.fromisoformat(told.headers["Nats-Time-Stamp"]).timestamp()
        board.hear(subjects.station, told.body, now_s=heard_at)
