"""What became of the last set, and putting it right."""

import re

from playwright.sync_api import BrowserContext, Locator, Page, expect

from agent.outbox.states import EntryState
from tests.browser.gym import ADA, ANNA, JOERG, Gym, small_footage
from tests.station import until


def test_a_fresh_take_counts_down_and_goes_to_whom_it_is_given(page: Page, gym: Gym) -> None:
    entry = gym.film(ADA, goes_in_s=600, reps=3, quality=("feet_out_of_frame",))
    card = page.locator(f"#take-{entry.clip_code}")
    expect(card).to_contain_text("Ada Example")
    expect(card).to_contain_text("3 reps")
    expect(card).to_contain_text("Feet cut off. Tilt the camera down or move it back.")
    left = card.locator("time[data-until]")
    expect(left).to_have_text(re.compile(r"^\d:\d\d min$"))
    expect(left).not_to_have_text(left.inner_text())

    page.tap(f"#give-{entry.clip_code}")
    page.tap(f"#choose [data-key='{JOERG}']")
    expect(card).to_contain_text("Jörg Müller")
    page.tap(f"#send-{entry.clip_code}")
    expect(card).to_contain_text("Uploaded")
    session = gym.sandbox.book.sessions[-1]
    assert session.user_id == JOERG and entry.clip_code in session.title


def test_what_is_discarded_or_held_does_not_go_and_a_discard_can_be_undone(
    page: Page, gym: Gym
) -> None:
    entry = gym.film(ADA, goes_in_s=600)
    card = page.locator(f"#take-{entry.clip_code}")
    page.tap(f"#discard-{entry.clip_code}")
    expect(card).to_have_count(0)
    assert gym.state_of(entry) is EntryState.DISCARDED
    page.tap("#undo")
    expect(card).to_contain_text("Uploading in ")
    page.tap(f"#hold-{entry.clip_code}")
    expect(page.locator("#tray")).to_contain_text("On hold by you.")
    assert gym.state_of(entry) is EntryState.HELD


def test_several_takes_of_nobody_are_given_at_once(page: Page, gym: Gym) -> None:
    entries = [gym.film(None), gym.film(None)]
    expect(page.locator(".state-word")).to_have_text("Action needed")
    expect(page.locator("#tray .take")).to_have_count(2)
    page.tap("#tray-all")
    page.tap("#tray-give")
    page.tap(f"#choose [data-key='{ANNA}']")
    expect(page.locator("#toast")).to_contain_text("2 takes assigned to Анна Петрова.")
    expect(page.locator("#tray .take")).to_have_count(0)
    until(lambda: all(gym.state_of(e) in {"uploaded", "completed"} for e in entries))
    assert {s.user_id for s in gym.sandbox.book.sessions[-2:]} == {ANNA}


def test_what_a_take_shows_is_edited_on_its_card_and_stays_when_it_is_given_away(
    page: Page, gym: Gym
) -> None:
    gym.put(JOERG, mass_kg=90)
    entry = gym.film(None, mass_kg=60)
    card = page.locator(f"#take-{entry.clip_code}")
    page.tap(f"#edit-{entry.clip_code}")
    expect(page.locator("#edit output[data-of=mass]")).to_have_text("60")
    page.locator("#edit label", has_text="Clean and jerk").tap()
    page.tap("#edit [data-step='5']")
    page.tap("#edit [data-step='-1']")
    page.tap("#edit-put")
    expect(page.locator("#toast")).to_contain_text("Saved: Clean and jerk, 64 kg.")
    expect(card).to_contain_text("Clean and jerk, 64 kg")
    expect(card).to_contain_text("Unassigned")

    page.tap(f"#give-{entry.clip_code}")
    page.tap(f"#choose [data-key='{JOERG}']")
    expect(page.locator("#takes")).to_contain_text("Clean and jerk, 64 kg")
    expect(card.locator("time[data-until]")).to_be_visible()  # it counts down like a fresh one
    page.tap("#undo")
    expect(page.locator("#tray")).to_contain_text("Unassigned")
    assert gym.state_of(entry) is EntryState.HELD

    page.tap(f"#give-{entry.clip_code}")
    page.tap(f"#choose [data-key='{JOERG}']")
    page.tap(f"#send-{entry.clip_code}")
    expect(card).to_contain_text("Uploaded")
    session = gym.sandbox.book.sessions[-1]
    assert (session.user_id, session.title.split()[1:3]) == (JOERG, ["clean_and_jerk", "64kg"])


