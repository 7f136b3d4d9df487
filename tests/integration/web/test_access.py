"""An outsider cannot read or change anything: every route, tried in every wrong way."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.routing import Route

from agent.clock import read_clock
from agent.disk.state_folder import StateFolder
from agent.outbox.devices import Role
from agent.outbox.outbox import Outbox
from agent.stage import StopFlag
from agent.station.page_settings import save_page_secret
from agent.web.app import ROUTES, make_app, make_page
from agent.web.auth import SETUP_LASTS_S, Signer
from agent.web.context import DaemonSignals
from agent.web.routing import Endpoint, GuardedEndpoint, RequiredAccess, WebContext
from tests.served_page import PIN, ServedPage, page_settings, served_page

# Whoever adds a route that anybody may use must say so here, too.
FOR_ANYBODY = {
    ("GET", "/login"),
    ("POST", "/login"),
    ("GET", "/pair"),
    ("POST", "/pair"),
    ("GET", "/page.js"),
    ("GET", "/camera.js"),
    ("GET", "/setup.js"),
    ("GET", "/icon.svg"),
    ("GET", "/manifest.webmanifest"),
    ("GET", "/metrics"),  # by its own token, or from this box: see test_monitoring.py
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("POST", "/api/tap"),  # by its own token: see test_check_in.py
    ("POST", "/api/button"),  # the same
}
GUARDED = [place for place in ROUTES if (place.method, place.path) not in FOR_ANYBODY]
FOR_COACHES = [place for place in GUARDED if place.access is RequiredAccess.COACH]
CHANGING = [place for place in GUARDED if place.method != "GET"]


def named(place: Endpoint[WebContext]) -> str:
    return f"{place.method} {place.path}"


def ask(client: httpx.Client, place: Endpoint[WebContext]) -> httpx.Response:
    path = (
        re.sub(r"\{\w+:int\}", "1", place.path)
        .replace("{code}", "k3x9q2m4pd")
        .replace("{key:path}", "somebody")
    )
    if place.method == "GET":
        return client.get(path)
    return client.post(path, data={"key": "somebody"})


def test_every_route_of_the_application_is_one_of_these(tmp_path: Path) -> None:
    settings = page_settings(tmp_path)
    folder = StateFolder(settings.paths.state)
    folder.prepare()
    signs = DaemonSignals(is_filming=lambda: False, wake=lambda: None, stop=StopFlag())
    with Outbox.open(folder.root) as outbox:
        page = make_page(settings, outbox, folder, signs=signs, now=read_clock)
        routes = make_app(page).routes
        page.database.close()

    behind = [
        r.endpoint.endpoint
        for r in routes
        if isinstance(r, Route) and isinstance(r.endpoint, GuardedEndpoint)
    ]
    assert behind == list(ROUTES) and len(behind) == len(routes)


def test_the_places_for_anybody_are_few_and_known() -> None:
    anybody = {(p.method, p.path) for p in ROUTES if p.access is RequiredAccess.ANYBODY}

    assert anybody == FOR_ANYBODY
    assert len(GUARDED) > 15


@pytest.mark.parametrize("place", GUARDED, ids=named)
def test_nobody_comes_in_without_or_with_a_wrong_or_an_old_session(
    page: ServedPage, place: Endpoint[WebContext]
) -> None:
    forged = Signer(b"x" * 32, lasts_days=90)
    coach = page.session()
    with page.client() as nobody:
        assert ask(nobody, place).status_code == 401
        for cookie in ("", "nonsense", forged.cookie(coach), f"{coach.payload}.{'0' * 64}"):
            nobody.cookies.set("spotter", cookie)
            assert ask(nobody, place).status_code == 401
    with page.client(page.session(age_s=91 * 86400)) as expired:
        assert ask(expired, place).status_code == 401
    with page.client(page.session(device_id="neverpaired")) as unknown:
        assert ask(unknown, place).status_code == 401


@pytest.mark.parametrize("place", GUARDED, ids=named)
def test_a_foreign_origin_is_refused_even_with_a_session(
    page: ServedPage, place: Endpoint[WebContext]
) -> None:
    coach = page.session()
    for origin in ("http://evil.example", "null", f"{page.origin}.evil.example", "https://["):
        with page.client(coach, origin=origin) as foreign:
            assert ask(foreign, place).status_code == 403
    with page.client(coach) as silent:
        del silent.headers["origin"]
        silent.headers["sec-fetch-site"] = "cross-site"
        assert ask(silent, place).status_code == 403


@pytest.mark.parametrize("place", GUARDED, ids=named)
def test_a_foreign_host_is_refused_even_with_a_session(
    page: ServedPage, place: Endpoint[WebContext]
) -> None:
    with page.client(page.session(), host="rebound.example", origin="http://rebound.example") as c:
        assert ask(c, place).status_code == 421


@pytest.mark.parametrize("place", FOR_COACHES, ids=named)
def test_the_wall_sees_its_own_view_alone(page: ServedPage, place: Endpoint[WebContext]) -> None:
    with page.client(page.session(Role.WALL)) as wall:
        assert ask(wall, place).status_code == 403


@pytest.mark.parametrize("place", GUARDED, ids=named)
def test_a_kiosk_sees_its_own_view_alone(page: ServedPage, place: Endpoint[WebContext]) -> None:
    own = place.access is RequiredAccess.KIOSK
    with page.client(page.session(Role.KIOSK)) as kiosk:
        assert (ask(kiosk, place).status_code == 403) is not own


def test_who_sets_up_sees_the_set_up_and_the_camera_alone_and_for_half_an_hour(
    page: ServedPage,
) -> None:
    own = {RequiredAccess.SETUP, RequiredAccess.CAMERA}
    session = page.session(Role.SETUP)
    folder = StateFolder(page.settings.paths.state)
    with page.client(session) as setup, page.client(page.session()) as coach:
        assert setup.get("/setup").status_code == 401  # whoever wrote that row
        save_page_secret(folder.page_setup, session.device_id)
        for place in GUARDED:
            assert (ask(setup, place).status_code == 403) is (place.access not in own), place.path
            if place.access is RequiredAccess.SETUP:
                assert ask(coach, place).status_code == 403
        page.outbox.database.change(
            "UPDATE device SET paired_at = paired_at - ? WHERE id = ?",
            (SETUP_LASTS_S, session.device_id),
        )
        assert setup.get("/setup").status_code == 401
    device = page.outbox.devices.get(session.device_id)
    assert device is not None and device.ended_at is None


@pytest.mark.parametrize("place", CHANGING, ids=named)
def test_a_change_wants_the_csrf_token_of_this_very_device(
    page: ServedPage, place: Endpoint[WebContext]
) -> None:
    coach, other = page.session(), page.session()
    with page.client(coach) as client:
        for token in ("", "wrong", page.signer.csrf_token(other)):
            client.headers["x-csrf-token"] = token
            assert ask(client, place).status_code == 403
        del client.headers["origin"]
        client.headers["x-csrf-token"] = page.signer.csrf_token(coach)
        for site in ("same-origin", "none", "cross-site"):
            client.headers["sec-fetch-site"] = site
            assert ask(client, place).status_code == 403  # a browser names it


def test_who_was_ended_comes_in_no_longer(page: ServedPage) -> None:
    coach = page.session()
    with page.client(coach) as client:
        assert client.get("/").status_code == 200
        page.outbox.devices.end(coach.device_id, now_s=read_clock().utc_s)
        assert client.get("/").status_code == 401


def test_leaving_ends_this_device(page: ServedPage) -> None:
    coach = page.session()
    with page.client(coach) as client:
        assert client.post("/leave").status_code == 303
        client.cookies.set("spotter", page.signer.cookie(coach))
        assert client.get("/").status_code == 401


def test_a_browser_without_a_session_is_led_to_the_door(page: ServedPage) -> None:
    with page.client(accept="text/html") as client:
        answer = client.get("/")
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
        assert "482913" not in client.get("/login").text


def test_the_pin_lets_in_and_its_cookie_is_out_of_reach(page: ServedPage) -> None:
    with page.client() as client:
        answer = client.post("/login", data={"pin": " 482913 "})
        assert answer.status_code == 303
        cookie = answer.headers["set-cookie"].lower()
        for word in ("httponly", "samesite=strict", "path=/"):
            assert word in cookie
        assert client.get("/").status_code == 200


def test_a_pairing_link_serves_once_and_not_for_long(page: ServedPage) -> None:
    now_s = read_clock().utc_s
    page.outbox.devices.offer("fresh", role=Role.WALL, name="", now_s=now_s, lasts_s=60)
    page.outbox.devices.offer("stale", role=Role.COACH, name="", now_s=now_s - 60, lasts_s=30)
    with page.client() as first, page.client() as second:
        answer = first.post("/pair", data={"token": "fresh"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/wall")
        assert first.get("/wall").status_code == 200
        assert second.post("/pair", data={"token": "fresh"}).status_code == 403
        assert second.post("/pair", data={"token": "stale"}).status_code == 403
        assert second.get("/wall").status_code == 401


def test_wrong_pins_from_many_addresses_keep_no_coach_out_who_was_in_before(
    tmp_path: Path,
) -> None:
    def come_in(address: str, pin: str) -> int:
        transport = httpx.HTTPTransport(local_address=address)
        with httpx.Client(base_url=page.origin, transport=transport) as client:
            headers = {"origin": page.origin}
            return client.post("/login", data={"pin": pin}, headers=headers).status_code

    settings = page_settings(tmp_path)
    with served_page(settings) as page:
        assert come_in("127.0.0.1", PIN) == 303
        page.outbox.devices.offer(
            "fresh", role=Role.COACH, name="", now_s=read_clock().utc_s, lasts_s=60
        )
    with served_page(settings) as page:  # and the box was restarted since
        for number in range(2, 40):
            come_in(f"127.0.0.{number}", "000000")
        assert come_in("127.0.0.99", PIN) == 429  # a stranger waits
        assert come_in("127.0.0.1", PIN) == 303
        transport = httpx.HTTPTransport(local_address="127.0.0.98")
        with httpx.Client(base_url=page.origin, transport=transport) as client:
            answer = client.post("/pair", data={"token": "fresh"}, headers={"origin": page.origin})
        assert answer.status_code == 303 and "spotter=" in answer.headers["set-cookie"]


@pytest.mark.parametrize("digits", [19, 400, 5000])
def test_a_number_of_many_digits_is_no_place_and_no_mistake_of_ours(
    page: ServedPage, digits: int
) -> None:
    many = "9" * digits
    with page.client(page.session()) as coach:
        statuses = {
            coach.post(path, data=data).status_code
            for path, data in (
                (f"/queue/{many}/move", {"to": "1"}),
                (f"/queue/{many}/remove", {}),
                (f"/resend/{many}/delete", {}),
                (f"/recording/{many}/retry", {}),
                (f"/recording/{many}/discard", {}),
                ("/queue/1/move", {"to": many}),
                ("/undo", {"id": many}),
                ("/assign", {"key": f"guest:{many}", "activity": "running"}),
                ("/assign", {"key": "a", "activity": "running", "incline": many}),
                ("/assign", {"key": "a", "activity": "weightlifting", "mass": many}),
            )
        }
        statuses |= {
            coach.get(path, headers=headers).status_code
            for path, headers in (
                (f"/athlete/guest:{many}", {}),
                ("/athlete/a", {"range": f"bytes=0-{many}"}),
                (f"/athlete/a?days={many}", {}),
                (f"/live?mark={many}", {"cookie": f"spotter=a.coach.{many}.b"}),
            )
        }
    assert max(statuses) < 500


def test_ten_thousand_guesses_do_not_get_in_and_lock_out_no_paired_device(
    tmp_path: Path,
) -> None:
    with served_page(page_settings(tmp_path, web={"pin": "000777"})) as page:
        with page.client() as guesser:
            statuses = [
                guesser.post("/login", data={"pin": f"{number:06d}"}).status_code
                for number in range(10, 1010)
            ]
            right = guesser.post("/login", data={"pin": "000777"})
        assert set(statuses) <= {403, 429} and statuses.count(403) <= 3
        assert right.status_code == 429 and int(right.headers["retry-after"]) > 0
        with page.client(page.session()) as coach:
            assert coach.get("/").status_code == 200


@pytest.fixture
def open_page(tmp_path: Path) -> Iterator[ServedPage]:
    """A page without a PIN, on this box alone."""
    with served_page(page_settings(tmp_path, web={"pin": None})) as served:
        yield served


def test_on_this_box_without_a_pin_only_the_page_itself_changes_anything(
    open_page: ServedPage,
) -> None:
    with open_page.client() as client:
        assert client.post("/done").status_code == 403  # no page was loaded: no token
        shown = client.get("/")
        token = re.search(r'data-csrf-token="([\w-]{43})"', shown.text)
        assert token is not None
        assert client.post("/done", data={"csrf_token": token[1]}).status_code == 200
        rebound = client.get("/", headers={"host": "evil.example:8377"})
        assert rebound.status_code == 421


def test_every_answer_is_closed_to_other_pages(page: ServedPage) -> None:
    with page.client(page.session()) as client:
        for path in ("/", "/nowhere", "/login", "/picture/k3x9q2m4pd.jpg"):
            headers = client.get(path).headers
            policy = headers["content-security-policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy and headers["x-frame-options"] == "DENY"
            assert headers["cache-control"] == "no-store"
            assert headers["x-content-type-options"] == "nosniff"
            assert "server" not in headers


def test_the_start_page_is_small_and_asks_nobody_else(page: ServedPage) -> None:
    with page.client(page.session()) as client:
        text = client.get("/").text
        script = client.get("/page.js").text
    assert len(text.encode()) + len(script.encode()) < 100_000
    assert not re.search(r'(?:src|href|action)="(?:https?:)?//', text)
    assert " style=" not in text and not re.search(r"\son\w+=", text) and "<script>" not in text
    assert "https:" not in script and "http:" not in script
