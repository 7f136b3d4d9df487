"""The camera view: a live picture from a real recorder, fetched only while somebody looks."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from agent.synthetic import SceneCamera, Segment, Storyboard
from tests.browser.conftest import FOR_EVERYBODY, await_camera, screen
from tests.browser.gym import Gym
from tests.browser.test_craft import check
from tests.browser.test_guarded import come_in
from tests.recorder import RecorderUnderTest
from tests.station import until

LIVE = "n => Number(document.getElementById('camera-live').dataset.shown || 0) > n"
_HIDE = """
hidden => {
  Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
  document.dispatchEvent(new Event('visibilitychange'));
}
"""


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a minute of an athlete who stands there, played over and over."""
    path = tmp_path_factory.mktemp("footage") / "stand.mp4"
    story = Storyboard([Segment("stand", 20.0)], view="side", width=640, height=360, fps=8.0)
    SceneCamera(story).record(path)
    return path


def recorder_of(gym: Gym, root: Path, source: Path) -> RecorderUnderTest:
    """Return a recorder that reports to a gym's daemon."""
    recorder = RecorderUnderTest(root, str(source), arm="assigned")
    recorder.connect_to(gym.folder.recorder_socket)
    return recorder


@pytest.fixture
def seen(
    tablet: BrowserContext, gym: Gym, footage: Path, tmp_path: Path
) -> Iterator[tuple[Page, RecorderUnderTest]]:
    """The camera view of a gym with a recorder."""
    gym.clear()
    recorder = recorder_of(gym, tmp_path, footage)
    page = tablet.new_page()
    with recorder.running():
        page.goto(f"{gym.address}/camera")
        await_camera(page)
        page.wait_for_function(LIVE, arg=0)
        yield page, recorder


def test_the_picture_is_live_only_while_somebody_looks(
    seen: tuple[Page, RecorderUnderTest], gym: Gym
) -> None:
    page, _ = seen
    page.goto(gym.address)
    page.tap("#camera-link")
    page.wait_for_function(LIVE, arg=2)
    expect(page.locator("#camera-words")).to_contain_text("Watching, nothing is stored")
    expect(page.locator("#camera-words")).to_contain_text("640 × 360")
    expect(page.locator("#camera-note")).to_have_text("")
    asked: list[str] = []
    page.evaluate(_HIDE, True)
    with page.expect_response("**/camera/words*"):
        page.evaluate(_HIDE, False)
    page.evaluate(_HIDE, True)
    page.wait_for_timeout(1500)  # what was under way has come
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(1500)
    assert not asked
    page.evaluate(_HIDE, False)
    with page.expect_response("**/camera/picture*") as told:
        pass
    assert told.value.headers["cache-control"] == "no-store"
    assert len(told.value.body()) <= 70_000
    assert "live=1" in told.value.url

    page.evaluate("document.getElementById('camera').dataset.liveMs = '0'")  # a minute has passed
    page.keyboard.press("Shift")
    note = page.locator("#camera-note")
    expect(note).to_have_text("One picture every three seconds. Tap it for a live picture.")
    page.evaluate("document.getElementById('camera').dataset.liveMs = '60000'")
    page.tap("#camera-live")
    expect(note).to_have_text("")


def zone_of(gym: Gym) -> tuple[object, object]:
    """The zone as every command has it now, and where it was set."""
    told = json.loads(gym.station.spotter("config", "--json"))
    return told["analysis"]["zone"], told["origins"]["analysis"]["zone"]


