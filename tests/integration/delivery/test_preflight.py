"""The last look before a clip goes out."""

import errno
import hashlib
import io
import os
from pathlib import Path

import pytest

from agent.clock import read_clock
from agent.delivery import stage
from agent.disk.state_folder import open_plain
from agent.heartbeat import Heartbeats
from agent.intake.admission import Admission
from agent.outbox.models import Entry, FileFacts
from agent.outbox.states import CaptureState, EntryState, Reason
from tests.factories import NOW_S, evidence, new_entry
from tests.integration.delivery.conftest import World


def test_a_large_clip_that_a_slow_card_reads_is_not_taken_for_a_stuck_stage(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_s = [0.0]
    heartbeats = Heartbeats(bound_s=120, clock=lambda: clock_s[0])
    heartbeats.begin("delivery")
    digest = hashlib.file_digest
    stuck: list[str] = []

    def read_slowly(file: io.BufferedReader, name: str) -> object:
        clock_s[0] += 120.5
        stuck.extend(heartbeats.stuck())
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", read_slowly)
    world.add(size_bytes=2_000_000)

    world.run()
    heartbeats.end("delivery")

    assert clock_s[0] > 0 and stuck == []


class Killed(BaseException):
    """The process ended at this point."""


def grown_after_admission(world: World) -> tuple[Admission, Entry, Path]:
    """A clip whose capture went on growing after it was taken in, and that capture."""
    admission = Admission(world.outbox, world.folder, now=read_clock)
    filmed = world.folder.root / "camera.mp4"
    filmed.write_bytes(b"whole")
    admission.admit(filmed, expected=FileFacts.of(filmed.stat()), evidence=evidence())
    capture = world.outbox.captures.by_id(1)
    assert capture is not None
    entry = world.outbox.entries.create(new_entry(capture), now_s=NOW_S)
    stored = world.folder.captures / capture.stored_name
    with stored.open("ab") as file:
        file.write(b" and grown")
    return admission, entry, stored


def test_a_kill_between_voiding_a_capture_and_moving_its_file_loses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(*_paths: Path) -> None:
        raise Killed

    admission, entry, stored = grown_after_admission(world)
    monkeypatch.setattr(stage, "move_durably", kill)
    with pytest.raises(Killed):
        world.run()
    assert world.entry(entry.id).state is EntryState.DISCARDED

    assert admission.resume()

    latest = world.outbox.captures.in_state(CaptureState.CAPTURED)[-1]
    grown = world.folder.captures / latest.stored_name
    assert grown.read_bytes() == b"whole and grown" and not stored.exists()
    assert latest.sha256 == hashlib.sha256(b"whole and grown").hexdigest()


def test_a_grown_capture_whose_folder_takes_nothing_now_goes_back_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_paths: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    _, _, stored = grown_after_admission(world)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(stage, "move_durably", refuse)
        world.run()
    assert stored.exists()

    fresh = world.add(2)
    world.run()

    assert world.entry(fresh.id).state is EntryState.UPLOADED
    (back,) = world.folder.root.glob("c1-*.mp4")
    assert back.read_bytes() == b"whole and grown" and not stored.exists()


def test_a_clip_that_cannot_be_read_is_tried_again_then_held_and_blocks_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = world.add(1)
    world.add(2)

    def refuse(path: Path) -> io.BufferedReader:
        if path.name == bad.stored_name:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return open_plain(path)

    monkeypatch.setattr(stage, "open_plain", refuse)
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output error"):  # the disk may do it next time
            world.run()
    world.run()

    assert world.states() == ["held", "uploaded"]
    assert world.entry(1).reason == Reason.CLIP_DAMAGED
