"""The hub's machine is off for a day: stations record, assign, deliver, and tell it afterwards."""

import json
import os
import time
from collections import Counter
from pathlib import Path

import pytest

from agent.outbox.outbox import Outbox
from agent.sandbox.server import Sandbox
from tests.facility import Hub
from tests.integration.facility.test_telling import codes_at
from tests.integration.test_clocks import Clock
from tests.station import Station, delivered, until, until_filmed
from tests.videos import film_run

_ATHLETES = ("athlete-0002", "athlete-0003")
_DAY_S, _INTO_TURN_S = 86_400.0, 600.0
_RUN_S = 1.6  # length of the filmed runs


def play(root: Path, sandbox: Sandbox, hours: list[int]) -> None:
    """Let one athlete after the other run, at hours of the next day, on which there is no hub.

    Of the next day: what is less than a day older than it says, as files are here, is in doubt.
    """
    told: dict[str, object] = {"id": "rack-1", "activity": "running"}
    rack, clock = Station(root / "rack", sandbox.base_url, {"station": told}), Clock(root)
    wanted = [_ATHLETES[number % 2] for number in range(len(hours))]
    with Hub(root / "hub") as hub:
        hub.admit(rack)
        with rack.running(clock.environment):
            began_s, revision = time.time(), 0
            for hour, athlete in zip(hours, wanted, strict=True):
                begins = time.localtime(began_s + _DAY_S + hour * 3600)
                at = time.strftime("%Y-%m-%d %H:%M:%S", begins)
                (made,) = json.loads(hub.spotter("assign", "rack-1", athlete, "--at", at, "--json"))
                revision = made["revision"]
            until(lambda: _plan_of(hub).get("revision") == revision)
            hub.stop()
            for number, hour in enumerate(hours, start=1):
                clock.set_seconds(_DAY_S + hour * 3600 + _INTO_TURN_S)
                until(lambda: _present(rack) == wanted[number - 1])  # noqa: B023
                _film(rack, number, later_s=_DAY_S + hour * 3600 + _INTO_TURN_S)
                assert delivered(sandbox, number), rack.log.read_text()[-2000:]
                until(lambda: rack.states() == ["uploaded"] * number)  # noqa: B023
            with Outbox.open(rack.state) as outbox:
                codes = [str(one["clip_code"]) for one in rack.entries()]
                assert len(outbox.assignments.all()) >= len(hours)
            hub.start()
            until(lambda: set(codes_at(hub, "rack-1")) == set(codes))
            until(lambda: _plan_of(hub).get("state") == "applied")
            ids = Counter(notice for _, notice in hub.events())
    assert max(ids.values()) == 1
    assert [session.user_id for session in sandbox.book.sessions] == wanted


def _film(rack: Station, number: int, *, later_s: float) -> None:
    """Let a run be filmed by the clock of the station."""
    until_filmed(_RUN_S, since_s=time.time())
    made = film_run(rack.root / "film.mp4", seed=number)
    shown_s = time.time() + later_s
    os.utime(made, (shown_s, shown_s))
    made.rename(rack.capture / f"film-{'abcdefghijklmnopqrstuvwxyz'[number]}.mp4")


def _plan_of(hub: Hub) -> dict[str, object]:
    plan = (hub.state_of("rack-1") or {}).get("plan")
    return plan if isinstance(plan, dict) else {}


def _present(rack: Station) -> str | None:
    with Outbox.open(rack.state) as outbox:
        said = outbox.assignments.all()
    return said[-1].user_id if said else None


def test_two_turns_of_a_day_without_a_hub_are_carried_out_delivered_and_told(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    play(tmp_path, sandbox, [5, 20])


@pytest.mark.soak
@pytest.mark.timeout(3000)
def test_a_day_without_a_hub_costs_nothing(tmp_path: Path, sandbox: Sandbox) -> None:
    play(tmp_path, sandbox, list(range(1, 25)))