def test_the_zone_is_edited_by_touch_and_keyboard_and_the_daemon_goes_by_it(
    seen: tuple[Page, RecorderUnderTest], gym: Gym
) -> None:
    page, _ = seen
    starts = gym.station.log.read_text().count('event="daemon started"')
    page.wait_for_function(LIVE, arg=0)
    page.tap("#zone-edit")
    corner = page.get_by_label("Corner 1 of the zone")
    place, frame = corner.bounding_box(), page.locator("#zone").bounding_box()
    assert place is not None and frame is not None
    x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 0.1 * frame["width"], y + 0.2 * frame["height"], steps=4)
    page.mouse.up()
    shape = page.locator("#zone-shape")
    expect(shape).to_have_attribute("points", "0.25,0.25 0.85,0.05 0.85,0.95 0.15,0.95")
    edge = page.get_by_label("Edge 2 of the zone")
    edge.focus()
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(shape).to_have_attribute("points", "0.25,0.25 0.79,0.05 0.79,0.95 0.15,0.95")
    page.tap("#zone-undo")
    expect(shape).to_have_attribute("points", "0.25,0.25 0.8,0.05 0.8,0.95 0.15,0.95")
    expect(page.locator("#zone-note")).to_contain_text("not saved")
    check(page)
    assert zone_of(gym) == ([], "default")

    page.tap("#zone-save")
    expect(page.locator("#zone-note")).to_have_text("Zone saved.")
    wanted = [[0.25, 0.25], [0.8, 0.05], [0.8, 0.95], [0.15, 0.95]]
    assert zone_of(gym) == (wanted, "page")
    until(lambda: gym.station.log.read_text().count('event="daemon started"') > starts)
    shown = int(page.locator("#camera-live").get_attribute("data-shown") or 0)
    page.wait_for_function(LIVE, arg=shown + 2)  # it resumes automatically
    page.reload()
    expect(shape).to_have_attribute("points", "0.25,0.25 0.8,0.05 0.8,0.95 0.15,0.95")

    page.tap("#zone-edit")
    page.tap("#zone-whole")
    page.tap("#zone-save")
    expect(page.locator("#zone-note")).to_have_text("Zone saved.")
    assert zone_of(gym) == ([], "page")
    until(lambda: gym.station.log.read_text().count('event="daemon started"') > starts + 1)
    (gym.folder.root / "settings.toml").unlink()


def test_the_framing_is_checked_and_the_view_kept_as_reference(
    seen: tuple[Page, RecorderUnderTest], gym: Gym
) -> None:
    page, _ = seen
    starts = gym.station.log.read_text().count('event="daemon started"')
    page.tap("#framing-check")
    expect(page.locator("#framing-note")).to_have_text("Correct this:")
    remarks = page.locator("#framing-remarks li")
    expect(remarks).to_have_text(["Low resolution. Set the camera to 720p or more."])
    page.wait_for_function("() => document.getElementById('framing-picture').naturalWidth === 640")
    check(page)

    page.tap("#framing-reference")
    expect(page.locator("#framing-note")).to_have_text("Reference picture saved.")
    told = json.loads(gym.station.spotter("config", "--json"))
    assert told["analysis"]["reference"] == str(gym.folder.reference)
    assert told["origins"]["analysis"]["reference"] == "page"
    until(lambda: gym.station.log.read_text().count('event="daemon started"') > starts)
    shown = int(page.locator("#camera-live").get_attribute("data-shown") or 0)
    page.wait_for_function(LIVE, arg=shown + 2)
    page.tap("#framing-check")  # now against the reference
    expect(page.locator("#framing-note")).to_have_text("Correct this:")
    expect(remarks).to_have_count(1)
    (gym.folder.root / "settings.toml").unlink()


def test_a_lost_camera_is_said_with_its_remedy(
    seen: tuple[Page, RecorderUnderTest], footage: Path
) -> None:
    page, _ = seen
    page.wait_for_function(LIVE, arg=0)
    footage.rename(footage.with_suffix(".away"))
    try:
        expect(page.locator("#camera-words")).to_contain_text("The camera is not where")
        expect(page.locator("#camera-words")).to_contain_text("is it plugged in")
        expect(page.locator("#camera-note")).to_have_text("No picture at the moment.")
    finally:
        footage.with_suffix(".away").rename(footage)


@FOR_EVERYBODY
def test_the_view_is_usable_by_everybody(
    browser: Browser,
    gym: Gym,
    guarded_gym: Gym,
    footage: Path,
    tmp_path: Path,
    language: str,
    size: tuple[int, int],
) -> None:
    here = gym if language == "en" else guarded_gym
    context = screen(browser, size)
    page = come_in(context, here)
    page.goto(f"{here.address}/camera")
    expect(page.locator("main")).to_contain_text({"en": "Your camera", "de": "Dein"}[language])
    check(page)
    with recorder_of(here, tmp_path, footage).running():
        await_camera(page)
        page.wait_for_function(LIVE, arg=0)
        expect(page.locator("html")).to_have_attribute("lang", language)
        check(page)
    context.close()
