"""Taking files in, on real file systems."""

import fcntl
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from agent.clock import read_clock
from agent.disk.state_folder import StateFolder, StateFolderLock
from agent.errors import AnalysisFault, BusyError
from agent.intake.admission import Admission, AdmissionResult
from agent.intake.folder import UnsettledError
from agent.intake.stability import WriterState, writer_state
from agent.outbox.models import FileFacts, inode_of
from agent.outbox.outbox import Outbox
from agent.outbox.recovery import open_as_owner
from agent.outbox.states import CaptureState, FileState
from agent.text import printable_file_name
from tests.factories import evidence
from tests.videos import film_run


class Door:
    """An admission with its folders."""

    def __init__(self, root: Path, outbox: Outbox, capture: Path) -> None:
        self.folder = StateFolder(root)
        self.outbox = outbox
        self.capture = capture
        self.admission = Admission(outbox, self.folder, now=read_clock)

    def put(self, name: str, content: bytes = b"video") -> Path:
        path = self.capture / name
        path.write_bytes(content)
        return path

    def admit(self, path: Path) -> AdmissionResult:
        facts = FileFacts.of(path.stat())
        return self.admission.admit(path, expected=facts, evidence=evidence())

    def stored(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted(self.folder.captures.glob("*.mp4"))]


@pytest.fixture(params=["same disk", "another disk"])
def door(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Door]:
    """A capture folder on the state folder's file system, or on another one."""
    with tempfile.TemporaryDirectory(
        dir=tmp_path if request.param == "same disk" else "/dev/shm"
    ) as capture:
        root = tmp_path / "state"
        StateFolder(root).prepare()
        with Outbox.open(root) as outbox:
            yield Door(root, outbox, Path(capture))


def test_a_file_is_moved_in_with_its_name_on_record(door: Door) -> None:
    path = door.put("Set 1.MP4")

    assert door.admit(path) is AdmissionResult.NEW

    assert (door.stored(), path.exists()) == ([b"video"], False)
    capture = door.outbox.captures.by_id(1)
    assert capture is not None and capture.file_name == "Set 1.MP4"
    assert list(door.folder.tmp.iterdir()) == []


@pytest.mark.parametrize("mtime_s", [-(2**31), 4_323_456_000, 2**34])  # 2107, and 2446 or 2514
def test_a_file_of_any_age_is_admitted_and_recognised(door: Door, mtime_s: int) -> None:
    path = door.put("odd.mp4")
    os.utime(path, (mtime_s, mtime_s))

    assert door.admit(path) is AdmissionResult.NEW

    capture = door.outbox.captures.by_id(1)
    assert capture is not None
    stored = door.folder.captures / capture.stored_name
    assert capture.facts == FileFacts.of(stored.stat())


@pytest.mark.parametrize("number", [1, 2**63 - 1, 2**63, 2**64 - 1])
def test_an_inode_number_of_64_bits_can_be_stored_and_stays_another_one(number: int) -> None:
    found = os.stat_result((stat.S_IFREG, number, *[0] * 8))

    assert -(2**63) <= inode_of(found) < 2**63
    assert inode_of(found) % 2**64 == number


def test_the_same_content_under_any_name_makes_nothing_new(door: Door) -> None:
    door.admit(door.put("a.mp4"))
    again = door.put("b.mov")

    assert door.admit(again) is AdmissionResult.KNOWN
    assert (len(door.stored()), again.exists()) == (1, False)


def test_an_original_that_was_cleared_comes_back_instead_of_being_lost(door: Door) -> None:
    door.admit(door.put("a.mp4"))
    capture = door.outbox.captures.by_id(1)
    assert capture is not None
    (door.folder.captures / capture.stored_name).unlink()
    door.outbox.captures.set_file_state(1, FileState.CLEARED, now_s=0)

    assert door.admit(door.put("a.mp4")) is AdmissionResult.RESTORED

    back = door.outbox.captures.by_id(1)
    assert back is not None and back.file_state is FileState.PRESENT
    assert door.stored() == [b"video"]


def unreadable(door: Door, content: bytes | None) -> Path:
    """A capture that could not be read; its file holds something else by now, or what it did."""
    door.admit(door.put("a.mp4"))
    claimed = door.outbox.captures.claim_next(0.0)
    assert claimed is not None
    stored = door.folder.captures / claimed.stored_name
    if content is not None:
        stored.write_bytes(content)
    door.outbox.captures.move(
        claimed, CaptureState.QUARANTINED, now_s=0.0, reason=AnalysisFault.UNREADABLE
    )
    return stored


def test_a_good_copy_takes_the_place_of_what_the_disk_spoilt_and_is_looked_into(door: Door) -> None:
    stored = unreadable(door, b"\0\0\0\0\0")  # as long as it was

    assert door.admit(door.put("a.mp4")) is AdmissionResult.RESTORED

    back = door.outbox.captures.by_id(1)
    assert back is not None and back.state is CaptureState.CAPTURED
    assert (stored.read_bytes(), list(door.capture.iterdir())) == (b"video", [])


def test_a_copy_of_what_is_unreadable_but_whole_is_no_news(door: Door) -> None:
    unreadable(door, None)

    assert door.admit(door.put("a.mp4")) is AdmissionResult.KNOWN

    known = door.outbox.captures.by_id(1)
    assert known is not None and known.state is CaptureState.QUARANTINED


