"""Clearing away: only what is delivered or was discarded, and only when it is time."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from agent.clock import Instant
from agent.disk.space import DiskSpace, DiskUsage
from agent.outbox.states import CaptureState, EntryState, FileState
from agent.retention import RetentionPolicy, RetentionStage
from tests.factories import NOW_S, admitted
from tests.integration.delivery.conftest import World

HOUR_S = 3600.0
KEEP_H = 48.0


def analysed(world: World, number: int = 1) -> Path:
    """A capture with one clip, analysed; returns its original."""
    world.add(number)
    capture = world.outbox.captures.claim_next(NOW_S)
    assert capture is not None
    world.outbox.captures.move(capture, CaptureState.ANALYSED, now_s=world.clock_s)
    original = world.folder.captures / capture.stored_name
    original.write_bytes(b"original")
    original.with_suffix(".json").write_text("{}")
    return original


@dataclass
class Disk(DiskSpace):
    """A disk whose free space is what a test says, plus what was cleared since."""

    root: Path
    free_bytes: int
    floor: int = 1000

    def __post_init__(self) -> None:
        super().__init__(self.root, min_free_mb=self.floor / 1e6)
        self._taken_bytes = self._weight()

    def room(self) -> DiskUsage:
        free = self.free_bytes + self._taken_bytes - self._weight()
        return DiskUsage(free_bytes=free, total_bytes=1_000_000, free_files=None)

    def _weight(self) -> int:
        return sum(p.stat().st_size for p in self.root.rglob("*.mp4"))


def retention(
    world: World, policy: RetentionPolicy | None = None, *, free_bytes: int = 100_000
) -> RetentionStage:
    return RetentionStage(
        world.outbox,
        world.folder,
        Disk(world.folder.root, free_bytes),
        policy=policy or RetentionPolicy(),
        now=world.now,
    )


def run(stage: RetentionStage) -> None:
    """Let it clear until it rests."""
    for _ in range(100):
        if stage.step() > 0:
            return
    raise AssertionError("it does not come to rest")


def weights(world: World) -> list[str]:
    """What is left of captures and clips, in short."""
    return sorted(
        f"{path.parent.name}/{path.stem.lstrip('0')[:4]}"
        for path in world.folder.root.rglob("*.mp4")
    )


def deliver(world: World, number: int = 1) -> None:
    world.outbox.entries.adopt_session(
        number, session_id=f"s{number}", server_title=None, now_s=world.clock_s
    )


def test_a_delivered_original_goes_after_its_time_and_its_clip_after_another(
    world: World,
) -> None:
    original = analysed(world)
    clip = world.folder.clips / world.entry().stored_name
    deliver(world)

    world.clock_s += KEEP_H * HOUR_S - 60
    run(retention(world))
    assert original.exists() and clip.exists()
    world.clock_s += 120
    run(retention(world))
    assert not original.exists() and clip.exists()
    assert list(world.folder.captures.iterdir()) == []
    world.clock_s += 5 * 24 * HOUR_S
    run(retention(world))

    assert not clip.exists()
    capture = world.outbox.captures.by_id(1)
    assert capture is not None and capture.file_state is FileState.CLEARED
    assert world.outbox.captures.by_sha256(capture.sha256) is not None  # known for ever


@pytest.mark.parametrize("state", ["ready", "held", "dead", "uncertain"])
def test_what_is_not_delivered_stays_however_old(world: World, state: str) -> None:
    original = analysed(world)
    if state != "ready":
        claimed = world.outbox.entries.claim(world.entry(), now_s=NOW_S)
        assert claimed is not None
        world.outbox.entries.move(claimed[0], EntryState(state), now_s=NOW_S)

    world.clock_s += 10 * 365 * 24 * HOUR_S
    retention(world).step()

    assert original.exists()
    assert (world.folder.clips / world.entry().stored_name).exists()


def test_a_capture_without_a_take_goes_after_a_week(world: World) -> None:
    capture = admitted(world.outbox)
    original = world.folder.captures / capture.stored_name
    original.write_bytes(b"an empty hall")
    claimed = world.outbox.captures.claim_next(NOW_S)
    assert claimed is not None
    world.outbox.captures.move(claimed, CaptureState.SKIPPED, now_s=NOW_S)

    world.clock_s += 6.9 * 24 * HOUR_S
    retention(world).step()
    assert original.exists()
    world.clock_s += 0.2 * 24 * HOUR_S
    retention(world).step()

    assert not original.exists()


def test_a_clearing_that_was_cut_off_is_finished(world: World) -> None:
    original = analysed(world)
    deliver(world)
    clip = world.folder.clips / world.entry().stored_name
    world.outbox.clearing.begin_original(1, now_s=NOW_S)
    world.outbox.clearing.begin_clip(1, now_s=NOW_S)

    retention(world).step()

    assert not original.exists() and not clip.exists()
    assert world.entry().file_state is FileState.CLEARED


def test_originals_can_be_kept(world: World) -> None:
    original = analysed(world)
    deliver(world)
    world.clock_s += 1000 * HOUR_S

    retention(world, RetentionPolicy(originals="keep")).step()

    assert original.exists()


def test_an_archived_original_carries_the_clip_code_and_no_name(
    world: World, tmp_path: Path
) -> None:
    original = analysed(world)
    deliver(world)
    world.clock_s += 1000 * HOUR_S
    archive = tmp_path / "archive"
    archive.mkdir()

    retention(world, RetentionPolicy(originals="archive", archive=archive)).step()

    assert [path.name for path in archive.iterdir()] == [f"{world.entry().clip_code}.mp4"]
    assert not original.exists()


def test_an_archive_that_is_away_keeps_originals_and_says_so(world: World, tmp_path: Path) -> None:
    original = analysed(world)
    deliver(world)
    world.clock_s += 1000 * HOUR_S
    stage = retention(world, RetentionPolicy(originals="archive", archive=tmp_path / "away"))

    run(stage)

    (pause,) = world.outbox.pauses.all()
    assert (original.exists(), pause.reason) == (True, "archive_failed")
    (tmp_path / "away").mkdir()
    run(stage)
    assert (original.exists(), world.outbox.pauses.all()) == (False, [])


def test_when_space_is_short_clips_go_first_and_then_the_oldest_originals(world: World) -> None:
    originals = [analysed(world, number) for number in (1, 2, 3)]
    for number in (1, 2, 3):
        deliver(world, number)
    size = world.entry().clip_bytes
    for original in originals:
        original.write_bytes(b"o" * 1000)

    run(retention(world, free_bytes=900))
    assert weights(world)[:3] == ["captures/1", "captures/2", "captures/3"]
    assert len(weights(world)) == 5  # one clip was enough
    run(retention(world, free_bytes=1250 - 2 * size - 1500))

    assert weights(world) == ["captures/3"]


def test_however_short_space_is_nothing_undelivered_goes(world: World) -> None:
    for number in (1, 2):
        analysed(world, number)
    deliver(world, 2)

    run(retention(world, free_bytes=-1_000_000))

    (pause,) = world.outbox.pauses.all()
    assert (pause.part, pause.reason) == ("retention", "nothing_may_go")
    assert weights(world)[0] == "captures/1" and len(weights(world)) == 2


def test_kept_originals_stay_when_space_is_short_and_that_is_said(world: World) -> None:
    original = analysed(world)
    deliver(world)

    run(retention(world, RetentionPolicy(originals="keep"), free_bytes=-1_000_000))

    (pause,) = world.outbox.pauses.all()
    assert original.exists() and "originals = keep" in pause.detail
    assert len(weights(world)) == 1  # the clip may go all the same: the original holds it


def test_a_clock_that_was_set_anew_makes_nothing_old(world: World) -> None:
    original = analysed(world)
    deliver(world)
    since_boot_s = 1000.0

    def now() -> Instant:
        return Instant(utc_s=world.clock_s, boot_id="b", boot_s=since_boot_s)

    disk = Disk(world.folder.root, 100_000)
    stage = RetentionStage(world.outbox, world.folder, disk, policy=RetentionPolicy(), now=now)
    run(stage)
    world.clock_s += 365 * 24 * HOUR_S
    run(stage)
    assert original.exists()

    since_boot_s += 25 * HOUR_S
    world.clock_s += 25 * HOUR_S
    run(stage)
    assert not original.exists()


def test_a_clock_that_nobody_trusts_makes_nothing_old(world: World) -> None:
    original = analysed(world)
    deliver(world)
    world.clock_s += 1000 * HOUR_S
    disk = Disk(world.folder.root, 100_000)

    run(
        RetentionStage(
            world.outbox,
            world.folder,
            disk,
            policy=RetentionPolicy(),
            now=lambda: replace(world.now(), trusted=False),
        )
    )

    assert original.exists()


def test_the_room_goes_on_record_with_what_may_go(world: World) -> None:
    analysed(world)
    deliver(world)

    run(retention(world))

    (room,) = world.outbox.rooms.history()
    assert room.free_bytes == 100_000
    assert room.may_go_bytes == 1000 + world.entry().clip_bytes  # the rows say what they weigh


def test_a_file_that_cannot_be_removed_keeps_no_other_one(world: World) -> None:
    originals = [analysed(world, number) for number in (1, 2, 3)]
    for number in (1, 2, 3):
        deliver(world, number)
    originals[0].unlink()
    (originals[0] / "in-its-way").mkdir(parents=True)
    world.clock_s += 365 * 24 * HOUR_S
    stage = retention(world)

    with pytest.raises(IsADirectoryError):
        run(stage)  # said once
    run(stage)

    assert [path.exists() for path in originals] == [True, False, False]
    (originals[0] / "in-its-way").rmdir()
    originals[0].rmdir()
    run(stage)
    assert world.outbox.clearing.unfinished_originals() == []
