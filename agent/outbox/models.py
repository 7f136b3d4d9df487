"""Captures, takes and entries as values."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from typing import Any

from agent.clock import Instant
from agent.outbox.database import Row, built
from agent.outbox.states import CaptureState, EntryState, FileState, Recipient
from agent.text import plain_name

_FARTHEST_NS = (1 << 63) - 1  # from 1970, as SQLite stores it: the year 2262


def inode_of(found: os.stat_result) -> int:
    """Return a file's inode number as SQLite stores it, with a sign.

    File systems that hash their numbers, or have them from a server, use all of the 64 bits.
    """
    return found.st_ino - (1 << 64) if found.st_ino >> 63 else found.st_ino


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What shows whether a file is still the same file."""

    size_bytes: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> "FileFacts":
        """Return the facts in what the system says of a file.

        A time farther away than SQLite can store, as ext4 tells of files from before 1970, is the
        farthest that it can.
        """
        mtime_ns = max(-_FARTHEST_NS, min(found.st_mtime_ns, _FARTHEST_NS))
        return cls(size_bytes=found.st_size, mtime_ns=mtime_ns, inode=inode_of(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarTime:
    """When a recorder says that it recorded a file."""

    start: Instant
    end: Instant
    uncertainty_s: float = 0.0
    continues: str | None = None  # the name of the file that it follows without a gap

    def as_json(self) -> dict[str, object]:
        """Return it as it is stored."""
        times = {"start": _instant_json(self.start), "end": _instant_json(self.end)}
        return {**times, "uncertainty_s": self.uncertainty_s, "continues": self.continues}

    @classmethod
    def of_json(cls, stored: Mapping[str, Any] | None) -> "SidecarTime | None":
        """Read what `as_json` gave."""
        if stored is None:
            return None
        start, end = Instant(**stored["start"]), Instant(**stored["end"])
        return cls(
            start=start,
            end=end,
            uncertainty_s=float(stored["uncertainty_s"]),
            continues=stored.get("continues"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureEvidence:
    """What intake saw of a file, from which its recording time is concluded."""

    grew_until: Instant | None  # its last growth under our eyes, on the station's clock
    appeared: Instant  # when its name appeared in the folder
    mtime_s: float  # last modification, as the file system says
    settled: Instant | None = None  # when it was found complete
    growth: tuple[tuple[Instant, int], ...] = ()  # when it had how many bytes, as far as seen
    born_s: float | None = None  # when it was created, as the file system says
    folder: str = ""  # below the capture folder, in which it was found
    camera: str | None = None  # as the recorder's sidecar names it
    sidecar: SidecarTime | None = None  # what the recorder wrote beside it

    def to_json(self) -> str:
        """Return the evidence as it is stored."""
        return json.dumps(
            {
                "grew_until": self.grew_until and _instant_json(self.grew_until),
                "appeared": _instant_json(self.appeared),
                "mtime_s": self.mtime_s,
                "settled": self.settled and _instant_json(self.settled),
                "growth": [[_instant_json(at), size] for at, size in self.growth],
                "born_s": self.born_s,
                "folder": self.folder,
                "camera": self.camera,
                "sidecar": self.sidecar and self.sidecar.as_json(),
            }
        )

    @classmethod
    def from_json(cls, text: str) -> "CaptureEvidence":
        """Read what `to_json` wrote."""
        stored = json.loads(text)
        grew, settled = stored["grew_until"], stored.get("settled")
        return cls(
            grew_until=Instant(**grew) if grew else None,
            appeared=Instant(**stored["appeared"]),
            mtime_s=stored["mtime_s"],
            settled=Instant(**settled) if settled else None,
            growth=tuple((Instant(**at), size) for at, size in stored.get("growth", ())),
            born_s=stored.get("born_s"),
            folder=stored.get("folder", ""),
            camera=stored.get("camera"),
            sidecar=SidecarTime.of_json(stored.get("sidecar")),
        )


class TakeOrigin(StrEnum):
    """Who said that there is a take."""

    FOUND = "found"  # the analysis
    BY_HAND = "by_hand"  # a person


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """What one athlete did in a capture without a longer rest, in seconds of presentation time."""

    number: int  # 1 for the first in its capture; never given again
    start_s: float  # bounds of the clip
    end_s: float
    active_start_s: float  # bounds of the movement inside it
    active_end_s: float
    reps: int | None = None
    confidence: float | None = None
    decisive_s: float | None = None  # the moment worth a picture
    origin: TakeOrigin = TakeOrigin.FOUND
    begins_before: bool = False  # the movement was under way when the capture began
    goes_on: bool = False  # it was not over when the capture ended

    def overlaps(self, other: "Take") -> bool:
        """Tell whether the movements of both share a moment."""
        return self.active_start_s < other.active_end_s and other.active_start_s < self.active_end_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """One file as the camera wrote it, as its row stood when it was read."""

    id: int
    sha256: str
    file_name: str  # as the camera program named it
    stored_name: str  # in the folder `captures`
    facts: FileFacts  # as they were when it was ingested
    state: CaptureState
    reason: str | None
    detail: str | None  # the reason in a sentence
    fence: int  # raised by every transition
    file_state: FileState
    evidence: CaptureEvidence
    recorded_by: str | None  # which evidence of the recording time served
    recorded_end_at: float | None  # Unix time
    duration_s: float | None
    admitted_at: float
    changed_at: float
    recorded_start_at: float | None = None
    recorded_detail: str | None = None  # why, and what contradicts it
    hidden: str | None = None  # JSON: its stretches, in seconds, that nobody may see

    @property
    def name(self) -> str:
        """The ID people use: c12."""
        return f"c{self.id}"

    @property
    def hidden_stretches(self) -> tuple[tuple[float, float], ...]:
        """The stretches, in its seconds, that nobody may see: filmed while filming was stopped."""
        return tuple((from_s, to_s) for from_s, to_s in json.loads(self.hidden or "[]"))

    def hides(self, start_s: float, end_s: float) -> bool:
        """Tell whether a stretch holds something that nobody may see."""
        return any(start_s < to_s and from_s < end_s for from_s, to_s in self.hidden_stretches)

    @classmethod
    def from_row(cls, row: Row) -> "Capture":
        """Build a capture from a row of its table."""
        return built(
            cls,
            row,
            facts=built(FileFacts, row, size_bytes=row["bytes"]),
            state=CaptureState(row["state"]),
            file_state=FileState(row["file_state"]),
            stored_name=plain_name(row["stored_name"]),
            evidence=CaptureEvidence.from_json(row["evidence"]),
        )


def _instant_json(instant: Instant) -> dict[str, object]:
    return {name: getattr(instant, name) for name in Instant.__slots__}


SMALLER = "smaller_rendition"  # the remark of a clip that the API refused in its full size


class LookFirst(IntEnum):
    """Whether a clip is looked up at the API before it is sent, and what follows."""

    NO = 0
    PROVE = 1  # its record may be incomplete: it goes once its absence is proven
    ONCE = 2  # that was concluded: one more look-up before it goes
    THEN_HOLD = 3  # its last word is lost: if it is not there, a person decides


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipFile:
    """The file cut for one take."""

    stored_name: str  # in the folder `clips`
    sha256: str
    size_bytes: int
    seconds: float
    cut_method: str = "whole"  # copy (lossless), encode, or whole (not cut at all)
    cut_why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipTarget:
    """For whom a clip is, and what it shows; None where nobody said so."""

    recipient: Recipient
    user_id: str | None
    activity: str
    exercise: str | None = None
    barbell_mass_kg: float | None = None
    incline_deg: float | None = None
    guest_id: int | None = None  # of the roster: somebody whose user_id is not known yet

    def filled(self, other: "ClipTarget") -> "ClipTarget":
        """Return it with what it leaves open of the movement taken from another."""
        mass_kg, incline_deg = self.barbell_mass_kg, self.incline_deg
        return replace(
            self,
            exercise=self.exercise or other.exercise,
            barbell_mass_kg=other.barbell_mass_kg if mass_kg is None else mass_kg,
            incline_deg=other.incline_deg if incline_deg is None else incline_deg,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSource:
    """What a clip was cut from."""

    capture_id: int
    take_number: int
    start_s: float  # bounds of the clip in this capture
    end_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEntry:
    """What is known of a clip when its entry is made."""

    clip_code: str
    generation: int
    sources: tuple[ClipSource, ...]  # in order; two where a recording was split during a take
    state: EntryState  # ready or held; discarded only by a setting a person chose
    reason: str | None
    due_at: float  # Unix time
    clip: ClipFile
    target: ClipTarget
    filmed_at: float | None  # Unix time of the take's first moment
    remarks: tuple[str, ...] = ()
    detail: str | None = None  # the reason in a sentence, or what a person should know


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One clip on its way to the API, as it stood when it was read."""

    id: int
    clip_code: str  # derived from capture hash, take and generation: the same after a rebuild
    generation: int
    state: EntryState
    reason: str | None
    detail: str | None  # the server's words, or what a person should know
    fence: int  # raised by every transition; a writer that holds an older one changes nothing
    attempts: int  # uploads begun, this one included
    failures: int  # this clip's own failures in a row: feeds the backoff
    due_at: float  # Unix time, UTC: not before then
    recipient: Recipient
    user_id: str | None
    activity: str
    exercise: str | None
    barbell_mass_kg: float | None
    incline_deg: float | None
    filmed_at: float | None
    stored_name: str  # in the folder `clips`
    clip_sha256: str
    clip_bytes: int
    clip_seconds: float
    cut_method: str | None  # copy, encode or whole; None in outboxes from before it was kept
    cut_why: str | None
    file_state: FileState
    title: str | None  # as sent
    session_id: str | None
    server_title: str | None  # as answered
    created_at: float
    sent_at: float | None
    changed_at: float
    remarks: tuple[str, ...] = field(default=())
    look_first: LookFirst = LookFirst.NO
    guest_id: int | None = None  # of the roster, where the athlete is a guest

    @property
    def name(self) -> str:
        """The ID people use: e7."""
        return f"e{self.id}"

    @property
    def target(self) -> ClipTarget:
        """For whom it is, and what it shows, as far as it is known."""
        return ClipTarget(**{name: getattr(self, name) for name in ClipTarget.__slots__})

    @property
    def sent_after(self) -> float:
        """The moment (Unix time) before which it cannot have been sent, if no upload is on record.

        Where its record may be incomplete, that is when it was filmed.
        """
        if not self.look_first:
            return self.created_at
        return 0.0 if self.filmed_at is None else min(self.filmed_at, self.created_at)

    @classmethod
    def from_row(cls, row: Row) -> "Entry":
        """Build an entry from a row of its table."""
        return built(
            cls,
            row,
            state=EntryState(row["state"]),
            recipient=Recipient(row["recipient"]),
            file_state=FileState(row["file_state"]),
            remarks=tuple(json.loads(row["remarks"])),
            look_first=LookFirst(row["look_first"]),
            clip_code=plain_name(row["clip_code"]),
            stored_name=plain_name(row["stored_name"]),
        )


CODE_LENGTH = 10
_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"  # no i, l, o, u: read aloud without doubt
_BITS = 5


def derive_clip_code(capture_sha256: str, take_number: int, generation: int = 0) -> str:
    """Return the code of one sending of one take: 10 Crockford base32 characters.

    Derived and never random, so that a rebuilt database gives every clip the code that its
    session title at the API already carries.

    Args:
        capture_sha256: hex digest of the capture as the camera wrote it.
        take_number: 1 for the first take of the capture.
        generation: raised when the same take is sent again under another athlete.
    """
    digest = hashlib.sha256(f"{capture_sha256}/{take_number}/{generation}".encode()).digest()
    bits = int.from_bytes(digest, "big") >> (len(digest) * 8 - CODE_LENGTH * _BITS)
    return "".join(
        _CROCKFORD[(bits >> shift) & 31] for shift in range((CODE_LENGTH - 1) * _BITS, -1, -_BITS)
    )


def is_clip_code(text: str) -> bool:
    """Tell whether `text` has the form of a clip code, in either case."""
    return len(text) == CODE_LENGTH and set(text.lower()) <= set(_CROCKFORD)
