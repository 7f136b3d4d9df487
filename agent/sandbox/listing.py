"""The documents that the API answers with.  Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime

from agent.api import contract
from agent.sandbox.book import Session
from agent.sandbox.faults import Fault
from agent.sandbox.people import Athlete, Key
from agent.sandbox.uploads import Refused

_MOST_PAGE = 1000
_DATE = "%d/%m/%Y"
_FILTERS = ("title", "user_id", "activity", "start_date", "end_date")
Document = dict[str, object]


def organization_status(key: Key, *, sessions: int, plan: str) -> Document:
    """Return what a key's account is.

    Args:
        key: an admin's.
        sessions: how many the account has.
        plan: what it pays for.
    """
    return {
        "session_number": sessions,
        "uid": key.uid,
        "role": key.role,
        "payment_type": plan,
        "activity": ["Running", "Weightlifting", "VerticalJump"],
        "companyName": "Sandbox Gym",
        "name": "Olga Owner",
    }


def session_document(
    session: Session, *, link: Callable[[str], str], name: str, whole: bool
) -> Document:
    """Return what is known of a session from its upload on.

    Args:
        session: the session.
        link: makes a link to a file of the storage host.
        name: of its athlete.
        whole: its own document, not its part of the list.
    """
    made = datetime.fromtimestamp(session.created_at, UTC)
    is_jump = session.activity == "jumping"
    day = f"{made:%Y-%m-%d}" if whole and is_jump else f"{made:{_DATE}}"
    lift = {"exercise": session.fields.get("exercise_name", "snatch")}
    return {
        "created_at": {"date": day, "time": f"{made:%I:%M %p}"},
        "title": session.title,
        "activity": contract.ACTIVITY_LABELS[session.activity],
        "user_id": session.user_id,
        "user_name": name,
        "video_url": link(f"/media/{session.session_id}/video.mp4"),
        "segments": 0,
        "report_comments": {},
        **(lift if session.activity == "weightlifting" else {}),
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


def oldest_of(documents: dict[str, Document], fault: Fault | None) -> dict[str, Document]:
    """Return what a list shows that is cut to the oldest sessions."""
    if fault is None or fault.what != "oldest-list":
        return documents
    count = int(fault.number("n", 5))
    return dict(list(documents.items())[len(documents) - count :] if count else ())


def old_sessions(count: int) -> dict[str, Document]:
    """Return sessions that the account has had for years, newest first."""
    made = {"date": "05/01/2020", "time": "09:00 AM"}
    session: Document = {
        "created_at": made,
        "title": "Morning run",
        "activity": "Running",
        "user_id": "somebody",
        "metrics": {},
        "analyzed_video_url": "",
    }
    return {f"old{number:013}": session for number in reversed(range(count))}


def matching(
    documents: Mapping[str, Document], query: Mapping[str, str]
) -> tuple[int, dict[str, Document]]:
    """Return how many sessions a query of the filter matches, and those on its page.

    Args:
        documents: of every session, newest first.
        query: of the request.

    Raises:
        Refused: the query is none.
    """
    limit = _limit(query.get("limit"))
    kept = [one for one in documents.items() if _is_wanted(one[1], query)]
    count = len(kept)
    if not any(query.get(name) for name in _FILTERS):
        kept = _paged(kept, query)
    if "end_before_id" in query and "start_after_id" not in query:
        return count, dict(kept[-limit:])
    return count, dict(kept[:limit])


def users_page(athletes: Sequence[Athlete], query: Mapping[str, str]) -> Document:
    """Return one page of the athletes, by their order in the account.

    Raises:
        Refused: nobody is on it.
    """
    limit = query.get("limit", "")
    size = int(limit) if limit.isdigit() and int(limit) > 0 else contract.USERS_LIMIT
    ids = [athlete.user_uid for athlete in athletes]
    start, end = 0, len(ids)
    if query.get("start_after_id") in ids:
        start = ids.index(query["start_after_id"]) + 1
    if query.get("end_before_id") in ids:
        end = ids.index(query["end_before_id"])
        start = max(start, end - size)
    page = athletes[start : min(end, start + size)]
    if not page:
        raise Refused("there are no athletes here", 404)
    return {
        "query_count": len(page),
        "users": [athlete.document() for athlete in page],
        "first_uid": page[0].user_uid,
        "last_uid": page[-1].user_uid,
    }


def _limit(told: str | None) -> int:
    if told is None:
        return contract.FILTER_LIMIT
    if not told.isdigit() or not 0 < int(told) <= _MOST_PAGE:
        raise Refused("limit must be a positive whole number")
    return int(told)


def _is_wanted(document: Document, query: Mapping[str, str]) -> bool:
    title, label = str(document["title"]).lower(), str(document["activity"]).lower()
    if query.get("title", "").lower() not in title:
        return False
    if query.get("activity", label).lower() != label:
        return False
    if query.get("user_id", document["user_id"]) != document["user_id"]:
        return False
    first, last = _day(query.get("start_date")), _day(query.get("end_date"))
    if first is None and last is None:
        return True
    made = document["created_at"]
    day = _day(made["date"]) if isinstance(made, dict) else None
    assert day is not None  # every session of the sandbox has one
    return (first is None or first <= day) and (last is None or day <= last)


def _day(told: str | None) -> date | None:
    if not told:
        return None
    try:
        return datetime.strptime(told, _DATE).replace(tzinfo=UTC).date()
    except ValueError:
        raise Refused("dates are written dd/mm/yyyy") from None


def _paged(
    kept: list[tuple[str, Document]], query: Mapping[str, str]
) -> list[tuple[str, Document]]:
    ids = [session_id for session_id, _ in kept]
    if query.get("start_after_id") in ids:
        kept = kept[ids.index(query["start_after_id"]) + 1 :]
    elif query.get("end_before_id") in ids:
        kept = kept[: ids.index(query["end_before_id"])]
    return kept


def _title(session: Session, fault: Fault | None) -> str:
    if fault is not None and fault.what == "strip-titles":
        return re.sub(r"\[[^\]]*\]\s*", "", session.title)
    if fault is not None and fault.what == "short-titles":
        return session.title[: int(fault.number("n", 20))]
    return session.title