def test_what_a_person_holds_back_is_sent_as_it_is(page: Page, gym: Gym) -> None:
    entry = gym.film(ADA, goes_in_s=600)
    page.tap(f"#hold-{entry.clip_code}")
    expect(page.locator("#tray")).to_contain_text("On hold by you.")
    page.tap(f"#release-{entry.clip_code}")
    expect(page.locator("#toast")).to_contain_text("It will be uploaded as it is.")
    page.tap(f"#send-{entry.clip_code}")
    until(lambda: gym.state_of(entry) in {"uploaded", "completed"})
    assert gym.sandbox.book.sessions[-1].user_id == ADA


def test_a_sent_take_is_sent_anew_for_the_right_athlete(page: Page, gym: Gym) -> None:
    entry = gym.film(ADA)
    card = page.locator(f"#take-{entry.clip_code}")
    expect(card).to_contain_text("Uploaded")
    wrong = gym.sandbox.book.sessions[-1].session_id
    page.tap(f"#resend-{entry.clip_code}")
    page.tap(f"#choose [data-key='{JOERG}']")
    expect(page.locator("#toast")).to_contain_text("Uploading again for Jörg Müller")
    expect(card).to_contain_text("Will be uploaded again in a moment.")
    until(lambda: gym.sandbox.book.find(wrong) is None)
    (right,) = [s for s in gym.sandbox.book.sessions if s.user_id == JOERG][-1:]
    assert right.session_id != wrong


def test_a_sent_take_is_corrected_on_its_own_page_and_sent_anew_as_it_was_lifted(
    page: Page, gym: Gym
) -> None:
    entry = gym.film(ADA, mass_kg=60)
    until(lambda: gym.state_of(entry) in {"uploaded", "completed"})
    wrong = gym.sandbox.book.sessions[-1].session_id
    page.goto(f"{gym.address}/take/{entry.clip_code}")
    page.tap(f"#edit-{entry.clip_code}")
    page.tap("#edit [data-pad]:visible")
    page.keyboard.type("75")
    page.tap("#pad-put")
    page.tap("#edit-put")
    expect(page.locator("#toast")).to_contain_text("Uploading again as Snatch, 75 kg")
    until(lambda: gym.sandbox.book.find(wrong) is None)
    right = gym.sandbox.book.sessions[-1]
    assert (right.user_id, right.title.split()[1:3]) == (ADA, ["snatch", "75kg"])


def test_a_take_is_corrected_on_its_athletes_page(page: Page, gym: Gym) -> None:
    entry = gym.film(ADA, goes_in_s=600)
    page.goto(f"{gym.address}/athlete/{ADA}")
    page.tap(f"#give-{entry.clip_code}")
    page.tap(f"#choose [data-key='{JOERG}']")
    expect(page.locator("#toast")).to_contain_text("Assigned to Jörg Müller.")
    expect(page.locator(f"#take-{entry.clip_code}")).to_have_count(0)
    page.tap("#undo")
    expect(page.locator(f"#take-{entry.clip_code}")).to_be_visible()
    page.tap(f"#hold-{entry.clip_code}")
    expect(page.locator(f"#take-{entry.clip_code}")).to_contain_text("On hold by you.")
    assert gym.state_of(entry) is EntryState.HELD


# Whether the upper joint is drawn where it is at a moment, a quarter down from the top.
_JOINT_AT = """
seconds => {
  const canvas = document.querySelector('#player canvas'), pen = canvas.getContext('2d');
  const high = Math.min(canvas.width * 9 / 16, canvas.height), wide = high * 16 / 9;
  const x = Math.round((canvas.width - wide) / 2 + wide * seconds / 4);
  const y = Math.round((canvas.height - high) / 2 + high / 4);
  return pen.getImageData(x, y, 1, 1).data[1] > 150;
}
"""
# Whether every skeleton is drawn for the frame that its video shows.
_IS_IN_STEP = """
() => [...document.querySelectorAll('#player .screen')].every(screen => {
  const video = screen.querySelector('video'), canvas = screen.querySelector('canvas');
  return !video.seeking && canvas && canvas.dataset.joints === '2'
    && Math.abs(video.currentTime - canvas.dataset.at) < 0.17;
})
"""


