"""What the settings say of the station: its folder, its host, whom and what it films.

Apart from the assembly of the daemon, so that a command need not load all of that.
"""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agent.outbox.disk.folders import StateFolder
from agent.outbox.disk.reserve import Reserve
from agent.outbox.disk.space import Space

if TYPE_CHECKING:
    from agent.outbox.entry import Whose
    from agent.settings import Settings
    from agent.station.assigning import StationRules


def state_folder(settings: "Settings") -> StateFolder:
    """Return the places of a station's state folder."""
    return StateFolder(settings.paths.state)


def api_host(settings: "Settings") -> str:
    """Return the host that the station's lane leads to."""
    return urlsplit(settings.api.base_url).netloc


def station_default(settings: "Settings") -> "Whose":
    """Return who and what is filmed here where no coach has said otherwise."""
    from agent.outbox.entry import Whose
    from agent.outbox.states import Recipient

    station = settings.station
    return Whose(
        recipient=Recipient.UNKNOWN if station.user_id is None else Recipient.ATHLETE,
        user_id=station.user_id,
        activity=station.activity,
        exercise=station.exercise,
        barbell_mass_kg=station.barbell_mass,
        incline_deg=station.incline_degree or None,
    )


def station_rules(settings: "Settings") -> "StationRules":
    """Return what the settings say about who is on the station."""
    from agent.station.assigning import StationRules

    idle_s = settings.station.runs_out_after_min * 60
    return StationRules(
        default=station_default(settings),
        idle_s=idle_s or None,
        send_delay_s=settings.delivery.send_delay_s,
    )


def reserve_of(settings: "Settings") -> Reserve:
    """Return what keeps the outbox writable on a full disk."""
    space = _space_of(settings)
    return Reserve(settings.paths.state, space, reserve_mb=settings.disk.reserve_mb)


def renew_reserve(reserve: Reserve, settings: "Settings") -> None:
    """Let a reserve be what other settings of the same station say."""
    reserve.renew(_space_of(settings), reserve_mb=settings.disk.reserve_mb)


def _space_of(settings: "Settings") -> Space:
    return Space(settings.paths.state, min_free_mb=settings.disk.min_free_mb)