def test_a_file_that_changed_since_it_settled_is_left_alone(door: Door) -> None:
    path = door.put("a.mp4")
    facts = FileFacts.of(path.stat())
    path.write_bytes(b"video that went on")

    with pytest.raises(UnsettledError):
        door.admission.admit(path, expected=facts, evidence=evidence())

    assert (path.exists(), door.stored()) == (True, [])


def test_a_start_gives_every_file_its_row_and_deletes_none(door: Door) -> None:
    door.admit(door.put("a.mp4"))
    capture = door.outbox.captures.by_id(1)
    assert capture is not None
    stored = door.folder.captures / capture.stored_name
    (door.folder.captures / "stranger.mp4").write_bytes(b"who put this here")
    door.outbox.close()
    (door.folder.root / "outbox.db").unlink()

    (door.folder.root / "ledger.jsonl").unlink()
    before_rows = {"file_name": "a.mp4", "evidence": json.loads(capture.evidence.to_json())}
    stored.with_suffix(".json").write_text(json.dumps(before_rows))  # as before there is a row

    with open_as_owner(door.folder.root, now_s=0.0) as fresh:
        Admission(fresh, door.folder, now=read_clock).resume()
        again = fresh.captures.by_sha256(capture.sha256)

    assert again is not None
    assert (again.file_name, again.evidence) == (capture.file_name, capture.evidence)
    assert stored.exists()
    assert (door.folder.set_aside / "stranger.mp4").read_bytes() == b"who put this here"


def test_what_is_no_file_in_the_work_folder_keeps_no_start_from_going_on(door: Door) -> None:
    (door.folder.captures / "lost+found").mkdir()
    (door.folder.captures / "link.mp4").symlink_to("/etc/passwd")
    (door.folder.captures / f".{'0' * 64}.json.4711").write_text("{")  # of a sidecar, cut off

    assert door.admission.resume()

    assert list(door.folder.captures.iterdir()) == []
    assert {path.name for path in door.folder.set_aside.iterdir()} == {"lost+found", "link.mp4"}


def test_a_file_that_is_still_being_written_after_a_kill_gets_its_row_when_it_is_whole(
    door: Door,
) -> None:
    """Moved in while its writer had it open, killed before the row, and started again."""
    with (door.folder.captures / f"{'0' * 64}.mp4").open("wb") as writer:
        writer.write(b"vid")
        writer.flush()
        before_row = {"file_name": "a.mp4", "evidence": json.loads(evidence().to_json())}
        (door.folder.captures / f"{'0' * 64}.json").write_text(json.dumps(before_row))

        assert not door.admission.resume()
        assert door.outbox.captures.by_id(1) is None
        writer.write(b"eo")

    assert door.admission.resume()
    capture = door.outbox.captures.by_id(1)
    assert capture is not None and capture.file_name == "a.mp4"
    assert (door.stored(), capture.facts.size_bytes) == ([b"video"], 5)


def test_odd_names_can_be_stored_and_shown() -> None:
    odd = os.fsdecode(b"caf\xe9\n\x1b[31m.mp4")

    assert printable_file_name(odd) == "caf\\udce9\\n\\x1b[31m.mp4"
    assert printable_file_name("李小龍 set.mp4") == "李小龍 set.mp4"


def test_the_kernel_says_whether_a_writer_is_at_it(tmp_path: Path) -> None:
    path = tmp_path / "x.mkv"
    with path.open("wb") as writer:
        writer.write(b"x")
        assert writer_state(path) is WriterState.OPEN
    assert writer_state(path) is WriterState.CLOSED


def test_an_index_that_covers_the_file_is_seen(tmp_path: Path) -> None:
    from agent.intake.stability import index_covers

    whole = film_run(tmp_path / "whole.mp4")
    with whole.open("rb") as file:
        assert index_covers(file)
    with whole.open("ab") as file:
        file.write(b"more")
    with whole.open("rb") as file:
        assert not index_covers(file)


def test_one_process_owns_a_state_folder(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    lock = StateFolderLock(folder)
    lock.take()

    assert StateFolderLock(folder).is_taken()
    lock.release()
    assert not StateFolderLock(folder).is_taken()


def test_who_may_only_read_cannot_keep_the_daemon_from_starting(tmp_path: Path) -> None:
    lock = StateFolderLock(StateFolder(tmp_path))
    lock.take()
    lock.release()
    path = tmp_path / "owner.lock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    with ExitStack() as held:
        for place in (path, tmp_path):
            fd = os.open(place, os.O_RDONLY)
            held.callback(os.close, fd)
            fcntl.flock(fd, fcntl.LOCK_EX)  # all that a reader can do
        assert not StateFolderLock(StateFolder(tmp_path)).is_taken()

        lock.take()

        assert StateFolderLock(StateFolder(tmp_path)).is_taken()
        with pytest.raises(BusyError, match="another spotter"):
            StateFolderLock(StateFolder(tmp_path)).take()
    lock.release()


def test_a_lock_that_was_laid_by_another_version_is_closed_to_readers(tmp_path: Path) -> None:
    path = tmp_path / "owner.lock"
    path.touch(mode=0o666)
    path.chmod(0o666)
    lock = StateFolderLock(StateFolder(tmp_path))

    lock.take()
    lock.release()

    assert stat.S_IMODE(path.stat().st_mode) == 0o640
