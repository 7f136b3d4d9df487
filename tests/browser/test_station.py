"""Who lifts next, in two touches."""

import pytest
from playwright.sync_api import Page, Route, expect

from agent.station.roster import athlete_of
from tests.browser.gym import ADA, ANNA, JOERG, Gym


def touches(page: Page) -> int:
    """How often the page was touched."""
    count = page.evaluate("window.touches")
    assert isinstance(count, int)
    return count


def test_two_touches_assign_and_one_repeats(page: Page, gym: Gym) -> None:
    page.tap(f"[data-key='{JOERG}']")
    page.tap("#assign-put")
    expect(page.locator("#station .who")).to_have_text("Jörg Müller")
    assert touches(page) == 2

    page.tap("#done")
    expect(page.locator("#station .who")).to_have_text("Nobody")
    before = touches(page)
    page.tap("#repeat")
    expect(page.locator("#station .who")).to_have_text("Jörg Müller")
    assert touches(page) - before == 1
    assert gym.outbox.assignments.all()[-1].set_by == "page"


def test_exercise_and_mass_are_chosen_with_the_athletes_own_last_one(page: Page, gym: Gym) -> None:
    page.tap(f"[data-key='{ANNA}']")
    page.tap("#assign label:has-text('Clean and jerk')")
    for _ in range(3):
        page.tap("#assign button[data-step='5']")
    page.tap("#assign-put")
    expect(page.locator("#station .what")).to_contain_text("Clean and jerk, 35 kg")
    page.tap("#mass5")
    expect(page.locator("#station output")).to_have_text("40 kg")
    page.tap("#mass-1")
    expect(page.locator("#station output")).to_have_text("39 kg")
    said = gym.outbox.assignments.all()
    assert [one.barbell_mass_kg for one in said[-3:]] == [35, 40, 39]
    # as fast as no hand is: none of them waits until the one before is drawn
    page.evaluate("for (let n = 0; n < 4; n++) document.getElementById('mass5').click()")
    expect(page.locator("#station output")).to_have_text("59 kg")

    page.tap("#station button:has-text('Snatch')")
    expect(page.locator("#station .what")).to_contain_text("Snatch")
    page.tap("#done")
    page.tap(f"[data-key='{ANNA}']")
    page.tap("#assign label:has-text('Running')")
    expect(page.locator("#assign fieldset[data-for=weightlifting]").first).to_be_hidden()
    page.tap("#assign-put")
    expect(page.locator("#station .what")).to_contain_text("Running")
    latest = gym.outbox.assignments.all()[-1]
    assert (latest.activity, latest.exercise, latest.barbell_mass_kg) == ("running", None, None)


def test_the_number_pad_sets_the_weight_in_four_touches(page: Page, gym: Gym) -> None:
    page.tap(f"[data-key='{ANNA}']")
    page.tap("#assign label:has-text('Weightlifting')")
    page.tap("#assign-put")
    expect(page.locator("#station output")).to_be_visible()
    before = touches(page)
    page.tap("#mass-pad")
    page.tap("#pad [data-digit='8']")
    page.tap("#pad [data-digit='0']")
    page.tap("#pad-put")
    expect(page.locator("#station output")).to_have_text("80 kg")
    assert touches(page) - before == 4
    assert gym.outbox.assignments.all()[-1].barbell_mass_kg == 80

    page.tap(f"#athletes [data-key='{ANNA}']")
    page.tap("#assign [data-pad]:visible")
    page.keyboard.type("62,55")
    page.tap("#pad [data-digit='']")
    page.keyboard.press("Enter")
    expect(page.locator("#assign output[data-of=mass]")).to_have_text("62.5")
    page.tap("#assign-put")
    expect(page.locator("#station output")).to_have_text("62.5 kg")
    page.tap("#mass-pad")
    page.keyboard.type("0")
    page.tap("#pad-put")
    expect(page.locator("#toast")).to_contain_text("Invalid input: to")
    expect(page.locator("#pad")).to_be_visible()


