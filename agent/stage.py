"""Stages: each a small loop around one step."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Protocol

Wake = Callable[[], object]  # what it returns is of no interest
WAKE_ONLY = float("inf")  # a step's answer: nothing to do until somebody wakes the stage


class StageName(StrEnum):
    """The names of the daemon's stages, the same in log, pauses, metrics, status and doctor."""

    INTAKE = "intake"  # files of the capture folder become captures
    CLIPPING = "clipping"  # captures are analysed and cut into clips
    DELIVERY = "delivery"  # clips are uploaded, unknown outcomes reconciled
    FOLLOW_UP = "follow_up"  # sessions are polled until their analysis is there
    VIDEOS = "videos"  # analysed videos are downloaded
    DATING = "dating"  # sessions get the date of their recording
    RESENDING = "resending"  # clips that went to the wrong athlete are sent to the right one
    ERASURE = "erasure"  # sessions are deleted at the API
    RETENTION = "retention"  # files that are no longer needed are cleared
    STATION = "station"  # assignments expire
    RECORDER = "recorder"  # recorders are armed; and what a recorder itself logs
    ROSTER = "roster"  # the account's athletes are fetched
    PAGE = "page"  # the coach page is served
    WEBHOOK = "webhook"  # notifications are sent to a webhook
    MQTT = "mqtt"  # notifications are sent to an MQTT broker
    HUB = "hub"  # events and state go to the hub of the facility; and what the hub itself logs
    WORKERS = "workers"  # captures are offered to workers of the site; and what a worker logs
    # These log or pause, and are driven by no thread of their own.
    START = "start"  # before the stages run: locks, mounts, repair
    DAEMON = "daemon"  # what runs the stages
    SETTINGS = "settings"  # a reload that was rejected
    ARCHIVE = "archive"  # copies of originals, made by retention
    NOTIFICATIONS = "notifications"  # what webhook and mqtt have in common


class ShutdownRequested(Exception):  # not an error: the daemon was asked to end
    """The daemon ends; whatever was under way is left so that the next start continues."""


class Stage(Protocol):
    """One part of the pipeline, driven by its own thread."""

    @property
    def name(self) -> str:
        """Which of `StageName` this is."""

    def step(self) -> float:
        """Do one thing and return the seconds until there may be another (0: at once)."""

    def close(self) -> None:
        """Let go of what the stage holds; called in its own thread when it ends."""


def ignore_wake() -> None:
    """Stand in for a next stage that nobody runs."""


class StopFlag:
    """The daemon's request to end, which every long wait checks."""

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
    def notifying(self, tell: Wake) -> Iterator[None]:
        """Call `tell` as soon as the daemon ends within the block, in the thread that ends it."""
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
        """Wait, and raise `ShutdownRequested` as soon as the daemon ends."""
        if self._event.wait(seconds):
            raise ShutdownRequested

    def check(self) -> None:
        """Raise `ShutdownRequested` if the daemon ends."""
        if self._event.is_set():
            raise ShutdownRequested
