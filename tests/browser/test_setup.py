"""A new station, set up by a person who has only a browser: from the link to the first take."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from agent.disk.state_folder import StateFolder
from agent.sandbox.server import Sandbox
from agent.synthetic import SceneCamera, Segment, Storyboard
from tests.browser.conftest import FOR_EVERYBODY, LANDSCAPE, await_camera, screen
from tests.browser.gym import ADA, Gym
from tests.browser.test_camera import LIVE
from tests.browser.test_craft import check
from tests.recorder import RecorderUnderTest
from tests.rtsp import rtsp_server
from tests.served_page import free_port
from tests.station import KEY, Station, delivered, until

_PIN = "739164"
_CAMERA_PASSWORD = "s3cret/wörd?"
_MOST_TOUCHES = 17


@contextlib.contextmanager
def recorder_without_camera(folder: StateFolder, root: Path) -> Iterator[RecorderUnderTest]:
    """Run a recorder that films what is chosen on the page."""
    recorder = RecorderUnderTest(root, "station:", arm="assigned")
    recorder.connect_to(folder.recorder_socket)
    with recorder.running():
        yield recorder


@pytest.fixture
def new_station(tmp_path: Path) -> Iterator[tuple[Station, Sandbox]]:
    """A station as the installer leaves it: without a name, a key or a camera."""
    pin = tmp_path / "pin"
    pin.write_text("16253748")
    with Sandbox(key=KEY, processing_s=0.0) as sandbox:
        station = Station(
            tmp_path,
            sandbox.base_url,
            settings={
                "station": {"id": "box", "user_id": None, "activity": "running"},
                "web": {"listen": f"127.0.0.1:{free_port()}", "pin_file": str(pin)},
            },
        )
        station.key_file.write_text("")
        with station.running():
            until(lambda: 'event="page opened"' in station.log.read_text())
            yield station, sandbox


@pytest.fixture
def training(tmp_path: Path) -> Path:
    """What the camera of the new station sees, over and over."""
    segments = [Segment("stand", 4.0), Segment("snatch"), Segment("stand", 6.0)]
    story = Storyboard(segments, view="oblique", width=640, height=360, fps=20.0)
    SceneCamera(story).record(tmp_path / "training.mp4")
    return tmp_path / "training.mp4"


def test_a_person_with_a_browser_sets_a_station_up(
    browser: Browser, new_station: tuple[Station, Sandbox], training: Path
) -> None:
    station, sandbox = new_station
    folder, touches = StateFolder(station.state), 0
    context = screen(browser, LANDSCAPE)
    context.set_default_timeout(60_000)
    page = context.new_page()

    def tap(selector: str) -> None:
        nonlocal touches
        touches += 1
        page.tap(selector)

    def said(form: str, text: str) -> None:
        expect(page.locator(f"form[action='/setup/{form}'] [role=status]")).to_have_text(text)

    with (
        rtsp_server(training, password=_CAMERA_PASSWORD) as camera,
        recorder_without_camera(folder, station.root),
    ):
        offered = json.loads(station.spotter("pair", "--setup", "--json"))
        assert offered["role"] == "setup"
        seen = {"cameras": [{"host": "10.0.0.7", "name": "Gym camera"}]}  # none is in this network
        page.route("**/setup/cameras", lambda route: route.fulfill(json=seen))
        page.goto(offered["address"])
        expect(page.locator("h1")).to_have_text("Set up this station")
        await_camera(page)  # the recorder starts meanwhile
        expect(page.locator("#camera-words")).to_contain_text("No camera chosen yet.")

        page.fill("#name", "Rack 7")
        tap("label:has(#activity-weightlifting)")
        tap("#save-station")
        said("station", "Saved.")
        until(lambda: '"Rack 7"' in station.spotter("config"))

        page.get_by_role("button", name="Gym camera (10.0.0.7)").tap()
        expect(page.locator("#address")).to_have_value("rtsp://10.0.0.7/")
        page.fill("#address", f"rtsp://127.0.0.1:{free_port()}/stream")
        page.fill("#user", "kim")
        page.fill("#password", _CAMERA_PASSWORD)
        tap("#save-camera")
        expect(page.locator("form[action='/setup/camera'] [role=status]")).to_contain_text(
            "The camera does not answer"
        )
        page.fill("#address", camera.address)
        tap("#save-camera")
        said("camera", "The camera sends its picture.")
        page.wait_for_function(LIVE, arg=0)
        check(page)
        page.fill("#address", f"127.0.0.1:{free_port()}/other")
        tap("#save-camera")
        expect(page.locator("form[action='/setup/camera'] [role=status]")).to_contain_text(
            "The previous camera stays in use."
        )
        expect(page.locator("#camera-words")).to_contain_text("Watching")
        tap("#zone-edit")
        tap("#zone-save")
        expect(page.locator("#zone-note")).to_have_text("Zone saved.")

        page.fill("#key", "not-the-key")
        tap("#save-key")
        said("key", "AiKYNETIX rejects this key. It was not saved.")
        assert not (folder.root / "page-api-key").exists()
        page.fill("#key", KEY)
        tap("#save-key")
        said("key", "Key saved: AiKYNETIX accepts it.")
        expect(page.locator("#key")).to_have_value("")
        page.fill("#new-pin", _PIN)
        tap("#save-pin")
        said("pin", "PIN saved.")

        tap("#finish")
        expect(page.locator(".state-word")).to_be_visible()
        tap(f"#athletes [data-key='{ADA}']")
        tap("#assign .primary")
        assert delivered(sandbox, 1)
        expect(page.locator("#takes .take .badge").first).to_contain_text("Uploaded")
    assert touches <= _MOST_TOUCHES

    page.goto(f"{offered['address'].partition('/pair')[0]}/setup")
    expect(page.locator(".state-word")).to_be_visible()  # it is over
    with_pin = browser.new_context().new_page()
    with_pin.goto(offered["address"])
    expect(with_pin.locator("[role=alert]")).to_contain_text("used or expired")
    with_pin.goto(f"{offered['address'].partition('/pair')[0]}/login")
    with_pin.fill("#pin", _PIN)
    with_pin.click("button.primary")
    expect(with_pin.locator(".state-word")).to_be_visible()
    with_pin.context.close()
    context.close()

    told = json.loads(station.spotter("config", "--json"))
    assert told["station"]["name"] == "Rack 7" and told["station"]["exercise"] == "snatch"
    assert {told["origins"]["station"][key] for key in ("name", "activity", "exercise")} == {"page"}
    for name in ("page-api-key", "page-pin", "page-camera.json"):
        assert (folder.root / name).stat().st_mode & 0o777 == 0o600
    logs = station.log.read_text() + (station.root / "recorder-main.log").read_text()
    for secret in ("s3cret", KEY, _PIN):
        assert secret not in logs and secret not in (folder.root / "settings.toml").read_text()


@FOR_EVERYBODY
def test_the_set_up_is_usable_by_everybody(
    browser: Browser,
    gym: Gym,
    guarded_gym: Gym,
    tmp_path: Path,
    language: str,
    size: tuple[int, int],
) -> None:
    here = gym if language == "en" else guarded_gym
    context = screen(browser, size)
    page = come_in_to_set_up(context.new_page(), here)
    expect(page.locator("html")).to_have_attribute("lang", language)
    check(page)
    with recorder_without_camera(here.folder, tmp_path):
        await_camera(page)
        check(page)
    context.close()


def come_in_to_set_up(page: Page, gym: Gym) -> Page:
    """Open the set-up page by its link."""
    offered = json.loads(gym.station.spotter("pair", "--setup", "--json"))
    page.goto(offered["address"])
    expect(page.locator(".setup")).to_be_visible()
    return page
