"""The endpoints of the sandbox, strict about the API's contract."""

import contextlib
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from agent.api import contract
from agent.api.contract import Operation
from agent.sandbox.account import (
    ProcessingProgress,
    SandboxAthlete,
    SandboxKey,
    SandboxSession,
    new_session_id,
)
from agent.sandbox.faults import NO_FAULT, PlannedFault
from agent.sandbox.http import (
    ConnectionClosed,
    FaultyRequestHandler,
    Received,
    Refused,
    UploadReader,
    check_upload,
)

_MOST_PAGE = 1000
_DATE = "%d/%m/%Y"
_FILTERS = ("title", "user_id", "activity", "start_date", "end_date")
Document = dict[str, object]


def organization_status(key: SandboxKey, *, sessions: int, plan: str) -> Document:
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
    session: SandboxSession, *, link: Callable[[str], str], name: str, whole: bool
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
    sessions: Sequence[SandboxSession], fault: PlannedFault, *, now_s: float
) -> list[tuple[str, SandboxSession, str]]:
    """Return id, session and shown title of what the list shows, newest first."""
    shown = list(reversed(sessions))
    if fault.what == "hide-list":
        shown = []
    if fault.what == "late-list":
        latest = now_s - fault.number("s", 60)
        shown = [session for session in shown if session.created_at <= latest]
    if fault.what == "limit-list":
        shown = shown[: int(fault.number("n", 5))]
    return [(session.session_id, session, _title(session, fault)) for session in shown]


def oldest_of(documents: dict[str, Document], fault: PlannedFault) -> dict[str, Document]:
    """Return what a list shows that is cut to the oldest sessions."""
    if fault.what != "oldest-list":
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


def users_page(athletes: Sequence[SandboxAthlete], query: Mapping[str, str]) -> Document:
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


def _title(session: SandboxSession, fault: PlannedFault) -> str:
    if fault.what == "strip-titles":
        return re.sub(r"\[[^\]]*\]\s*", "", session.title)
    if fault.what == "short-titles":
        return session.title[: int(fault.number("n", 20))]
    return session.title


_FRAMES = 60
_FPS = 30.0
_KEYPOINTS = ("lknev", "ltoev", "relbv", "rtoey", "headv", "rearv", "rshox")
_METRICS: dict[str, dict[str, tuple[float, float]]] = {
    "weightlifting": {
        "peak_velocity": (1.5, 2.3),
        "peak_power": (1800.0, 3200.0),
        "bar_height": (0.9, 1.3),
    },
    "running": {
        "cadence": (150.0, 190.0),
        "ground_contact_time": (0.2, 0.3),
        "knee_angle_max": (90.0, 130.0),
    },
    "jumping": {
        "jump_height": (0.2, 0.6),
        "flight_time": (0.4, 0.7),
        "contact_time": (0.15, 0.4),
    },
}
_ODD: dict[str, object] = {
    "peak": {"velocity": {"value": 1.92, "unit": "m/s"}, "power": None},
    "reps": [{"name": "rep one", "value": 1.8}, {"height": 0.9, "curve": [1, 2, 3]}],
    "valid": True,
    "grade": "=2+3",
    "": "nameless",
    "note": "https://127.0.0.1/signed?secret=1",
    "huge": 1e300,
    "text\u2028with a line": "a\nb",
}


def analysis_of(
    session: SandboxSession,
    progress: ProcessingProgress,
    *,
    link: Callable[[str], str],
    fault: PlannedFault,
    whole: bool,
) -> dict[str, object]:
    """Return the part of a session's document that comes with time.

    Args:
        session: the session.
        progress: how far it is.
        link: makes a link to a file of the storage host.
        fault: what goes wrong with it.
        whole: with angles and timestamps, which the list does not contain.
    """
    told: dict[str, object] = {"analyzed_video_url": "", "metrics": {}}
    if whole:
        told |= _curves(session, 0)
    if progress is ProcessingProgress.FAILED:
        words = fault.options.get("error", "no person found")
        return {**told, "status": "failed", "error": words}
    if progress not in {ProcessingProgress.MEASURED, ProcessingProgress.READY}:
        return told
    told["metrics"] = metrics_of(session, fault)
    if progress is ProcessingProgress.READY:
        told["analyzed_video_url"] = link(f"/media/{session.session_id}/analyzed.mp4")
    return {**told, **_curves(session, _FRAMES)} if whole else told


