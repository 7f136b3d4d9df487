"""The capture folder belongs to somebody else: names that change under our hands."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.clock import read_clock
from agent.disk.state_folder import StateFolder
from agent.intake import admission
from agent.intake.admission import Admission, AdmissionResult, show_unremoved
from agent.intake.folder import CaptureFolder, UnsettledError
from agent.intake.left_behind import LeftBehind, left_behind
from agent.outbox.models import FileFacts
from agent.outbox.outbox import Outbox
from tests.factories import evidence
from tests.served_page import page_settings


class Gate:
    """An admission, its capture folder, and a moment at which somebody else acts."""

    def __init__(self, root: Path, outbox: Outbox, patch: pytest.MonkeyPatch) -> None:
        self.folder = StateFolder(root / "state")
        self.capture = root / "capture"
        self.capture.mkdir()
        self.outbox = outbox
        self.admission = Admission(outbox, self.folder, now=read_clock, capture=self.capture)
        self._patch = patch

    def put(self, name: str, content: bytes) -> Path:
        path = self.capture / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return path

    def admit(self, path: Path, facts: FileFacts | None = None) -> AdmissionResult:
        found = FileFacts.of(path.lstat()) if facts is None else facts
        return self.admission.admit(path, expected=found, evidence=evidence())

    def just_before_moving(self, act: Callable[[], object]) -> None:
        self._patch.setattr(
            admission, "crash_point", lambda name: act() if name == "intake-moving" else None
        )

    def stored(self) -> dict[str, bytes]:
        return {path.stem: path.read_bytes() for path in self.folder.captures.glob("*.mp4")}

    def scan(self) -> list[Path]:
        folder = CaptureFolder(self.capture, suffixes=frozenset({".mp4"}), now=read_clock)
        return [path for path, _ in folder.scan()]


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """A capture folder of somebody else's."""
    StateFolder(tmp_path / "state").prepare()
    with Outbox.open(tmp_path / "state") as outbox:
        yield Gate(tmp_path, outbox, monkeypatch)


def test_a_file_that_took_the_name_of_the_hashed_one_is_not_stored_under_its_hash(
    gate: Gate,
) -> None:
    path = gate.put("now.mp4", b"the first recording")
    following = gate.put("next.part", b"the second recording")
    gate.just_before_moving(lambda: following.replace(path))  # as a camera that rotates names

    with pytest.raises(UnsettledError):
        gate.admit(path)

    assert (gate.stored(), path.read_bytes()) == ({}, b"the second recording")
    gate.just_before_moving(lambda: None)
    assert gate.admission.resume() and gate.admit(path) is AdmissionResult.NEW
    assert list(gate.stored().values()) == [b"the second recording"]


def test_what_took_the_name_stays_in_the_work_folder_where_its_name_is_taken_again(
    gate: Gate,
) -> None:
    path = gate.put("now.mp4", b"one")
    second, third = gate.put("2.part", b"two"), gate.put("3.part", b"three")

    def rotate() -> None:
        second.replace(path)
        monkey = os.rename

        def moved(*args: object, **more: object) -> None:
            monkey(*args, **more)  # type: ignore[arg-type]  # as it was called
            third.replace(path)

        gate._patch.setattr(os, "rename", moved)

    gate.just_before_moving(rotate)
    with pytest.raises(UnsettledError):
        gate.admit(path)
    gate._patch.undo()

    assert gate.admission.resume()
    assert gate.admit(path) is AdmissionResult.NEW
    assert sorted(gate.stored().values()) == [b"three", b"two"]
    assert gate.outbox.captures.by_id(2) is not None


def test_a_copy_that_became_another_file_before_its_removal_stays(gate: Gate) -> None:
    gate.admit(gate.put("a.mp4", b"video"))
    again = gate.put("b.mp4", b"video")
    other = gate.put("other.part", b"never seen before")
    facts = FileFacts.of(again.lstat())
    real = gate.outbox.captures.by_sha256

    def found(sha256: str) -> object:
        other.replace(again)
        return real(sha256)

    gate._patch.setattr(gate.outbox.captures, "by_sha256", found)

    gate.admit(again, facts)

    assert again.read_bytes() == b"never seen before"


