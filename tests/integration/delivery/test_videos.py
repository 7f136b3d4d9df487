"""Analysed videos come to the station where they are wished for, and go first."""

import math
from datetime import UTC

import pytest

from agent.api.downloads import DownloadProgress
from agent.bandwidth_schedule import parse_timetable
from agent.errors import RequestError
from agent.results.videos import VideoPolicy
from agent.sandbox.server import Sandbox
from agent.station.clip_actions import want_video
from tests.analysed import storage_requests
from tests.factories import ready_entry
from tests.integration.delivery.conftest import World
from tests.integration.delivery.fetching import VIDEO, Fetching

ALWAYS = VideoPolicy(when="always")
CLOSED = "daily 00:00-23:00 = off"
CUT = "cut:at=50@storage"


@pytest.fixture
def fetching(world: World, sandbox: Sandbox) -> Fetching:
    return Fetching(world, sandbox)


def test_a_video_that_is_wished_for_comes_and_stays(fetching: Fetching) -> None:
    entry = fetching.analysed()
    assert math.isinf(fetching.run())
    outbox = fetching.world.outbox

    assert want_video(outbox, entry, now_s=fetching.world.clock_s) == "wanted"
    assert math.isinf(fetching.run())

    assert fetching.content() == VIDEO
    result = fetching.result()
    assert (result.video_state, result.video_bytes) == ("present", len(VIDEO))
    assert fetching.names == [".mp4"]
    assert want_video(outbox, entry, now_s=fetching.world.clock_s) == "present"


def test_what_was_never_analysed_cannot_be_wished_for(fetching: Fetching) -> None:
    with pytest.raises(RequestError, match="no analysed video of"):
        want_video(fetching.world.outbox, ready_entry(fetching.world.outbox), now_s=0.0)


def test_a_cut_connection_costs_only_the_rest(fetching: Fetching) -> None:
    fetching.wished()
    fetching.sandbox.add_fault(CUT)

    assert 0 < fetching.run() <= 10
    result = fetching.result()
    assert result.video_state == "wanted"
    assert result.video_detail is not None and "broke off" in result.video_detail
    fetching.start()  # the daemon too may start again meanwhile
    fetching.run(60)

    assert fetching.content() == VIDEO
    first, second = storage_requests(fetching.sandbox, 2)
    assert first.sent_bytes + second.sent_bytes == len(VIDEO)
    assert {r.key_form for r in (first, second)} == {None}


def test_for_a_link_that_has_expired_a_fresh_one_is_asked_for_once(fetching: Fetching) -> None:
    fetching.sandbox.link_s = -1.0
    fetching.wished()
    fetching.sandbox.link_s = 60.0
    before = fetching.result().analysed_video_url

    fetching.run()

    assert fetching.content() == VIDEO
    assert fetching.result().analysed_video_url != before
    assert len(fetching.sandbox.book.requests) == 3


def test_a_link_that_never_opens_is_asked_for_less_and_less(fetching: Fetching) -> None:
    fetching.wished()
    fetching.sandbox.add_fault("403@storage*always")

    fetching.run(600)

    assert fetching.result().video_state == "wanted"
    assert "the link does not work" in str(fetching.result().video_detail)
    requests = fetching.sandbox.book.requests
    assert 6 < len(requests) < 90
    assert len([r for r in requests if r.is_storage]) == 2 * len(
        [r for r in requests if not r.is_storage]
    ), "each time the link that is known, then a fresh one"


def test_without_the_api_an_old_link_waits(fetching: Fetching) -> None:
    fetching.sandbox.link_s = -1.0
    fetching.wished()
    fetching.is_open = False

    assert fetching.run() > 0
    assert "cannot be asked for a new one" in str(fetching.result().video_detail)


def test_a_hostile_link_is_not_asked_and_says_why(fetching: Fetching) -> None:
    hostile = {
        "http://10.0.0.1/a.mp4": "10.0.0.1, which is private",
        "file:///etc/passwd": "not a web address",
        "not a link": "spaces",
    }
    for number, link in enumerate(hostile, start=1):
        fetching.wished(number, link=link)

    assert math.isinf(fetching.run())

    for number, why in enumerate(hostile.values(), start=1):
        assert fetching.result(number).video_state == "failed"
        assert why in str(fetching.result(number).video_detail)
    assert fetching.names == [] and fetching.sandbox.book.requests == []


def test_a_session_that_tells_anything_but_a_link_does_no_harm(fetching: Fetching) -> None:
    fetching.sandbox.link_s = -1.0
    fetching.wished()
    for told in ("42", "null", "[1]", "{}", "true", '"gopher://x/"', '""'):
        fetching.sandbox.clear_faults()
        fetching.sandbox.add_fault(f"link:json={told}*always")
        fetching.start()

        assert fetching.run() > 0

        detail = fetching.result().video_detail
        assert detail == "the API gives no link to the analysed video", told