def test_a_take_is_played_by_single_frames_slowly_and_beside_another(page: Page, gym: Gym) -> None:
    first, second = (
        gym.film(ADA, goes_in_s=600, mass_kg=60),
        gym.film(ADA, goes_in_s=600, mass_kg=70),
    )
    page.tap(f"#open-{second.clip_code}")
    page.wait_for_function("() => document.querySelector('#player video').readyState >= 2")
    time, at = page.locator("#player-time"), "document.querySelector('#player video').currentTime"
    for shown in ("0.167 s", "0.333 s", "0.500 s"):  # six frames a second
        page.tap("#frame-on")
        expect(time).to_have_text(shown)
    page.tap("#frame-back")
    expect(time).to_have_text("0.333 s")
    assert page.locator("#player canvas").count() == 0
    page.tap("#player-skeleton")
    drawn = page.locator("#player canvas").first
    expect(drawn).to_have_attribute("data-at", "0.333")
    assert page.evaluate(_JOINT_AT, 0.333)
    page.tap("#frame-on")
    expect(drawn).to_have_attribute("data-at", "0.500")
    assert page.evaluate(_JOINT_AT, 0.5) and not page.evaluate(_JOINT_AT, 1.5)
    page.tap("#player-skeleton")
    expect(drawn).to_be_hidden()
    page.tap("#player-skeleton")
    page.tap("#speed-1")
    expect(page.locator("#speed-1")).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("document.querySelector('#player video').playbackRate") == 0.25
    page.tap("#player-play")
    page.wait_for_function(f"() => {at} > 0.6")
    page.tap("#player-play")
    page.wait_for_function(_IS_IN_STEP)

    page.select_option("#with", first.clip_code)
    page.tap("#player form button")
    expect(page.locator("#player video")).to_have_count(2)
    page.wait_for_function(
        "() => [...document.querySelectorAll('#player video')].every(v => v.readyState >= 2)"
    )
    expect(page.locator("#player canvas")).to_have_count(2)  # it stays on
    for _ in range(3):
        page.tap("#frame-on")
    page.wait_for_function(_IS_IN_STEP)
    page.wait_for_function(
        "() => { const [a, b] = document.querySelectorAll('#player video');"
        " return !a.seeking && !b.seeking && a.currentTime > 0.5"
        " && Math.abs(a.currentTime - b.currentTime) < 0.09; }"
    )
    expect(page.locator("#player figcaption").last).to_contain_text("Snatch, 60 kg")


def test_a_captured_take_is_heard_on_the_tablet_and_marked_on_the_wall(
    tablet: BrowserContext, gym: Gym
) -> None:
    gym.clear()
    tablet.add_init_script(
        "window.notes = 0; const start = OscillatorNode.prototype.start;"
        "OscillatorNode.prototype.start = function (at) {"
        " window.notes += 1; start.call(this, at); };"
    )
    page, wall = tablet.new_page(), tablet.new_page()
    page.goto(gym.address)
    wall.goto(f"{gym.address}/wall")
    gym.film(ADA)
    expect(wall.locator("#captured")).to_contain_text("Take captured")
    expect(wall.locator("#captured-who")).to_have_text("Ada Example")
    expect(wall.locator("#captured")).to_be_hidden()
    assert page.evaluate("window.notes") == 0

    page.tap("#sound")
    assert page.evaluate("window.notes") == 2  # so it sounds
    gym.film(None)
    page.wait_for_function("() => window.notes === 4")
    page.reload()
    page.tap(".state-word")
    expect(page.locator("#sound")).to_have_attribute("aria-pressed", "true")
    page.tap("#sound")
    expect(page.locator("#sound")).to_have_attribute("aria-pressed", "false")


_BOX = "e => { const r = e.getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; }"


def test_an_upright_clip_is_shown_whole_as_picture_and_as_video_everywhere(
    page: Page, gym: Gym
) -> None:
    entry = gym.film(ADA, shown=small_footage((180, 320)))
    code = entry.clip_code
    until(lambda: gym.state_of(entry) in {"uploaded", "completed"})
    for place in ("/", f"/athlete/{ADA}", f"/take/{code}", "/wall"):
        page.goto(gym.address + place)
        card = page.locator(".take" if place == "/wall" else f"#take-{code}").first
        picture = card.locator(".take-picture img")
        page.wait_for_function(
            "e => e.complete && e.naturalHeight > 0", arg=picture.element_handle()
        )
        _is_whole(card, picture, natural=("naturalWidth", "naturalHeight"))
        if place == "/wall":
            continue
        page.tap(f"#play-{code}")
        video = card.locator(".take-picture video")
        page.wait_for_function("e => e.videoWidth > 0", arg=video.element_handle())
        _is_whole(card, video, natural=("videoWidth", "videoHeight"))
    page.goto(gym.address + "/")
    strip = page.locator(f"#take-{code} .take-strip")
    page.wait_for_function("e => e.complete && e.naturalHeight > 0", arg=strip.element_handle())
    _, _, width, height = strip.evaluate(_BOX)
    ratio = strip.evaluate("e => e.naturalWidth / e.naturalHeight")
    assert abs(width / height - ratio) < 0.05 * ratio


