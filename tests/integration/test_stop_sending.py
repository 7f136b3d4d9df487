"""SIGTERM in mid-upload, whatever that waits for: it ends soon and nothing is half marked."""

import signal
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from agent.sandbox.server import Sandbox
from tests.relay import Relay
from tests.station import Station, until

_ENDS_WITHIN_S = 5.0  # ten are promised; nothing here is slow


@pytest.fixture
def relay(sandbox: Sandbox) -> Iterator[Relay]:
    with Relay(sandbox.port) as running:
        yield running


def stopped_in_upload(station: Station, relay: Relay, waits: Callable[[], object]) -> None:
    """Start the daemon, and end it as soon as it waits in the middle of the upload."""
    daemon = station.start()
    until(lambda: relay.uploads > 0 and waits())
    began_s = time.monotonic()
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(12) == 0, station.log.read_text()[-3000:]
    assert time.monotonic() - began_s < _ENDS_WITHIN_S
    assert "shutdown forced" not in station.log.read_text()


def delivered_by_the_next_start(station: Station, relay: Relay, sandbox: Sandbox) -> None:
    relay.heal()
    with station.running():
        until(lambda: station.states() == ["uploaded"])
    assert len(sandbox.book.sessions) == 1


def test_blocked_by_a_reader_that_does_not_read(
    tmp_path: Path, relay: Relay, sandbox: Sandbox
) -> None:
    station = Station(tmp_path, relay.base_url)
    station.put_clip(size_bytes=5_000_000)
    relay.rate_bytes_s = 0

    stopped_in_upload(station, relay, lambda: station.states() == ["uploading"])

    assert station.states() == ["ready"]
    delivered_by_the_next_start(station, relay, sandbox)


def test_throttled(tmp_path: Path, relay: Relay, sandbox: Sandbox) -> None:
    capped: dict[str, object] = {"schedule": "8kbit/s", "min_rate_bytes_s": 100}
    station = Station(tmp_path, relay.base_url, {"delivery": capped})
    station.put_clip()

    stopped_in_upload(station, relay, lambda: relay.arrivals)

    assert (station.states(), sandbox.book.sessions) == (["ready"], [])


def test_waiting_for_the_answer(tmp_path: Path, relay: Relay, sandbox: Sandbox) -> None:
    station = Station(tmp_path, relay.base_url)
    station.put_clip()
    relay.answers = "withhold"

    stopped_in_upload(station, relay, lambda: sandbox.book.sessions)

    assert station.states() == ["uncertain"]  # for the session is made, as the book shows
    assert len(sandbox.book.sessions) == 1
    delivered_by_the_next_start(station, relay, sandbox)


def test_outside_upload_hours(tmp_path: Path, relay: Relay, sandbox: Sandbox) -> None:
    soon = datetime.now().astimezone() + timedelta(days=3)
    closed: dict[str, object] = {"schedule": f"{soon:%a} = unlimited, else off"}
    station = Station(tmp_path, relay.base_url, {"delivery": closed})
    station.put_clip()

    daemon = station.start()
    until(lambda: bool(sandbox.book.requests))  # it has asked for the account
    daemon.send_signal(signal.SIGTERM)
    assert daemon.wait(12) == 0

    assert (station.states(), relay.uploads) == (["ready"], 0)