def test_what_is_no_video_is_not_kept_and_may_be_wished_for_again(fetching: Fetching) -> None:
    entry = fetching.wished()
    fetching.sandbox.add_fault(CUT)
    fetching.run()
    fetching.sandbox.add_fault("html@storage")
    fetching.run(60)
    assert fetching.result().video_detail == "it is not a video but text/html"
    assert fetching.names == []

    want_video(fetching.world.outbox, entry, now_s=fetching.world.clock_s)
    fetching.run()

    assert fetching.content() == VIDEO


def test_a_length_that_was_told_too_short_is_found_out(fetching: Fetching) -> None:
    fetching.wished()
    fetching.sandbox.add_fault("wrong-length:n=-5000")

    fetching.run()

    assert "is incomplete" in str(fetching.result().video_detail)
    assert fetching.names == []


def test_a_session_that_is_gone_ends_the_wish(fetching: Fetching) -> None:
    fetching.sandbox.link_s = -1.0
    entry = fetching.wished()
    fetching.sandbox.book.remove(str(entry.session_id))

    assert math.isinf(fetching.run())
    assert "the API does not know the session" in str(fetching.result().video_detail)


def test_on_a_full_disk_what_has_come_goes_and_the_wish_waits(fetching: Fetching) -> None:
    fetching.wished()
    fetching.sandbox.add_fault(CUT)
    fetching.run()
    assert fetching.names == [".note", ".part"]
    fetching.min_free_mb = 10_000_000
    fetching.start()

    assert fetching.run() == pytest.approx(600)

    assert "the disk lacks" in str(fetching.result().video_detail)
    assert fetching.names == []
    fetching.min_free_mb = 0
    fetching.start()
    fetching.run()
    assert fetching.content() == VIDEO


def test_always_fetches_by_itself_what_is_not_too_old(fetching: Fetching) -> None:
    fetching.policy = ALWAYS
    fetching.start()
    fetching.analysed(1)
    fetching.world.clock_s += 31 * 86_400
    fetching.analysed(2)

    assert math.isinf(fetching.run())

    states = [fetching.result(number).video_state for number in (1, 2)]
    assert states == ["none", "present"]


def test_never_fetches_nothing(fetching: Fetching) -> None:
    fetching.policy = VideoPolicy(when="never")
    fetching.start()
    fetching.wished()

    assert math.isinf(fetching.run())
    assert fetching.names == []


def test_what_comes_by_itself_lets_clips_and_closed_hours_go_first(fetching: Fetching) -> None:
    fetching.policy = ALWAYS
    fetching.start()
    fetching.analysed(1)
    clip = ready_entry(fetching.world.outbox, 2)
    assert fetching.run() == 5.0

    claimed = fetching.world.outbox.entries.claim(clip, now_s=fetching.world.clock_s)
    assert claimed is not None and fetching.run() == 5.0
    fetching.world.outbox.entries.adopt_session(
        clip.id, session_id="delivered", server_title=None, now_s=fetching.world.clock_s
    )
    fetching.schedule = CLOSED
    fetching.start()
    assert fetching.run() == 60.0
    opens_at = parse_timetable(CLOSED, zone=UTC).opens_at(fetching.world.clock_s)
    assert opens_at is not None
    fetching.world.clock_s = opens_at
    assert math.isinf(fetching.run())
    assert fetching.content() == VIDEO


def test_somebody_who_waits_waits_for_no_clip_and_no_hour(fetching: Fetching) -> None:
    fetching.schedule = CLOSED
    fetching.start()
    fetching.wished(1)
    ready_entry(fetching.world.outbox, 2)

    assert math.isinf(fetching.run())
    assert fetching.content() == VIDEO


def test_a_video_on_its_way_gives_way_to_a_clip_and_goes_on(fetching: Fetching) -> None:
    fetching.policy = ALWAYS
    fetching.start()
    fetching.analysed(1)

    def hook(progress: DownloadProgress) -> None:
        fetching.world.clock_s += 0.3
        if progress.have_bytes > 200_000 and not clips:
            clips.append(ready_entry(fetching.world.outbox, 2))

    clips: list[object] = []
    fetching.pace.hook = hook

    assert fetching.run() == 5.0
    assert fetching.result().video_detail == "uploads have priority; it continues afterwards"
    fetching.world.outbox.entries.adopt_session(
        2, session_id="delivered", server_title=None, now_s=fetching.world.clock_s
    )
    assert math.isinf(fetching.run())
    assert fetching.content() == VIDEO
    assert any(request.status == 206 for request in storage_requests(fetching.sandbox, 2))


@pytest.mark.parametrize("place", [".mp4", ".mp4.part", ".mp4.note"])
def test_a_place_that_refuses_holds_no_other_video_back(fetching: Fetching, place: str) -> None:
    fetching.wished(1)
    refused = fetching.wished(2)
    in_its_way = fetching.world.folder.results / f"{refused.clip_code}{place}"
    in_its_way.mkdir()
    (in_its_way / "kept").touch()

    assert 0 < fetching.run() <= 3600

    assert fetching.content(1) == VIDEO
    result = fetching.result(2)
    assert result.video_state == "wanted"
    assert result.video_detail == f"the video cannot be written: Is a directory: {in_its_way}"
    (in_its_way / "kept").unlink()
    in_its_way.rmdir()
    fetching.run(3600)
    assert fetching.content(2) == VIDEO
