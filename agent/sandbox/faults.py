"""The faults that a sandbox can inject.

The description of a kind fits on one line; its form shows the options, as in cut:at=PERCENT.
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


class FaultKind(NamedTuple):
    """One kind of fault: its options, and what it does."""

    words: str
    options: Mapping[str, str] = {}  # the placeholder of each value; empty: a flag
    where: str = "upload"  # unless PLACE is given

    def form(self, name: str) -> str:
        """Return how it is written, with its options."""
        told = ",".join(f"{key}={value}" if value else key for key, value in self.options.items())
        return f"{name}:{told}" if told else name


class FaultGroup(NamedTuple):
    """Kinds that belong together."""

    title: str
    kinds: dict[str, FaultKind]


# How each option of a status is written, and what it does.
STATUS_OPTIONS = {
    "error=WORDS": "the error message in the response",
    "code=CODE": "the error_code in the response",
    "retry-after=SECONDS": "Retry-After header; date+SECONDS: as a date",
    "body=html": "HTML instead of JSON",
    "early": "respond before the body is read, then close",
    "made": "the session is created nevertheless",
    "user=ID": "only for uploads of this athlete",
}
STATUS = FaultKind(
    "a response with this status, from 200 to 599",
    {name: value for name, _, value in (option.partition("=") for option in STATUS_OPTIONS)},
)

GROUPS = (
    FaultGroup(
        "Unexpected responses to an upload",
        {
            "html": FaultKind("200 with HTML, like a captive portal"),
            "empty": FaultKind("204 without a body"),
            "truncated-json": FaultKind("the session is created; 200 with half of the JSON"),
            "redirect": FaultKind(
                "302; to=loop: to itself; to=chain: endlessly", {"to": "ADDRESS"}
            ),
            "interim": FaultKind("100, 102 and 103 precede the response"),
            "more-fields": FaultKind("the response has unknown fields"),
        },
    ),
    FaultGroup(
        "Lost or late responses to an upload",
        {
            "lost-answer": FaultKind("the session is created; closed without a response"),
            "late-answer": FaultKind(
                "the session is created; the response is delayed", {"s": "SECONDS"}
            ),
            "late-made": FaultKind("no response; the session is created later", {"s": "SECONDS"}),
            "twice": FaultKind("two sessions are created; lost: without a response", {"lost": ""}),
            "silent": FaultKind("reads everything and never responds"),
        },
    ),
    FaultGroup(
        "Broken or slow connections during an upload",
        {
            "cut": FaultKind("closed after this share of the body", {"at": "PERCENT"}),
            "reset": FaultKind("the same, with RST", {"at": "PERCENT"}),
            "stall": FaultKind("stops reading after this share, stays open", {"at": "PERCENT"}),
            "slow": FaultKind("reads this many bytes a second, such as 64k", {"rate": "BYTES"}),
        },
    ),
    FaultGroup(
        "The list of sessions, and its filter",
        {
            "late-list": FaultKind("new sessions are listed late", {"s": "SECONDS"}, "list"),
            "limit-list": FaultKind("only the newest n are listed", {"n": "NUMBER"}, "list"),
            "oldest-list": FaultKind("only the oldest n are listed", {"n": "NUMBER"}, "list"),
            "hide-list": FaultKind("the list is empty", where="list"),
            "long-list": FaultKind("n more old sessions are listed", {"n": "NUMBER"}, "list"),
            "strip-titles": FaultKind("titles lose brackets and their content", where="list"),
            "short-titles": FaultKind("titles are cut to n characters", {"n": "NUMBER"}, "list"),
            "blind-filter": FaultKind("the filter never finds anything", where="filter"),
            "open-filter": FaultKind("the filter is ignored", where="filter"),
        },
    ),
    FaultGroup(
        "A session and its analysis",
        {
            "never-done": FaultKind("the analysis of a new session never ends", where="processing"),
            "failed": FaultKind(
                "the analysis of a new session fails", {"error": "WORDS"}, "processing"
            ),
            "no-rendering": FaultKind("metrics; a video only on request", where="processing"),
            "late-session": FaultKind(
                "a new session is 404 at first", {"s": "SECONDS"}, "processing"
            ),
            "odd-metrics": FaultKind("unknown metrics of all types", where="processing"),
            "link": FaultKind(
                "the video link is this", {"to": "ADDRESS", "json": "VALUE"}, "session"
            ),
            "long-json": FaultKind("the response has n bytes", {"n": "NUMBER"}, "session"),
            "deep-json": FaultKind("the response is n levels deep", {"n": "NUMBER"}, "session"),
        },
    ),
    FaultGroup(
        "The analysed video",
        {
            "huge": FaultKind("n bytes, as declared in its length", {"n": "NUMBER"}, "storage"),
            "endless": FaultKind("never ends", where="storage"),
            "disguised": FaultKind("HTML with the content type of a video", where="storage"),
            "packed": FaultKind("n bytes of zeros, compressed", {"n": "NUMBER"}, "storage"),
            "wrong-length": FaultKind(
                "n more bytes are declared than sent; n=-9: fewer", {"n": "NUMBER"}, "storage"
            ),
            "no-ranges": FaultKind("ignores Range and sends the whole video", where="storage"),
            "changed": FaultKind("the file changes between requests", where="storage"),
        },
    ),
    FaultGroup(
        "The connection (the certificates with --tls)",
        {
            "drop": FaultKind("closed at once, with RST", where="connection"),
            "tls-expired": FaultKind("expired certificate", where="connection"),
            "tls-not-yet": FaultKind("certificate not valid yet", where="connection"),
            "tls-unknown-ca": FaultKind("unknown certificate authority", where="connection"),
            "tls-wrong-host": FaultKind("certificate of another host", where="connection"),
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
_LINE = "connection"  # before any request: connection faults happen there, and no others
_FOR_EVER = 10**9
_ALWAYS = frozenset({"after"})  # options of every fault


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


NO_FAULT = PlannedFault(what="", where="", count=0)  # where all goes as it should


def parse_fault(text: str) -> PlannedFault:
    """Return the fault that a text describes.

    Raises:
        ValueError: it is not a fault; the message says what is expected.
    """
    rest, _, count = text.partition("*")
    rest, _, where = rest.partition("@")
    what, _, told = rest.partition(":")
    options = dict(_option(part, text) for part in told.split(",") if part)
    kind = STATUS if what.isdigit() and 200 <= int(what) <= 599 else KINDS.get(what)
    if kind is None:
        raise ValueError(f"unknown fault {text!r}: {_close_to(what)}see spotter sandbox --help")
    allowed = _ALWAYS.union(kind.options)
    if unknown := sorted(set(options) - allowed):
        raise ValueError(
            f"{text!r}: option {unknown[0]} is not one of {', '.join(sorted(allowed))}"
        )
    where = where or kind.where
    places = [place for place in PLACES if (place == _LINE) == (kind.where == _LINE)]
    if where not in places:
        raise ValueError(f"{text!r}: place {where!r} is not one of {', '.join(places)}")
    if count and count != "always" and not (count.isdigit() and int(count) > 0):
        raise ValueError(f"{text!r}: the count must be a number or 'always'")
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
