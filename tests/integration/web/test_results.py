"""What came of takes, as the page shows it: read through the real server, from a real outbox."""

import json
from pathlib import Path

import pytest

from agent.disk.state_folder import note_of, part_of
from agent.outbox.models import Capture, Entry
from agent.outbox.results import FollowUpState, Number
from agent.outbox.states import CaptureState
from tests.came_back import HOSTILE, analysed, delivered, followed
from tests.factories import NOW_S, admitted, new_entry
from tests.served_page import ServedPage, page_settings, served_page


def card(page: ServedPage, entry: Entry, path: str = "/") -> str:
    """One take's card on a page."""
    with page.client(page.session()) as client:
        text = client.get(path).text
    return text.partition(f'id="take-{entry.clip_code}"')[2].partition("</li>")[0]


def test_a_card_tells_the_key_numbers_and_how_many_there_are_besides(page: ServedPage) -> None:
    entry = delivered(page.outbox, 201)
    numbers: dict[str, Number] = {
        **{"bar_path": HOSTILE, "peak_velocity_mps": 1.83456, "reps.1.peak": 1.7},
        **{HOSTILE: 12.0, "height_cm": 104},
    }
    analysed(page.outbox, entry, numbers)

    shown = card(page, entry)

    assert "<dt>Peak velocity</dt><dd>1.83 m/s</dd>" in shown
    assert shown.count("<dt>") == 3 and "2 more metrics" in shown
    assert "<script" not in shown and "&lt;script&gt;" in shown


@pytest.mark.parametrize(
    ("number", "state", "detail", "words", "may_look"),
    [
        (211, FollowUpState.WAITING, "HTTP 500", "Analysis in progress", False),
        (212, FollowUpState.FAILED, f"no person {HOSTILE}", "no person &lt;script", True),
        (213, FollowUpState.GONE, "", "No longer at AiKYNETIX", True),
        (214, FollowUpState.NOT_SEEN, "no analysis within 2 days", "No analysis received", True),
    ],
)
def test_a_card_says_how_far_the_analysis_is_and_lets_one_look_again(
    page: ServedPage,
    number: int,
    state: FollowUpState,
    detail: str,
    words: str,
    may_look: bool,
) -> None:
    entry = delivered(page.outbox, number)
    followed(page.outbox, entry, state, detail)

    shown = card(page, entry)
    with page.client(page.session()) as client:
        looked = client.post(f"/take/{entry.clip_code}/look")
        again = card(page, entry)

    assert words in shown and "HTTP 500" not in shown
    assert (f'id="look-{entry.clip_code}"' in shown) is may_look
    assert looked.status_code == 200 and "Analysis in progress" in again


def test_there_is_nothing_to_look_for_of_a_take_that_was_not_sent(page: ServedPage) -> None:
    entry = page.outbox.entries.create(new_entry(admitted(page.outbox, 221)), now_s=NOW_S)

    with page.client(page.session()) as client:
        assert client.post(f"/take/{entry.clip_code}/look").status_code == 409
    assert 'class="analysis"' not in card(page, entry)


def test_the_analysed_video_is_sent_by_ranges_from_this_box(page: ServedPage) -> None:
    entry = delivered(page.outbox, 231)
    analysed(page.outbox, entry, {})
    _, video = page.folder.result_files(entry.clip_code)
    video.write_bytes(bytes(range(200)))
    path = f"/analysed/{entry.clip_code}"
    with page.client(page.session()) as client:
        assert client.get(path).status_code == 404  # not fetched whole
        page.outbox.database.change(
            "UPDATE result SET video_state = 'present' WHERE entry_id = ?", (entry.id,)
        )
        part = client.get(path, headers={"range": "bytes=10-19"})
        shown = card(page, entry)

    assert (part.status_code, part.content) == (206, bytes(range(10, 20)))
    assert part.headers["content-type"] == "video/mp4"
    assert f'data-play="{path}"' in shown and "no metrics" in shown


