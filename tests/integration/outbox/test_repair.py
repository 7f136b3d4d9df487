"""Rows and files that do not fit: mended or set aside at a start, never deleted."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.clock import Instant
from agent.disk.state_folder import StateFolder
from agent.intake.admission import Admission, AdmissionResult
from agent.outbox.consistency import ConsistencyCheck
from agent.outbox.models import FileFacts
from agent.outbox.outbox import Outbox
from agent.outbox.recovery import open_as_owner
from agent.outbox.states import CaptureState, FileState, Reason
from tests.factories import NOW_S, evidence, new_entry
from tests.lived import WAYS, send


def now() -> Instant:
    return Instant(utc_s=NOW_S)


class Box:
    """A state folder whose outbox has seen one clip go each way."""

    def __init__(self, root: Path) -> None:
        self.folder = StateFolder(root)
        self.outbox = open_as_owner(root, now_s=NOW_S)

    def start(self) -> None:
        """Set right what every start sets right."""
        self.outbox.resume_interrupted(now_s=NOW_S)
        Admission(self.outbox, self.folder, now=now).resume()
        ConsistencyCheck(self.outbox, self.folder, now=now).run()

    def clip(self, way: str) -> Path:
        entry = self.outbox.entries.by_id(WAYS.index(way) + 1)
        assert entry is not None
        return self.folder.clips / entry.stored_name

    def after(self, way: str) -> tuple[str, str | None, FileState]:
        entry = self.outbox.entries.by_id(WAYS.index(way) + 1)
        assert entry is not None
        return str(entry.state), entry.reason, entry.file_state

    def aside(self) -> set[str]:
        return {path.name for path in self.folder.set_aside.iterdir()}


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = StateFolder(tmp_path_factory.mktemp("state"))
    folder.prepare()
    with open_as_owner(folder.root, now_s=NOW_S) as outbox:
        for number, way in enumerate(WAYS, start=1):
            send(outbox, folder, number, way)
    return folder.root


@pytest.fixture
def box(lived: Path, tmp_path: Path) -> Iterator[Box]:
    opened = Box(shutil.copytree(lived, tmp_path / "state"))
    yield opened
    opened.outbox.close()


def test_a_start_on_a_whole_folder_changes_nothing(box: Box) -> None:
    before = sorted(path.name for path in box.folder.root.rglob("*"))

    box.start()

    assert sorted(path.name for path in box.folder.root.rglob("*")) == before
    assert box.outbox.files.damaged() == []


@pytest.mark.parametrize("content", [None, b"", b"torn"])
def test_a_clip_that_is_missing_or_torn_is_not_sent_and_waits_to_be_cut(
    box: Box, content: bytes | None
) -> None:
    for way in ("ready", "held", "marked", "dead"):
        box.clip(way).unlink() if content is None else box.clip(way).write_bytes(content)

    box.start()

    assert box.after("ready") == ("held", Reason.CLIP_DAMAGED, FileState.DAMAGED)
    assert box.after("held") == ("held", "discarded_by_person", FileState.DAMAGED)
    assert box.after("marked") == ("uncertain", None, FileState.DAMAGED)
    assert box.after("dead") == ("dead", "http_400", FileState.DAMAGED)
    assert len(box.outbox.files.damaged()) == 4


def test_a_clip_that_was_cut_again_goes_where_it_was(box: Box) -> None:
    box.clip("ready").write_bytes(b"")
    box.clip("held").write_bytes(b"")
    box.start()

    for entry in box.outbox.files.damaged():
        clip = new_entry(box.outbox.entries.sources(entry.id)[0][1]).clip
        assert box.outbox.files.mend(entry, clip, now_s=NOW_S) is not None

    assert box.after("ready") == ("ready", None, FileState.PRESENT)
    assert box.after("held") == ("held", "discarded_by_person", FileState.PRESENT)


def test_a_delivered_clip_that_somebody_removed_is_no_trouble(box: Box) -> None:
    box.clip("uploaded").unlink()
    box.start()

    assert box.after("uploaded") == ("uploaded", None, FileState.CLEARED)
    assert not box.clip("uploaded").with_suffix(".json").exists()


def test_files_that_nobody_knows_are_set_aside_one_beside_the_other(box: Box) -> None:
    for _ in range(2):
        (box.folder.clips / "0123456789.mp4").write_bytes(b"whose is this")
        (box.folder.pictures / "0123456789.jpg").write_bytes(b"and this")
        (box.folder.captures / "stranger.mp4").write_bytes(b"or that")
        box.start()

    assert box.aside() == {
        f"{stem}{end}"
        for stem, end in (("0123456789", ".mp4"), ("0123456789", ".jpg"), ("stranger", ".mp4"))
        for stem in (stem, f"{stem}-2")
    }


def waiting(box: Box, content: bytes) -> tuple[Admission, Path]:
    """Take one more capture in, which nobody has analysed yet."""
    admission = Admission(box.outbox, box.folder, now=now)
    path = box.folder.root / "set-9.mp4"
    path.write_bytes(content)
    facts = FileFacts.of(path.stat())
    assert admission.admit(path, expected=facts, evidence=evidence()) is AdmissionResult.NEW
    (name,) = box.outbox.captures.in_state(CaptureState.CAPTURED)
    return admission, box.folder.captures / name.stored_name


@pytest.mark.parametrize("left", [None, b"", b"half"])
def test_a_capture_that_is_missing_or_torn_waits_until_the_same_file_comes_again(
    box: Box, left: bytes | None
) -> None:
    admission, stored = waiting(box, b"a whole video")
    stored.unlink() if left is None else stored.write_bytes(left)
    box.start()
    (set_aside,) = box.outbox.captures.in_state(CaptureState.QUARANTINED)
    assert set_aside.reason in {Reason.CAPTURE_MISSING, Reason.CAPTURE_DAMAGED}

    again = box.folder.root / "again.mp4"
    again.write_bytes(b"a whole video")
    facts = FileFacts.of(again.stat())

    assert admission.admit(again, expected=facts, evidence=evidence()) is AdmissionResult.RESTORED
    assert stored.read_bytes() == b"a whole video"
    assert [c.id for c in box.outbox.captures.in_state(CaptureState.CAPTURED)] == [set_aside.id]
    assert len(box.aside()) == (left is not None)


def test_a_file_named_by_its_content_is_ours_whatever_became_of_its_sidecar(box: Box) -> None:
    _, stored = waiting(box, b"a whole video")
    stored.with_suffix(".json").write_bytes(b"")
    box.outbox.close()
    for name in ("outbox.db", "ledger.jsonl"):
        (box.folder.root / name).unlink()

    box.outbox = Outbox(open_as_owner(box.folder.root, now_s=NOW_S).database)
    box.start()

    (found,) = box.outbox.captures.in_state(CaptureState.CAPTURED)
    assert (found.stored_name, found.evidence.grew_until) == (stored.name, None)
