"""The hub's page in a real browser: fifty stations on one screen."""

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from agent.facility.keys import FacilityKey
from agent.facility.receiver import POSTER_OF
from agent.hub.chain import SiteWord
from agent.hub.folder import KnownStation, Register
from agent.hub.planning import HubRoster, read_roster_csv
from agent.hub.stations import StationView, StationWord
from tests.facility import SITE, Hub, free_address
from tests.served_page import PIN

_STATIONS = 50
_SCREEN = {"width": 1920, "height": 1080}


_TAKE = {
    **{"clip_code": "k3x9q2m4pd", "state": "uploaded"},
    **{"exercise": "clean_and_jerk", "barbell_mass": 80.0},
}


def told(number: int, **more: object) -> bytes:
    """What a station tells, with something of everything."""
    states = ("filming", "safe", "sending", "needs", "idle", "offline", "analysing", "stopped")
    return json.dumps(
        {
            **{"schema": 1, "station": f"rack-{number}", "name": f"Platform {number}"},
            **{"state": states[number % 8], "held": number % 3, "page": "http://192.0.2.7:8377"},
            "backlog": {"clips": number, "bytes": number * 1000},
            "camera": "lost" if number % 7 == 0 else "recording",
            "athlete": {"user_id": f"athlete-{number}", "exercise": "snatch", "barbell_mass": 62.5},
            "last_take": _TAKE,
            **more,
        }
    ).encode()


