"""A state folder that is damaged by chance, then started: the sandbox's book is the oracle.

One station is lived in once; each case puts its folder back as it was, damages some of its records
as a seed says, starts the real daemon and waits until everything has come to rest.
"""

import hashlib
import os
import random
import shutil
import sqlite3
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent.disk.state_folder import LEDGER_NAME, StateFolder
from agent.intake.admission import facts_of
from agent.outbox.database_file import DATABASE_NAME
from agent.outbox.models import ClipFile, ClipTarget, Entry, Take
from agent.outbox.outbox import Outbox
from agent.outbox.states import CaptureState, EntryState, FileState, Reason, Recipient
from agent.sandbox.server import Sandbox
from tests.factories import evidence, new_entry
from tests.station import ATHLETE, Station, until
from tests.strays import KINDS, release

ENDS = ("delivered", "delivered", "discarded", "discarded", "held", "held", "ready", "delivered")
CLEARED = (3, 8)  # numbers of clips whose files have gone
NOTED = "user.spotter.seq"
_HUGE_BYTES = 1 << 30
_RECORDS = (DATABASE_NAME, f"{DATABASE_NAME}-wal", LEDGER_NAME)
_UNDER_WAY = {"ready", "uploading", "uncertain"}

Files = dict[Path, bytes]


def put(station: Station, number: int, *, filmed_at: float) -> Entry:
    """Let a clip wait to be sent, its capture and all."""
    folder = StateFolder(station.state)
    folder.prepare()
    now_s = time.time()
    content = f"capture {number} ".encode() * 200
    sha256 = hashlib.sha256(content).hexdigest()
    capture_file = folder.captures / f"{sha256}.mp4"
    # In one commit: a daemon that runs may not see the capture before it was analysed.
    with Outbox.open(folder.root) as outbox, outbox.transaction():
        capture_file.write_bytes(content)
        taken_in = outbox.captures.admit(
            sha256=sha256,
            file_name=f"{number}.mp4",
            stored_name=capture_file.name,
            facts=facts_of(capture_file),
            evidence=evidence(),
            now_s=now_s,
        )
        capture = outbox.captures.move(taken_in, CaptureState.ANALYSING, now_s=now_s)
        assert capture is not None
        take = Take(number=1, start_s=1.0, end_s=4.0, active_start_s=2.0, active_end_s=3.0)
        outbox.takes.record(capture, [take], report="{}")
        plain = new_entry(capture)
        clip = plain.clip_code.encode() * 5000
        (folder.clips / plain.clip.stored_name).write_bytes(clip)
        entry = outbox.entries.create(
            replace(
                plain,
                target=ClipTarget(recipient=Recipient.ATHLETE, user_id=ATHLETE, activity="running"),
                clip=ClipFile(
                    stored_name=plain.clip.stored_name,
                    sha256=hashlib.sha256(clip).hexdigest(),
                    size_bytes=len(clip),
                    seconds=3.0,
                ),
                filmed_at=filmed_at,
            ),
            now_s=now_s,
        )
        outbox.captures.move(capture, CaptureState.ANALYSED, now_s=now_s)
    return entry


@dataclass(slots=True)
class Outcome:
    """What the cases came to."""

    cases: int = 0
    slowest_start_s: float = 0.0
    faults: list[str] = field(default_factory=list)  # each with its seed

    def __str__(self) -> str:
        return (
            f"{self.cases} fuzzed starts, slowest {self.slowest_start_s:.1f} s: "
            f"{len(self.faults)} faults{''.join(f'; {fault}' for fault in self.faults)}"
        )


