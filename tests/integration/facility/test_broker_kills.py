"""A facility whose broker is killed, loses its store or is replaced, repeatedly."""

import random
import shutil
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from agent.disk.state_folder import StateFolder
from agent.outbox.outbox import Outbox
from agent.sandbox.server import Sandbox
from agent.wakeup import wake
from tests.facility import Hub
from tests.integration.facility.test_telling import codes_at, hold_clips
from tests.station import KEY, Station, until

_SENT_FROM = 10_000  # numbers of clips that are uploaded; those below wait for a person


def _lose(hub: Hub, chance: random.Random, kept: Path) -> None:
    """Let one of many things happen to the broker."""
    kind = chance.choices(("broker", "hub", "older", "empty"), (70, 15, 10, 5))[0]
    if kind == "broker":
        hub.kill_broker()
        return
    if kind == "hub":
        hub.kill()
    else:
        hub.stop()
        if kind == "older" and kept.exists():
            shutil.rmtree(hub.folder.store)
            shutil.move(kept, hub.folder.store)
        elif kind == "empty":
            shutil.rmtree(hub.folder.store)
        if not kept.exists() and hub.folder.store.exists():
            shutil.copytree(hub.folder.store, kept)
    hub.start()


def play(root: Path, *, stations: int, losses: int, seed: int) -> None:
    """Let stations upload and tell events while the broker is lost, and compare at the end."""
    chance = random.Random(seed)
    with Sandbox(key=KEY) as sandbox, Hub(root / "hub") as hub, ExitStack() as running:
        racks, held = [], []
        for number in range(stations):
            told: dict[str, object] = {"id": f"rack-{number}", "activity": "running"}
            rack = Station(root / f"rack-{number}", sandbox.base_url, {"station": told})
            hub.admit(rack)
            running.enter_context(rack.running())
            racks.append(rack)
            held.append(list[str]())
        outboxes = [running.enter_context(Outbox.open(rack.state)) for rack in racks]
        sent = 0
        for loss in range(1, losses + 1):
            for number, (rack, outbox) in enumerate(zip(racks, outboxes, strict=True)):
                if chance.random() < 0.5:
                    held[number] += hold_clips(outbox, loss)
                if chance.random() < 0.3:
                    rack.put_clip(_SENT_FROM * (number + 1) + loss, size_bytes=20_000)
                    sent += 1
                wake(StateFolder(rack.state).wake_socket)
            time.sleep(chance.uniform(0.2, 3.0))
            _lose(hub, chance, root / "kept")
        for number, codes in enumerate(held):
            until(lambda: set(codes) <= set(codes_at(hub, f"rack-{number}")))  # noqa: B023
        assert sandbox.book.wait_for(lambda book: len(book.sessions) >= sent, 300)
        until(lambda: all(hub.state_of(f"rack-{number}") for number in range(stations)))
        told_ids = Counter(notice for _, notice in hub.events())
        states = Counter(state for rack in racks for state in rack.states())
    assert max(told_ids.values()) == 1, told_ids.most_common(5)
    assert len(sandbox.book.sessions) == sent == states["uploaded"]
    assert states["held"] == sum(len(codes) for codes in held)


def test_a_broker_that_is_lost_three_times_costs_nothing(tmp_path: Path) -> None:
    play(tmp_path, stations=2, losses=3, seed=4)


@pytest.mark.soak
@pytest.mark.timeout(7000)
def test_a_broker_that_is_lost_a_hundred_times_costs_nothing(tmp_path: Path) -> None:
    play(tmp_path, stations=20, losses=100, seed=11)
