"""The faults that a sandbox can inject.

What is told of a kind fits on one line; the options stand in its form, as in cut:at=PERCENT.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import NamedTuple

PLACES = (
    *("upload", "list", "filter", "status", "users", "session", "processing", "storage"),
    *("any", "connection"),
)


def written(option: tuple[str, str]) -> str:
    """Return how an option is written, from its name and what stands for its value."""
    name, value = option
    return f"{name}={value}" if value else name


class FaultKind(NamedTuple):
    """One kind of fault: what it may be told, and what it does."""

    words: str
    options: Mapping[str, str] = {}  # what stands for the value; nothing: it takes none
    where: str = "upload"  # unless it is said otherwise

    def form(self, name: str) -> str:
        """Return how it is written, with its options."""
        told = ",".join(map(written, self.options.items()))
        return f"{name}:{told}" if told else name


class FaultGroup(NamedTuple):
    """Kinds that belong together."""

    title: str
    kinds: dict[str, FaultKind]


STATUS = FaultKind(
    "an answer with this status, from 200 to 599",
    {
        "error": "WORDS",
        "code": "CODE",
        "retry-after": "SECONDS",
        "body": "html",
        "early": "",
        "made": "",
        "user": "ID",
    },
)
_STATUS_WORDS = {
    "error": "what the answer says",
    "code": "its error_code",
    "retry-after": "or date+SECONDS: the same as a date",
    "body": "a page instead of JSON",
    "early": "before the body is read, and close",
    "made": "the session is made all the same",
    "user": "only for uploads of that athlete",
}
# How each of its options is written, and what it does.
STATUS_OPTIONS = {written(option): _STATUS_WORDS[option[0]] for option in STATUS.options.items()}

GROUPS = (
    FaultGroup(
        "Another answer to an upload",
        {
            "html": FaultKind("200 with a page, as a captive portal answers"),
            "empty": FaultKind("204"),
            "truncated-json": FaultKind("the session is made, 200 with half a document"),
            "redirect": FaultKind(
                "302; to=loop: to itself; to=chain: on and on", {"to": "ADDRESS"}
            ),
            "interim": FaultKind("100, 102 and 103 come before the answer"),
            "more-fields": FaultKind("the answer has unknown fields"),
        },
    ),
    FaultGroup(
        "An answer to an upload that is lost or late",
        {
            "lost-answer": FaultKind("the session is made, no answer: connection closed"),
            "late-answer": FaultKind(
                "the session is made, the answer comes later", {"s": "SECONDS"}
            ),
            "late-made": FaultKind("no answer, and the session is made later", {"s": "SECONDS"}),
            "twice": FaultKind("two sessions are made; lost: and no answer comes", {"lost": ""}),
            "silent": FaultKind("reads everything and never answers"),
        },
    ),
    FaultGroup(
        "A line that breaks or crawls while a clip is sent",
        {
            "cut": FaultKind("closed after so much of the body", {"at": "PERCENT"}),
            "reset": FaultKind("the same, by RST", {"at": "PERCENT"}),
            "stall": FaultKind("reads so much, then nothing more: half-open", {"at": "PERCENT"}),
            "slow": FaultKind("reads so many bytes a second; 64k", {"rate": "BYTES"}),
        },
    ),
    FaultGroup(
        "The list of sessions, in which a lost one is looked for, and its filter",
        {
            "late-list": FaultKind("sessions are listed only later", {"s": "SECONDS"}, "list"),
            "limit-list": FaultKind("only the newest n are listed", {"n": "NUMBER"}, "list"),
            "oldest-list": FaultKind("only the oldest n are listed", {"n": "NUMBER"}, "list"),
            "hide-list": FaultKind("the list is empty", where="list"),
            "long-list": FaultKind("n old sessions more are listed", {"n": "NUMBER"}, "list"),
            "strip-titles": FaultKind("brackets and what is in them are gone", where="list"),
            "short-titles": FaultKind("titles are cut to n signs", {"n": "NUMBER"}, "list"),
            "blind-filter": FaultKind("the filter finds nothing, ever", where="filter"),
            "open-filter": FaultKind("the filter lets everything pass", where="filter"),
        },
    ),
    FaultGroup(
        "A session and its analysis",
        {
            "never-done": FaultKind("a new session stays in the works", where="processing"),
            "failed": FaultKind(
                "the analysis of a new one fails", {"error": "WORDS"}, "processing"
            ),
            "no-rendering": FaultKind(
                "metrics, and a video only when asked for", where="processing"
            ),
            "late-session": FaultKind(
                "a new one is found only later", {"s": "SECONDS"}, "processing"
            ),
            "odd-metrics": FaultKind("unknown metrics of every kind", where="processing"),
            "link": FaultKind(
                "the video's link is that", {"to": "ADDRESS", "json": "VALUE"}, "session"
            ),
            "long-json": FaultKind(
                "the answer is one document of n bytes", {"n": "NUMBER"}, "session"
            ),
            "deep-json": FaultKind("the answer is nested n deep", {"n": "NUMBER"}, "session"),
        },
    ),
    FaultGroup(
        "The analysed video",
        {
            "huge": FaultKind("n bytes, as declared", {"n": "NUMBER"}, "storage"),
            "endless": FaultKind("it has no end", where="storage"),
            "disguised": FaultKind("a page that is called a video", where="storage"),
            "packed": FaultKind("n bytes of nothing, packed small", {"n": "NUMBER"}, "storage"),
            "wrong-length": FaultKind(
                "n more bytes are declared than sent; n=-9: fewer", {"n": "NUMBER"}, "storage"
            ),
            "no-ranges": FaultKind("the whole video, whatever part is asked for", where="storage"),
            "changed": FaultKind("it is not the one it was a moment ago", where="storage"),
        },
    ),
    FaultGroup(
        "The connection (the certificates with --tls)",
        {
            "drop": FaultKind("closed at once, by RST", where="connection"),
            "tls-expired": FaultKind("its certificate has expired", where="connection"),
            "tls-not-yet": FaultKind("its certificate is not valid yet", where="connection"),
            "tls-unknown-ca": FaultKind("its authority is unknown", where="connection"),
            "tls-wrong-host": FaultKind("its certificate is another host's", where="connection"),
        },
    ),
)
KINDS = {name: kind for group in GROUPS for name, kind in group.kinds.items()}
FLAGS = frozenset(  # options without a value
    option
    for kind in (STATUS, *KINDS.values())
    for option, value in kind.options.items()
    if not value
)


_APART = frozenset(
    {"processing", "storage", "connection"}
)  # what happens at any place does not happen there
_LINE = "connection"  # before any request: faults of the line happen there, and no others
_FOR_EVER = 10**9
_ALWAYS = frozenset({"after"})  # options that every fault may be told


@dataclass(slots=True)
class PlannedFault:
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


def parse_fault(text: str) -> PlannedFault:
    """Return the fault that a text describes.

    Raises:
        ValueError: it describes none; the message says what would be right.
    """
    rest, _, count = text.partition("*")
    rest, _, where = rest.partition("@")
    what, _, told = rest.partition(":")
    options = dict(_option(part, text) for part in told.split(",") if part)
    kind = STATUS if what.isdigit() and 200 <= int(what) <= 599 else KINDS.get(what)
    if kind is None:
        raise ValueError(f"no fault {text!r}: {_close_to(what)}spotter sandbox --help lists them")
    allowed = _ALWAYS.union(kind.options)
    if unknown := sorted(set(options) - allowed):
        raise ValueError(f"{text!r}: no option {unknown[0]}; known: {', '.join(sorted(allowed))}")
    where = where or kind.where
    places = [place for place in PLACES if (place == _LINE) == (kind.where == _LINE)]
    if where not in places:
        raise ValueError(f"{text!r}: no place {where!r} for it; one of {', '.join(places)}")
    if count and count != "always" and not (count.isdigit() and int(count) > 0):
        raise ValueError(f"{text!r}: a count is a number or 'always'")
    fault = PlannedFault(what, where, _count(count), options=options)
    for name in ("at", "rate", "s", "n", "after"):
        _check_number(fault, name, text)
    fault.after = int(fault.number("after", 0))
    return fault


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

    def take(self, where: str, *, user_id: str | None = None) -> PlannedFault | None:
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


def _close_to(what: str) -> str:
    """Return what may have been meant, in words to begin a hint with."""
    close = get_close_matches(what, KINDS, n=1)
    return f"is {close[0]} meant?  " if close else ""


def _fits(fault: PlannedFault, where: str, user_id: str | None) -> bool:
    if fault.options.get("user") != user_id:
        return False
    return fault.where == where or (fault.where == "any" and where not in _APART)


def _option(part: str, text: str) -> tuple[str, str]:
    name, separator, value = part.partition("=")
    if not separator and name not in FLAGS:
        raise ValueError(f"{text!r}: options are name=value")
    return name.strip(), value


def _count(text: str) -> int:
    if not text:
        return 1
    return _FOR_EVER if text == "always" else int(text)


def _check_number(fault: PlannedFault, name: str, text: str) -> None:
    try:
        fault.number(name, 0.0)
    except ValueError:
        raise ValueError(f"{text!r}: {name} must be a number") from None
