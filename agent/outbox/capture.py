"""One capture's row in the outbox, and the takes in it, as plain values."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from agent.clock import Instant
from agent.outbox.database import Row
from agent.outbox.file_name import plain_name
from agent.outbox.states import CaptureState, FileState


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What tells whether a file is still the same file."""

    size_bytes: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> "FileFacts":
        """Return the facts in what the system says of a file."""
        return cls(size_bytes=found.st_size, mtime_ns=found.st_mtime_ns, inode=found.st_ino)


@dataclass(frozen=True, slots=True, kw_only=True)
class SidecarTime:
    """When a recorder says that it recorded a file."""

    start: Instant
    end: Instant
    uncertainty_s: float = 0.0

    def as_json(self) -> dict[str, object]:
        """Return it as it is stored."""
        times = {"start": _instant_json(self.start), "end": _instant_json(self.end)}
        return {**times, "uncertainty_s": self.uncertainty_s}

    @classmethod
    def of_json(cls, stored: Mapping[str, Any] | None) -> "SidecarTime | None":
        """Read what `as_json` gave."""
        if stored is None:
            return None
        start, end = Instant(**stored["start"]), Instant(**stored["end"])
        return cls(start=start, end=end, uncertainty_s=float(stored["uncertainty_s"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
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
    def from_json(cls, text: str) -> "Evidence":
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
    """One athlete's continuous effort in a capture, in seconds of presentation time."""

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
    facts: FileFacts  # as they were when it was taken in
    state: CaptureState
    reason: str | None
    detail: str | None  # the reason in a sentence
    fence: int  # raised by every transition
    file_state: FileState
    evidence: Evidence
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
        plain = {
            name: row[name]
            for name in cls.__slots__
            if name not in {"facts", "state", "file_state", "evidence", "stored_name"}
        }
        return cls(
            facts=FileFacts(
                size_bytes=integer(row, "bytes"),
                mtime_ns=integer(row, "mtime_ns"),
                inode=integer(row, "inode"),
            ),
            state=CaptureState(str(row["state"])),
            file_state=FileState(str(row["file_state"])),
            stored_name=plain_name(row["stored_name"]),
            evidence=Evidence.from_json(str(row["evidence"])),
            **plain,  # type: ignore[arg-type]  # SQLite's STRICT tables keep the types
        )


def integer(row: Row, name: str) -> int:
    """Return a column that holds a whole number."""
    value = row[name]
    assert isinstance(value, int)  # SQLite's STRICT tables keep the types
    return value


def _instant_json(instant: Instant) -> dict[str, object]:
    return {name: getattr(instant, name) for name in Instant.__slots__}
