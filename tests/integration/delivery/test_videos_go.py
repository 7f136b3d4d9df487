"""Where analysed videos go: with their athlete, first where space is short, and never astray."""

import pytest

from agent.api.downloads import DownloadProgress
from agent.clock import Instant
from agent.outbox.consistency import ConsistencyCheck
from agent.results.videos import VideoPolicy
from agent.retention import RetentionPolicy, RetentionStage
from agent.sandbox.server import Sandbox
from agent.station.clip_actions import want_video
from agent.station.erasure import carry_out, forget
from tests.integration.delivery.conftest import World
from tests.integration.delivery.fetching import VIDEO, Fetching

CUT = "cut:at=50@storage"


@pytest.fixture
def fetching(world: World, sandbox: Sandbox) -> Fetching:
    return Fetching(world, sandbox)


def test_nothing_is_left_of_somebody_who_is_forgotten_meanwhile(fetching: Fetching) -> None:
    fetching.wished()
    outbox, folder = fetching.world.outbox, fetching.world.folder

    def hook(progress: DownloadProgress) -> None:
        if progress.part_bytes and not outbox.forgettings.unfinished():
            forget(outbox, "athlete-1", now=fetching.world.now())
            (asked,) = outbox.forgettings.unfinished()
            carry_out(outbox, folder, asked, now=fetching.world.now)

    fetching.pace.hook = hook
    fetching.stage.step()

    assert outbox.results.of_entry(1) is None
    assert fetching.names == []


def test_what_is_here_goes_with_its_athlete(fetching: Fetching) -> None:
    fetching.wished(1)
    fetching.run()
    fetching.wished(2)
    fetching.sandbox.add_fault(CUT)
    fetching.run()
    assert fetching.names == [".mp4", ".note", ".part"]
    outbox = fetching.world.outbox

    forget(outbox, "athlete-1", now=fetching.world.now())
    (asked,) = outbox.forgettings.unfinished()
    carry_out(outbox, fetching.world.folder, asked, now=fetching.world.now)

    assert fetching.names == []


def test_videos_go_first_where_space_is_short_and_can_come_back(fetching: Fetching) -> None:
    world = fetching.world
    entry = fetching.wished()
    fetching.run()
    clip = world.folder.clips / world.entry().stored_name
    clip.write_bytes(b"x" * 500)
    fetching.space.request_space("a test", 1 << 60)

    retention(fetching)._clear_early()  # its first round

    assert fetching.names == [] and clip.exists()
    assert fetching.result().video_state == "cleared"
    assert want_video(world.outbox, entry, now_s=world.clock_s) == "wanted"
    fetching.run()
    assert fetching.content() == VIDEO


def test_a_wish_lets_the_oldest_takes_video_go_where_there_is_no_room(
    fetching: Fetching, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        fetching.wished(number)
        fetching.run()
    fetching.wished(3)
    results = fetching.world.folder.results
    monkeypatch.setattr(  # room for two of them, and no byte more
        fetching.space,
        "lacks_for_intake",
        lambda need_bytes=0: max(0, need_bytes - 600_000 * (2 - len(list(results.glob("*.mp4"))))),
    )

    fetching.run()

    states = [str(fetching.result(number).video_state) for number in (1, 2, 3)]
    assert states == ["cleared", "present", "present"]


def test_what_comes_by_itself_lets_no_newer_takes_video_go(fetching: Fetching) -> None:
    fetching.analysed(1)
    fetching.wished(2)
    fetching.run()
    fetching.policy, fetching.min_free_mb = VideoPolicy(when="always"), 10_000_000
    fetching.start()

    assert fetching.run() == pytest.approx(600)

    states = [str(fetching.result(number).video_state) for number in (1, 2)]
    assert states == ["wanted", "present"]


def test_a_video_stays_for_its_days_from_when_it_came(fetching: Fetching) -> None:
    world = fetching.world
    entry = fetching.analysed()
    world.clock_s += 40 * 86_400
    world.outbox.videos.want(entry.id, now_s=world.clock_s)
    fetching.run()
    keeps = retention(fetching)

    world.clock_s += 29 * 86_400
    keeps.step()
    assert fetching.content() == VIDEO
    world.clock_s += 2 * 86_400
    keeps.step()
    assert fetching.names == []


def retention(fetching: Fetching) -> RetentionStage:
    def now() -> Instant:
        return Instant(utc_s=fetching.world.clock_s)

    policy = RetentionPolicy(keep_clips_days=1000.0)
    return RetentionStage(
        fetching.world.outbox, fetching.world.folder, fetching.space, policy=policy, now=now
    )


def test_a_start_brings_rows_and_files_together(fetching: Fetching) -> None:
    """One in whose middle it ended, one that was moved, one torn, one gone; and strays."""
    world, folder = fetching.world, fetching.world.folder
    codes = [fetching.wished(number).clip_code for number in (1, 2, 3, 4)]
    fetching.run()
    one, two, three, four = (folder.analysed_video(code) for code in codes)
    world.outbox.database.change("UPDATE result SET video_state = 'fetching' WHERE entry_id < 3")
    one.rename(f"{one}.part")
    three.write_bytes(b"torn")
    four.unlink()
    folder.analysed_video("0123456789").write_bytes(b"unknown")
    for stray in (three, folder.analysed_video("9876543210")):
        stray.with_name(f"{stray.name}.part").write_bytes(b"half")

    ConsistencyCheck(world.outbox, folder, now=world.now).run()

    states = [fetching.result(number).video_state for number in (1, 2, 3, 4)]
    assert states == ["wanted", "present", "none", "none"]
    assert sorted(folder.results.iterdir()) == sorted([one.with_name(f"{one.name}.part"), two])
    assert [path.name for path in folder.set_aside.glob("*.mp4")] == ["0123456789.mp4"]
