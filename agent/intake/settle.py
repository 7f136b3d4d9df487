"""When a file is complete: unchanged for a while, and closed by its writer.  Pure.

Time comes in, file facts come in; nothing here touches a disk or a clock.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from agent.clock import Instant
from agent.outbox.capture import Evidence, FileFacts

_NS = 1e-9
_RECENT_S = 120.0  # a modification time this close before now is taken for the last growth
_MOST_SAMPLES = 24  # of a file's growth


Growth = tuple[tuple[Instant, int], ...]


class WriterState(Enum):
    """What is known of whoever writes a file."""

    OPEN = auto()  # a writer has it open
    CLOSED = auto()  # no writer has it open, or its index covers it
    UNKNOWN = auto()  # the file system does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """What was noticed of one file since it was last looked at."""

    appeared: Instant | None = None  # its name came into the folder
    born: bool = False  # ... by being created there, not by being moved in
    changed: Instant | None = None  # its last change
    closed: bool = False  # closed by a writer, or moved in, after that change
    grown: Growth = ()  # when it had how many bytes

    def then(self, later: "Hint") -> "Hint":
        """Return both hints as one."""
        return Hint(
            appeared=self.appeared or later.appeared,
            born=self.born or later.born,
            changed=later.changed or self.changed,
            closed=later.closed or (self.closed and later.changed is None),
            grown=thinned((*self.grown, *later.grown)),
        )


NOTHING = Hint()


def thinned(growth: Growth) -> Growth:
    """Return a growth in few samples, the first and the last among them."""
    while len(growth) > _MOST_SAMPLES:
        growth = (*growth[:-1:2], growth[-1])
    return growth


@dataclass(slots=True)
class _Tracked:
    """A file that is not settled yet."""

    facts: FileFacts
    unchanged_since_s: float  # monotonic
    appeared: Instant
    grew_until: Instant | None
    growth: Growth
    closed: bool
    look_again_s: float  # monotonic: not before then


class Settler:
    """The files of the capture folder on their way to being complete."""

    def __init__(self, *, settle_s: float, settle_unseen_s: float) -> None:
        self._settle_s = settle_s
        self._settle_unseen_s = settle_unseen_s
        self._files: dict[Path, _Tracked] = {}

    def __len__(self) -> int:
        return len(self._files)

    def observe(
        self, path: Path, facts: FileFacts, hint: Hint, *, now: Instant, monotonic_s: float
    ) -> None:
        """Take note of how a file is now and of what was noticed since the last time."""
        known = self._files.get(path)
        if known is None or known.facts.inode != facts.inode:
            self._files[path] = self._first_sight(facts, hint, now, monotonic_s)
            return
        if facts != known.facts:
            if facts.size_bytes > known.facts.size_bytes:
                known.grew_until = hint.changed or _last_write(facts, now)
                grown = (*hint.grown, (known.grew_until, facts.size_bytes))
                known.growth = _rising((*known.growth, *grown))
            known.facts = facts
            known.unchanged_since_s = monotonic_s
            known.look_again_s = monotonic_s + self._settle_s
            known.closed = False
        if hint.closed:
            known.closed = True
        elif hint.changed is not None:
            known.closed = False

    def forget(self, path: Path) -> None:
        """Drop a file that is gone or was taken in."""
        self._files.pop(path, None)

    def keep_only(self, present: Iterable[Path]) -> None:
        """Drop every file that a scan no longer found."""
        there = set(present)
        for path in [path for path in self._files if path not in there]:
            self.forget(path)

    def ripe(self, monotonic_s: float, *, most: int | None = None) -> list[Path]:
        """Return the files that are quiet long enough to be asked about their writer.

        The oldest come first; at most `most` of them, where that is given.
        """
        found = (path for path, t in self._files.items() if monotonic_s >= t.look_again_s)
        limit = len(self._files) if most is None else most
        return heapq.nsmallest(limit, found, key=lambda p: (self._files[p].facts.mtime_ns, p))

    def is_settled(self, path: Path, writer: WriterState, *, monotonic_s: float) -> bool:
        """Tell whether a ripe file is complete; if not, it becomes ripe again later."""
        tracked = self._files[path]
        quiet_s = monotonic_s - tracked.unchanged_since_s
        closed = tracked.closed or writer is WriterState.CLOSED
        wait_s = self._settle_s if closed and tracked.facts.size_bytes else self._settle_unseen_s
        if quiet_s >= wait_s and writer is not WriterState.OPEN:
            return True
        self.look_again(path, after_s=max(self._settle_s, 1.0), monotonic_s=monotonic_s)
        return False

    def look_again(self, path: Path, *, after_s: float, monotonic_s: float) -> None:
        """Let a file be ripe again after a while."""
        if path in self._files:
            self._files[path].look_again_s = monotonic_s + after_s

    def next_look_s(self) -> float | None:
        """Return the monotonic time at which the next file becomes ripe, or None."""
        return min((tracked.look_again_s for tracked in self._files.values()), default=None)

    def facts(self, path: Path) -> FileFacts:
        """Return a tracked file's facts as last observed."""
        return self._files[path].facts

    def evidence(self, path: Path) -> Evidence:
        """Return what was seen of a tracked file's recording time."""
        tracked = self._files[path]
        return Evidence(
            grew_until=tracked.grew_until,
            appeared=tracked.appeared,
            mtime_s=tracked.facts.mtime_ns * _NS,
            growth=tracked.growth if tracked.grew_until is not None else (),
        )

    def _first_sight(
        self, facts: FileFacts, hint: Hint, now: Instant, monotonic_s: float
    ) -> _Tracked:
        grew_until = None
        growth: Growth = ((hint.appeared or now, facts.size_bytes),)
        if hint.born:
            growth = ((hint.appeared or now, 0), *hint.grown)
        if hint.born and facts.size_bytes > 0:
            grew_until = hint.changed or hint.appeared
            if grew_until is not None:
                growth = (*growth, (grew_until, facts.size_bytes))
        return _Tracked(
            facts=facts,
            unchanged_since_s=monotonic_s,
            appeared=hint.appeared or now,
            grew_until=grew_until,
            growth=_rising(growth),
            closed=hint.closed,
            look_again_s=monotonic_s + self._settle_s,
        )


def _rising(growth: Growth) -> Growth:
    """Return a growth without the samples that a later one contradicts."""
    rising: list[tuple[Instant, int]] = []
    for sample in growth:
        while rising and rising[-1][1] > sample[1]:
            rising.pop()  # it was cut short, or begun again
        if not rising or rising[-1][1] < sample[1]:
            rising.append(sample)
    return thinned(tuple(rising))


def _last_write(facts: FileFacts, now: Instant) -> Instant:
    """Return when a file last grew, by its modification time where that is recent."""
    age_s = now.utc_s - facts.mtime_ns * _NS
    return now.shifted(-age_s) if 0 <= age_s <= _RECENT_S else now
