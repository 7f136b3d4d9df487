"""The camera view: a live picture from a real recorder, fetched only while somebody looks."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from agent.synthetic import SceneCamera, Segment, Storyboard
from tests.browser.conftest import LANDSCAPE, PORTRAIT
from tests.browser.gym import Gym
from tests.browser.test_craft import check
from tests.browser.test_guarded import come_in
from tests.recorder import RecorderUnderTest

_MORE = "n => Number(document.getElementById('camera-live').dataset.shown || 0) > n"
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
    text = recorder.config.read_text()
    socket = str(gym.folder.recorder_socket)
    recorder.config.write_text(text.replace(str(recorder.socket), socket))
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
        while not page.locator("#camera").count():
            page.wait_for_timeout(200)
            page.reload()
        yield page, recorder


def test_the_picture_is_live_only_while_somebody_looks(
    seen: tuple[Page, RecorderUnderTest], gym: Gym
) -> None:
    page, _ = seen
    page.goto(gym.address)
    page.tap("#camera-link")
    page.wait_for_function(_MORE, arg=2)
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


def test_a_lost_camera_is_said_with_its_remedy(
    seen: tuple[Page, RecorderUnderTest], footage: Path
) -> None:
    page, _ = seen
    page.wait_for_function(_MORE, arg=0)
    footage.rename(footage.with_suffix(".away"))
    try:
        expect(page.locator("#camera-words")).to_contain_text("Camera lost. Check the camera's")
        expect(page.locator("#camera-words")).to_contain_text("is it plugged in")
        expect(page.locator("#camera-note")).to_have_text("No picture at the moment.")
    finally:
        footage.with_suffix(".away").rename(footage)


@pytest.mark.parametrize(
    ("language", "size"), [("en", LANDSCAPE), ("de", PORTRAIT), ("de", (360, 740))]
)
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
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, has_touch=True, reduced_motion="reduce"
    )
    page = come_in(context, here)
    page.goto(f"{here.address}/camera")
    expect(page.locator("main")).to_contain_text({"en": "Your camera", "de": "Dein"}[language])
    check(page)
    with recorder_of(here, tmp_path, footage).running():
        while not page.locator("#camera").count():
            page.wait_for_timeout(200)
            page.reload()
        page.wait_for_function(_MORE, arg=0)
        expect(page.locator("html")).to_have_attribute("lang", language)
        check(page)
    context.close()