def exported(session: SandboxSession, document: Mapping[str, object]) -> dict[str, object]:
    """Return the export of a session whose document is `document`."""
    told = {name: value for name, value in document.items() if name != "whole_report_metrics"}
    times = document.get("all_timestamps")
    count = len(times) if isinstance(times, list) else 0
    curve = _wave(count)
    if session.activity == "running":
        told["angles"] = {"lkne_angle": curve}
        told["contact"] = [position % 2 == 0 for position in range(count)]
    return {**told, "keypoints": dict.fromkeys(_KEYPOINTS, curve)}


def _curves(session: SandboxSession, count: int) -> dict[str, object]:
    """Return what only a session's own document contains: angles and the times of its frames."""
    curve = _wave(count)
    times = [round(position / _FPS, 4) for position in range(count)]
    told: dict[str, object] = {"all_timestamps": times}
    if session.activity == "running":
        mean = round(sum(curve) / len(curve), 2) if curve else None
        return {**told, "angles": {} if mean is None else {"lkne_angle": mean}}
    if session.activity == "weightlifting":
        return {**told, "angles": {"lkne_angle": curve}, "report_metrics": {"bar": curve}}
    answer = contract.operation("session", "jumping").answer["properties"]
    return {
        **told,
        "angles": dict.fromkeys(answer["angles"]["required"], curve),
        "whole_report_metrics": dict.fromkeys(answer["whole_report_metrics"]["required"], curve),
        "end_frames": [count],
    }


def _wave(count: int) -> list[float]:
    return [round(90 + 60 * math.sin(position / 9), 2) for position in range(count)]


def metrics_of(session: SandboxSession, fault: PlannedFault) -> dict[str, object]:
    """Return a session's numbers: its own, and the same whenever it is asked."""
    if fault.what == "odd-metrics":
        return _ODD
    digest = hashlib.sha256(session.video_sha256.encode()).digest()
    told: dict[str, object] = {
        name: round(low + (high - low) * digest[position] / 255, 3)
        for position, (name, (low, high)) in enumerate(_METRICS[session.activity].items())
    }
    if session.activity == "jumping":  # a value for each jump
        return {name: [value] for name, value in told.items()}
    return told


def reported_link(fault: PlannedFault) -> object:
    """Return what a fault says instead of a link: any address, or any value of JSON."""
    if "json" in fault.options:
        return json.loads(fault.options["json"])
    return fault.options.get("to", "")


_JSON = {"Content-Type": "application/json"}
_NO_PAGE = b"<!doctype html><title>Not Found</title><h1>Not Found</h1>"
_PLACES = {  # where a fault would say that an operation happens
    **dict.fromkeys(("upload", "upload_on_behalf"), "upload"),
    **dict.fromkeys(("users", "find_users", "user"), "users"),
    "organization_status": "status",
    "sessions": "list",
    "find_sessions": "filter",
}
_FOR_ADMINS = frozenset(
    {
        *("upload_on_behalf", "sessions", "find_sessions", "change_session", "delete_session"),
        *("organization_status", "users", "find_users", "user"),
    }
)
_DATED = "%Y-%m-%d %H:%M:%S"


class Call(NamedTuple):
    """A request that is let in."""

    operation: Operation
    parts: Mapping[str, str]  # of its path
    key: SandboxKey
    fault: PlannedFault


