"""`make pictures`: the README's pictures of the page, taken of a station with drawn athletes."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from playwright.sync_api import Browser, expect, sync_playwright

from agent.clipping.analysis_process import AnalysisProcess, ChildLimits
from agent.outbox.models import Entry
from agent.outbox.roster import AccountAthlete
from agent.station.assignments import enqueue
from agent.synthetic import SceneCamera, Segment, Storyboard
from analysis.pictures import draw_filmstrip, draw_poster
from analysis.pose_model import PoseFinder
from tests.browser.conftest import CHROMIUM, LANDSCAPE, PORTRAIT, await_camera
from tests.browser.gym import ADA, ANNA, JOERG, Footage, Gym, open_gym
from tests.browser.test_board import board_hub, show, tell, told
from tests.browser.test_camera import LIVE, recorder_of
from tests.conftest import REPOSITORY
from tests.served_page import PIN
from tests.station import until

_DOCS = REPOSITORY / "docs"
_QUALITY = 82
_ARE_DRAWN = """
() => [...document.images]
  .filter(i => i.offsetParent && i.getBoundingClientRect().top < innerHeight).every(i => i.complete)
"""
_SHOWN = (ADA, ANNA, JOERG)


def main() -> None:
    """Take every picture."""
    with tempfile.TemporaryDirectory(prefix="spotter-pictures-") as name:
        folder = Path(name)
        print("drawing athletes ...", flush=True)
        with PoseFinder() as finder:
            snatch = _film(folder, "snatch", 0.62, finder)
            jerk = _film(folder, "clean_and_jerk", 0.9, finder)
        with open_gym(folder / "gym") as gym, sync_playwright() as playwright:
            _fill(gym, snatch, jerk)
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            _shoot(browser, gym.address, "page.jpg", LANDSCAPE, dark=False)
            _shoot(browser, gym.address, "page-dark.jpg", PORTRAIT, dark=True)
            _shoot(browser, f"{gym.address}/athlete/{ADA}", "athlete.jpg", LANDSCAPE, dark=False)
            with recorder_of(gym, folder / "recorder", _standing(folder)).running():
                _shoot_camera(browser, gym)
            _shoot_take(browser, gym)
            _shoot_board(browser, folder / "hub", [snatch.poster, jerk.poster])
            _shoot(browser, f"{gym.address}/wall", "wall.jpg", (1280, 720), dark=True)
            browser.close()


def _standing(folder: Path) -> Path:
    """Film an athlete who stands at the station, for the camera view."""
    path = folder / "standing.mp4"
    story = Storyboard([Segment("stand", 10.0)], view="side", width=1280, height=720, fps=12.0)
    SceneCamera(story).record(path)
    return path


def _shoot_camera(browser: Browser, gym: Gym) -> None:
    """Take the camera view, with the zone under way and the framing checked."""
    width, height = LANDSCAPE
    context = browser.new_context(viewport={"width": width, "height": height}, has_touch=True)
    page = context.new_page()
    page.goto(f"{gym.address}/camera")
    await_camera(page)
    page.wait_for_function(LIVE, arg=2)
    page.tap("#zone-edit")
    page.tap("#framing-check")
    page.wait_for_function("() => document.getElementById('framing-picture').naturalWidth > 0")
    page.screenshot(path=_DOCS / "camera.jpg", type="jpeg", quality=_QUALITY)
    context.close()


def _film(folder: Path, what: str, share: float, finder: PoseFinder) -> Footage:
    """Film one movement, and draw its pictures as the analysis does."""
    story = Storyboard([Segment(what)], view="oblique", width=640, height=360, fps=12.0)
    clip, poster, strip = (folder / f"{what}{end}" for end in (".mp4", ".jpg", "-strip.jpg"))
    SceneCamera(story).record(clip)
    at_s = story.duration_s * share
    draw_poster(clip, at_s=at_s, out=poster, finder=finder, on_progress=_ignore)
    draw_filmstrip(clip, start_s=0.0, end_s=story.duration_s, out=strip, on_progress=_ignore)
    return Footage(
        poster=poster.read_bytes(),
        strip=strip.read_bytes(),
        clip=clip.read_bytes(),
        skeleton=_skeleton(clip),
    )


def _skeleton(clip: Path) -> str:
    """Return the landmarks of a clip as the analysis finds them."""
    found = clip.with_suffix(".json")
    child = AnalysisProcess(limits=ChildLimits(), check=lambda: None)
    options = {"activity": "weightlifting"}
    child.ask("inspect", path=str(clip), options=options, skeleton=str(found))
    child.close()
    return found.read_text()


def _shoot_take(browser: Browser, gym: Gym) -> None:
    """Take a take's own page, with the skeleton over its video."""
    context = browser.new_context(
        viewport={"width": LANDSCAPE[0], "height": LANDSCAPE[1]}, has_touch=True
    )
    page = context.new_page()
    page.goto(f"{gym.address}/take/{gym.outbox.gallery.latest(most=1)[0].entry.clip_code}")
    page.wait_for_function("() => document.querySelector('video').readyState >= 2")
    page.evaluate("() => { document.querySelector('video').currentTime = 1.75; }")
    page.tap("#player-skeleton")
    page.wait_for_function("() => Number(document.querySelector('canvas').dataset.joints) > 10")
    page.screenshot(path=_DOCS / "take-page.jpg", type="jpeg", quality=_QUALITY)
    context.close()