class Fuzz:
    """One station, and what it was like at three moments of its life."""

    def __init__(self, station: Station, sandbox: Sandbox) -> None:
        self._station = station
        self._sandbox = sandbox
        self._root = station.state
        self._moments: list[Files] = []
        self.outcome = Outcome()
        self._live()

    def run(self, seed: int) -> None:
        """Damage, start, and judge."""
        self.outcome.cases += 1
        done = self._damage(random.Random(seed))
        told = f"seed {seed} ({', '.join(done)})"
        try:
            self._start(seed)
        except AssertionError as error:
            self.outcome.faults.append(f"{told}: {str(error)[:300]}")

    def _live(self) -> None:
        """Let clips be delivered, held and discarded, and keep what the folder was like."""
        for number in range(1, len(ENDS) + 1):
            put(self._station, number, filmed_at=time.time() - 3600)
        self._keep()
        with Outbox.open(self._root) as outbox:
            for number, end in enumerate(ENDS, start=1):
                if end != "delivered":
                    entry = outbox.entries.by_id(number)
                    assert entry is not None
                    reason = Reason.HELD_BY_PERSON
                    outbox.entries.move(entry, EntryState.HELD, now_s=time.time(), reason=reason)
        with self._station.running():
            until(lambda: self._station.states().count("uploaded") == ENDS.count("delivered"))
        with closing(sqlite3.connect(self._root / DATABASE_NAME)) as connection, connection:
            connection.execute("UPDATE ledger_mark SET inode = NULL, born_ns = NULL")
        self._keep()
        with Outbox.open(self._root) as outbox:
            for number, end in enumerate(ENDS, start=1):
                self._decide(outbox, number, end)
            self._keep()  # with its log, as after a kill
        self._codes = {
            number: row["clip_code"] for number, row in enumerate(self._station.entries(), start=1)
        }
        self._delivered = [session.session_id for session in self._sandbox.book.sessions]
        self._noted = {
            name: os.getxattr(self._root / name, NOTED)
            for name in (Path(), *self._moments[-1])
            if (self._root / name).exists() and NOTED in os.listxattr(self._root / name)
        }

    def _decide(self, outbox: Outbox, number: int, end: str) -> None:
        entry = outbox.entries.by_id(number)
        assert entry is not None
        now_s = time.time()
        if end == "discarded":
            reason = Reason.BY_PERSON
            outbox.entries.move(entry, EntryState.DISCARDED, now_s=now_s, reason=reason)
        if end == "ready":
            outbox.entries.move(entry, EntryState.READY, now_s=now_s)
        if number in CLEARED:
            (StateFolder(self._root).clips / entry.stored_name).unlink()
            outbox.database.change(
                "UPDATE entry SET file_state = ? WHERE id = ?", (FileState.CLEARED, number)
            )

    def _keep(self) -> None:
        places = (self._root, self._root / "captures", self._root / "clips")
        self._moments.append(
            {
                path.relative_to(self._root): path.read_bytes()
                for place in places
                for path in place.iterdir()
                if path.is_file() and not path.name.endswith("-shm")
            }
        )

    def _restore(self) -> None:
        """Put the folder back as it was at last; the database stays the file that it is."""
        release(self._root)
        last = self._moments[-1]
        for path in sorted(self._root.rglob("*"), reverse=True):
            if path.is_dir() and not path.is_symlink():
                with suppress(OSError):
                    path.rmdir()
            elif path.relative_to(self._root) not in last or path.is_symlink():
                path.unlink()
        StateFolder(self._root).prepare()
        for name, content in last.items():
            (self._root / name).write_bytes(content)
        for name, number in self._noted.items():  # a file put aside by a case has lost its own
            os.setxattr(self._root / name, NOTED, number)
        for session in self._sandbox.book.sessions:
            if session.session_id not in self._delivered:
                self._sandbox.book.remove(session.session_id)

    def _damage(self, chance: random.Random) -> list[str]:
        """Damage one to three of the witnesses; of three, the fourth stays."""
        self._restore()
        groups = chance.sample(["database", "ledger", "sidecars"], chance.choice([1, 1, 2, 2, 3]))
        done = []
        for group in groups:
            if group == "sidecars":
                done += self._damage_sidecars(chance)
            else:
                name = DATABASE_NAME if group == "database" else LEDGER_NAME
                done.append(self._damage_record(chance, name))
        if len(groups) < 3 and chance.random() < 0.4:
            os.removexattr(self._root, NOTED)
            done.append("number forgotten")
        if chance.random() < 0.5:
            done += self._put_strays(chance)
        return done

    def _damage_record(self, chance: random.Random, name: str) -> str:
        path = self._root / name
        log = self._root / f"{name}-wal"
        how = chance.choice(["old", "older", "gone", "log", "flip", "cut", "zero", "insert"])
        if how in {"old", "older"}:
            moment = self._moments[1 if how == "old" else 0]
            path.write_bytes(moment[Path(name)])
            log.unlink(missing_ok=True)
        elif how == "gone":
            path.unlink()
            log.unlink(missing_ok=True)
        elif how == "log" and log.exists():
            chance.choice([log.unlink, lambda: _spoil(log, chance, "flip")])()
        else:
            _spoil(path, chance, how if how != "log" else "lines")
        return f"{name} {how}"

    def _damage_sidecars(self, chance: random.Random) -> list[str]:
        found = sorted(self._root.glob("c*s/*.json"))
        for path in chance.sample(found, chance.randint(1, len(found))):
            name = path.relative_to(self._root)
            how = chance.choice(["gone", "flip", "cut", "zero", "old", "other", "folder"])
            if how == "gone":
                path.unlink()
            elif how == "old" and name in self._moments[0]:
                path.write_bytes(self._moments[0][name])
            elif how == "other":
                other = chance.choice(found).relative_to(self._root)
                path.write_bytes(self._moments[-1][other])
            elif how == "folder":
                path.unlink()
                path.mkdir()
            else:
                _spoil(path, chance, how)
        return ["sidecars"]

    def _put_strays(self, chance: random.Random) -> list[str]:
        places = [path for path in self._root.iterdir() if path.is_dir()]
        kinds = chance.sample(sorted(KINDS), chance.randint(1, 6))
        for kind in kinds:
            with suppress(FileExistsError):
                KINDS[kind](chance.choice(places))
        return [f"stray {kind}" for kind in kinds]

    def _start(self, seed: int) -> None:
        station, book = self._station, self._sandbox.book
        station.log.write_text("")
        began_s = time.monotonic()
        daemon = station.start()
        try:
            start_s = time.monotonic() - began_s
            self.outcome.slowest_start_s = max(self.outcome.slowest_start_s, start_s)
            assert daemon.poll() is None, f"no start: {station.log.read_text()[-1500:]}"
            canary = put(station, 1000 + seed, filmed_at=time.time() + 60)
            station.spotter("assign", "--clear")  # wakes it
            until(lambda: any(canary.clip_code in s.title for s in book.sessions))
            until(lambda: not _UNDER_WAY & set(map(str, station.states())))
        finally:
            daemon.terminate()
            code = daemon.wait(20)
        assert code == 0, f"ended with {code}"
        self._judge()

    def _judge(self) -> None:
        sent = Counter(
            code
            for s in self._sandbox.book.sessions
            for code in self._codes.values()
            if str(code) in s.title
        )
        kept = {_digest(path) for path in _files(self._root)}
        for number, end in enumerate(ENDS, start=1):
            code = str(self._codes[number])
            assert sent[code] <= 1, f"doubled: {number} ({end})"
            if end in {"held", "discarded"}:
                assert not sent[code], f"sent though {end}: {number}"
            if end in {"held", "ready"} and not sent[code]:
                assert hashlib.sha256(code.encode() * 5000).hexdigest() in kept, f"lost: {number}"


