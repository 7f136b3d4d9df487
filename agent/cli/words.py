"""How results are put into words and documents."""

from itertools import pairwise
from typing import TYPE_CHECKING

from agent.clock import iso_utc
from agent.outbox.people.assignments import Assignment, AssignmentKind
from agent.plurals import counted

if TYPE_CHECKING:
    from agent.outbox.entry import Whose
    from agent.station.filming import Filming

_STEPS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_EXACT = 10  # of a unit, or more: the rest says nothing to people


def assignment_document(said: Assignment | None) -> dict[str, object]:
    """Return an assignment as scripts see it."""
    if said is None:
        return {"kind": AssignmentKind.NOBODY, "user_id": None}
    until = None if said.lasts_s is None else said.starts.utc_s + said.lasts_s
    return {
        "kind": said.kind,
        "layer": said.layer,
        "user_id": said.user_id,
        "guest": None if said.guest_id is None else f"guest:{said.guest_id}",
        "activity": said.activity,
        "exercise": said.exercise,
        "barbell_mass": said.barbell_mass_kg,
        "incline_degree": said.incline_deg,
        "since": iso_utc(said.starts.utc_s) if said.starts.utc_s else None,
        "until": iso_utc(until),
        "set_by": said.set_by,
    }


def assignment_words(said: Assignment | None) -> str:
    """Return an assignment in one sentence."""
    if said is None or said.kind is AssignmentKind.NOBODY:
        return "nobody is assigned"
    if said.kind is AssignmentKind.DEFAULT:
        return "back to the station's default athlete"
    lasts = "" if said.lasts_s is None else f", for {duration_words(said.lasts_s)}"
    who = said.user_id or f"guest:{said.guest_id}"
    return f"assigned: {who}, {movement_words(said)}{lasts}"


def movement_words(said: "Assignment | Whose") -> str:
    """Return what somebody does, as in snatch, 62.5 kg."""
    parts = [said.exercise or said.activity or ""]
    if said.barbell_mass_kg is not None:
        parts.append(f"{said.barbell_mass_kg:g} kg")
    if said.incline_deg is not None:
        parts.append(f"{said.incline_deg:g}° incline")
    return ", ".join(parts)


def whose_document(whose: "Whose") -> dict[str, object]:
    """Return who does what, as scripts see it."""
    return {
        "athlete": whose.user_id or f"guest:{whose.guest_id}",
        "activity": whose.activity,
        "exercise": whose.exercise,
        "barbell_mass": whose.barbell_mass_kg,
        "incline_degree": whose.incline_deg,
    }


def filming_document(stands: "Filming") -> dict[str, object]:
    """Return whether the station films, as scripts see it."""
    stopped = stands.stopped
    return {
        "stopped": stopped is not None,
        "since": None if stopped is None else iso_utc(stopped.starts.utc_s),
        "ends_in_s": None if stands.left_s is None else round(stands.left_s),
        "set_by": None if stopped is None else stopped.set_by,
        "removed_unseen": stands.unseen,
        "waiting_unseen": stands.waiting,
    }


def filming_words(stands: "Filming") -> str:
    """Return whether the station films in one sentence."""
    waits = ""
    if stands.waiting:
        waits = f"; {counted(stands.waiting, 'recording')} waiting until the undo period is over"
    if stands.stopped is None:
        return f"recording enabled{waits}"
    until = "resume with: spotter filming start"
    if stands.left_s is not None:
        until = f"resumes in {duration_words(stands.left_s)}"
    return f"recording PAUSED, {until}; deleted unseen so far: {stands.unseen}{waits}"


def duration_words(seconds: float) -> str:
    """Return a length of time as people say it: 45 s, 12 min, 1 h 30 min, 2 d."""
    whole_s = round(seconds)
    for (length_s, unit), (part_s, part) in pairwise(_STEPS):
        if whole_s < length_s:
            continue
        count, rest = divmod(round(whole_s / part_s), length_s // part_s)
        is_told = rest and count < _EXACT
        return f"{count} {unit} {rest} {part}" if is_told else f"{whole_s / length_s:.0f} {unit}"
    return f"{whole_s} s"


def size_words(size_bytes: float) -> str:
    """Return a size as people say it: 812 kB, 1.7 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.0f} {unit}" if unit in {"B", "kB"} else f"{size_bytes:.1f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"
