"""What stations say of themselves, as a stranger who has a station's key might say it."""

import asyncio
import json
from pathlib import Path

import pytest

from agent.clock import Instant
from agent.hub.folder import KnownStation, Register
from agent.hub.page import board_templates
from agent.hub.run import _first
from agent.hub.settings import HubSettings
from agent.hub.stations import AWAY_AFTER_S, StationBoard, targets_document
from agent.web.i18n import Texts
from tests.factories import NOW_S

_REGISTER = Register(stations={"rack-1": KnownStation(key="U", since=0.0)})
_NOW = Instant(utc_s=NOW_S)
_TAKE = {"clip_code": "c", "state": "sent"}


@pytest.mark.parametrize(
    "told",
    [
        {"page": "http://["},
        {"page": "http://[::1"},
        {"page": "http://:80"},
        {"page": "http://rack-1:99999"},
        {"page": "http://rack-1:x"},
        {"athlete": {"barbell_mass": float("nan")}},
        {"last_take": {**_TAKE, "barbell_mass": float("inf")}},
    ],
)
def test_a_state_that_nobody_could_use_is_left_out(told: dict[str, object]) -> None:
    board = StationBoard()
    assert board.hear("rack-1", b'{"state": "stopped"}', now=_NOW)
    body = json.dumps({"state": "stopped", **told}).encode()
    assert not board.hear("rack-1", body, now=_NOW)


def test_a_station_that_was_removed_is_forgotten(tmp_path: Path) -> None:
    board, kept = StationBoard(), tmp_path / "kept.json"
    for station in ("rack-1", "rack-2"):
        board.hear(station, b'{"state": "stopped", "athlete": {"user_id": "ada"}}', now=_NOW)
    board.keep_only({"rack-2"})
    board.save(kept)
    assert set(json.loads(kept.read_text())) == {"rack-2"}
    (view,) = board.views(_REGISTER, now=_NOW)
    assert view.word is None


def _in(boot: str, *, utc_s: float, up_s: float) -> Instant:
    return Instant(utc_s=utc_s, boot_id=boot, boot_s=up_s)


@pytest.mark.parametrize(
    ("heard", "now", "age_s"),
    [
        (_in("a", utc_s=NOW_S, up_s=100.0), _in("a", utc_s=NOW_S - 3600, up_s=140.0), 40.0),
        (_in("a", utc_s=NOW_S, up_s=100.0), _in("a", utc_s=NOW_S + 3600, up_s=101.0), 1.0),
        (_in("a", utc_s=NOW_S, up_s=100.0), _in("b", utc_s=NOW_S - 3600, up_s=9.0), None),
        (_in("a", utc_s=NOW_S, up_s=100.0), _in("b", utc_s=NOW_S + 5, up_s=9.0), None),
        (_in("a", utc_s=NOW_S, up_s=100.0), _in("b", utc_s=NOW_S + 60, up_s=9.0), 60.0),
        (Instant(utc_s=NOW_S), _in("a", utc_s=NOW_S - 3600, up_s=9.0), None),
        (Instant(utc_s=NOW_S), _in("a", utc_s=NOW_S - 0.5, up_s=9.0), 0.0),
        (Instant(utc_s=NOW_S), _in("a", utc_s=NOW_S + 7, up_s=9.0), 7.0),
    ],
)
def test_a_word_is_as_old_as_clocks_can_tell_whatever_was_set(
    heard: Instant, now: Instant, age_s: float | None, tmp_path: Path
) -> None:
    board, kept = StationBoard(), tmp_path / "kept.json"
    board.hear("rack-1", b'{"state": "stopped"}', now=heard)
    board.save(kept)
    later = StationBoard()
    later.load(kept)
    for one in (board, later):
        (view,) = one.views(_REGISTER, now=now)
        assert (view.age_s, view.is_away) == (age_s, age_s is None or age_s > AWAY_AFTER_S)


@pytest.mark.parametrize("page", ["http://rack-1:8377", "https://[fe80::1]:8377", "http://rack-1"])
def test_a_page_is_listed_for_prometheus(page: str) -> None:
    board = StationBoard()
    board.hear("rack-1", json.dumps({"state": "stopped", "page": page}).encode(), now=_NOW)
    views = board.views(_REGISTER, now=_NOW)
    found = json.loads(targets_document(views, site="gym-1"))
    assert found[0]["targets"] == [page.partition("//")[2]]


def test_what_ends_one_of_the_hubs_tasks_is_not_hidden() -> None:
    async def fail() -> None:
        raise ValueError("a mistake")

    with pytest.raises(ValueError, match="a mistake"):
        asyncio.run(_first(asyncio.Event().wait, fail))


@pytest.mark.parametrize(
    ("release", "shown"),
    [
        ({}, None),
        ({"version": "0.1.0"}, None),
        ({"version": "0.2.0"}, "Version 0.1.0, vorgesehen 0.2.0"),
        ({"hold": True}, "Updates zurückgehalten"),
        ({"version": "<b>9"}, "vorgesehen &lt;b&gt;9"),
    ],
)
def test_the_page_shows_which_version_is_wanted_where_another_runs(
    release: dict[str, object], shown: str | None
) -> None:
    board, settings = StationBoard(), HubSettings.model_validate({"hub": {"site": "gym-1"}})
    told = {"state": "stopped", "version": "0.1.0", "release": {"state": "applied", **release}}
    assert board.hear("rack-1", json.dumps(told).encode(), now=_NOW)
    views = board.views(_REGISTER, now=_NOW)
    templates = board_templates(settings, Texts("de"))
    text = templates.get_template("parts/stations.html").render(
        views=views, athletes={}, workers=[]
    )
    assert (shown in text) if shown else ("Version" not in text and "Updates" not in text)