def _spoil(path: Path, chance: random.Random, how: str) -> None:
    """Change a file's bytes."""
    content = bytearray(path.read_bytes()) or bytearray(b"\0")
    place = chance.randrange(len(content))
    if how == "cut":
        del content[place:]
    elif how == "zero":
        length = min(chance.choice([16, 4096, 65536]), len(content) - place)
        content[place : place + length] = bytes(length)
    elif how == "insert":
        content[place:place] = bytes(chance.randrange(256) for _ in range(chance.randint(1, 99)))
    elif how == "lines":
        lines = content.split(b"\n\n")
        first, second = chance.randrange(len(lines)), chance.randrange(len(lines))
        lines[first], lines[second] = lines[second], lines[first]
        content = bytearray(b"\n\n".join(lines))
    else:
        for _ in range(chance.choice([1, 2, 8, 64])):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def _files(root: Path) -> list[Path]:
    return [
        path
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink() and path.stat().st_size < _HUGE_BYTES
    ]


def _digest(path: Path) -> str:
    with suppress(OSError):
        return hashlib.sha256(path.read_bytes()).hexdigest()
    return ""


def forget(station: Station) -> None:
    """Take a station's folder away, whatever is in it."""
    release(station.state)
    shutil.rmtree(station.state, ignore_errors=True)
