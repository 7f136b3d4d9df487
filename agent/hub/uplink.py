"""Sharing out the site's uplink: what each station may use of it, every second.  Pure.

Weighted max-min fairness: nobody gets more than it can use while somebody else could use more.
Source: Bertsekas and Gallager, Data Networks, 2nd ed., section 6.5.2 (progressive filling).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.bandwidth_schedule import parse_timetable
from agent.facility.orders import HOLDS_S, LEAST_BYTES_S, MOST_BYTES_S, Allowance
from agent.hub.settings import SiteSettings
from agent.hub.stations import StationView

_AHEAD_S = 5.0  # so much of a backlog is planned for at once
_OVERDUE_S = 600.0  # from then on a station's clips weigh most
_MOST_WEIGHT = 1.5
_IDLE_SHARE = 0.05  # of the uplink, for all that have nothing to send at this moment
_RETURNS_WITHIN_S = 600.0  # a station that is away for longer is taken to be switched off
_REFRESH_S = HOLDS_S / 3
_NEWS = 0.05  # a smaller change waits for the next refresh


@dataclass(frozen=True, slots=True, kw_only=True)
class UplinkDemand:
    """What a station has to send, as far as the hub knows."""

    station: str
    backlog_bytes: int
    overdue_s: float = 0.0  # since when its oldest clip could have gone
    away_s: float | None = None  # since its last word; None: it is connected


def share_uplink(demands: Sequence[UplinkDemand], *, rate_bytes_s: float) -> Mapping[str, float]:
    """Return the rate of each station that is connected, in bytes per second.

    Stations that are away send at the rate that holds without the hub, if they send: that is
    left free for those that had something to send and may be back.

    Args:
        demands: of every station of the site.
        rate_bytes_s: the uplink's.
    """
    connected = [one for one in demands if one.away_s is None]
    alone = alone_rate(len(demands), rate_bytes_s=rate_bytes_s)
    sending_alone = [
        one
        for one in demands
        if one.away_s is not None and one.backlog_bytes and one.away_s < _RETURNS_WITHIN_S
    ]
    room = max(0.0, rate_bytes_s - alone * len(sending_alone))
    active = [one for one in connected if one.backlog_bytes]
    shares = _filled(active, room)
    idle = [one for one in connected if not one.backlog_bytes]
    for one in idle:
        shares[one.station] = _IDLE_SHARE * rate_bytes_s / len(idle)
    return {station: max(LEAST_BYTES_S, share) for station, share in shares.items()}


def alone_rate(stations: int, *, rate_bytes_s: float) -> float:
    """Return what each station may use while the hub is away."""
    return max(LEAST_BYTES_S, rate_bytes_s / max(1, stations))


def _filled(active: Sequence[UplinkDemand], room: float) -> dict[str, float]:
    """Return weighted max-min shares; what nobody can use is spread over all of them."""
    weights = {one.station: _weight(one) for one in active}
    wanted = {one.station: one.backlog_bytes / _AHEAD_S for one in active}
    shares: dict[str, float] = {}
    left = dict(weights)
    while left:
        level = room / sum(left.values())
        content = [station for station in left if wanted[station] <= level * left[station]]
        if not content:
            shares |= {station: level * weight for station, weight in left.items()}
            return shares
        for station in content:
            shares[station] = wanted[station]
            room -= wanted[station]
            del left[station]
    total = sum(weights.values())
    return {station: share + room * weights[station] / total for station, share in shares.items()}


def _weight(demand: UplinkDemand) -> float:
    return 1.0 + (_MOST_WEIGHT - 1.0) * min(1.0, max(0.0, demand.overdue_s) / _OVERDUE_S)


class UplinkSharer:
    """Decides which stations are to hear of their shares, for one run of the broker."""

    def __init__(self, site: SiteSettings) -> None:
        """Share out what the settings say.

        Args:
            site: with the uplink's rate.
        """
        self._site = site.site
        self._timetable = parse_timetable(site.uplink)
        self._told: dict[str, Allowance] = {}

    @property
    def shares(self) -> bool:
        """Whether anything is shared out."""
        return not self._timetable.is_plain

    def due(self, stations: Sequence[StationView], *, now_s: float) -> list[Allowance]:
        """Return the allowances that have changed, or must be repeated.

        Args:
            stations: every station of the site.
            now_s: Unix time.
        """
        rate_bytes_s = min(self._timetable.rate_at(now_s), MOST_BYTES_S)
        alone = alone_rate(len(stations), rate_bytes_s=rate_bytes_s)
        shares = share_uplink([_demand(view) for view in stations], rate_bytes_s=rate_bytes_s)
        due = []
        for station, share in shares.items():
            told = self._told.get(station)
            is_news = (
                told is None
                or not 0 <= now_s - told.issued_at < _REFRESH_S
                or abs(share - told.rate_bytes_s) > _NEWS * told.rate_bytes_s
                or alone != told.alone_bytes_s
            )
            if is_news:
                self._told[station] = Allowance(
                    site=self._site,
                    station=station,
                    issued_at=now_s,
                    rate_bytes_s=share,
                    alone_bytes_s=alone,
                )
                due.append(self._told[station])
        return due


def _demand(view: StationView) -> UplinkDemand:
    word = view.word
    return UplinkDemand(
        station=view.station,
        backlog_bytes=0 if word is None else word.backlog.bytes,
        overdue_s=0.0 if word is None else word.overdue_s,
        away_s=(view.age_s if view.age_s is not None else math.inf) if view.is_away else None,
    )
