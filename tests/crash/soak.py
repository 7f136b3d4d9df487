"""A station in bad weather: clips come, faults are drawn by chance, the daemon is killed.

The sandbox's book is the oracle: for every capture exactly one session, holding the very clip.
"""

import contextlib
import json
import random
import re
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from agent.sandbox.server import Sandbox
from tests.station import Station, until
from tests.videos import film_run, name_of

FAULTS = (
    *("lost-answer", "cut:at=0", "cut:at=50", "cut:at=99", "cut:at=100", "reset:at=50"),
    *("500", "502:made", "503:retry-after=1,early", "504:made", "408", "429:retry-after=1"),
    *("truncated-json", "html", "empty", "redirect", "html@list", "503@status"),
    *("late-list:s=1", "limit-list:n=4", "hide-list*2"),
)
_WAITING = 12  # captures that lie in the folder at a time
_CODE = re.compile(r"\[([0-9a-z]{10})\]")
_POINT_S = 4.0  # a crash point that is not passed by then is given up for a plain kill


def crash_points() -> list[str]:
    """Return every named crash point in the source."""
    sources = Path(__file__).parents[2].glob("agent/**/*.py")
    found = (re.findall(r'crash_point\("([a-z-]+)"\)', path.read_text()) for path in sources)
    return sorted({point for points in found for point in points})


@dataclass(slots=True)
class Sample:
    """What the daemon's own process holds at one moment."""

    resident_bytes: int
    handles: int


@dataclass(slots=True)
class Tally:
    """How it came out."""

    captures: int = 0
    kills: int = 0
    faults: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)

    def __str__(self) -> str:
        told = (
            f"{self.captures} clips, {self.kills} kills, {self.faults} faults: lost "
            f"{len(self.lost)}, doubled {len(self.doubled)}, wrong hash {len(self.wrong)}"
        )
        if len(self.samples) < 8:
            return told
        (early_mb, early), (late_mb, late) = self.halves()
        return (
            f"{told}; memory {early_mb:.0f} MB, then {late_mb:.0f} MB; "
            f"handles {early:.0f}, then {late:.0f}"
        )

    def halves(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Return mean memory (MB) and handles in the second and in the last quarter."""
        quarter = len(self.samples) // 4
        parts = self.samples[quarter : 2 * quarter], self.samples[-quarter:]
        (early, late) = (
            (
                sum(s.resident_bytes for s in part) / len(part) / 1e6,
                sum(s.handles for s in part) / len(part),
            )
            for part in parts
        )
        return early, late


class Soak:
    """One station that is fed, hurt, and asked what became of everything."""

    def __init__(self, station: Station, sandbox: Sandbox, *, films: int, seed: int) -> None:
        self._station = station
        self._sandbox = sandbox
        self._chance = random.Random(seed)
        self._films = []
        for number in range(1, films + 1):
            film = film_run(station.root / f"film-{number}.mp4", seed=number)
            self._films.append(film.read_bytes())
        self._points = crash_points()
        self.tally = Tally()

    def feed(self, up_to: int) -> None:
        """Film until so many captures were made, or enough lie in the folder."""
        lying = sum(1 for _ in self._station.capture.iterdir())
        while self.tally.captures < up_to and lying < _WAITING:
            self.tally.captures += 1
            lying += 1
            number = self.tally.captures
            tag = b"\0\0\0\x10free%08d" % number  # a box that makes the file another one
            film = self._station.root / "film.mp4"
            film.write_bytes(self._films[number % len(self._films)] + tag)
            film.rename(self._station.capture / name_of(number))

    def trouble(self, chance: float) -> None:
        """Let the API go wrong now and then."""
        if self._chance.random() < chance:
            self._sandbox.add_fault(self._chance.choice(FAULTS))
            self.tally.faults += 1

    def work(self, captures: int, *, trouble: float) -> None:
        """Let one daemon work until so many captures are delivered; watch what it holds."""
        with self._station.running() as daemon:
            while self._ended() < captures:
                self.feed(captures)
                self.trouble(trouble)
                self.decide_held()
                self._await_session()
                self.tally.samples.append(_sample(daemon.pid))

    def kill(self, kills: int, *, captures: int, trouble: float) -> None:
        """Kill a daemon repeatedly, at crash points and at random moments."""
        step = max(1, (captures - self.tally.captures) // max(1, kills))
        for _ in range(kills):
            self.feed(min(captures, self.tally.captures + step))
            self.trouble(trouble)
            if self._chance.random() < 0.5:
                self._kill_at_a_point()
            else:
                daemon = self._station.start()
                time.sleep(self._chance.uniform(0.0, 2.5))
                daemon.kill()
                daemon.wait()
            self.tally.kills += 1

    def settle(self, *, timeout_s: float) -> Tally:
        """Let everything come to its end, and count."""
        self._sandbox.clear_faults()
        with self._station.running():

            def ended() -> bool:
                self.feed(self.tally.captures)
                self.decide_held()
                return self._ended() >= self.tally.captures

            until(ended, timeout_s=timeout_s)
        self._count()
        return self.tally

    def decide_held(self) -> None:
        """Play the person: look at the API, then send again or not."""
        for row in self._station.entries():
            if row["state"] == "held" and row["reason"] == "outcome_unknown":
                there = any(str(row["clip_code"]) in s.title for s in self._sandbox.book.sessions)
                verb = "discard" if there else "release"
                self._station.spotter("outbox", verb, str(row["id"]))

    def _kill_at_a_point(self) -> None:
        point = f"{self._chance.choice(self._points)}:{self._chance.randint(1, 3)}"
        daemon = self._station.start({"SPOTTER_CRASH_AT": point})
        with contextlib.suppress(subprocess.TimeoutExpired):
            daemon.wait(_POINT_S)
        daemon.kill()
        daemon.wait()

    def _await_session(self) -> None:
        book = self._sandbox.book
        before = len(book.sessions)
        book.wait_for(lambda book: len(book.sessions) > before, 2.0)

    def _ended(self) -> int:
        states = Counter(str(row["state"]) for row in self._station.entries())
        return sum(states[state] for state in ("uploaded", "completed", "discarded", "dead"))

    def _count(self) -> None:
        sent = Counter(code for s in self._sandbox.book.sessions for code in _CODE.findall(s.title))
        hashes = {
            code: s.video_sha256
            for s in self._sandbox.book.sessions
            for code in _CODE.findall(s.title)
        }
        seen = set()
        for row in self._station.entries():
            code = str(row["clip_code"])
            if sent[code] == 1:
                seen.add(str(row["capture"]))
            elif sent[code] > 1:
                self.tally.doubled.append(json.dumps(dict(row), default=str))
            if code in hashes and hashes[code] != row["clip_sha256"]:
                self.tally.wrong.append(code)
        names = {name_of(number) for number in range(1, self.tally.captures + 1)}
        self.tally.lost += sorted(names - seen)


def _sample(process_id: int) -> Sample:
    status = Path(f"/proc/{process_id}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    handles = sum(1 for _ in Path(f"/proc/{process_id}/fd").iterdir())
    return Sample(resident_bytes=int(line.split()[1]) * 1024, handles=handles)