def test_the_analysed_video_is_fetched_by_a_persons_wish_and_says_how_far_it_is(
    page: ServedPage,
) -> None:
    entry = delivered(page.outbox, 235)
    with page.client(page.session()) as client:
        assert client.post(f"/take/{entry.clip_code}/fetch").status_code == 409  # no analysis yet
        analysed(page.outbox, entry, {})
        offered = card(page, entry)
        client.post(f"/take/{entry.clip_code}/fetch")
    coming = card(page, entry)
    assert page.outbox.videos.begin(entry.id)
    video = page.folder.analysed_video(entry.clip_code)
    part_of(video).write_bytes(bytes(30))
    note = {"validator": "x", "total_bytes": 100, "durable_bytes": 0, "boot_id": None}
    note_of(video).write_text(json.dumps(note))
    under_way = card(page, entry)
    page.outbox.videos.fail(entry.id, f"it is too large {HOSTILE}")
    failed = card(page, entry)

    button = f'formaction="/take/{entry.clip_code}/fetch"'
    assert button in offered and button not in coming and button in failed
    assert "Downloading the analysed video." in coming and "video: 30 %." in under_way
    assert "could not be downloaded: it is too large &lt;script" in failed


@pytest.mark.parametrize("asked", [False, True])
def test_the_wall_shows_numbers_only_where_that_is_asked_for(tmp_path: Path, asked: bool) -> None:
    with served_page(page_settings(tmp_path, web={"wall_metrics": asked})) as page:
        entry = delivered(page.outbox, 241)
        analysed(page.outbox, entry, {"peak_velocity_mps": 1.5})
        with page.client(page.session()) as client:
            assert "Peak velocity" in client.get("/").text
            assert ("Peak velocity" in client.get("/wall").text) == asked


def set_aside(page: ServedPage, number: int, reason: str) -> Capture:
    """A recording that waits for a person."""
    moved = page.outbox.captures.move(
        admitted(page.outbox, number), CaptureState.QUARANTINED, now_s=NOW_S, reason=reason
    )
    assert moved is not None
    return moved


def test_recordings_set_aside_are_shown_with_their_reason_and_can_be_undone(
    page: ServedPage,
) -> None:
    broken, unseen, strange = (
        set_aside(page, number, reason)
        for number, reason in ((251, "incomplete"), (252, "filming_may_be_stopped"), (253, "x<y"))
    )
    with page.client(page.session()) as client:
        text = client.get("/").text
        wall = client.get("/wall").text
        retried = client.post(f"/recording/{unseen.id}/retry")
        discarded = client.post(f"/recording/{broken.id}/discard").json()
        assert page.outbox.captures.by_id(broken.id).state is CaptureState.DISCARDED  # type: ignore[union-attr]  # it is there
        client.post("/undo", data={"id": discarded["undo"]["id"]})
        gone = client.post(f"/recording/{unseen.id}/discard")

    assert "set-251.mp4" in text and "The recording stopped before its end." in text
    assert "Recording may have been off at that time." in text and ">Analyse<" in text
    assert f'id="aside-{strange.id}"' in text and "It could not be processed." in text
    assert (
        '<a href="#tray">3 recordings could not be processed.</a>' in text and "set-251" not in wall
    )
    assert retried.status_code == 200 and gone.status_code == 404
    assert page.outbox.captures.by_id(broken.id).state is CaptureState.QUARANTINED  # type: ignore[union-attr]  # as above


def test_a_take_on_which_the_api_fails_needs_a_person(page: ServedPage) -> None:
    entry = page.outbox.entries.create(new_entry(admitted(page.outbox, 261)), now_s=NOW_S)
    page.outbox.database.change(
        "UPDATE entry SET reason = 'fails_at_server' WHERE id = ?", (entry.id,)
    )

    shown = card(page, entry)
    with page.client(page.session()) as client:
        text = client.get("/").text

    assert f'name="code" value="{entry.clip_code}"' in shown  # in the tray
    assert "Spotter retries once a day." in shown and f'id="retry-{entry.clip_code}"' in shown
    assert text.count(f'id="take-{entry.clip_code}"') == 1
