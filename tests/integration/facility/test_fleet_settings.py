"""Settings from the hub: sent by its command, tried, taken over and reported by real daemons."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.facility import Hub
from tests.integration.facility.conftest import MakeStation
from tests.station import Station, give, until


def _push(hub: Hub, text: str, *words: str, code: int = 0) -> str:
    file = hub.config.with_name("wanted.toml")
    file.write_text(text)
    return hub.spotter("push", str(file), *words, code=code)


def _told(hub: Hub, station: str) -> Mapping[str, Any]:
    told = (hub.state_of(station) or {}).get("settings")
    return told if isinstance(told, dict) else {}


def _has(station: Station, table: str, key: str) -> tuple[object, object]:
    told = json.loads(station.spotter("config", "--json"))
    return told[table][key], told["origins"][table][key]


def _starts(station: Station) -> int:
    """Count how often the daemon has begun with its settings."""
    return station.log.read_text().count('event="daemon started"')


def test_settings_reach_those_they_are_for_and_what_is_impossible_keeps_those_before(
    hub: Hub, station: MakeStation
) -> None:
    first, second = station("rack-1"), station("rack-2")
    text = second.config.read_text().replace("[delivery]", "[delivery]\nmin_rate_bytes_s = 50000")
    second.config.write_text(text)
    hub.admit(first)
    hub.admit(second)
    hub.spotter("group", "rack-1", "Hall")
    with first.running(), second.running():
        assert "cannot be set there" in _push(hub, '[api]\nrole = "user"\n', code=78)
        assert "no group 'Yard'" in _push(hub, "", "--group", "Yard", code=1)
        told = _push(hub, '[quality]\ntoo_dark = "hold"\ntoo_bright = "hold"\n')
        assert "sent to: rack-1, rack-2" in told
        _push(hub, '[quality]\ntoo_dark = "ignore"\n', "--group", "Hall")
        until(lambda: _has(first, "quality", "too_dark") == ("ignore", "hub"))
        until(lambda: _has(second, "quality", "too_dark") == ("hold", "hub"))
        assert _has(first, "quality", "too_bright") == ("hold", "hub")
        until(lambda: _told(hub, "rack-1").get("state") == "applied")

        _push(hub, '[delivery]\nschedule = "100kbit/s"\n', "--station", "rack-2")
        until(lambda: _told(hub, "rack-2").get("state") == "refused")
        assert "min_rate_bytes_s" in _told(hub, "rack-2")["detail"]
        assert _has(second, "quality", "too_dark") == ("hold", "hub")  # those before hold

        hub.spotter("push", "--clear", "--station", "rack-2")
        until(lambda: _told(hub, "rack-2").get("state") == "applied")
        starts = _starts(first)
        first.spotter("leave")
        assert _has(first, "quality", "too_dark")[1] == "default"
        until(lambda: _starts(first) == starts + 1)  # without what the hub had set
    shown = hub.spotter("push")
    assert '# for the group Hall\n[quality]\ntoo_dark = "ignore"' in shown


def test_what_nobody_can_read_and_a_hub_that_is_away_are_said_in_one_line(tmp_path: Path) -> None:
    hub = Hub(tmp_path / "hub")
    hub.folder.prepare()
    hub.folder.wanted_settings.write_text("{")
    with hub:  # runs all the same
        assert "is damaged" in hub.spotter("push", code=78)
        assert 'event="settings publish failed"' in hub.log.read_text()
    hub.folder.wanted_settings.unlink()
    assert "nested too deeply" in _push(hub, "x = " + "[" * 5000, code=1)
    done = give(["hub", "push", "--clear", "--config", str(hub.config)])
    assert done.returncode == 0 and done.stdout == ""
    assert "saved; the stations get it once the hub runs" in done.stderr
