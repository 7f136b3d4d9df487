"""Heartbeats: every stage reports progress, and how long its next step may take.

A step that ends, a part of a body that went out, a message of the analysis: each is a beat.  Who
waits for something that is bounded elsewhere says with the beat how long that may take.  What is
stuck, in a lock or in native code, gives no beat, and after its own bound that shows.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

BOUND_S = 120.0  # a step that says nothing else says something within this time
START_BOUND_S = 900.0  # a start may check, copy or rebuild a large database
BOUND_VARIABLE = "SPOTTER_STEP_BOUND_S"  # another bound of every step, for tests
_LEAST_BYTES_S = 2e6  # of a worn memory card that somebody else writes to as well

Clock = Callable[[], float]


class Heartbeat:
    """The signs of life of one stage; beats may come from any thread."""

    def __init__(self, *, bound_s: float, clock: Clock) -> None:
        self._bound_s = bound_s
        self._clock = clock
        self._heard_by_s = clock() + bound_s

    def beat(self, *, waits_s: float = 0.0) -> None:
        """Say that there is progress, and that the next may take so much longer than usual."""
        self._heard_by_s = self._clock() + self._bound_s + waits_s

    def is_overdue(self) -> bool:
        """Tell whether it should have been heard of by now."""
        return self._clock() > self._heard_by_s


class Heartbeats:
    """The heartbeats of all stages that run at the moment."""

    def __init__(self, *, bound_s: float | None = None, clock: Clock = time.monotonic) -> None:
        self._bound_s = bound_s or float(os.environ.get(BOUND_VARIABLE) or BOUND_S)
        self._clock = clock
        self._heartbeats: dict[str, Heartbeat] = {}
        self._refusals: dict[str, str] = {}
        self._lock = threading.Lock()

    def begin(self, name: str, *, bound_s: float | None = None) -> Heartbeat:
        """Watch what begins now in this thread, until `end`; it reports with `beat`."""
        heartbeat = Heartbeat(bound_s=bound_s or self._bound_s, clock=self._clock)
        with self._lock:
            self._heartbeats[name] = heartbeat
        _own.heartbeat = heartbeat
        return heartbeat

    def end(self, name: str) -> None:
        """Watch it no longer: it has ended."""
        with self._lock:
            self._heartbeats.pop(name, None)
        _own.heartbeat = None

    def note_refusal(self, name: str, words: str) -> None:
        """Note that the disk refuses what a stage needs for its step."""
        with self._lock:
            self._refusals[name] = words

    def note_step(self, name: str) -> None:
        """Note that a stage has ended a step: whatever the disk refused goes again."""
        with self._lock:
            self._refusals.pop(name, None)

    def refusals(self) -> dict[str, str]:
        """Return what the disk refuses at the moment, by the names of the stages."""
        with self._lock:
            return dict(self._refusals)

    def stuck(self) -> list[str]:
        """Return the names of what should have been heard of, and was not."""
        with self._lock:
            return [name for name, heartbeat in self._heartbeats.items() if heartbeat.is_overdue()]


class _Own(threading.local):
    """The heartbeat of whatever runs in this thread; None in a command or a test."""

    heartbeat: Heartbeat | None = None


_own = _Own()


def own_heartbeat() -> Heartbeat | None:
    """Return the heartbeat of what runs in this thread, for a thread that works on its behalf."""
    return _own.heartbeat


def beat(*, waits_s: float = 0.0) -> None:
    """Say that what runs in this thread makes progress; see `Heartbeat.beat`."""
    if _own.heartbeat is not None:
        _own.heartbeat.beat(waits_s=waits_s)


@contextmanager
def during_io(size_bytes: int) -> Iterator[None]:
    """Allow the time that so many bytes need in calls that report no progress."""
    with allow(size_bytes / _LEAST_BYTES_S):
        yield


@contextmanager
def allow(longest_s: float) -> Iterator[None]:
    """Allow the next step `longest_s` more than usual; something else ends it after that."""
    beat(waits_s=longest_s)
    try:
        yield
    finally:
        beat()
