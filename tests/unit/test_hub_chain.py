"""What a site says to its chain, as a stranger who has a site's key might say it."""

import json
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.clock import Instant
from agent.errors import NotifyError
from agent.hub.chain import SiteBoard, SiteWord, number_in
from agent.hub.folder import KnownStation
from agent.hub.stations import StationView, StationWord
from tests.factories import NOW_S

_NOW = Instant(utc_s=NOW_S)
_SITES = {"gym-1": KnownStation(key="U", since=0.0)}


def _closed(*stations: object) -> bytes:
    return zlib.compress(json.dumps({"stations": stations}).encode())


@pytest.mark.parametrize(
    "make",  # packed when it is needed: every worker of a run collects them all
    [
        lambda: b"",
        lambda: b"rubbish",
        lambda: zlib.compress(b"[" * 100_000),
        lambda: zlib.compress(bytes(100_000_000)),
        lambda: zlib.compress(b"{}")[:-3],
        lambda: _closed({"station": "../rack"}),
        lambda: _closed({"station": "a.b"}),
        lambda: _closed({"station": "rack", "age_s": -5}),
        lambda: _closed({"station": "rack", "age_s": float("inf")}),
        lambda: _closed({"station": "rack", "told": {"state": "dancing"}}),
        lambda: _closed(*({"station": f"rack-{number}"} for number in range(1001))),
    ],
)
def test_what_no_hub_would_say_is_left_out(make: Callable[[], bytes]) -> None:
    board = SiteBoard()
    assert board.hear("gym-1", _closed({"station": "rack-1"}), now=_NOW)
    assert not board.hear("gym-1", make(), now=Instant(utc_s=NOW_S + 2))
    (view,) = board.views(_SITES, now=_NOW)
    assert view.place == "gym-1.rack-1"


def test_a_site_leads_nobody_to_a_page_and_tells_no_details() -> None:
    told = {"state": "safe", "page": "https://rack-1:8377", "plan": {"detail": "Ada"}}
    word = StationWord.model_validate({**told, "name": "Rack 1"})
    view = StationView(station="rack-1", word=word, age_s=1.0, group="Hall")
    sent = SiteWord.of([view]).closed()
    assert b"rack-1:8377" not in zlib.decompress(sent) and b"Ada" not in zlib.decompress(sent)

    board = SiteBoard()
    board.hear("gym-1", _closed({"station": "rack-1", "told": told}), now=_NOW)
    (shown,) = board.views(_SITES, now=Instant(utc_s=NOW_S + 20))
    assert shown.word is not None and shown.word.page is None and shown.word.plan.detail is None
    assert shown.belongs_to == "gym-1"


def test_a_station_is_as_old_at_the_chain_as_at_its_site_and_silence_adds_to_it(
    tmp_path: Path,
) -> None:
    board, kept = SiteBoard(), tmp_path / "kept.json"
    view = StationView(station="rack-1", word=None, age_s=12.0)
    board.hear("gym-1", SiteWord.of([view]).closed(), now=_NOW)
    (shown,) = board.views(_SITES, now=Instant(utc_s=NOW_S + 2))
    assert (shown.age_s, shown.is_away) == (14.0, False)
    board.save(kept, _SITES)
    later = SiteBoard()
    later.load(kept)
    (shown,) = later.views(_SITES, now=Instant(utc_s=NOW_S + 5))
    assert (shown.age_s, shown.is_away) == (17.0, True)
    assert not later.views({}, now=_NOW)  # of a site that was removed
    later.save(kept, {})
    assert json.loads(kept.read_text()) == {}


def test_a_site_that_says_much_is_read_once_a_second() -> None:
    board = SiteBoard()
    assert board.hear("gym-1", _closed({"station": "rack-1"}), now=_NOW)
    assert not board.hear("gym-1", _closed(), now=Instant(utc_s=NOW_S + 0.5))
    assert board.hear("gym-2", _closed(), now=Instant(utc_s=NOW_S + 0.5))
    assert len(board.views(_SITES, now=_NOW)) == 1
    assert board.hear("gym-1", _closed(), now=Instant(utc_s=NOW_S + 1.5))
    assert board.hear("gym-1", _closed(), now=Instant(utc_s=NOW_S - 3600))  # the clock was set
    assert not board.views(_SITES, now=_NOW)


@pytest.mark.parametrize(
    "answer",
    [b"", b"[]", b"7", b'{"seq": 1e999}', b'{"seq": {}}', b'{"error": 1}', b"[" * 9999, b"\xff"],
)
def test_a_chain_that_answers_anything_is_only_a_chain_that_is_away(answer: bytes) -> None:
    with pytest.raises(NotifyError):
        number_in(answer, "seq")


def test_a_site_of_fifty_stations_says_little() -> None:
    told = {
        **{"state": "safe", "name": "Platform", "version": "0.1.0", "camera": "fine"},
        "athlete": {"user_id": "athlete-4711", "exercise": "snatch", "barbell_mass": 60.0},
        "last_take": {"clip_code": "k3x9q2m4pd", "state": "uploaded", "exercise": "snatch"},
    }
    word = StationWord.model_validate(told)
    views = [StationView(station=f"rack-{n}", word=word, age_s=n / 7) for n in range(50)]
    assert len(SiteWord.of(views).closed()) < 4_000
