"""Sessions in words and documents."""

from agent.clock import iso_utc
from agent.local_time import LocalTime
from agent.outbox.results.follow_ups import FollowUpState
from agent.outbox.results.record import Number, Result
from agent.outbox.views.sessions import Followed
from agent.plurals import counted

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
        ("movement", movement + mass),
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
    told = "none yet"
    if asked_at is not None:
        told = f"{follow_up.polls}, last {here.moment(asked_at)}"
    if due_at is None or follow_up.state is FollowUpState.COMPLETED:
        return told
    return f"{told}; next after {here.moment(due_at)}"


def _video(result: Result) -> str:
    if result.video_state == "present":
        return f"on this device, {result.video_bytes / 1e6:.1f} MB"
    told = "available at the API" if result.analysed_video_url else "not available yet"
    detail = f": {result.video_detail}" if result.video_detail else ""
    return told + ("" if result.video_state == "none" else f"; {result.video_state}{detail}")


def number_words(value: Number) -> str:
    """Return a value as people read it."""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def session_cells(followed: Followed, here: LocalTime) -> tuple[str, ...]:
    """Return a session's cells in the list of many."""
    entry, follow_up, result = followed.entry, followed.follow_up, followed.result
    numbers = list({} if result is None else result.numbers.items())
    told = ", ".join(f"{name} {number_words(value)}" for name, value in numbers[:_FEW])
    more = f" and {counted(len(numbers) - _FEW, 'more metric')}" if len(numbers) > _FEW else ""
    return (
        here.moment(followed.at),
        entry.user_id or "-",
        entry.exercise or entry.activity,
        follow_up.state,
        entry.clip_code,
        follow_up.session_id,
        (told + more) or follow_up.detail or "-",
    )
