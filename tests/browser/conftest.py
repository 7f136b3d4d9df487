"""One browser and two gyms for all of it: what is tested is told apart by its takes."""

import gc
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.gym import Gym, open_gym
from tests.needs import need
from tests.served_page import PIN

CHROMIUM = Path("/usr/bin/chromium")
_PATIENCE_MS = 60_000  # a busy machine is slow
expect.set_options(timeout=_PATIENCE_MS)
LANDSCAPE, PORTRAIT = (1180, 820), (820, 1180)
FOR_EVERYBODY = pytest.mark.parametrize(  # a view that is none of the first page's
    ("language", "size"),
    [
        pytest.param("en", LANDSCAPE, marks=pytest.mark.soak),
        pytest.param("de", PORTRAIT, marks=pytest.mark.soak),
        ("de", (360, 740)),
    ],
)
_COUNT_TOUCHES = """
window.touches = 0;
addEventListener('pointerdown', () => { window.touches += 1; }, true);
"""


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    program = need(CHROMIUM, "chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield chromium
        # It is not closed: that waits without limit for Chromium to end.  The driver, which ends
        # here, kills what does not end by itself.
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()  # Playwright may leave the pipe of its driver to the garbage collector


@pytest.fixture(scope="package")
def gym(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gym]:
    """An English gym whose page is open on this box."""
    with open_gym(tmp_path_factory.mktemp("gym")) as opened:
        yield opened


@pytest.fixture(scope="package")
def guarded_gym(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gym]:
    """A German gym with a PIN."""
    root = tmp_path_factory.mktemp("guarded")
    with open_gym(root, pin=PIN, language="de", unit="lb") as opened:
        yield opened


def screen(browser: Browser, size: tuple[int, int]) -> BrowserContext:
    """Return a touch screen of a size, on which nothing moves by itself."""
    width, height = size
    return browser.new_context(
        viewport={"width": width, "height": height}, has_touch=True, reduced_motion="reduce"
    )


def await_camera(page: Page) -> None:
    """Load a page until it shows a recorder's camera."""
    while not page.locator("#camera").count():
        page.wait_for_timeout(200)
        page.reload()


@pytest.fixture
def tablet(browser: Browser) -> Iterator[BrowserContext]:
    """A tablet, whose page has no error."""
    context = screen(browser, LANDSCAPE)
    context.add_init_script(_COUNT_TOUCHES)
    context.set_default_timeout(_PATIENCE_MS)
    errors: list[str] = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    context.on(
        "console",
        lambda told: errors.append(told.text) if "Content Security" in told.text else None,
    )
    yield context
    context.close()
    assert not errors


@pytest.fixture
def page(tablet: BrowserContext, gym: Gym) -> Page:
    """The start page of a gym in which nobody is on the station and nobody waits."""
    gym.clear()
    shown = tablet.new_page()
    shown.goto(gym.address)
    return shown