@pytest.fixture(scope="module", params=[pytest.param("en", marks=pytest.mark.soak), "de"])
def hub(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A hub with fifty stations and a PIN, in one language and in the other."""
    root = tmp_path_factory.mktemp("hub")
    with board_hub(root, language=request.param, stations=_STATIONS) as made:
        yield made


def board_hub(root: Path, *, language: str, stations: int) -> Hub:
    """Make a hub with stations in two groups, and a PIN."""
    more = f'[web]\nlisten = "PAGE"\nlanguage = "{language}"\npin = "{PIN}"\n'
    made = Hub(root, more=more)
    made.folder.prepare()
    known = {
        f"rack-{n}": KnownStation(
            key=FacilityKey(bytes([n]) * 32).public,
            since=1.0,
            group="Hall" if n < stations / 2 else "Weight room",
        )
        for n in range(stations)
    }
    made.folder.change(lambda _register: Register(stations=known))
    athletes = "".join(f"athlete-{n},Ada {n} Lovelace,U18,yes\n" for n in range(1, 49))
    csv = f"user_id,name,groups,consent\nathlete-49,Bo Nay,,no\n{athletes}"
    HubRoster(made.folder.roster).change(read_roster_csv(csv), replace=True)
    return made


def tell(hub: Hub, words: Mapping[int, bytes]) -> None:
    """Let stations tell something, from a thread: this one's event loop is the browser's."""

    def publish() -> None:
        with closing(hub.connection()) as broker:
            for number, word in words.items():
                broker.publish(f"$KV.state.{SITE}.rack-{number}", word)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(publish).result()


def show(hub: Hub, posters: Mapping[int, bytes]) -> None:
    """Let stations publish the pictures of their last takes."""

    def publish() -> None:
        with closing(hub.connection()) as broker:
            for number, jpeg in posters.items():
                subject = f"$KV.state.{SITE}.rack-{number}.poster"
                broker.publish(subject, jpeg, {POSTER_OF: "k3x9q2m4pd"})

    with ThreadPoolExecutor(1) as pool:
        pool.submit(publish).result()


def poster(shade: int) -> bytes:
    """A small picture."""
    image = np.full((135, 240, 3), (shade * 5, 120, 255 - shade * 5), np.uint8)
    return bytes(cv2.imencode(".jpg", image)[1].tobytes())


def stored(hub: Hub, subject: str) -> bytes:
    """What the broker has stored, likewise from a thread."""

    def read() -> bytes:
        with closing(hub.connection()) as broker:
            found = broker.stored(subject)
        return b"" if found is None else found.body

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(read).result()


def test_fifty_stations_are_on_one_screen_and_age(
    hub: Hub, browser: Browser, tmp_path: Path
) -> None:
    language = "de" if 'language = "de"' in hub.config.read_text() else "en"
    away = {"en": "Away", "de": "Nicht verbunden"}[language]
    context = browser.new_context(viewport=_SCREEN)  # type: ignore[arg-type]  # a size
    errors: list[str] = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    page = context.new_page()
    page.goto(f"http://{hub.page}")
    page.fill("#pin", PIN)
    page.click("button.primary")
    stations = page.locator(".station")
    expect(stations).to_have_count(_STATIONS)
    expect(page.locator("#station-rack-3")).to_contain_text(away)

    show(hub, {number: poster(number) for number in range(_STATIONS)})
    tell(hub, {number: told(number) for number in range(_STATIONS)})
    tell(hub, {49: told(49, last_take={**_TAKE, "user_id": "athlete-49"})})
    expect(page.locator("#station-rack-49 h2")).to_have_text("Platform 49")
    expect(page.locator(".station-away")).to_have_count(0)
    assert stations.nth(2).get_attribute("id") == "station-rack-2"  # before 10
    assert stations.nth(25).get_attribute("id") == "station-rack-25"  # the other group
    expect(page.locator(".station-last img")).to_have_count(_STATIONS - 1)  # 49: no consent
    expect(page.locator("#station-rack-7 .station-who")).to_contain_text("Ada 7 Lovelace")
    expect(page.locator("#station-rack-49")).to_contain_text("Bo Nay")
    expect(page.locator("#station-rack-49 strong").first).to_have_text(
        {"en": "No consent to be filmed", "de": "Keine Einwilligung zum Filmen"}[language]
    )
    expect(page.locator("#station-rack-30 .station-age")).to_contain_text("Weight room")
    page.wait_for_function(
        "() => [...document.images].every(one => one.complete && one.naturalWidth === 240)"
    )
    heights = page.evaluate("[document.documentElement.scrollHeight, innerHeight]")
    page.screenshot(path=tmp_path / "board.png")
    assert heights[0] <= heights[1], heights
    assert not _faults(page), _faults(page)

    page.select_option("#assign-station", "rack-3")
    page.fill("#assign-user", "ada")
    page.click(".facility-assign button")
    expect(page.locator(".station")).to_have_count(_STATIONS)
    assert b"ada" in stored(hub, f"$JS.API.DIRECT.GET.KV_desired.$KV.desired.{SITE}.rack-3.plan")

    page.fill("#assign-user", "athlete-49")
    page.click(".facility-assign button")
    expect(page.locator("body")).to_contain_text("athlete-49")
    page.goto(f"http://{hub.page}/")
    kept = page.request.get(f"http://{hub.page}/poster/rack-7.jpg")
    assert (kept.status, kept.headers["content-type"]) == (200, "image/jpeg")
    assert kept.headers["x-content-type-options"] == "nosniff"
    for name in ("rack-49", "rack-99", "..%2frack-1"):  # no consent, no such station
        assert page.request.get(f"http://{hub.page}/poster/{name}.jpg").status == 404
    show(hub, {7: b"<svg onload=alert(1)>"})
    expect(page.locator("#station-rack-7 img")).to_have_count(0)

    tell(hub, {0: told(0, name="<script>alert(1)</script>"), 1: b'{"state": "rubbish"}'})
    expect(page.locator("#station-rack-0 h2")).to_have_text("<script>alert(1)</script>")
    tell(hub, {1: b"\xff"})
    expect(page.locator("#station-rack-1")).to_contain_text(away, timeout=25_000)  # grey by then
    assert "station-away" in (page.locator("#station-rack-1").get_attribute("class") or "")

    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert not _faults(page), _faults(page)
    context.close()
    assert not errors


@pytest.mark.parametrize("language", [pytest.param("en", marks=pytest.mark.soak), "de"])
def test_fifty_stations_of_five_sites_are_on_the_chains_screen(
    language: str, browser: Browser, tmp_path: Path
) -> None:
    more = f'[web]\nlisten = "PAGE"\nlanguage = "{language}"\npin = "{PIN}"\n'
    chain = Hub(tmp_path / "hub", more=f'sites = "{free_address()}"\n{more}')
    chain.folder.prepare()
    known = {f"gym-{n}": KnownStation(key=_key(n), since=1.0) for n in range(2, 7)}
    workers = {f"fast-{n}": KnownStation(key=_key(9 + n), since=1.0) for n in range(2)}
    chain.folder.change(lambda _register: Register(sites=known, workers=workers))
    context = browser.new_context(viewport=_SCREEN)  # type: ignore[arg-type]  # a size
    page = context.new_page()
    with chain:
        page.goto(f"http://{chain.page}")
        page.fill("#pin", PIN)
        page.click("button.primary")
        expect(page.locator(".workers")).to_contain_text("fast-1")
        sent = {}
        for site in known:
            views = [
                StationView(
                    station=f"rack-{n}",
                    word=StationWord.model_validate_json(told(n)),
                    age_s=600.0 if n == 3 else 1.0,
                    group="Weight room",
                )
                for n in range(10)
            ]
            sent[f"$KV.state.{site}"] = SiteWord.of(views).closed()
        sent[f"$KV.state.{SITE}.fast-1.worker"] = b'{"station": "rack-1", "finished": 3}'
        publish(chain, sent)
        expect(page.locator(".station")).to_have_count(_STATIONS)
        expect(page.locator(".workers")).to_contain_text(
            {"en": "analysing for rack-1", "de": "analysiert für rack-1"}[language]
        )
        expect(page.locator(".station-away")).to_have_count(5)
        last = page.locator(".station").last
        assert last.get_attribute("id") == "station-gym-6.rack-9"
        expect(last.locator(".station-age")).to_contain_text("gym-6 · Weight room")
        assert page.locator(".station a, .station img, #assign-station").count() == 0
        page.screenshot(path=tmp_path / "chain.png")
        heights = page.evaluate("[document.documentElement.scrollHeight, innerHeight]")
        assert heights[0] <= heights[1], heights
        assert not _faults(page), _faults(page)
        page.set_viewport_size({"width": 390, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert not _faults(page), _faults(page)
    context.close()


def _key(number: int) -> str:
    return FacilityKey(bytes([number]) * 32).public


def publish(hub: Hub, messages: Mapping[str, bytes]) -> None:
    """Publish messages, likewise from a thread."""

    def publish_all() -> None:
        with closing(hub.connection()) as broker:
            for subject, body in messages.items():
                broker.publish(subject, body)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(publish_all).result()


def test_a_wall_is_paired_by_a_link_and_the_hubs_end_is_shown(
    tmp_path: Path, browser: Browser
) -> None:
    with Hub(tmp_path, more=f'[web]\nlisten = "PAGE"\npin = "{PIN}"\n') as hub:
        context: BrowserContext = browser.new_context()
        page = context.new_page()
        page.goto(f"http://{hub.page}/stations")
        expect(page).to_have_url(f"http://{hub.page}/login")
        page.goto(json.loads(hub.spotter("pair", "--wall", "--json"))["address"])
        expect(page.locator("main")).to_contain_text("No stations yet")
        expect(page.locator("#lost")).to_be_hidden()
    expect(page.locator("#lost")).to_be_visible()
    context.close()


def _faults(page: Page) -> list[str]:
    found = Axe().run(page)
    return [f"{one['id']}: {one['nodes'][0]['html'][:90]}" for one in found.response["violations"]]
