"""Sharing out the uplink: fair, never over the rate, and safe to hear at a station."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.bandwidth_schedule import UNLIMITED, UplinkShare
from agent.disk.state_folder import StateFolder
from agent.errors import RequestError
from agent.facility.keys import FacilityKey
from agent.facility.membership import Membership
from agent.facility.orders import (
    HOLDS_S,
    LEAST_BYTES_S,
    Allowance,
    AllowanceKeeper,
)
from agent.hub.uplink import UplinkDemand, share_uplink

_RATE = 1.25e6  # 10 Mbit/s
_HUB, _OTHER = FacilityKey(bytes(32)), FacilityKey(bytes([1] * 32))
_MEMBER = Membership(
    address="hub:4222", site="gym-1", station="rack-1", certificate="", hub=_HUB.public
)

_DEMANDS = st.lists(
    st.builds(
        UplinkDemand,
        station=st.just(""),
        backlog_bytes=st.sampled_from([0, 1, 40_000, 2_000_000, 10**9, 10**12]),
        overdue_s=st.floats(0, 1e5),
        away_s=st.none() | st.floats(0, 1e6),
    ),
    max_size=50,
)


def _named(demands: list[UplinkDemand]) -> list[UplinkDemand]:
    return [
        UplinkDemand(
            station=f"rack-{number}",
            backlog_bytes=one.backlog_bytes,
            overdue_s=one.overdue_s,
            away_s=one.away_s,
        )
        for number, one in enumerate(demands)
    ]


@given(_DEMANDS)
def test_shares_come_to_the_rate_at_most_and_none_waits_while_another_has_too_much(
    drawn: list[UplinkDemand],
) -> None:
    demands = _named(drawn)
    shares = share_uplink(demands, rate_bytes_s=_RATE)

    assert set(shares) == {one.station for one in demands if one.away_s is None}
    floor = LEAST_BYTES_S * len(demands)
    assert sum(shares.values()) <= 1.05 * _RATE + floor
    active = [one for one in demands if one.away_s is None and one.backlog_bytes]
    wanting = [one for one in active if shares[one.station] < one.backlog_bytes / 5 - 1e-6]
    if wanting:
        least = min(shares[one.station] for one in wanting)
        assert all(shares[one.station] <= 1.5 * least + LEAST_BYTES_S for one in active)


@given(st.lists(st.integers(50_000_000, 10**10), min_size=20, max_size=20), st.data())
def test_twenty_stations_with_unequal_backlogs_are_served_alike(
    backlogs: list[int], data: st.DataObject
) -> None:
    demands = [
        UplinkDemand(
            station=str(number),
            backlog_bytes=backlog,
            overdue_s=data.draw(st.floats(0, 1e4)),
        )
        for number, backlog in enumerate(backlogs)
    ]
    rates = list(share_uplink(demands, rate_bytes_s=_RATE).values())

    assert sum(rates) == pytest.approx(_RATE)
    assert sum(rates) ** 2 / (len(rates) * sum(rate**2 for rate in rates)) >= 0.95  # Jain's index


def test_a_short_clip_beside_a_long_upload_gets_at_least_half_the_line() -> None:
    demands = [
        UplinkDemand(station="long", backlog_bytes=2_000_000_000, overdue_s=1e4),
        UplinkDemand(station="short", backlog_bytes=5_000_000),
        *(UplinkDemand(station=f"idle-{number}", backlog_bytes=0) for number in range(18)),
    ]
    shares = share_uplink(demands, rate_bytes_s=_RATE)

    assert shares["short"] >= 0.4 * _RATE
    assert sum(shares.values()) <= 1.05 * _RATE + 18 * LEAST_BYTES_S


def test_what_a_lost_station_may_be_sending_is_left_free_until_it_is_given_up() -> None:
    here = UplinkDemand(station="here", backlog_bytes=10**9)
    lost = UplinkDemand(station="lost", backlog_bytes=10**9, away_s=60)
    off = UplinkDemand(station="off", backlog_bytes=10**9, away_s=86_400)

    assert share_uplink([here, lost], rate_bytes_s=_RATE)["here"] == pytest.approx(_RATE / 2)
    assert share_uplink([here, off], rate_bytes_s=_RATE)["here"] == pytest.approx(_RATE)


class _Station:
    """What a station makes of allowances."""

    def __init__(self, root: Path) -> None:
        self.clock_s = 100.0
        self.share = UplinkShare()
        self.keeper = AllowanceKeeper(
            StateFolder(root), _MEMBER, self.share, monotonic=lambda: self.clock_s
        )

    @property
    def rate(self) -> float:
        return self.share.rate(self.clock_s)


def _allowance(rate: float = 5e5, *, station: str = "rack-1", at_s: float = 1.0) -> Allowance:
    return Allowance(
        site="gym-1", station=station, issued_at=at_s, rate_bytes_s=rate, alone_bytes_s=1e5
    )


def test_an_allowance_holds_for_half_a_minute_and_then_what_holds_without_a_hub(
    tmp_path: Path,
) -> None:
    station = _Station(tmp_path)
    assert station.rate == UNLIMITED and station.keeper.document() is None

    body = _allowance().sealed(_HUB)
    station.keeper.hear(body)
    assert station.rate == 5e5 and station.keeper.document() == 500_000
    station.clock_s += HOLDS_S - 1
    station.keeper.hear(body)  # the same once more is none of its repetitions
    station.clock_s += 2
    assert station.rate == 1e5
    assert _Station(tmp_path).rate == 1e5  # after a restart too

    station.keeper.hear(_allowance(at_s=2.0).sealed(_HUB))
    assert station.rate == 5e5
    station.keeper.hear(None)
    assert station.rate == UNLIMITED and _Station(tmp_path).rate == UNLIMITED


def test_a_station_that_starts_where_nothing_is_shared_out_any_more_has_no_limit(
    tmp_path: Path,
) -> None:
    _Station(tmp_path).keeper.hear(_allowance().sealed(_HUB))
    again = _Station(tmp_path)
    assert again.rate == 1e5
    again.keeper.hear(None)
    assert again.rate == UNLIMITED and _Station(tmp_path).rate == UNLIMITED


def test_a_limit_that_the_disk_did_not_take_is_kept_with_the_next_allowance(
    tmp_path: Path,
) -> None:
    state = tmp_path / "state"
    station = _Station(state)
    with pytest.raises(OSError, match="state"):
        station.keeper.hear(_allowance().sealed(_HUB))
    assert station.rate == 5e5
    state.mkdir()
    station.keeper.hear(_allowance(at_s=2.0).sealed(_HUB))
    assert _Station(state).rate == 1e5


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (_allowance().sealed(_OTHER), "not signed by the hub"),
        (_allowance(station="rack-2").sealed(_HUB), "another station"),
        (b'{"document": "{}", "signature": ""}', "not signed by the hub"),
        (b"\xff", "cannot be read"),
        (b"[" * 4000, "cannot be read"),
    ],
)
def test_what_is_not_the_hubs_word_for_this_station_changes_nothing(
    tmp_path: Path, body: bytes, said: str
) -> None:
    station = _Station(tmp_path)
    station.keeper.hear(_allowance().sealed(_HUB))
    with pytest.raises(RequestError, match=said):
        station.keeper.hear(body)
    assert station.rate == 5e5


@pytest.mark.parametrize("rate", [0.0, -1.0, LEAST_BYTES_S - 1, float("nan"), 1e13])
def test_no_allowance_stops_uploads(rate: float) -> None:
    with pytest.raises(ValueError, match="bytes_s"):
        _allowance(rate)
