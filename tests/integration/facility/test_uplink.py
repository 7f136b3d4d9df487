"""The site's uplink, shared out by a real hub among real daemons that upload to a real server."""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.disk.state_folder import StateFolder
from agent.outbox.outbox import Outbox
from agent.sandbox.server import Sandbox
from agent.wakeup import wake
from tests.facility import Hub
from tests.station import KEY, Station, until

_CLIP_BYTES = 250_000


@pytest.fixture
def sharing(tmp_path: Path) -> Iterator[Hub]:
    """A hub with 10 Mbit/s."""
    with Hub(tmp_path / "hub", more='uplink = "10Mbit/s"\n[web]\nlisten = ""\n') as hub:
        yield hub


def _share_of(hub: Hub, station: str) -> object:
    told = hub.state_of(station) or {}
    return told.get("uplink_bytes_s")


def test_a_stations_share_follows_what_it_has_to_send_and_ends_when_it_leaves(
    sharing: Hub, tmp_path: Path
) -> None:
    told: dict[str, object] = {"id": "rack-1", "activity": "running", "user_id": "u1"}
    station = Station(tmp_path / "rack-1", "http://127.0.0.1:9", {"station": told})
    sharing.admit(station)
    with station.running():
        until(lambda: _share_of(sharing, "rack-1") == 62_500)  # a twentieth: it sends nothing
        station.put_clip(1)
        until(lambda: _share_of(sharing, "rack-1") == 1_250_000)
        kept = station.state / "hub-allowance.json"
        assert json.loads(kept.read_text()) == {"alone_bytes_s": 1_250_000}
        station.spotter("leave")
        assert not kept.exists()
    assert "Traceback" not in station.log.read_text()


def share(
    hub: Hub, root: Path, *, stations: int, seconds: float, rate_bytes_s: float
) -> tuple[float, float]:
    """Let stations with unequal backlogs upload; return Jain's index, and the sum over the rate."""
    with Sandbox(key=KEY) as sandbox, contextlib.ExitStack() as running:
        racks = []
        for number in range(stations):
            told: dict[str, object] = {"id": f"rack-{number}", "activity": "running"}
            rack = Station(root / f"rack-{number}", sandbox.base_url, {"station": told})
            hub.admit(rack)
            racks.append(rack)
        for rack in racks:
            running.enter_context(rack.running())
        outboxes = [running.enter_context(Outbox.open(rack.state)) for rack in racks]
        until(lambda: all(_share_of(hub, f"rack-{n}") for n in range(stations)))
        for number, rack in enumerate(racks):
            for clip in range(1, 45 + 3 * number):
                rack.put_clip(clip, size_bytes=_CLIP_BYTES)
            wake(StateFolder(rack.state).wake_socket)
        time.sleep(10)  # the first ones had more
        before, began_s = [_sent_bytes(one) for one in outboxes], time.monotonic()
        time.sleep(seconds)
        took_s = time.monotonic() - began_s
        rates = [
            (_sent_bytes(one) - sent) / took_s for one, sent in zip(outboxes, before, strict=True)
        ]
    jain = sum(rates) ** 2 / (len(rates) * sum(rate**2 for rate in rates))
    return jain, sum(rates) / rate_bytes_s


def _sent_bytes(outbox: Outbox) -> int:
    return sum(one.size_bytes for one in outbox.traffic.sendings(most=1000) if one.is_delivered)


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_twenty_stations_share_ten_megabits_alike_and_keep_to_them(
    sharing: Hub, tmp_path: Path
) -> None:
    jain, used = share(sharing, tmp_path, stations=20, seconds=90, rate_bytes_s=1.25e6)
    assert jain >= 0.95, (jain, used)
    assert 0.8 <= used <= 1.05, (jain, used)