def _is_whole(card: Locator, shown: Locator, *, natural: tuple[str, str]) -> None:
    """A picture is upright, in its own shape, and inside the frame that cuts it off."""
    width, height = (shown.evaluate(f"e => e.{name}") for name in natural)
    assert height > width
    assert shown.evaluate("e => getComputedStyle(e).objectFit") == "contain"
    frame_x, frame_y, frame_width, frame_height = card.locator(".take-picture").evaluate(_BOX)
    x, y, box_width, box_height = shown.evaluate(_BOX)
    assert x >= frame_x - 1 and x + box_width <= frame_x + frame_width + 1
    assert y >= frame_y - 1 and y + box_height <= frame_y + frame_height + 1


def test_a_clip_plays_in_its_place_and_goes_on_when_the_page_changes(page: Page, gym: Gym) -> None:
    entry = gym.film(ADA, goes_in_s=600)
    page.tap(f"#play-{entry.clip_code}")
    video = page.locator(f"#take-{entry.clip_code} video")
    page.wait_for_function(
        "code => { const v = document.querySelector(`#take-${code} video`);"
        " return v && v.currentTime > 0 && v.videoWidth === 320; }",
        arg=entry.clip_code,
    )
    video.evaluate("v => { v.same = true; }")
    gym.film(ADA, goes_in_s=600)
    page.tap(f"#give-{entry.clip_code}")
    page.tap(f"#choose [data-key='{JOERG}']")
    expect(page.locator(f"#take-{entry.clip_code}")).to_contain_text("Jörg Müller")
    assert video.evaluate("v => v.same && !v.ended") is True


def test_what_came_back_is_on_the_card_and_on_the_athletes_page(page: Page, gym: Gym) -> None:
    entry = gym.film(ADA)
    code = entry.clip_code
    card = page.locator(f"#take-{code}")
    gym.analyse(entry, peak_velocity=1.834, bar_height=1.1)
    expect(card).to_contain_text("1.83")
    page.tap(f"#fetch-{code}")
    page.tap(f"#analysed-{code}")
    page.wait_for_function(
        "code => { const v = document.querySelector(`#take-${code} video`);"
        " return v && v.currentSrc.endsWith(`/analysed/${code}`) && v.currentTime > 0; }",
        arg=code,
    )
    page.tap(f"#who-{code}")
    expect(page.locator("h1")).to_have_text("Ada Example")
    expect(page.get_by_role("img", name="Peak velocity")).to_be_visible()
    page.select_option("#number", "bar_height")
    page.tap("form.pickone button")
    expect(page).to_have_url(re.compile("number=bar_height"))
    expect(page.locator("#plot-words")).to_contain_text("Bar height: ")
    other = gym.film(ADA)
    expect(page.locator(f"#sheet #take-{other.clip_code}")).to_contain_text("Uploaded")


def test_unplugged_the_page_stays_useful_and_all_goes_out_later(page: Page, gym: Gym) -> None:
    gym.sandbox.go_away()
    try:
        entry = gym.film(JOERG)
        expect(page.locator(".state-word")).to_have_text("Offline, recording locally")
        expect(page.locator(".state-more")).to_contain_text("No internet")
        page.tap(f"#athletes [data-key='{ADA}']")
        page.tap("#assign-put")
        expect(page.locator("#station .who")).to_have_text("Ada Example")
        page.tap(f"#play-{entry.clip_code}")
        expect(page.locator(f"#take-{entry.clip_code} video")).to_be_visible()
    finally:
        gym.sandbox.come_back()
    expect(page.locator(".state-word")).to_have_text("All uploaded")
    assert gym.sandbox.book.sessions[-1].user_id == JOERG


def test_stop_filming_says_so_until_it_films_again(page: Page) -> None:
    page.tap("#filming-stop")
    expect(page.locator(".state-word")).to_have_text("Recording off")
    page.tap("#undo")
    expect(page.locator("#filming-stop")).to_be_visible()
    page.tap("#filming-stop")
    expect(page.locator(".state-more")).to_contain_text("new footage is deleted")
    page.tap("#filming-start")
    expect(page.locator("#filming-stop")).to_be_visible()
    page.tap("#filming-stop-30")
    expect(page.locator(".state-more")).to_contain_text("Resumes in 30 min")
    page.tap("#filming-start")
    expect(page.locator("#filming-stop")).to_be_visible()


def test_an_athlete_is_forgotten_unless_it_is_undone(page: Page, gym: Gym) -> None:
    entry = gym.film(ANNA, goes_in_s=600)
    for _ in range(2):
        page.tap(f"#athletes [data-key='{ANNA}']")
        page.tap("#assign summary")
        page.tap("#assign-forget")
        page.tap("#forget-sure")
        expect(page.locator("#toast")).to_contain_text("Data of Анна Петрова will be deleted.")
        page.tap("#undo")
        expect(page.locator("#toast")).to_contain_text("Undone.")
    expect(page.locator(f"#take-{entry.clip_code}")).to_contain_text("Анна Петрова")
    assert gym.outbox.forgettings.unfinished() == []
