"""What the daemon runs: stages, each the same small loop around one step."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

Wake = Callable[[], object]  # what it returns is of no interest
WAKE_ONLY = float("inf")  # a step's answer: nothing to do until somebody wakes the stage


class Stopping(Exception):  # not an error: the daemon was asked to end
    """The daemon ends; whatever was under way is left so that the next start goes on."""


class Stage(Protocol):
    """One part of a capture's way, driven by its own thread."""

    name: str

    def step(self) -> float:
        """Do one thing and return the seconds until there may be another (0: at once)."""

    def close(self) -> None:
        """Let go of what the stage holds; called in its own thread when it ends."""


def ignore_wake() -> None:
    """Stand in for a next stage that nobody runs."""


class StopFlag:
    """The daemon's wish to end, as every long wait must be able to ask."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._told: list[Wake] = []
        self._lock = threading.RLock()  # a signal may come while its own thread holds it

    def set(self) -> None:
        """Ask everybody to end."""
        self._event.set()
        with self._lock:
            for tell in self._told:
                tell()

    @contextmanager
    def telling(self, tell: Wake) -> Iterator[None]:
        """Call `tell` meanwhile as soon as the daemon ends, in whatever thread says so."""
        with self._lock:
            self._told.append(tell)
        if self.is_set():
            tell()
        try:
            yield
        finally:
            with self._lock:
                self._told.remove(tell)

    def is_set(self) -> bool:
        """Tell whether the daemon ends."""
        return self._event.is_set()

    def wait(self, seconds: float) -> None:
        """Wait, and raise `Stopping` as soon as the daemon ends."""
        if self._event.wait(seconds):
            raise Stopping

    def check(self) -> None:
        """Raise `Stopping` if the daemon ends."""
        if self._event.is_set():
            raise Stopping
