"""Clearing away: only what is delivered or was discarded, and only when it is time."""

from pathlib import Path

import pytest

from agent.delivery.retention import Retention, RetentionPolicy
from agent.outbox.states import CaptureState, EntryState, FileState
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


def retention(world: World, policy: RetentionPolicy | None = None) -> Retention:
    return Retention(world.outbox, world.folder, policy=policy or RetentionPolicy(), now=world.now)


def deliver(world: World, number: int = 1) -> None:
    world.outbox.entries.adopt_session(
        number, session_id=f"s{number}", server_title=None, now_s=world.clock_s
    )


def test_a_delivered_original_goes_after_its_time_with_its_clip(world: World) -> None:
    original = analysed(world)
    clip = world.folder.clips / world.entry().stored_name
    deliver(world)

    world.clock_s += KEEP_H * HOUR_S - 60
    retention(world).step()
    assert original.exists() and clip.exists()
    world.clock_s += 120
    retention(world).step()

    assert not original.exists() and not clip.exists()
    assert list(world.folder.captures.iterdir()) == []
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
    world.outbox.captures.set_file_state(1, FileState.CLEARING, now_s=NOW_S)

    retention(world).step()

    assert not original.exists()


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
