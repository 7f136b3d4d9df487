"""The API's endpoints, strict about the contract."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from agent.api import contract
from agent.api.contract import Operation
from agent.sandbox.analysed import analysis_of, exported, told_link
from agent.sandbox.book import Session, new_session_id
from agent.sandbox.exchange import Gone
from agent.sandbox.faults import Fault
from agent.sandbox.listing import (
    Document,
    listed_sessions,
    matching,
    old_sessions,
    oldest_of,
    organization_status,
    session_document,
    users_page,
)
from agent.sandbox.people import Key
from agent.sandbox.playing import FaultyExchange
from agent.sandbox.processing import Progress
from agent.sandbox.uploads import Received, Refused, UploadReader, check_upload

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


class ApiExchange(FaultyExchange):
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
            raise Gone
        return path.rstrip("/")

    def _follow(self, operation: Operation, parts: dict[str, str]) -> None:
        fault = self._fault_of(operation)
        if fault is not None and self.play_instead(fault):
            return
        key = self._key(operation)
        handlers: dict[str, Callable[[Operation, dict[str, str], Key, Fault | None], None]] = {
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
        handlers[operation.name](operation, parts, key, fault)

    def _fault_of(self, operation: Operation) -> Fault | None:
        """Return the fault to be played; what is wrong with the list is wrong with its filter."""
        place = _PLACES.get(operation.name, "session")
        fault = self.fault_at(place)
        return self.fault_at("list") if fault is None and place == "filter" else fault

    def _key(self, operation: Operation) -> Key:
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

    def _organization(
        self, _: Operation, _parts: dict[str, str], key: Key, _fault: Fault | None
    ) -> None:
        count = len(self.account.book.sessions) + self.account.old_sessions
        document = organization_status(key, sessions=count, plan=self.account.plan_name)
        self.answer(200, document)

    def _users(self, _: Operation, _parts: dict[str, str], _key: Key, _fault: Fault | None) -> None:
        self.answer(200, {"users": [one.document() for one in self.account.athletes]})

    def _find_users(
        self, _: Operation, _parts: dict[str, str], _key: Key, _fault: Fault | None
    ) -> None:
        self.answer(200, users_page(self.account.athletes, self.query))

    def _upload(
        self, operation: Operation, _parts: dict[str, str], key: Key, fault: Fault | None
    ) -> None:
        activity = operation.activity
        session_id = new_session_id()
        video_path = self.account.videos / f"{session_id}.mp4"
        reader = UploadReader(self.headers.get("Content-Type", ""), video_path=video_path)
        try:
            received = reader.read(self.body(fault))
            check_upload(
                received,
                activity=activity,
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
        self._make(self._made(session_id, received, activity, key), refused or fault)

    def _check_limit(self, user_id: str) -> None:
        """Refuse a session more than the plan has."""
        limit = self.account.plan_limit
        sessions = self.account.book.sessions
        if self.account.limit_is_per_user:
            sessions = [session for session in sessions if session.user_id == user_id]
        if limit is not None and len(sessions) >= limit:
            words = "the number of sessions of this plan is used up"
            raise Refused(words, 404, code="SESSION_LIMIT")

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

    def _made(self, session_id: str, received: Received, activity: str, key: Key) -> Session:
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

    def _sessions(
        self, _: Operation, _parts: dict[str, str], _key: Key, fault: Fault | None
    ) -> None:
        documents = oldest_of(self._listed(fault), fault)
        if not documents:
            raise Refused("no sessions found", 404)
        self.answer(200, {"sessions": documents})

    def _find_sessions(
        self, _: Operation, _parts: dict[str, str], _key: Key, fault: Fault | None
    ) -> None:
        what = None if fault is None else fault.what
        query = {} if what == "open-filter" else self.query
        documents = self._listed(fault, title=query.get("title", ""))
        count, page = matching({} if what == "blind-filter" else documents, query)
        if not page:
            raise Refused("no sessions match", 404)
        ids = list(page)
        first_and_last = {"first_doc_id": ids[0], "last_doc_id": ids[-1]}
        self.answer(200, {"query_count": count, "sessions": page, **first_and_last})

    def _listed(self, fault: Fault | None, *, title: str = "") -> dict[str, Document]:
        """Return what the list shows, newest first; of the account's own, those of a title."""
        known = [s for s in self.account.book.sessions if self._is_known(s)]
        old = int(fault.number("n", 1e5)) if fault and fault.what == "long-list" else 0
        documents = {
            session_id: {**self._document(session, fault, whole=False), "title": shown}
            for session_id, session, shown in listed_sessions(
                known, fault, now_s=self.account.clock()
            )
            if title.lower() in shown.lower()
        }
        return {**documents, **old_sessions(old + self.account.old_sessions)}

    def _session(
        self, operation: Operation, parts: dict[str, str], key: Key, fault: Fault | None
    ) -> None:
        session = self._find(parts["session_id"], key)
        if session.activity != operation.activity or not self._is_known(session):
            raise Refused("no such session", 404)
        self._answer_document(self._document(session, fault), fault)

    def _rendering(
        self, _: Operation, parts: dict[str, str], key: Key, fault: Fault | None
    ) -> None:
        self._ask_for_video(parts["session_id"], key, self.query, fault)

    def _render(self, _: Operation, parts: dict[str, str], key: Key, fault: Fault | None) -> None:
        told = self._json()
        flags = {name: str(value).lower() for name, value in told.items()}
        session = self._find(parts["session_id"], key)
        if self._progress(session) is Progress.READY:
            raise Refused("it is analysed already")
        self._ask_for_video(parts["session_id"], key, flags, fault)

    def _ask_for_video(
        self, session_id: str, key: Key, flags: Mapping[str, str], fault: Fault | None
    ) -> None:
        session = self._find(session_id, key)
        wanted = contract.rendering_flags(session.activity)
        told = {name for name, value in flags.items() if value == "true"}
        if told != set(wanted):
            raise Refused("no session of this kind", 404)
        self.account.processing.ask_for_video(session)
        document = self._document(session, fault)
        self.answer(200, {"analyzed_video_url": document["analyzed_video_url"]})

    def _export(self, _: Operation, parts: dict[str, str], key: Key, fault: Fault | None) -> None:
        session = self._find(parts["session_id"], key)
        self._answer_document(exported(session, self._document(session)), fault)

    def _change(self, _: Operation, parts: dict[str, str], key: Key, _fault: Fault | None) -> None:
        session = self._find(parts["session_id"], key)
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

    def _delete(self, _: Operation, parts: dict[str, str], key: Key, _fault: Fault | None) -> None:
        session = self._find(parts["session_id"], key)
        self.account.book.remove(session.session_id)
        if session.video_path is not None:
            session.video_path.unlink(missing_ok=True)
        self.answer(200, {"success": f"{session.session_id} was deleted"})

    def _user(self, _: Operation, parts: dict[str, str], _key: Key, _fault: Fault | None) -> None:
        for athlete in self.account.athletes:
            if athlete.user_uid == parts["user_uid"]:
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

    def _find(self, session_id: str, key: Key) -> Session:
        session = self.account.book.find(session_id)
        if session is None:
            raise Refused("no such session", 404)
        if not key.is_admins and session.user_id != key.uid:
            raise Refused("this session is somebody else's", 403)
        return session

    def _is_known(self, session: Session) -> bool:
        return self._progress(session) is not Progress.UNKNOWN

    def _progress(self, session: Session) -> Progress:
        return self.account.processing.progress(session, now_s=self.account.clock())

    def _document(
        self, session: Session, fault: Fault | None = None, *, whole: bool = True
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


def _moment(told: str) -> float:
    """Return a moment as a change of a session tells it, in UTC, as Unix time."""
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
