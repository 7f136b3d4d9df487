"""Rows for tests, each with as little said as possible."""

import hashlib
from dataclasses import replace

from agent.clock import Instant
from agent.disk.state_folder import StateFolder
from agent.outbox.models import (
    Capture,
    CaptureEvidence,
    ClipFile,
    ClipSource,
    ClipTarget,
    Entry,
    FileFacts,
    NewEntry,
    derive_clip_code,
)
from agent.outbox.outbox import Outbox
from agent.outbox.states import CaptureState, EntryState, FileState, Recipient

NOW_S = 1_795_000_000.0
BOOT = "7d6f7a3e-0000-4000-8000-000000000001"


def instant(seconds: float = 0.0, *, boot_id: str | None = BOOT, trusted: bool = True) -> Instant:
    """A moment `seconds` after the tests' own noon."""
    boot_s = None if boot_id is None else 1000.0 + seconds
    return Instant(utc_s=NOW_S + seconds, boot_id=boot_id, boot_s=boot_s, trusted=trusted)


def evidence(seconds: float = 0.0) -> CaptureEvidence:
    """A file that was seen growing until then."""
    return CaptureEvidence(
        grew_until=instant(seconds), appeared=instant(seconds), mtime_s=NOW_S + seconds
    )


def admitted(
    outbox: Outbox, number: int = 1, *, file_name: str | None = None, at: float = NOW_S
) -> Capture:
    """A capture that was taken in."""
    return outbox.captures.admit(
        sha256=f"{number:064x}",
        file_name=file_name or f"set-{number}.mp4",
        stored_name=f"{number:064x}.mp4",
        facts=FileFacts(size_bytes=1000, mtime_ns=1, inode=number),
        evidence=evidence(),
        now_s=at,
    )


def a_capture() -> Capture:
    """A capture that was analysed, without an outbox."""
    return Capture(
        id=1,
        sha256="00",
        file_name="set-1.mp4",
        stored_name="00.mp4",
        facts=FileFacts(size_bytes=1000, mtime_ns=1, inode=1),
        state=CaptureState.ANALYSED,
        reason=None,
        detail=None,
        fence=0,
        file_state=FileState.PRESENT,
        evidence=evidence(),
        recorded_by="growth",
        recorded_end_at=NOW_S,
        duration_s=60.0,
        admitted_at=NOW_S,
        changed_at=NOW_S,
    )


def an_entry() -> Entry:
    """A clip that waits, without an outbox."""
    return Entry(
        id=7,
        clip_code="k3x9q2m4pd",
        generation=0,
        state=EntryState.READY,
        reason=None,
        detail=None,
        fence=0,
        attempts=0,
        failures=0,
        due_at=NOW_S,
        recipient=Recipient.ATHLETE,
        user_id="athlete-1",
        activity="running",
        exercise=None,
        barbell_mass_kg=None,
        incline_deg=None,
        filmed_at=NOW_S,
        stored_name="k3x9q2m4pd.mp4",
        clip_sha256="0" * 64,
        clip_bytes=500,
        clip_seconds=3.0,
        cut_method="copy",
        cut_why=None,
        file_state=FileState.PRESENT,
        title=None,
        session_id=None,
        server_title=None,
        created_at=NOW_S,
        sent_at=None,
        changed_at=NOW_S,
    )


def new_entry(
    capture: Capture,
    take_number: int = 1,
    *,
    state: EntryState = EntryState.READY,
    due_at: float = NOW_S,
    user_id: str | None = "athlete-1",
) -> NewEntry:
    """A clip of an athlete's snatch."""
    code = derive_clip_code(capture.sha256, take_number)
    recipient = Recipient.UNKNOWN if user_id is None else Recipient.ATHLETE
    return NewEntry(
        clip_code=code,
        generation=0,
        sources=(
            ClipSource(capture_id=capture.id, take_number=take_number, start_s=1.0, end_s=4.0),
        ),
        state=state,
        reason=None,
        due_at=due_at,
        clip=ClipFile(stored_name=f"{code}.mp4", sha256="0" * 64, size_bytes=500, seconds=3.0),
        target=ClipTarget(
            recipient=recipient,
            user_id=user_id,
            activity="weightlifting",
            exercise="snatch",
            barbell_mass_kg=60.0,
        ),
        filmed_at=NOW_S,
    )


def waiting_clip(
    outbox: Outbox,
    folder: StateFolder,
    number: int,
    *,
    target: ClipTarget,
    size_bytes: int,
    now_s: float,
) -> Entry:
    """A clip that waits to be sent, file and all."""
    plain = new_entry(admitted(outbox, number))
    content = plain.clip_code.encode() * (size_bytes // len(plain.clip_code))
    (folder.clips / plain.clip.stored_name).write_bytes(content)
    clip = replace(plain.clip, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))
    return outbox.entries.create(replace(plain, target=target, clip=clip), now_s=now_s)


def ready_entry(outbox: Outbox, number: int = 1, *, due_at: float = NOW_S) -> Entry:
    """An entry that waits to be sent."""
    return outbox.entries.create(new_entry(admitted(outbox, number), due_at=due_at), now_s=NOW_S)
