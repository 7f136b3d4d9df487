"""The API's endpoints, strict about the contract."""

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from agent.sandbox.analysed import analysis_of, told_link
from agent.sandbox.book import Session, new_session_id
from agent.sandbox.exchange import Gone
from agent.sandbox.faults import Fault
from agent.sandbox.listing import (
    listed_sessions,
    old_sessions,
    organization_status,
    session_document,
    users_page,
)
from agent.sandbox.people import ATHLETES, Key
from agent.sandbox.playing import FaultyExchange
from agent.sandbox.processing import Progress
from agent.sandbox.uploads import Received, Refused, UploadReader, check_upload

_JSON = {"Content-Type": "application/json"}
_ACTIVITY = "(?P<activity>running|jumping|weightlifting)"
_SESSION = "(?P<session_id>[A-Za-z0-9]+)"


class _Route(NamedTuple):
    method: str
    pattern: str
    place: str  # where a fault would say that it happens
    name: str


_ROUTES = (
    _Route("POST", f"/{_ACTIVITY}/(?P<management>management/)?sessions/", "upload", "upload"),
    _Route("GET", "/user-management/organization-status/", "status", "status"),
    _Route("GET", "/user-management/users/filter/", "users", "users_filter"),
    _Route("GET", "/user-management/users/(?P<uid>[A-Za-z0-9-]+)", "users", "one_user"),
    _Route("GET", "/user-management/users/", "users", "users"),
    _Route("GET", "/session-management/sessions/(filter/)?", "list", "session_list"),
    _Route(
        "GET", f"/session-management/sessions/{_SESSION}/analyzed-video/", "session", "analysed"
    ),
    _Route("PUT", f"/session-management/sessions/{_SESSION}/", "session", "rename"),
    _Route("DELETE", f"/session-management/sessions/{_SESSION}/", "session", "delete"),
    _Route("GET", f"/{_ACTIVITY}/sessions/{_SESSION}/", "session", "one_session"),
    _Route("GET", f"/{_ACTIVITY}/sessions/{_SESSION}/export/", "session", "export"),
)