def test_a_search_ends_when_its_athlete_is_on_the_station(page: Page) -> None:
    page.fill("#search", "jörg")
    expect(page.locator("#athletes .name")).to_have_count(1)
    page.tap(f"#athletes [data-key='{JOERG}']")
    page.tap("#assign-put")
    expect(page.locator("#search")).to_have_value("")
    expect(page.locator("#athletes .name").nth(1)).to_be_visible()


def test_the_queue_advances_by_one_touch_and_can_be_rearranged(page: Page, gym: Gym) -> None:
    for key in (ADA, JOERG, ANNA):
        page.tap(f"#athletes [data-key='{key}']")
        page.tap("#assign-queue")
        expect(page.locator("#assign")).to_be_hidden()
    names = page.locator("#queue .name")
    expect(names).to_have_count(3)
    page.tap("#queue li:nth-child(3) button[id^=up]")
    expect(names.nth(1)).to_contain_text("Анна")
    page.tap("#rotate")
    expect(page.locator("#rotate")).to_have_attribute("aria-pressed", "true")
    page.tap("#next")
    expect(page.locator("#station .who")).to_have_text("Ada Example")
    page.tap("#next")
    expect(page.locator("#station .who")).to_have_text("Анна Петрова")
    expect(names.last).to_contain_text("Ada Example")
    page.tap("#done")
    expect(page.locator("#station .who")).to_have_text("Nobody")
    expect(names.last).to_contain_text("Анна Петрова")
    page.tap("#queue li:last-child button[id^=out]")
    page.tap("#queue li:first-child button[id^=out]")
    expect(names).to_have_count(1)
    assert [queued.target.user_id for queued in gym.outbox.queue.all()] == [ADA]


def test_emptying_the_queue_can_be_undone(page: Page, gym: Gym) -> None:
    for key in (ADA, JOERG):
        page.tap(f"#athletes [data-key='{key}']")
        page.tap("#assign-queue")
        expect(page.locator("#assign")).to_be_hidden()
    page.tap("#queue-clear")
    expect(page.locator("#queue .name")).to_have_count(0)
    page.tap("#undo")
    expect(page.locator("#queue .name")).to_have_count(2)
    assert len(gym.outbox.queue.all()) == 2


@pytest.mark.parametrize(("typed", "found"), [("MULLER", "Jörg Müller"), ("петр", "Анна Петрова")])
def test_athletes_are_found_by_any_part_of_their_names(page: Page, typed: str, found: str) -> None:
    page.fill("#search", typed)
    expect(page.locator("#athletes .name")).to_have_text([found])
    page.fill("#search", "nobody of that name")
    expect(page.locator("#athletes")).to_contain_text("No athlete with this name")


def test_a_late_answer_to_an_earlier_search_shows_nobody_else(page: Page) -> None:
    late: list[Route] = []
    page.route("**/athletes?q=a&*", lambda route: late.append(route))
    with page.expect_request("**/athletes?q=a&*"):
        page.fill("#search", "a")
    page.fill("#search", "jorg")
    expect(page.locator("#athletes [data-key]")).to_have_count(1)
    with page.expect_response("**/athletes?q=a&*") as answered:
        late[0].continue_()
    answered.value.finished()
    page.evaluate("() => new Promise(requestAnimationFrame)")
    expect(page.locator("#athletes [data-key]")).to_have_count(1, timeout=100)


def test_a_guest_is_noted_and_said_later_who_it_is(page: Page, gym: Gym) -> None:
    page.tap("[data-open=guest]")
    page.fill("#guest-name", "Visitor of today")
    page.tap("#guest .primary")
    page.fill("#search", "visitor")
    page.tap("#athletes [data-guest]")
    page.tap("#assign-put")
    expect(page.locator("#station .who")).to_have_text("Visitor of today")

    page.tap("#athletes [data-guest]")
    page.tap("#assign summary")
    page.tap("#assign-resolve")
    expect(page.locator("#choose-title")).to_have_text("Who is Visitor of today?")
    page.tap(f"#choose [data-key='{ANNA}']")
    expect(page.locator("#station .who")).to_have_text("Анна Петрова")
    key = page.locator("#toast")
    expect(key).to_contain_text("Анна Петрова")
    assert athlete_of(gym.outbox, ANNA) is not None