class ApiRequestHandler(FaultyRequestHandler):
    """One exchange with the sandbox."""

    def serve(self) -> None:
        """Answer a request at one of the API's addresses."""
        path = self._contract_path()
        for operation in contract.OPERATIONS:
            match = operation.pattern().fullmatch(path)
            if match is not None and operation.method == self.command:
                self._follow(operation, match.groupdict())
                return
        raise Refused("no such address", 404)

    def _contract_path(self) -> str:
        """Return the path as the contract writes it; a host may want one more slash, or one less.

        Raises:
            Gone: it is written as this host does not know it.
        """
        path = self.plain_path
        if self.command not in {"PUT", "DELETE"}:
            return path
        if path.endswith("/") != self.account.ends_in_slash:
            self.drain()
            self.answer_raw(404, _NO_PAGE, {"Content-Type": "text/html"})
            raise ConnectionClosed
        return path.rstrip("/")

    def _follow(self, operation: Operation, parts: dict[str, str]) -> None:
        fault = self._fault_of(operation)
        if self.play_instead(fault):
            return
        handlers: dict[str, Callable[[Call], None]] = {
            "upload": self._upload,
            "upload_on_behalf": self._upload,
            "organization_status": self._organization,
            "users": self._users,
            "find_users": self._find_users,
            "user": self._user,
            "sessions": self._sessions,
            "find_sessions": self._find_sessions,
            "session": self._session,
            "rendering": self._rendering,
            "render": self._render,
            "change_session": self._change,
            "delete_session": self._delete,
            "export": self._export,
        }
        handlers[operation.name](Call(operation, parts, self._key(operation), fault))

    def _fault_of(self, operation: Operation) -> PlannedFault:
        """Return the fault to be played; what is wrong with the list is wrong with its filter."""
        place = _PLACES.get(operation.name, "session")
        fault = self.fault_at(place)
        return self.fault_at("list") if fault is NO_FAULT and place == "filter" else fault

    def _key(self, operation: Operation) -> SandboxKey:
        """Return the key of a request, if it may ask for that."""
        token, form = self.key_and_form()
        key = self.account.key_named(token)
        if key is None or self.account.key_form not in {None, form}:
            raise Refused("invalid API key", 401)
        if self.account.allowed_domain not in {None, self._origin()}:
            raise Refused("this key serves another domain", 403, code="DOMAIN_NOT_ALLOWED")
        if operation.name in _FOR_ADMINS and not key.is_admins:
            raise Refused("only an admin may ask for that", 403)
        return key

    def _origin(self) -> str | None:
        told = self.headers.get("Origin") or self.headers.get("Referer") or ""
        return urlsplit(told).hostname

    def _organization(self, call: Call) -> None:
        count = len(self.account.book.sessions) + self.account.old_sessions
        document = organization_status(call.key, sessions=count, plan=self.account.plan_name)
        self.answer(200, document)

    def _users(self, _call: Call) -> None:
        self.answer(200, {"users": [one.document() for one in self.account.athletes]})

    def _find_users(self, _call: Call) -> None:
        self.answer(200, users_page(self.account.athletes, self.query))

    def _upload(self, call: Call) -> None:
        operation, key, fault = call.operation, call.key, call.fault
        session_id = new_session_id()
        video_path = self.account.videos / f"{session_id}.mp4"
        reader = UploadReader(self.headers.get("Content-Type", ""), video_path=video_path)
        try:
            received = reader.read(self.body(fault))
            check_upload(
                received,
                activity=operation.activity,
                on_behalf=operation.name == "upload_on_behalf",
                athletes=[athlete.user_uid for athlete in self.account.athletes],
            )
            self._check_limit(received.fields.get("user_id", key.uid))
        except BaseException:
            video_path.unlink(missing_ok=True)
            raise
        refused = self.account.plan.take("upload", user_id=received.fields.get("user_id"))
        if refused is not None and "made" not in refused.options:
            video_path.unlink()
            self.answer_fault(refused)
            return
        self._make(self._made(session_id, received, operation.activity, key), refused or fault)

    def _check_limit(self, user_id: str) -> None:
        """Refuse a session more than the plan has."""
        limit = self.account.plan_limit
        sessions = self.account.book.sessions
        if self.account.limit_is_per_user:
            sessions = [session for session in sessions if session.user_id == user_id]
        if limit is not None and len(sessions) >= limit:
            words = "the number of sessions of this plan is used up"
            raise Refused(words, 404, code="SESSION_LIMIT")

    def _make(self, session: SandboxSession, fault: PlannedFault) -> None:
        """Enter the session of an upload, and answer as well as a fault allows."""
        what, delay_s = fault.what, fault.number("s", 5.0)
        if what == "late-made":
            self.abandon()
            self.stopping.wait(delay_s)
            self.account.book.add(replace(session, created_at=self.account.clock()))
            raise ConnectionClosed
        self.account.processing.begin(session)
        self.account.book.add(session)
        if what == "twice":
            self.account.book.add(replace(session, session_id=new_session_id(), video_path=None))
        if what == "lost-answer" or "lost" in fault.options:
            self.hang_up()
        if what == "late-answer":
            self.stopping.wait(delay_s)
        if what == "interim":
            self.answer_interim()
        if what == "truncated-json":
            self.answer_raw(200, b'{"session_id": "', {"Content-Type": "application/json"})
        elif not self.answer_fault(fault):
            more = {"credits": 41, "links": {"self": None}} if what == "more-fields" else {}
            self.answer(200, {"session_id": session.session_id, "title": session.title, **more})

    def _made(
        self, session_id: str, received: Received, activity: str, key: SandboxKey
    ) -> SandboxSession:
        fields = received.fields
        return SandboxSession(
            session_id=session_id,
            title=self.account.rename(fields.get("session_name") or f"Session {session_id[:4]}"),
            activity=activity,
            user_id=fields.get("user_id", key.uid),
            endpoint="management" if "user_id" in fields else "own",
            fields=dict(fields),
            video_sha256=received.video_sha256,
            video_bytes=received.video_bytes,
            video_name=received.video_name or "",
            video_path=self.account.videos / f"{session_id}.mp4",
            created_at=self.account.clock(),
        )

    def _sessions(self, call: Call) -> None:
        documents = oldest_of(self._listed(call.fault), call.fault)
        if not documents:
            raise Refused("no sessions found", 404)
        self.answer(200, {"sessions": documents})

    def _find_sessions(self, call: Call) -> None:
        query = {} if call.fault.what == "open-filter" else self.query
        documents = self._listed(call.fault, title=query.get("title", ""))
        count, page = matching({} if call.fault.what == "blind-filter" else documents, query)
        if not page:
            raise Refused("no sessions match", 404)
        ids = list(page)
        first_and_last = {"first_doc_id": ids[0], "last_doc_id": ids[-1]}
        self.answer(200, {"query_count": count, "sessions": page, **first_and_last})

    def _listed(self, fault: PlannedFault, *, title: str = "") -> dict[str, Document]:
        """Return what the list shows, newest first; of the account's own, those of a title."""
        known = [s for s in self.account.book.sessions if self._is_known(s)]
        old = int(fault.number("n", 1e5)) if fault.what == "long-list" else 0
        documents = {
            session_id: {**self._document(session, fault, whole=False), "title": shown}
            for session_id, session, shown in listed_sessions(
                known, fault, now_s=self.account.clock()
            )
            if title.lower() in shown.lower()
        }
        return {**documents, **old_sessions(old + self.account.old_sessions)}

    def _session(self, call: Call) -> None:
        session = self._find(call)
        if session.activity != call.operation.activity or not self._is_known(session):
            raise Refused("no such session", 404)
        self._answer_document(self._document(session, call.fault), call.fault)

    def _rendering(self, call: Call) -> None:
        self._ask_for_video(self._find(call), self.query, call.fault)

    def _render(self, call: Call) -> None:
        flags = {name: str(value).lower() for name, value in self._json().items()}
        session = self._find(call)
        if self._progress(session) is ProcessingProgress.READY:
            raise Refused("it is analysed already")
        self._ask_for_video(session, flags, call.fault)

    def _ask_for_video(
        self, session: SandboxSession, flags: Mapping[str, str], fault: PlannedFault
    ) -> None:
        wanted = contract.rendering_flags(session.activity)
        told = {name for name, value in flags.items() if value == "true"}
        if told != set(wanted):
            raise Refused("no session of this kind", 404)
        self.account.processing.ask_for_video(session)
        document = self._document(session, fault)
        self.answer(200, {"analyzed_video_url": document["analyzed_video_url"]})

    def _export(self, call: Call) -> None:
        session = self._find(call)
        self._answer_document(exported(session, self._document(session)), call.fault)

    def _change(self, call: Call) -> None:
        session = self._find(call)
        told = self._json()
        if not told or set(told) - {"title", "created_at"}:
            raise Refused("title or created_at is required")
        if not all(isinstance(value, str) for value in told.values()):
            raise Refused("title and created_at are texts")
        changed: dict[str, Any] = {}
        if "title" in told:
            changed["title"] = told["title"]
        if "created_at" in told:
            changed["created_at"] = _moment(str(told["created_at"]))
        self.account.book.change(session.session_id, **changed)
        self.answer(200, {"success": f"{session.session_id} was changed"})

    def _delete(self, call: Call) -> None:
        session = self._find(call)
        self.account.book.remove(session.session_id)
        if session.video_path is not None:
            session.video_path.unlink(missing_ok=True)
        self.answer(200, {"success": f"{session.session_id} was deleted"})

    def _user(self, call: Call) -> None:
        for athlete in self.account.athletes:
            if athlete.user_uid == call.parts["user_uid"]:
                self.answer(200, athlete.document())
                return
        raise Refused("no such user", 404)

    def _json(self) -> dict[str, object]:
        """Return a request's JSON object."""
        kind = self.headers.get("Content-Type", "").partition(";")[0].strip()
        try:
            told = json.loads(b"".join(self.body()))
        except ValueError:
            told = None
        if kind != "application/json" or not isinstance(told, dict):
            raise Refused("the body must be a JSON object")
        return told

    def _find(self, call: Call) -> SandboxSession:
        session = self.account.book.find(call.parts["session_id"])
        if session is None:
            raise Refused("no such session", 404)
        if not call.key.is_admins and session.user_id != call.key.uid:
            raise Refused("this session is somebody else's", 403)
        return session

    def _is_known(self, session: SandboxSession) -> bool:
        return self._progress(session) is not ProcessingProgress.UNKNOWN

    def _progress(self, session: SandboxSession) -> ProcessingProgress:
        return self.account.processing.progress(session, now_s=self.account.clock())

    def _document(
        self, session: SandboxSession, fault: PlannedFault = NO_FAULT, *, whole: bool = True
    ) -> dict[str, object]:
        document = {
            **session_document(
                session,
                link=self.account.link,
                name=self.account.name_of(session.user_id),
                whole=whole,
            ),
            **analysis_of(
                session,
                self._progress(session),
                link=self.account.link,
                fault=self.account.processing.fault_of(session),
                whole=whole,
            ),
        }
        if fault.what == "link":
            document["analyzed_video_url"] = reported_link(fault)
        return document

    def _answer_document(self, document: dict[str, object], fault: PlannedFault) -> None:
        """Answer with what is known of a session, or with more of it than anybody wants."""
        if fault.what == "long-json":
            length = int(fault.number("n", 1e9))
            self.begin_answer(200, _JSON, length)
            with contextlib.suppress(OSError):  # the client has had enough
                for part in _long_json(length):
                    self.send_part(part)
            self.close_connection = True
        elif fault.what == "deep-json":
            depth = int(fault.number("n", 1e5))
            self.answer_raw(200, b'{"metrics": ' + b"[" * depth + b"]" * depth + b"}", _JSON)
        else:
            self.answer(200, document)


def _moment(told: str) -> float:
    """Return a moment as a change of a session gives it, in UTC, as Unix time."""
    try:
        return datetime.strptime(told, _DATED).replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise Refused("created_at is written YYYY-MM-DD HH:MM:SS") from None


def _long_json(length: int) -> Iterator[bytes]:
    """Yield a document of so many bytes."""
    opening, closing, part = b'{"metrics": {}, "pad": "', b'"}', b"x" * 65536
    rest = length - len(opening) - len(closing)
    yield opening
    while rest > 0:
        yield part[:rest]
        rest -= len(part)
    yield closing
