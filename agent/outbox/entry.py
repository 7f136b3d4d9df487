"""One clip's row in the outbox, as plain values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from agent.outbox.file_name import plain_name
from agent.outbox.states import EntryState, FileState, Recipient

SMALLER = "smaller_rendition"  # the remark of a clip that the API refused in its full size


class LookFirst(IntEnum):
    """Whether a clip is looked up at the API before it is sent, and what follows."""

    NO = 0
    PROVE = 1  # its record may be incomplete: it goes once its absence is proven
    ONCE = 2  # that was concluded: one more look before it goes
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
class Whose:
    """For whom a clip is, and what it shows; None where nobody said so."""

    recipient: Recipient
    user_id: str | None
    activity: str
    exercise: str | None = None
    barbell_mass_kg: float | None = None
    incline_deg: float | None = None
    guest_id: int | None = None  # of the roster: somebody whose user_id is not known yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
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
    sources: tuple[Source, ...]  # in order; two where a recording was split in mid-effort
    state: EntryState  # ready or held; discarded only by a setting a person chose
    reason: str | None
    due_at: float  # Unix time
    clip: ClipFile
    whose: Whose
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
    def sent_after(self) -> float:
        """The moment (Unix time) before which it cannot have been sent, if no upload is on record.

        Where its record may be incomplete, that is when it was filmed.
        """
        if not self.look_first:
            return self.created_at
        return 0.0 if self.filmed_at is None else min(self.filmed_at, self.created_at)

    @classmethod
    def from_row(cls, row: Mapping[str, object]) -> "Entry":
        """Build an entry from a row of its table."""
        named = {"clip_code", "stored_name"}
        converted = {"state", "recipient", "file_state", "remarks", "look_first", *named}
        plain = {name: row[name] for name in cls.__slots__ if name not in converted}
        return cls(
            state=EntryState(str(row["state"])),
            recipient=Recipient(str(row["recipient"])),
            file_state=FileState(str(row["file_state"])),
            remarks=tuple(json.loads(str(row["remarks"]))),
            look_first=LookFirst(int(str(row["look_first"]))),
            clip_code=plain_name(row["clip_code"]),
            stored_name=plain_name(row["stored_name"]),
            **plain,  # type: ignore[arg-type]  # SQLite's STRICT tables keep the types
        )
