"""Coming in, running out, and losing the station for a while; in German and pounds."""

import json
import secrets

from playwright.sync_api import Browser, BrowserContext, Page, expect

from agent.clock import read_clock
from agent.outbox.assignments import AssignmentKind
from agent.outbox.devices import Role
from agent.station.assignments import ASKS_BEFORE_S
from tests.browser.gym import ADA, Gym
from tests.served_page import PIN
from tests.station import until


def come_in(tablet: BrowserContext, gym: Gym) -> Page:
    """Open the page on a tablet that is paired."""
    token, now_s = secrets.token_hex(8), read_clock().utc_s
    gym.outbox.devices.offer(token, role=Role.COACH, name="", now_s=now_s, lasts_s=60)
    page = tablet.new_page()
    page.goto(f"{gym.address}/pair#{token}")
    expect(page.locator(".state-word")).to_be_visible()
    return page


def test_the_pin_lets_in_and_a_link_pairs_a_wall_that_only_shows(
    tablet: BrowserContext, browser: Browser, guarded_gym: Gym
) -> None:
    gym = guarded_gym
    gym.clear()  # nobody is on the station
    page = tablet.new_page()
    page.goto(gym.address)
    page.fill("#pin", PIN)
    page.tap("button.primary")
    expect(page.locator(".state-word")).to_be_visible()
    page.goto(f"{gym.address}/login")
    expect(page).to_have_url(f"{gym.address}/")

    offered = json.loads(gym.station.spotter("pair", "--wall", "--name", "wall", "--json"))
    token = offered["address"].partition("#")[2]
    screen = browser.new_context()
    wall = screen.new_page()
    asked: list[str] = []
    wall.on("request", lambda request: asked.append(request.url))
    wall.goto(offered["address"])
    expect(wall.locator("#wallboard")).to_contain_text("Niemand")
    assert token not in wall.url and not any(token in url.partition("#")[0] for url in asked)
    gym.put(ADA)
    expect(wall.locator("#wallboard")).to_contain_text("Ada Example")
    wall.goto(gym.address)
    expect(wall).to_have_url(f"{gym.address}/wall")
    assert wall.locator("form, button").count() == 0
    devices = [(device.role, device.way) for device in gym.outbox.devices.all()]
    assert devices[-2:] == [("coach", "pin"), ("wall", "paired")]
    gym.station.spotter("pair", "--end", "all")
    expect(wall).to_have_url(f"{gym.address}/login")
    screen.close()


def test_before_it_runs_out_the_page_asks_and_then_nobody_is_there(
    tablet: BrowserContext, guarded_gym: Gym
) -> None:
    page = come_in(tablet, guarded_gym)
    guarded_gym.put(ADA, idle_s=ASKS_BEFORE_S)
    expect(page.locator(".ask")).to_contain_text("Noch Ada Example?")
    page.tap("#keep")
    expect(page.locator("#toast")).to_contain_text("Weiter mit Ada Example.")
    guarded_gym.put(ADA, idle_s=1)
    expect(page.locator("#station .who")).to_have_text("Niemand")
    until(lambda: guarded_gym.outbox.assignments.all()[-1].kind is AssignmentKind.NOBODY)


def test_pounds_are_shown_and_kilograms_kept(tablet: BrowserContext, guarded_gym: Gym) -> None:
    page = come_in(tablet, guarded_gym)
    page.tap(f"#athletes [data-key='{ADA}']")
    page.tap("#assign button[data-step='5']")
    shown = page.locator("#assign output[data-of=mass]").inner_text()
    page.tap("#assign-put")
    expect(page.locator("#station output")).to_have_text(f"{shown} lb")
    kept = guarded_gym.outbox.assignments.all()[-1].barbell_mass_kg
    assert kept == round(float(shown.replace(",", ".")) * 0.45359237, 2)


def test_wrong_pins_lock_the_door_but_no_paired_device(
    tablet: BrowserContext, browser: Browser, guarded_gym: Gym
) -> None:
    page = come_in(tablet, guarded_gym)
    stranger = browser.new_context(has_touch=True)
    door = stranger.new_page()
    door.goto(guarded_gym.address)
    for _ in range(3):
        door.fill("#pin", "000000")
        door.tap("button.primary")
        expect(door.locator("[role=alert]")).to_be_visible()
    door.fill("#pin", PIN)
    door.tap("button.primary")
    expect(door.locator("[role=alert]")).to_contain_text("Zu viele falsche PINs")
    stranger.close()
    page.reload()
    expect(page.locator(".state-word")).to_be_visible()


def test_a_page_that_lost_the_station_says_so_and_comes_back_by_itself(
    tablet: BrowserContext, guarded_gym: Gym
) -> None:
    gym = guarded_gym
    page = come_in(tablet, gym)
    expect(page.locator("#lost")).to_be_hidden()
    gym.stop()
    try:
        expect(page.locator("#lost")).to_be_visible()
        page.tap(f"#athletes [data-key='{ADA}']")
        page.tap("#assign-put")
        expect(page.locator("#toast")).to_contain_text(
            "Nicht gespeichert: keine Verbindung zur Station"
        )
        page.tap("#assign [data-close]")
    finally:
        gym.start()
    expect(page.locator("#lost")).to_be_hidden()
    gym.put(ADA)
    expect(page.locator("#station .who")).to_have_text("Ada Example")
