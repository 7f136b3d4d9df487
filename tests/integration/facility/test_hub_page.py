"""The hub's page as a plain client asks it."""

import json
import re
from pathlib import Path

import httpx

from tests.facility import Hub
from tests.integration.facility.conftest import MakeStation
from tests.served_page import PIN
from tests.station import Station, until

_CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')


def _on(rack: Station) -> object:
    return json.loads(rack.spotter("status", "--json"))["assignment"]["user_id"]


def test_the_door_names_the_hubs_own_command(tmp_path: Path) -> None:
    more = f'[web]\nlisten = "PAGE"\npin = "{PIN}"\n'
    with (
        Hub(tmp_path, more=more) as hub,
        httpx.Client(base_url=f"http://{hub.page}", headers={"origin": f"http://{hub.page}"}) as us,
    ):
        assert "“spotter hub pair”" in us.get("/login").text
        refused = us.post("/pair", data={"token": "used"})
        assert (refused.status_code, "“spotter hub pair”" in refused.text) == (403, True)


def test_a_name_on_the_page_means_the_athlete_of_the_roster(
    tmp_path: Path, station: MakeStation
) -> None:
    roster = tmp_path / "roster.csv"
    roster.write_text("user_id,name,consent\nathlete-0002,Ada Byron,yes\nu2,Bo Li,no\n")
    rack = station("rack-1")
    with (
        Hub(tmp_path / "hub", more='[web]\nlisten = "PAGE"\n') as hub,
        httpx.Client(base_url=f"http://{hub.page}", headers={"origin": f"http://{hub.page}"}) as us,
    ):
        hub.spotter("roster", str(roster))
        hub.admit(rack)
        csrf = _CSRF.findall(us.get("/").text)[0]

        def assign(who: str) -> httpx.Response:
            told = {"csrf_token": csrf, "station": "rack-1", "user_id": who}
            return us.post("/assign", data=told)

        with rack.running():
            assert assign("ada byron").status_code == 303
            until(lambda: _on(rack) == "athlete-0002")
            for who, why in (("Bo Li", "no consent"), ("Cy Nobody", "not in the roster")):
                refused = assign(who)
                assert (refused.status_code, why in refused.text) == (409, True), refused.text
            assert _on(rack) == "athlete-0002"