class ApiExchange(FaultyExchange):
    """One exchange with the sandbox."""

    def serve(self) -> None:
        """Answer a request at one of the API's addresses."""
        for route in _ROUTES:
            match = re.fullmatch(route.pattern, self.plain_path)
            if match is not None and route.method == self.command:
                self._follow(route, {k: v or "" for k, v in match.groupdict().items()})
                return
        raise Refused("no such address", 404)

    def _follow(self, route: _Route, parts: dict[str, str]) -> None:
        fault = self.fault_at(route.place)
        if fault is not None and self.play_instead(fault):
            return
        token, form = self.key_and_form()
        key = self.account.key_named(token)
        if key is None or self.account.key_form not in {None, form}:
            raise Refused("invalid API key", 401)
        handlers: dict[str, Callable[[dict[str, str], Key, Fault | None], None]] = {
            "upload": self._upload,
            "status": lambda _parts, key, _fault: self.answer(200, organization_status(key)),
            "users": lambda *_: self.answer(200, {"users": [a.document() for a in ATHLETES]}),
            "users_filter": lambda *_: self.answer(200, users_page(self.query)),
            "one_user": self._one_user,
            "session_list": self._session_list,
            "one_session": self._one_session,
            "analysed": self._analysed,
            "rename": self._rename,
            "delete": self._delete,
            "export": self._export,
        }
        handlers[route.name](parts, key, fault)

    def _upload(self, parts: dict[str, str], key: Key, fault: Fault | None) -> None:
        on_behalf = bool(parts["management"])
        if on_behalf and key.role == "user":
            raise Refused("no privilege to send for others", 403)
        session_id = new_session_id()
        video_path = self.account.videos / f"{session_id}.mp4"
        reader = UploadReader(self.headers.get("Content-Type", ""), video_path=video_path)
        try:
            received = reader.read(self.body(fault))
            check_upload(
                received,
                activity=parts["activity"],
                on_behalf=on_behalf,
                athletes=[athlete.user_uid for athlete in ATHLETES],
            )
        except BaseException:
            video_path.unlink(missing_ok=True)
            raise
        refused = self.account.plan.take("upload", user_id=received.fields.get("user_id"))
        if refused is not None and "made" not in refused.options:
            video_path.unlink()
            self.answer_fault(refused)
            return
        self._make(self._session(session_id, received, parts["activity"], key), refused or fault)

    def _make(self, session: Session, fault: Fault | None) -> None:
        """Enter the session of an upload, and answer as well as a fault allows."""
        what = None if fault is None else fault.what
        delay_s = 0.0 if fault is None else fault.number("s", 5.0)
        if what == "late-made":
            self.abandon()
            self.stopping.wait(delay_s)
            self.account.book.add(replace(session, created_at=self.account.clock()))
            raise Gone
        self.account.processing.begin(session)
        self.account.book.add(session)
        if what == "twice":
            self.account.book.add(replace(session, session_id=new_session_id(), video_path=None))
        if what == "lost-answer" or (fault is not None and "lost" in fault.options):
            self.hang_up()
        if what == "late-answer":
            self.stopping.wait(delay_s)
        if what == "interim":
            self.answer_interim()
        if what == "truncated-json":
            self.answer_raw(200, b'{"session_id": "', {"Content-Type": "application/json"})
        elif fault is None or not self.answer_fault(fault):
            more = {"credits": 41, "links": {"self": None}} if what == "more-fields" else {}
            self.answer(200, {"session_id": session.session_id, "title": session.title, **more})

    def _session(self, session_id: str, received: Received, activity: str, key: Key) -> Session:
        fields = received.fields
        return Session(
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

    def _session_list(self, _parts: dict[str, str], _key: Key, fault: Fault | None) -> None:
        known = [s for s in self.account.book.sessions if self._is_known(s)]
        shown = listed_sessions(known, fault, now_s=self.account.clock())
        old = int(fault.number("n", 1e5)) if fault and fault.what == "long-list" else 0
        if not shown and not old:
            raise Refused("no sessions found", 404)
        documents = {
            session_id: {**self._document(session, fault, whole=False), "title": title}
            for session_id, session, title in shown
        }
        self.answer(200, {"sessions": {**documents, **old_sessions(old)}})

    def _one_session(self, parts: dict[str, str], _key: Key, fault: Fault | None) -> None:
        session = self._find(parts["session_id"])
        if session.activity != parts["activity"] or not self._is_known(session):
            raise Refused("no such session", 404)
        self._answer_document(self._document(session, fault), fault)

    def _analysed(self, parts: dict[str, str], _key: Key, fault: Fault | None) -> None:
        session = self._find(parts["session_id"])
        self.account.processing.ask_for_video(session)
        document = self._document(session, fault)
        self.answer(200, {"analyzed_video_url": document["analyzed_video_url"]})

    def _export(self, parts: dict[str, str], _key: Key, fault: Fault | None) -> None:
        document = self._document(self._find(parts["session_id"]))
        names = ("angles", "timestamps", "metrics")
        exported = {name: document.get(name, {}) for name in names}
        self._answer_document({"key_points": [], **exported}, fault)

    def _rename(self, parts: dict[str, str], _key: Key, _fault: Fault | None) -> None:
        session = self._find(parts["session_id"])
        try:
            title = str(json.loads(b"".join(self.body()))["title"])
        except (ValueError, KeyError, TypeError):
            raise Refused("title is required") from None
        self.account.book.rename(session.session_id, title)
        self.answer(200, {"session_id": session.session_id, "title": title})

    def _delete(self, parts: dict[str, str], _key: Key, _fault: Fault | None) -> None:
        session = self._find(parts["session_id"])
        self.account.book.remove(session.session_id)
        self.answer(200, {"session_id": session.session_id})

    def _one_user(self, parts: dict[str, str], _key: Key, _fault: Fault | None) -> None:
        for athlete in ATHLETES:
            if athlete.user_uid == parts["uid"]:
                self.answer(200, athlete.document())
                return
        raise Refused("no such user", 404)

    def _find(self, session_id: str) -> Session:
        session = self.account.book.find(session_id)
        if session is None:
            raise Refused("no such session", 404)
        return session

    def _is_known(self, session: Session) -> bool:
        return self._progress(session) is not Progress.UNKNOWN

    def _progress(self, session: Session) -> Progress:
        return self.account.processing.progress(session, now_s=self.account.clock())

    def _document(
        self, session: Session, fault: Fault | None = None, *, whole: bool = True
    ) -> dict[str, object]:
        document = {
            **session_document(session, link=self.account.link),
            **analysis_of(
                session,
                self._progress(session),
                link=self.account.link,
                fault=self.account.processing.fault_of(session),
                whole=whole,
            ),
        }
        if fault is not None and fault.what == "link":
            document["analyzed_video_url"] = told_link(fault)
        return document

    def _answer_document(self, document: dict[str, object], fault: Fault | None) -> None:
        """Answer with what is told of a session, or with more of it than anybody wants."""
        what = None if fault is None else fault.what
        if what == "long-json" and fault is not None:
            length = int(fault.number("n", 1e9))
            self.begin_answer(200, _JSON, length)
            with contextlib.suppress(OSError):  # the client has had enough
                for part in _long_json(length):
                    self.send_part(part)
            self.close_connection = True
        elif what == "deep-json" and fault is not None:
            depth = int(fault.number("n", 1e5))
            self.answer_raw(200, b'{"metrics": ' + b"[" * depth + b"]" * depth + b"}", _JSON)
        else:
            self.answer(200, document)


def _long_json(length: int) -> Iterator[bytes]:
    """Yield a document of so many bytes."""
    opening, closing, part = b'{"metrics": {}, "pad": "', b'"}', b"x" * 65536
    rest = length - len(opening) - len(closing)
    yield opening
    while rest > 0:
        yield part[:rest]
        rest -= len(part)
    yield closing