def _small(poster: bytes) -> bytes:
    """Return a poster as a station sends it to its hub."""
    image = cv2.imdecode(np.frombuffer(poster, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return bytes(cv2.imencode(".jpg", cv2.resize(image, (240, 135)))[1].tobytes())


def _shoot_board(browser: Browser, folder: Path, posters: Sequence[bytes]) -> None:
    """Take the hub's page, with thirty stations in two groups."""
    hub = board_hub(folder, language="en", stations=30)
    small = [_small(one) for one in posters]
    with hub:
        context = browser.new_context(viewport={"width": 1920, "height": 680})
        page = context.new_page()
        page.goto(f"http://{hub.page}")
        page.fill("#pin", PIN)
        page.click("button.primary")
        show(hub, {number: small[number % 2] for number in range(28)})
        tell(hub, {number: told(number) for number in range(28)})
        expect(page.locator(".station-last img")).to_have_count(28)
        page.wait_for_function(_ARE_DRAWN)
        page.screenshot(path=_DOCS / "board.jpg", type="jpeg", quality=_QUALITY)
        context.close()


def _fill(gym: Gym, snatch: Footage, jerk: Footage) -> None:
    named = [
        a for a in gym.outbox.roster.search([], most=50) if a.name.isascii() or a.user_id in _SHOWN
    ]
    gym.outbox.roster.replace(
        [AccountAthlete(user_id=a.key, name=a.name, folded=a.name.casefold()) for a in named],
        complete=True,
        now_s=0.0,
    )  # the others' scripts need letters that a bare box lacks
    for key in (ANNA, JOERG, ADA):
        gym.put(key, mass_kg={ADA: 62.5, JOERG: 90.0, ANNA: 55.0}[key])
    enqueue(gym.outbox, JOERG, rules=gym.rules)
    enqueue(gym.outbox, ANNA, rules=gym.rules)
    speeds = (1.62, 1.7, 1.68, 1.74, 1.81, 1.79, 1.92)
    before = [
        gym.film(ADA, mass_kg=55 + number, shown=snatch, filmed_ago_s=180.0 * (8 - number))
        for number in range(len(speeds))
    ]
    for entry, speed in zip(before, speeds, strict=True):
        _analyse(gym, entry, speed)
    sent = [
        gym.film(ADA, mass_kg=62.5, shown=snatch),
        gym.film(
            JOERG, exercise="clean_and_jerk", mass_kg=90, shown=jerk, quality=("feet_out_of_frame",)
        ),
        gym.film(ANNA, mass_kg=55, shown=snatch),
    ]
    until(lambda: all(gym.state_of(entry) in {"uploaded", "completed"} for entry in sent))
    _analyse(gym, sent[1], 1.57)
    _analyse(gym, sent[2], 1.71)
    gym.film(ADA, mass_kg=62.5, shown=snatch, goes_in_s=19)


def _analyse(gym: Gym, entry: Entry, speed: float) -> None:
    gym.analyse(
        entry,
        peak_velocity_mps=speed,
        bar_height_m=round(0.6 + speed / 3, 2),
        peak_power_w=round(1300 * speed),
        time_to_peak_s=0.41,
    )


def _shoot(browser: Browser, address: str, name: str, size: tuple[int, int], *, dark: bool) -> None:
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if dark else "light",
        has_touch=True,
    )
    page = context.new_page()
    page.goto(address)
    page.wait_for_function(_ARE_DRAWN)
    page.screenshot(path=_DOCS / name, type="jpeg", quality=_QUALITY)
    print(f"docs/{name}: {(_DOCS / name).stat().st_size // 1024} KiB", flush=True)
    context.close()


def _ignore(_share: float) -> None:
    """Nobody waits for a picture."""


if __name__ == "__main__":
    main()