@pytest.mark.parametrize("how", ["folder link", "second name", "the folder itself"])
def test_the_only_copy_is_not_removed_by_another_way_to_it(gate: Gate, how: str) -> None:
    gate.admit(gate.put("a.mp4", b"video"))
    (stored,) = gate.folder.captures.glob("*.mp4")
    if how == "folder link":
        (gate.capture / "sub").symlink_to(gate.folder.captures)
        path, refused = gate.capture / "sub" / stored.name, UnsettledError
    elif how == "second name":
        path, refused = gate.capture / "b.mp4", PermissionError  # type: ignore[assignment]
        path.hardlink_to(stored)
    else:
        path, refused = stored, UnsettledError

    with pytest.raises(refused):
        gate.admit(path, FileFacts.of(stored.lstat()))

    assert stored.read_bytes() == b"video"


def test_a_folder_that_becomes_a_link_between_look_and_admission_leads_nowhere(
    gate: Gate, tmp_path: Path
) -> None:
    path = gate.put("today/a.mp4", b"video")
    facts = FileFacts.of(path.lstat())
    outside = tmp_path / "outside"
    path.parent.rename(outside)
    (gate.capture / "today").symlink_to(outside)

    with pytest.raises(UnsettledError):
        gate.admit(path, facts)

    assert (outside / "a.mp4").read_bytes() == b"video"
    assert gate.scan() == [] and gate.stored() == {}


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_plain_file_is_neither_seen_nor_waited_for(gate: Gate, kind: str) -> None:
    plain = gate.put("plain.mp4", b"video")
    odd = gate.capture / "odd.mp4"
    if kind == "link":
        odd.symlink_to(plain)
    elif kind == "pipe":
        os.mkfifo(odd)
    else:
        odd.mkdir()

    assert gate.scan() == [plain]
    with pytest.raises((UnsettledError, OSError)):
        gate.admit(odd, FileFacts.of(odd.lstat()))


@pytest.fixture
def nested(gate: Gate) -> Iterator[None]:
    """Folders within folders, deeper than the stack or the open files of a process reach."""
    inside = os.open(gate.capture, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=inside)
        deeper = os.open("d", os.O_RDONLY, dir_fd=inside)
        os.close(inside)
        inside = deeper
    os.close(inside)
    yield
    outer, inner = gate.capture / "d", gate.capture / "inner"
    while (outer / "d").exists():  # from outside in: no way leads to the innermost
        (outer / "d").rename(inner)
        outer.rmdir()
        inner.rename(outer)


@pytest.mark.usefixtures("nested")
def test_folders_nested_without_end_keep_no_recording_from_being_found(gate: Gate) -> None:
    plain = gate.put("plain.mp4", b"video")
    folder = CaptureFolder(gate.capture, suffixes=frozenset({".mp4"}), now=read_clock)

    assert gate.scan() == [plain]
    assert folder.arriving(since_s=0.0) == ["plain.mp4"] and folder.written_at() is not None
    show_unremoved(gate.capture)
    assert left_behind(page_settings(gate.capture.parent), now_s=0.0) == LeftBehind()
    assert gate.admission.resume() and gate.admit(plain) is AdmissionResult.NEW


def test_content_that_changed_with_its_times_set_back_is_noticed(gate: Gate) -> None:
    path = gate.put("a.mp4", b"video")
    facts = FileFacts.of(path.lstat())
    real = hashlib.file_digest

    def forging(*args: object) -> object:
        digest = real(*args)  # type: ignore[arg-type]  # as it was called
        with path.open("r+b") as file:
            file.write(b"OTHER")
        os.utime(path, ns=(facts.mtime_ns, facts.mtime_ns))
        return digest

    gate._patch.setattr(hashlib, "file_digest", forging)

    with pytest.raises(UnsettledError):
        gate.admit(path, facts)


def test_a_removal_that_was_cut_off_is_begun_again(gate: Gate) -> None:
    gate.admit(gate.put("a.mp4", b"video"))
    gate.put("sub/.spotter-0123456789abcdef.mp4", b"video")
    assert gate.scan() == []

    show_unremoved(gate.capture)

    (again,) = gate.scan()
    assert gate.admit(again) is AdmissionResult.KNOWN and gate.scan() == []
