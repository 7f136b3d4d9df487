"""The wanted version: from the hub's command to the file that spotter-update reads, and back."""

import json
from collections.abc import Mapping
from typing import Any

from agent import __version__
from tests.facility import Hub
from tests.integration.facility.conftest import MakeStation
from tests.station import Station, until
from tests.unit.test_update import update


def _reported(hub: Hub, station: str) -> Mapping[str, Any]:
    listed = json.loads(hub.spotter("stations", "--json"))
    (told,) = [one["told"] or {} for one in listed if one["station"] == station]
    return {"release": {}, **told}


def _wish(station: Station) -> object:
    return update.read_wanted(station.state / "hub-release.json")


def test_a_wanted_version_reaches_the_update_and_its_report_the_hub(
    hub: Hub, station: MakeStation
) -> None:
    first, second = station("rack-1"), station("rack-2")
    hub.admit(first)
    hub.admit(second)
    hub.spotter("group", "rack-1", "Hall")
    with first.running(), second.running():
        assert "is not a version" in hub.spotter("release", "newest", code=1)
        assert "is not a time" in hub.spotter("release", "9.0.0", "--not-before", "soon", code=1)
        assert "no group" in hub.spotter("release", "9.0.0", "--group", "Yard", code=1)
        assert "VERSION, --hold or --clear" in hub.spotter("release", "9.0", "--hold", code=2)
        at = "2026-11-30T14:30:00+00:00"
        told = hub.spotter("release", "9.0.0", "--not-before", at, "--group", "Hall")
        assert told == "sent to: rack-1\n"
        hub.spotter("release", "--hold", "--station", "rack-2")
        until(lambda: _wish(first) == update.Wanted("9.0.0", not_before_s=1796049000.0))
        until(lambda: _wish(second) == update.HELD)
        until(lambda: _reported(hub, "rack-1")["release"].get("state") == "applied")
        reported = _reported(hub, "rack-1")
        assert reported["version"] == __version__
        assert reported["release"]["version"] == "9.0.0"
        until(lambda: _reported(hub, "rack-2")["release"].get("hold"))
        assert hub.spotter("release").splitlines() == [
            "group Hall: 9.0.0, not before 2026-11-30T14:30:00Z",
            "rack-2: install no version",
        ]

        hub.spotter("release", "--clear", "--station", "rack-2")
        until(lambda: _wish(second) == update.Wanted())
        hub.spotter("group", "rack-1", "--clear")  # what its group is to install ends for it
        until(lambda: _wish(first) == update.Wanted())
        first.spotter("leave")
        assert _wish(first) is None
