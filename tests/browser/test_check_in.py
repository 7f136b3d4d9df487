"""Groups and cards on the page."""

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from agent.clock import read_clock
from agent.outbox.devices import Role
from agent.station.check_in import CheckIn, TapOutcome, remove_group, set_group
from agent.wakeup import wake
from tests.browser.gym import ADA, ANNA, JOERG, Gym


def test_a_group_is_made_narrows_the_list_of_this_device_and_takes_turns(
    page: Page, gym: Gym
) -> None:
    page.tap("a:has-text('Groups')")
    page.tap("#group-new")
    page.fill("#group-name", "Evening")
    page.tap("#group-add")
    members = page.locator("section:has-text('Evening') li .name")
    for number, name in enumerate(("jorg", "ada"), start=1):
        page.tap("section:has-text('Evening') button:has-text('Add athlete')")
        page.fill("#choose-search", name)
        expect(page.locator("#choose-list button")).to_have_count(1)
        page.tap("#choose-list button")
        expect(page.locator("#choose")).to_be_hidden()
        expect(members).to_have_count(number)  # a tap while the list is drawn again goes nowhere
    expect(members).to_have_text(["Jörg Müller", "Ada Example"])

    page.goto(gym.address)
    expect(page.locator("#group-queue")).to_be_hidden()
    page.select_option("#group", label="Evening")
    expect(page.locator("#athletes .name")).to_have_text(["Ada Example", "Jörg Müller"])
    gym.put(ANNA)
    expect(page.locator("#station .who")).not_to_have_text("Nobody")
    expect(page.locator("#athletes .name")).to_have_count(2)
    page.reload()
    expect(page.locator("#athletes .name")).to_have_text(["Ada Example", "Jörg Müller"])

    page.tap("#group-queue")
    expect(page.locator("#queue li")).to_have_count(2)
    expect(page.locator("#rotate")).to_have_text("⟳ Rotation on")
    assert [one.target.user_id for one in gym.outbox.queue.all()] == [JOERG, ADA]

    remove_group(gym.outbox, "Evening", now_s=read_clock().utc_s)
    wake(gym.folder.wake_socket)
    expect(page.locator("#group")).to_have_count(0)
    expect(page.locator(f"#athletes [data-key='{ANNA}']")).to_be_visible()


def test_a_group_is_edited(page: Page, gym: Gym) -> None:
    group = set_group(gym.outbox, "Morning", [ADA, JOERG], now_s=read_clock().utc_s)
    page.goto(f"{gym.address}/groups")

    page.tap(f"#leave-{group.id}-1")
    expect(page.locator(f"section:has(#group-{group.id}) li")).to_have_count(1)
    page.tap(f"#ask-{group.id}")
    page.tap(f"#remove-{group.id}")
    expect(page.locator(f"#group-{group.id}")).to_have_count(0)
    assert gym.outbox.groups.all() == []


@pytest.mark.parametrize("card", ["04A22B619C1180"])
def test_an_unknown_card_is_linked_by_two_touches_and_unlinked(
    page: Page, gym: Gym, card: str
) -> None:
    desk = CheckIn(gym.outbox, gym.folder)

    def tap() -> TapOutcome:
        return desk.tap(card, rules=gym.rules, now=read_clock(), set_by="card").outcome

    assert tap() is TapOutcome.UNKNOWN
    page.tap("#card-link")
    page.tap(f"#choose-list [data-key='{ANNA}']")
    expect(page.locator("#toast")).to_contain_text("Tap it again to start.")
    expect(page.locator("#waiting")).to_be_empty()

    assert tap() is TapOutcome.ASSIGNED
    expect(page.locator(f"#athletes [data-key='{ANNA}']")).to_have_attribute("aria-current", "true")
    page.goto(f"{gym.address}/athlete/{ANNA}")
    page.tap("button:has-text('Unlink')")
    expect(page.locator("button:has-text('Unlink')")).to_have_count(0)
    assert tap() is TapOutcome.UNKNOWN
    page.goto(gym.address)
    page.tap("#card-dismiss")
    expect(page.locator("#waiting")).to_be_empty()


def test_an_athlete_starts_at_a_kiosk_by_one_touch(tablet: BrowserContext, gym: Gym) -> None:
    gym.clear()
    set_group(gym.outbox, "Class", [ADA, JOERG], now_s=read_clock().utc_s)
    kiosk = tablet.new_page()
    kiosk.goto(gym.station.spotter("pair", "--kiosk", "class", "--json").split('"')[3])
    expect(kiosk.locator("h1")).to_have_text("Class")
    expect(kiosk.locator("button .name")).to_have_text(["Ada Example", "Jörg Müller"])
    assert kiosk.locator("a").count() == 0

    kiosk.tap("button:has-text('Jörg')")

    expect(kiosk.locator("[aria-current=true] .name")).to_have_text("Jörg Müller")
    assert gym.outbox.assignments.all()[-1].user_id == JOERG
    kiosk.goto(f"{gym.address}/history")
    expect(kiosk).to_have_url(f"{gym.address}/kiosk")
    (device,) = [one for one in gym.outbox.devices.all() if one.role is Role.KIOSK]
    gym.outbox.devices.end(device.id, now_s=read_clock().utc_s)
