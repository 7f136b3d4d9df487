"""Times, sizes, durations and session results as text."""

from itertools import pairwise

from agent.clock import LocalTime, iso_utc
from agent.outbox.assignments import Assignment, AssignmentKind
from agent.outbox.models import ClipTarget
from agent.outbox.queries import Followed
from agent.outbox.results import FollowUpState, Number, Result
from agent.station.recording_pause import Filming
from agent.text import counted

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


def movement_words(said: Assignment | ClipTarget) -> str:
    """Return what somebody does, as in snatch, 62.5 kg."""
    parts = [said.exercise or said.activity or ""]
    if said.barbell_mass_kg is not None:
        parts.append(f"{said.barbell_mass_kg:g} kg")
    if said.incline_deg is not None:
        parts.append(f"{said.incline_deg:g}° incline")
    return ", ".join(parts)


def target_document(target: ClipTarget) -> dict[str, object]:
    """Return who does what, as scripts see it."""
    return {
        "athlete": target.user_id or f"guest:{target.guest_id}",
        "activity": target.activity,
        "exercise": target.exercise,
        "barbell_mass": target.barbell_mass_kg,
        "incline_degree": target.incline_deg,
    }


def filming_document(stands: Filming) -> dict[str, object]:
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


def filming_words(stands: Filming) -> str:
    """Return whether the station films in one sentence."""
    waits = ""
    if stands.waiting:
        waits = f"; {counted(stands.waiting, 'recording')} waiting until the undo period is over"
    if stands.stopped is None:
        return f"recording enabled{waits}"
    until = "resume with: spotter filming start"
    if stands.left_s is not None:
        until = f"resumes in {duration_words(stands.left_s)}"
    return f"recording PAUSED, {until}; recordings deleted: {stands.unseen}{waits}"


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


_FEW = 4  # numbers in a line


def session_document(followed: Followed) -> dict[str, object]:
    """Return a session as scripts see it; the link to its video is a secret, and not there."""
    entry, follow_up, result = followed.entry, followed.follow_up, followed.result
    return {
        "session_id": follow_up.session_id,
        "id": entry.name,
        "clip_code": entry.clip_code,
        "title": entry.server_title or entry.title,
        "user_id": entry.user_id,
        "activity": entry.activity,
        "exercise": entry.exercise,
        "barbell_mass": entry.barbell_mass_kg,
        "incline_degree": entry.incline_deg,
        "clip_seconds": entry.clip_seconds,
        "filmed_at": iso_utc(entry.filmed_at),
        "sent_at": iso_utc(entry.sent_at),
        "state": follow_up.state,
        "detail": follow_up.detail,
        "looks": follow_up.polls,
        "last_look_at": iso_utc(follow_up.last_asked_at),
        "next_look_at": iso_utc(follow_up.due_at),
        **_result_document(result),
    }


def _result_document(result: Result | None) -> dict[str, object]:
    if result is None:
        return {"analysed_at": None, "numbers": {}, "analysed_video": None}
    return {
        "analysed_at": iso_utc(result.got_at),
        "numbers": dict(result.numbers),
        "analysed_video": {
            "has_link": result.analysed_video_url is not None,
            "link_told_at": iso_utc(result.url_at),
            "state": result.video_state,
            "detail": result.video_detail,
            "bytes": result.video_bytes,
        },
    }


def session_lines(followed: Followed, here: LocalTime) -> list[tuple[str, str]]:
    """Return what there is to say of one session, as name and words."""
    entry, follow_up, result = followed.entry, followed.follow_up, followed.result
    movement = entry.exercise or entry.activity
    mass = f", {entry.barbell_mass_kg:g} kg" if entry.barbell_mass_kg else ""
    lines = [
        ("session", follow_up.session_id),
        ("clip", f"{entry.name}, {entry.clip_code}, {entry.clip_seconds:.1f} s"),
        ("title", entry.server_title or entry.title or "-"),
        ("athlete", entry.user_id or "-"),
        ("exercise", movement + mass),
        ("filmed", _full(entry.filmed_at, here)),
        ("delivered", _full(entry.sent_at, here)),
        ("state", follow_up.words),
        ("checks", _looks(followed, here)),
    ]
    if result is not None:
        lines.append(("analysed", _full(result.got_at, here)))
        lines += [(name, number_words(value)) for name, value in result.numbers.items()]
        lines.append(("analysed video", _video(result)))
    return lines


def _full(at: float | None, here: LocalTime) -> str:
    return "-" if at is None else here.full(at)


def _looks(followed: Followed, here: LocalTime) -> str:
    follow_up = followed.follow_up
    asked_at, due_at = follow_up.last_asked_at, follow_up.due_at
    text = "none yet"
    if asked_at is not None:
        text = f"{follow_up.polls}, last {here.moment(asked_at)}"
    if due_at is None or follow_up.state is FollowUpState.COMPLETED:
        return text
    return f"{text}; next after {here.moment(due_at)}"


def _video(result: Result) -> str:
    if result.video_state == "present":
        return f"on this box, {result.video_bytes / 1e6:.1f} MB"
    text = "available at the API" if result.analysed_video_url else "not available yet"
    detail = f": {result.video_detail}" if result.video_detail else ""
    return text + ("" if result.video_state == "none" else f"; {result.video_state}{detail}")


def number_words(value: Number) -> str:
    """Return a value as people read it."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def session_cells(followed: Followed, here: LocalTime) -> tuple[str, ...]:
    """Return a session's cells in the list of many."""
    entry, follow_up, result = followed.entry, followed.follow_up, followed.result
    numbers = list({} if result is None else result.numbers.items())
    text = ", ".join(f"{name} {number_words(value)}" for name, value in numbers[:_FEW])
    more = f" and {counted(len(numbers) - _FEW, 'more metric')}" if len(numbers) > _FEW else ""
    return (
        here.moment(followed.at),
        entry.user_id or "-",
        entry.exercise or entry.activity,
        follow_up.state,
        entry.clip_code,
        follow_up.session_id,
        (text + more) or follow_up.detail or "-",
    )
