"""For everybody: contrast, labels, focus, sizes; in both orientations, languages and lights."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from agent.clock import read_clock
from agent.outbox.states import CaptureState, Reason
from agent.station.check_in import CheckIn, set_group
from tests.browser.conftest import LANDSCAPE, PORTRAIT
from tests.browser.gym import ADA, JOERG, Gym
from tests.browser.test_guarded import come_in
from tests.factories import NOW_S, admitted

_TOO_SMALL = """
() => [...document.querySelectorAll('button, a[href], summary, input, label.pick, .chips label')]
  .filter(e => e.offsetParent && !e.closest('.sr') && !e.classList.contains('sr'))
  .filter(e => !(e.type === 'checkbox' || e.type === 'radio' || e.type === 'hidden'))
  .map(e => [e.outerHTML.slice(0, 90), e.getBoundingClientRect()])
  .filter(([, box]) => box.height < 44 || box.width < 44)
  .filter(([html]) => !html.startsWith('<a '))
  .map(([html, box]) => `${html}: ${Math.round(box.width)} x ${Math.round(box.height)}`)
"""


def check(page: Page) -> None:
    """Insist on what every view must keep."""
    violations = Axe().run(page).response["violations"]
    told = [
        (v["id"], node["html"][:120], node.get("failureSummary")) for v in violations
        for node in v["nodes"][:3]
    ]  # fmt: skip
    assert not told
    assert page.evaluate(_TOO_SMALL) == []
    width = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width[0] <= width[1], "it scrolls sideways"


def show_takes(page: Page) -> None:
    """Touch the tab of the takes, where the screen has one."""
    if page.locator("#tabs").is_visible():
        page.tap("#tab-takes")


def fill(gym: Gym) -> None:
    """Let there be something of everything."""
    gym.clear()
    gym.put(ADA)
    set_group(gym.outbox, "U18", [ADA, JOERG], now_s=read_clock().utc_s)
    desk = CheckIn(gym.outbox, gym.folder)
    desk.tap("unknown card", rules=gym.rules, now=read_clock(), set_by="card")
    shown = gym.film(ADA, reps=3)
    gym.analyse(shown, peak_velocity=1.8, bar_height=1.1, peak_power=2100.0, mean_power=1900.0)
    with gym.outbox.transaction():  # or the daemon would look into it
        broken = admitted(gym.outbox, gym.taken + 1000)
        gym.outbox.captures.move(broken, CaptureState.QUARANTINED, now_s=NOW_S, reason="incomplete")
    gym.film(JOERG, goes_in_s=60, quality=("feet_out_of_frame", "against_light"))
    gym.film(None, reason=Reason.TWO_ATHLETES)
    gym.film(None)


@pytest.mark.parametrize(
    ("language", "light", "size"),
    [
        ("en", "light", LANDSCAPE),
        ("de", "dark", PORTRAIT),
        pytest.param("en", "dark", PORTRAIT, marks=pytest.mark.soak),
        pytest.param("de", "light", LANDSCAPE, marks=pytest.mark.soak),
    ],
)
def test_every_view_is_usable_by_everybody(
    browser: Browser,
    gym: Gym,
    guarded_gym: Gym,
    language: str,
    light: str,
    size: tuple[int, int],
) -> None:
    here = gym if language == "en" else guarded_gym
    fill(here)
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]},
        color_scheme="dark" if light == "dark" else "light",
        has_touch=True,
        reduced_motion="reduce",
    )
    page = come_in(context, here)
    expect(page.locator("html")).to_have_attribute("lang", language)
    expect(page.locator("#tray .take")).to_have_count(2)
    check(page)
    page.tap(f"#athletes [data-key='{JOERG}']")
    check(page)
    page.tap("#assign [data-close]")
    show_takes(page)
    check(page)
    page.tap("#tray .take [data-give]")
    expect(page.locator("#choose .tiles")).to_be_visible()
    check(page)
    for path in (
        f"/athlete/{ADA}",
        page.locator("#takes a[id^=more-]").first.get_attribute("href"),
    ):
        page.goto(f"{here.address}{path}")
        expect(page.locator("#sheet .figures").first).to_be_visible()
        assert page.locator("#player").count() == ("/take/" in page.url)
        check(page)
    page.goto(f"{here.address}/history?state=uploaded")
    expect(page.locator("#sheet .take").first).to_be_visible()
    check(page)
    page.goto(f"{here.address}/groups")
    expect(page.locator("#sheet li")).to_have_count(2)
    check(page)
    page.goto(f"{here.address}/wall")
    expect(page.locator("#wallboard .take")).to_be_visible()
    check(page)
    page.goto(f"{here.address}/pair")
    check(page)
    context.close()


@pytest.mark.parametrize("width", [360, pytest.param(768, marks=pytest.mark.soak)])
def test_narrow_screens_and_large_letters_scroll_in_one_direction(
    browser: Browser, gym: Gym, width: int
) -> None:
    fill(gym)
    context = browser.new_context(viewport={"width": width, "height": 800}, has_touch=True)
    page = context.new_page()
    page.goto(gym.address)
    expect(page.locator("#tray .take")).to_have_count(2)
    expect(page.locator("#takes")).to_be_hidden()
    expect(page.locator("#tab-count")).to_have_text("3")
    for tab in ("#tab-station", "#tab-takes"):
        page.tap(tab)
        for size in ("", "24px"):
            page.evaluate("size => { document.documentElement.style.fontSize = size; }", size)
            overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert overflow <= 0
    expect(page.locator("#takes")).to_be_visible()
    expect(page.locator("#station")).to_be_hidden()
    page.reload()
    expect(page.locator("#takes")).to_be_visible()
    page.tap("#tab-station")
    page.tap(".state-more a[href='#tray'] >> nth=0")
    expect(page.locator("#tray .take").first).to_be_in_viewport()
    context.close()


def test_the_keyboard_alone_assigns(page: Page) -> None:
    page.focus("#search")
    page.keyboard.type("ada")
    expect(page.locator("#athletes .name")).to_have_count(1)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#assign")).to_be_visible()
    expect(page.locator("#assign-put")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#station .who")).to_have_text("Ada Example")
    expect(page.locator("#spoken")).not_to_be_empty()
    page.focus("#mass1")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator("#mass1")).to_be_focused()
