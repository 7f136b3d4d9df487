"""Hundreds of stations at one hub: what it takes, and how old their words are on the board."""

import asyncio
import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from nats.aio.client import Client

from agent.clock import iso_utc
from agent.facility.broker import BrokerAccess, connect
from agent.facility.keys import FacilityKey
from agent.hub.folder import KnownStation, Register
from tests.facility import SITE, Hub
from tests.process_use import cpu_s, resident_bytes
from tests.station import until

_STATIONS = 500
_EVERY_S = 1.5  # as a station tells its state
_EVENT_EVERY = 40  # states
_WATCHED_S = 40.0


def _key(number: int) -> FacilityKey:
    return FacilityKey(number.to_bytes(32, "big"))


def _word(number: int) -> bytes:
    told = {
        **{"schema": 1, "station": f"rack-{number}", "name": f"Rack {number}", "state": "safe"},
        **{"at": iso_utc(time.time()), "backlog": {"clips": number % 5, "bytes": number * 1000}},
        "athlete": {"user_id": f"athlete-{number}", "exercise": "snatch", "barbell_mass": 60.0},
    }
    return json.dumps(told).encode()


async def _be(hub: Hub, number: int, ended: threading.Event) -> None:
    """Be one station: a connection of its own, its state repeatedly, and an event at times."""
    access = BrokerAccess(
        address=hub.listen,
        certificate=hub.folder.certificate[0].read_text(),
        key=_key(number),
    )
    await asyncio.sleep(number * 0.04)  # as after a power cut that ends: not all in one moment
    client: Client = await connect(access, reconnects=True)
    events = f"spotter.{SITE}.rack-{number}.event.take.ready"
    for turn in itertools.count(number):
        if ended.is_set():
            break
        await client.request(f"$KV.state.{SITE}.rack-{number}", _word(number), timeout=10)
        if turn % _EVENT_EVERY == 0:
            headers = {"Nats-Msg-Id": f"{number}-{turn}"}
            await client.request(events, b"{}", timeout=10, headers=headers)
        await asyncio.sleep(_EVERY_S)
    await client.close()


@contextmanager
def stations(hub: Hub, count: int) -> Iterator[None]:
    """Be so many stations meanwhile, in a thread."""
    ended = threading.Event()

    async def be_all() -> None:
        await asyncio.gather(*(_be(hub, number, ended) for number in range(1, count + 1)))

    thread = threading.Thread(target=lambda: asyncio.run(be_all()))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_five_hundred_stations_take_less_than_a_core_and_a_gigabyte(tmp_path: Path) -> None:
    hub = Hub(tmp_path / "hub", more='uplink = "200Mbit/s"\n[web]\nlisten = ""\n')
    hub.folder.prepare()
    known = {
        f"rack-{number}": KnownStation(key=_key(number).public, since=1.0)
        for number in range(1, _STATIONS + 1)
    }
    hub.folder.change(lambda _register: Register(stations=known))
    with hub, stations(hub, _STATIONS):
        until(lambda: all(age is not None for age in _ages_s(hub)))
        pids = hub.processes()
        before, began_s = sum(map(cpu_s, pids)), time.monotonic()
        ages: list[float] = []
        while time.monotonic() < began_s + _WATCHED_S:
            time.sleep(5)
            ages += [age for age in _ages_s(hub) if age is not None]
        cores = (sum(map(cpu_s, pids)) - before) / (time.monotonic() - began_s)
        resident = sum(map(resident_bytes, pids))
    ages.sort()
    told = (cores, resident, ages[len(ages) * 95 // 100], ages[-1])
    assert cores <= 1.0 and resident <= 1e9, told
    assert ages[len(ages) * 95 // 100] <= 2.0, told


def _ages_s(hub: Hub) -> list[float | None]:
    """Return the ages of all words, as the broker has them at this moment."""
    return [one["age_s"] for one in json.loads(hub.spotter("stations", "--json"))]
