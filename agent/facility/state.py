"""What a station lets its hub see, and decide.  User ids only: names stay on the station."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agent import __version__
from agent.bandwidth_schedule import UplinkShare
from agent.clock import Now, iso_utc
from agent.delivery.scheduling import RECENT, measure
from agent.disk.state_folder import StateFolder, open_plain
from agent.facility.membership import MOST_POSTER_BYTES
from agent.notifications.message import StationReport
from agent.outbox.assignments import Assignment
from agent.outbox.outbox import Outbox
from agent.outbox.states import EntryState
from agent.settings import Settings
from agent.station.assignments import StationRules
from agent.station.attribution import present_of
from agent.station.network import shared_page_address

SCHEMA = 1  # raised when a field changes its meaning; new fields may come at any time


@dataclass(frozen=True, slots=True, kw_only=True)
class Poster:
    """A small picture of a take."""

    clip_code: str
    jpeg: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HubInfluence:
    """What the hub decides at a station."""

    rules: StationRules  # for who is on the station
    share: UplinkShare  # of the uplink
    reload: Callable[[], None]  # has the daemon read its settings again


class StateDocument:
    """Writes the document, in the thread of the stage that sends it."""

    def __init__(
        self,
        outbox: Outbox,
        settings: Settings,
        look: Callable[[], StationReport],
        *,
        now: Now,
    ) -> None:
        """Prepare to write.

        Args:
            outbox: of the station.
            settings: of the station.
            look: gives what the station does.
            now: the station's clock.
        """
        self._outbox = outbox
        self._station = settings.station
        self._web = settings.web
        self._folder = StateFolder(settings.paths.state)
        self._latest: str | None = None  # the code of the last take
        self._look = look
        self._now = now

    def write(self, more: Mapping[str, object]) -> bytes:
        """Return the document as JSON.

        Args:
            more: parts that others know, such as what is planned.
        """
        now = self._now()
        goodput = measure(self._outbox.traffic.sendings(most=RECENT))
        present = present_of(self._outbox, now=now).at(now).assignment
        document: dict[str, object] = {
            "schema": SCHEMA,
            "station": self._station.id,
            "name": self._station.name,
            "at": iso_utc(now.utc_s),
            "version": __version__,
            "page": shared_page_address(self._web),
            **self._look().document(),
            "goodput_bytes_s": None if goodput is None else round(goodput.bytes_s),
            "overdue_s": self._overdue_s(now.utc_s),
            "athlete": None if present is None else _athlete(present),
            "last_take": self._last_take(),
            **more,
        }
        return json.dumps(document).encode("ascii")

    def poster(self) -> Poster | None:
        """Return the small picture of the take that was written last; None where there is none."""
        if self._latest is None:
            return None
        try:
            with open_plain(self._folder.thumbnail_of(self._latest)) as file:
                jpeg = file.read(MOST_POSTER_BYTES + 1)
        except OSError:
            return None
        small = 0 < len(jpeg) <= MOST_POSTER_BYTES
        return Poster(clip_code=self._latest, jpeg=jpeg) if small else None

    def _overdue_s(self, now_s: float) -> int:
        """Return for how long the clip that is longest due has waited."""
        due_at = self._outbox.entries.next_due_at(EntryState.READY)
        return 0 if due_at is None else max(0, round(now_s - due_at))

    def _last_take(self) -> dict[str, object] | None:
        found = self._outbox.gallery.latest(most=1)
        self._latest = found[0].entry.clip_code if found else None
        if not found:
            return None
        entry = found[0].entry
        return {
            "clip_code": entry.clip_code,
            "state": str(entry.state),
            "user_id": entry.user_id,
            "exercise": entry.exercise or entry.activity,
            "barbell_mass": entry.barbell_mass_kg,
            "filmed_at": iso_utc(entry.filmed_at),
        }


def _athlete(said: Assignment) -> dict[str, object]:
    return {
        "user_id": said.user_id,
        "guest": said.guest_id is not None,
        "exercise": said.exercise or said.activity,
        "barbell_mass": said.barbell_mass_kg,
        "since": iso_utc(said.starts.utc_s),
        "set_by": said.set_by,
    }
