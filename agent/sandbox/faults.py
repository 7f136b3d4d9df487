"""What can go wrong at the API, as words: `WHAT[:name=value,...][@WHERE][*COUNT]`."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from agent.sandbox.kinds import FLAGS, KINDS, PLACES, STATUS

_APART = frozenset(
    {"processing", "storage", "connection"}
)  # what happens at any place does not happen there
_LINE = "connection"  # before any request: faults of the line happen there, and no others
_FOR_EVER = 10**9
_ALWAYS = frozenset({"after"})  # options that every fault may be told


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
    fault = Fault(what, where, _count(count), options=options)
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


def _close_to(what: str) -> str:
    """Return what may have been meant, in words to begin a hint with."""
    close = get_close_matches(what, KINDS, n=1)
    return f"is {close[0]} meant?  " if close else ""


def _fits(fault: Fault, where: str, user_id: str | None) -> bool:
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


def _check_number(fault: Fault, name: str, text: str) -> None:
    try:
        fault.number(name, 0.0)
    except ValueError:
        raise ValueError(f"{text!r}: {name} must be a number") from None
