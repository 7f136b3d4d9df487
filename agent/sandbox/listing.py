"""The documents that the API answers with.  Pure."""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from agent.sandbox.book import Session
from agent.sandbox.faults import Fault
from agent.sandbox.people import ATHLETES, Key

_NAMES = {athlete.user_uid: athlete.display_name for athlete in ATHLETES}
_DEFAULT_PAGE = 5


def organization_status(key: Key) -> dict[str, object]:
    """Return what a key's account is."""
    return {
        "session_number": 50,
        "uid": key.uid,
        "role": key.role,
        "payment_type": "Enterprise",
        "activity": ["Running", "Weightlifting", "VerticalJump"],
        "companyName": "Sandbox Gym",
        "name": _NAMES.get(key.uid, "Somebody"),
    }


def session_document(session: Session, *, link: Callable[[str], str]) -> dict[str, object]:
    """Return what is known of a session from its upload on.

    Args:
        session: the session.
        link: makes a link to a file of the storage host.
    """
    made = datetime.fromtimestamp(session.created_at, UTC)
    return {
        "created_at": {"date": f"{made:%d/%m/%Y}", "time": f"{made:%I:%M %p}"},
        "title": session.title,
        "activity": session.activity,
        "user_id": session.user_id,
        "user_name": _NAMES.get(session.user_id, "Somebody"),
        "video_url": link(f"/media/{session.session_id}/video.mp4"),
        "segments": [],
        "report_comments": "",
    }


def listed_sessions(
    sessions: Sequence[Session], fault: Fault | None, *, now_s: float
) -> list[tuple[str, Session, str]]:
    """Return id, session and shown title of what the list shows, newest first."""
    shown = list(reversed(sessions))
    if fault is not None and fault.what == "hide-list":
        shown = []
    if fault is not None and fault.what == "late-list":
        latest = now_s - fault.number("s", 60)
        shown = [session for session in shown if session.created_at <= latest]
    if fault is not None and fault.what == "limit-list":
        shown = shown[: int(fault.number("n", 5))]
    return [(session.session_id, session, _title(session, fault)) for session in shown]


def old_sessions(count: int) -> dict[str, object]:
    """Return sessions that the account has had for years."""
    made = {"date": "05/01/2020", "time": "09:00 AM"}
    session = {"created_at": made, "title": "Morning run", "activity": "running", "metrics": {}}
    return {f"old{number:013}": session for number in range(count)}


def users_page(query: dict[str, str]) -> dict[str, object]:
    """Return one page of the athletes, by their order in the account."""
    limit = query.get("limit", "")
    size = int(limit) if limit.isdigit() and int(limit) > 0 else _DEFAULT_PAGE
    ids = [athlete.user_uid for athlete in ATHLETES]
    start = ids.index(query["start_after_id"]) + 1 if query.get("start_after_id") in ids else 0
    page = ATHLETES[start : start + size]
    return {
        "query_count": len(page),
        "users": [athlete.document() for athlete in page],
        "first_uid": page[0].user_uid if page else None,
        "last_uid": page[-1].user_uid if page else None,
    }


def _title(session: Session, fault: Fault | None) -> str:
    if fault is not None and fault.what == "strip-titles":
        return re.sub(r"\[[^\]]*\]\s*", "", session.title)
    if fault is not None and fault.what == "short-titles":
        return session.title[: int(fault.number("n", 20))]
    return session.title
