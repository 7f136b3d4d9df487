"""Watches the capture folder: events are hints, a scan is authoritative."""

import os
import threading
from dataclasses import replace
from pathlib import Path

import structlog
from watchdog.events import (
    FileClosedEvent,
    FileCreatedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers.inotify import InotifyObserver

from agent.clock import Instant, Now
from agent.intake.folder import CaptureFolder
from agent.intake.stability import FileEvent, Growth
from agent.stage import StageName, Wake

_SAMPLED_EVERY_S = 1.0  # how often the size of a growing file is checked
ARRIVES_WITHIN_S = 300.0  # to settle, to be hashed and to be moved, on a slow box

log = structlog.get_logger(stage=StageName.INTAKE)


class WatchedFolder(CaptureFolder):
    """The capture folder, and what the system reports of changes in it."""

    def __init__(self, root: Path, *, suffixes: frozenset[str], now: Now, on_hint: Wake) -> None:
        super().__init__(root, suffixes=suffixes, now=now)
        self._hints = _Hints(self, now=now, on_hint=on_hint)
        self._observer: InotifyObserver | None = None
        self._watched: tuple[int, int] | None = None
        self._complained = False

    def watch(self) -> bool:
        """Watch the folder that is there now; False while it is missing.

        A folder that was unmounted and came back is another folder: it gets a new watch.
        """
        try:
            found = self._root.stat()
        except OSError:
            self.stop()
            return False
        identity = (found.st_dev, found.st_ino)
        if identity != self._watched or not self._is_watching():
            self.stop()
            self._observer = self._observe()
            self._watched = identity
        return True

    def stop(self) -> None:
        """Stop watching."""
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()
        self._observer = self._watched = None

    def closed_within(self, seconds: float) -> bool:
        """Tell whether a capture was closed by its writer, or moved in, that lately."""
        closed = self._hints.closed
        return closed is not None and 0 <= closed.elapsed_s(self._now()) < seconds

    def take_hints(self) -> dict[Path, FileEvent]:
        """Return what was noticed since the last call."""
        return self._hints.take()

    def _is_watching(self) -> bool:
        """Tell whether the watcher lives: it ends itself where the system refuses a watch."""
        observer = self._observer
        return observer is not None and all(
            thread.is_alive() for thread in (observer, *observer.emitters)
        )

    def _observe(self) -> InotifyObserver | None:
        try:
            observer = InotifyObserver(generate_full_events=True)  # moved in or created
            observer.schedule(
                self._hints,
                str(self._root),
                recursive=True,
                event_filter=[FileCreatedEvent, FileModifiedEvent, FileClosedEvent, FileMovedEvent],
            )
            observer.start()
        except OSError as error:  # such as the system's limit of watches
            if not self._complained:
                log.warning("folder watch failed", error=error.strerror)
            self._complained = True
            return None
        self._complained = False
        return observer


class _Hints(FileSystemEventHandler):
    """Collects what the watcher's thread notices, one hint a file."""

    def __init__(self, folder: CaptureFolder, *, now: Now, on_hint: Wake) -> None:
        self._folder = folder
        self._now = now
        self._on_hint = on_hint
        self._lock = threading.Lock()
        self._noticed: dict[Path, FileEvent] = {}
        self._sampled: dict[Path, Instant] = {}
        self.closed: Instant | None = None  # when a capture was, last

    def take(self) -> dict[Path, FileEvent]:
        with self._lock:
            noticed, self._noticed = self._noticed, {}
        return noticed

    def dispatch(self, event: FileSystemEvent) -> None:
        moved = isinstance(event, FileMovedEvent)
        path = Path(os.fsdecode(event.dest_path if moved else event.src_path))
        now = self._now()
        hint = _hint(event, now)
        if hint is None or not self._folder.is_capture_name(path):
            return
        if isinstance(event, FileModifiedEvent):
            hint = replace(hint, grown=self._sample(path, now))
        else:
            self._sampled.pop(path, None)
        with self._lock:
            self._noticed[path] = self._noticed.get(path, FileEvent()).then(hint)
        if hint.closed:
            self.closed = now
        if not isinstance(event, FileModifiedEvent):
            self._on_hint()  # a growing file is checked when it is quiet, not at every write

    def _sample(self, path: Path, now: Instant) -> Growth:
        """Return how large a growing file is, once in a while."""
        sampled = self._sampled.get(path)
        if sampled is not None and 0 <= sampled.elapsed_s(now) < _SAMPLED_EVERY_S:
            return ()
        facts = self._folder.look(path)
        if facts is None:
            return ()
        self._sampled[path] = now
        return ((now, facts.size_bytes),)


def _hint(event: FileSystemEvent, now: Instant) -> FileEvent | None:
    if isinstance(event, FileCreatedEvent):
        return FileEvent(appeared=now, born=True)
    if isinstance(event, FileMovedEvent):
        return FileEvent(appeared=now, closed=True)
    if isinstance(event, FileModifiedEvent):
        return FileEvent(changed=now)
    if isinstance(event, FileClosedEvent):
        return FileEvent(closed=True)
    return None
