"""The clock of the hub's machine is set back: no station is shown as if it had just reported."""

import json
from pathlib import Path
from urllib.request import urlopen

import pytest

from agent.sandbox.server import Sandbox
from tests.facility import Hub
from tests.integration.test_clocks import Clock
from tests.station import Station, until

_HOUR_S = 3600.0


def test_a_station_that_is_away_is_shown_so_after_the_hubs_clock_was_set_back(
    tmp_path: Path, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(tmp_path)
    rack = Station(tmp_path / "rack", sandbox.base_url, {"station": {"id": "rack-1"}})
    hub = Hub(tmp_path / "hub", more='[web]\nlisten = "PAGE"\n')
    for name, value in clock.environment.items():
        monkeypatch.setenv(name, value)
    clock.set_seconds(_HOUR_S)
    hub.start()
    for name in clock.environment:
        monkeypatch.delenv(name)

    def shown() -> str:
        with urlopen(f"http://{hub.page}/stations") as answer:
            return str(answer.read().decode())

    try:
        hub.admit(rack)
        with rack.running():
            until(lambda: "Away" not in shown() and "ago" in shown())
        clock.set_seconds(0.0)
        until(lambda: "Away" in shown())
    finally:
        hub.stop()

    words = json.loads(hub.folder.words.read_text())
    assert words["rack-1"]["heard_at"] > 0
    (told,) = json.loads(hub.spotter("stations", "--json"))
    assert told["away"] and told["age_s"] > 15
