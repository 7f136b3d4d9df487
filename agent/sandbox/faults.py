"""What can go wrong at the API, as words: `WHAT[:name=value,...][@WHERE][*COUNT]`."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

PLACES = (
    *("upload", "list", "status", "users", "session", "processing", "storage"),
    *("any", "connection"),
)
_APART = frozenset(
    {"processing", "storage", "connection"}
)  # what happens at any place does not happen there
_FOR_EVER = 10**9
_FLAGS = frozenset({"early", "made", "lost"})  # options without a value
_ALWAYS = frozenset({"after"})  # options that every fault may be told


class Kind(NamedTuple):
    """One kind of fault: what it may be told, and what it does."""

    words: str
    options: frozenset[str] = frozenset()
    where: str = "upload"  # unless it is said otherwise


_STATUS = Kind(
    "answer with this status (200 to 599) instead; early: before the body is read, and close; "
    "made: the session is made all the same; body=html; error=WORDS; retry-after=SECONDS, or "
    "date+SECONDS for the same as a date; user=ID: only for that athlete's uploads",
    frozenset({"retry-after", "error", "body", "early", "made", "user"}),
)
KINDS: dict[str, Kind] = {
    "lost-answer": Kind("the session is made, the connection closed without an answer"),
    "late-answer": Kind("the session is made, the answer comes s seconds later", frozenset({"s"})),
    "late-made": Kind("no answer, and the session is made s seconds after that", frozenset({"s"})),
    "twice": Kind("two sessions are made; lost: and no answer comes", frozenset({"lost"})),
    "cut": Kind("closed after at percent of the body", frozenset({"at"})),
    "reset": Kind("the same, by RST", frozenset({"at"})),
    "stall": Kind(
        "reads at percent of the body, then nothing more: a half-open connection",
        frozenset({"at"}),
    ),
    "silent": Kind("reads everything and never answers"),
    "slow": Kind("reads rate bytes a second", frozenset({"rate"})),
    "html": Kind("200 with a page, as a captive portal answers"),
    "empty": Kind("204"),
    "truncated-json": Kind("the session is made, 200 with half a document"),
    "redirect": Kind(
        "302; to=ADDRESS: there; to=loop: to itself; to=chain: on and on", frozenset({"to"})
    ),
    "interim": Kind("100, 102 and 103 come before the answer"),
    "more-fields": Kind("the answer holds fields that nobody knows"),
    "late-list": Kind("sessions are listed only s seconds later", frozenset({"s"}), "list"),
    "limit-list": Kind("only the newest n are listed", frozenset({"n"}), "list"),
    "hide-list": Kind("the list is empty", where="list"),
    "long-list": Kind("n old sessions more are listed", frozenset({"n"}), "list"),
    "strip-titles": Kind("brackets and what stands in them are gone", where="list"),
    "short-titles": Kind("titles are cut to n signs", frozenset({"n"}), "list"),
    "link": Kind(
        "the analysed video's link is to=ADDRESS, or json=VALUE of any kind",
        frozenset({"to", "json"}),
        "session",
    ),
    "long-json": Kind("the answer is one document of n bytes", frozenset({"n"}), "session"),
    "deep-json": Kind("the answer is nested n deep", frozenset({"n"}), "session"),
    "never-done": Kind("a new session stays in the works for ever", where="processing"),
    "failed": Kind(
        "the analysis of a new session fails; error=WORDS", frozenset({"error"}), "processing"
    ),
    "no-rendering": Kind(
        "metrics come, but no analysed video before its own address was asked", where="processing"
    ),
    "late-session": Kind(
        "a new session is found and listed only s seconds later", frozenset({"s"}), "processing"
    ),
    "odd-metrics": Kind("metrics of every kind that nobody knows", where="processing"),
    "huge": Kind("a video of n bytes, as is told", frozenset({"n"}), "storage"),
    "endless": Kind("a video without an end", where="storage"),
    "disguised": Kind("a page that is called a video", where="storage"),
    "packed": Kind("n bytes of nothing, packed small", frozenset({"n"}), "storage"),
    "wrong-length": Kind(
        "n bytes more are told than come, or fewer (n=-1000)", frozenset({"n"}), "storage"
    ),
    "no-ranges": Kind("the whole video, whatever part is asked for", where="storage"),
    "changed": Kind("the video is not the one it was a moment ago", where="storage"),
    "drop": Kind("closed at once, by RST", where="connection"),
    "tls-expired": Kind("its certificate has expired (with --tls)", where="connection"),
    "tls-not-yet": Kind("its certificate is not valid yet (with --tls)", where="connection"),
    "tls-unknown-ca": Kind("nobody knows its authority (with --tls)", where="connection"),
    "tls-wrong-host": Kind("its certificate is another host's (with --tls)", where="connection"),
}


@dataclass(slots=True)
class Fault:
    """One fault, to be played `count` times at `where`."""

    what: str
    where: str
    count: int  # how often it is played
    after: int = 0  # how many may pass before
    options: dict[str, str] = field(default_factory=dict)

    @property
    def status(self) -> int | None:
        """The HTTP status, where the fault is one."""
        return int(self.what) if self.what.isdigit() else None

    def number(self, name: str, otherwise: float) -> float:
        """Return a numeric option; a trailing k or M multiplies."""
        text = self.options.get(name)
        if text is None:
            return otherwise
        factor = {"k": 1e3, "M": 1e6}.get(text[-1:], 1.0)
        return float(text.rstrip("kM")) * factor


def parse_fault(text: str) -> Fault:
    """Return the fault that a text describes.

    Raises:
        ValueError: it describes none; the message says what would be right.
    """
    rest, _, count = text.partition("*")
    rest, _, where = rest.partition("@")
    what, _, told = rest.partition(":")
    options = dict(_option(part, text) for part in told.split(",") if part)
    kind = _STATUS if what.isdigit() and 200 <= int(what) <= 599 else KINDS.get(what)
    if kind is None:
        raise ValueError(f"no fault {text!r}: a status or one of {', '.join(KINDS)}")
    allowed = kind.options | _ALWAYS
    if unknown := sorted(set(options) - allowed):
        raise ValueError(f"{text!r}: no option {unknown[0]}; known: {', '.join(sorted(allowed))}")
    where = where or kind.where
    if where not in PLACES or (kind.where == "connection") != (where == "connection"):
        raise ValueError(f"{text!r}: no place {where!r}; one of {', '.join(PLACES)}")
    if count and count != "always" and not (count.isdigit() and int(count) > 0):
        raise ValueError(f"{text!r}: a count is a number or 'always'")
    fault = Fault(what, where, _count(count), options=options)
    for name in ("at", "rate", "s", "n", "after"):
        _check_number(fault, name, text)
    fault.after = int(fault.number("after", 0))
    return fault


def fault_lines() -> list[tuple[str, str]]:
    """Return every fault with its options, and what it does."""
    lines = []
    for name, kind in (("STATUS", _STATUS), *KINDS.items()):
        options = ",".join(o if o in _FLAGS else f"{o}=" for o in sorted(kind.options))
        lines.append((f"{name}:{options}" if options else name, kind.words))
    return lines


class FaultPlan:
    """The faults that wait to be played; safe from any thread."""

    def __init__(self, faults: Sequence[str] = ()) -> None:
        self._lock = threading.Lock()
        self._waiting = [parse_fault(text) for text in faults]

    def add(self, text: str) -> None:
        """Let one more fault wait."""
        fault = parse_fault(text)
        with self._lock:
            self._waiting.append(fault)

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._waiting.clear()

    def take(self, where: str, *, user_id: str | None = None) -> Fault | None:
        """Return the fault to be played now at a place, counting it.

        Args:
            where: one of the places.
            user_id: whose upload it is, once that was read: for the faults of one athlete alone.
        """
        with self._lock:
            for fault in self._waiting:
                if not _fits(fault, where, user_id):
                    continue
                if fault.after > 0:
                    fault.after -= 1
                    continue
                fault.count -= 1
                if fault.count <= 0:
                    self._waiting.remove(fault)
                return fault
        return None


def _fits(fault: Fault, where: str, user_id: str | None) -> bool:
    if fault.options.get("user") != user_id:
        return False
    return fault.where == where or (fault.where == "any" and where not in _APART)


def _option(part: str, text: str) -> tuple[str, str]:
    name, separator, value = part.partition("=")
    if not separator and name not in _FLAGS:
        raise ValueError(f"{text!r}: options are name=value")
    return name.strip(), value


def _count(text: str) -> int:
    if not text:
        return 1
    return _FOR_EVER if text == "always" else int(text)


def _check_number(fault: Fault, name: str, text: str) -> None:
    try:
        fault.number(name, 0.0)
    except ValueError:
        raise ValueError(f"{text!r}: {name} must be a number") from None
