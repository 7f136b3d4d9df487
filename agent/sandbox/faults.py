"""What can go wrong at the API, as words: `WHAT[:name=value,...][@WHERE][*COUNT]`."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

PLACES = ("upload", "list", "status", "users", "session", "any")
_FOR_EVER = 10**9

# What each fault may be told; a bare number is an HTTP status.
_STATUS_OPTIONS = frozenset({"retry-after", "error", "body", "early", "made"})
_KINDS: dict[str, frozenset[str]] = {
    "lost-answer": frozenset(),  # session made, connection closed without an answer
    "cut": frozenset({"at"}),  # closed after that percentage of the body
    "reset": frozenset({"at"}),  # the same, by RST
    "silent": frozenset(),  # never answers
    "slow": frozenset({"rate"}),  # reads so many bytes a second
    "html": frozenset(),  # 200 with a page, as a captive portal answers
    "empty": frozenset(),  # 204
    "truncated-json": frozenset(),  # 200 with half a document, session made
    "redirect": frozenset(),  # 302
    "late-list": frozenset({"s"}),  # sessions are listed only so many seconds later
    "limit-list": frozenset({"n"}),  # only the newest n are listed
    "hide-list": frozenset(),  # an empty list
    "strip-titles": frozenset(),  # brackets and what stands in them are gone
    "short-titles": frozenset({"n"}),  # titles are cut
}
_LIST_FAULTS = frozenset({"late-list", "limit-list", "hide-list", "strip-titles", "short-titles"})


@dataclass(slots=True)
class Fault:
    """One fault, to be played `count` times at `where`."""

    what: str
    where: str
    count: int
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
    if what.isdigit() and 200 <= int(what) <= 599:
        allowed = _STATUS_OPTIONS
    elif what in _KINDS:
        allowed = _KINDS[what]
    else:
        raise ValueError(f"no fault {text!r}: a status or one of {', '.join(_KINDS)}")
    if unknown := sorted(set(options) - allowed):
        raise ValueError(f"{text!r}: no option {unknown[0]}; known: {', '.join(sorted(allowed))}")
    where = where or ("list" if what in _LIST_FAULTS else "upload")
    if where not in PLACES:
        raise ValueError(f"{text!r}: no place {where!r}; one of {', '.join(PLACES)}")
    if count and count != "always" and not (count.isdigit() and int(count) > 0):
        raise ValueError(f"{text!r}: a count is a number or 'always'")
    fault = Fault(what, where, _count(count), options)
    for name in ("at", "rate", "s", "n"):
        _check_number(fault, name, text)
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

    def take(self, where: str) -> Fault | None:
        """Return the fault to be played now at a place, counting it."""
        with self._lock:
            for fault in self._waiting:
                if fault.where in {where, "any"}:
                    fault.count -= 1
                    if fault.count <= 0:
                        self._waiting.remove(fault)
                    return fault
        return None


def _option(part: str, text: str) -> tuple[str, str]:
    name, separator, value = part.partition("=")
    if not separator and name not in {"early", "made"}:
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
