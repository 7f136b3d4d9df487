"""Running the drill, and the card of what held."""

import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.drill.faults import REHEARSALS, Rehearsal
from agent.drill.ground import DrillGround, NotHeld, drill_ground, hold
from agent.errors import AgentError
from agent.outbox.states import EntryState


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the card."""

    name: str
    done: str
    holds: str  # what must hold
    held: bool
    seconds: float
    detail: str | None  # why it did not hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What the drill came to."""

    lines: tuple[Line, ...]
    seconds: float
    folder: Path | None  # kept, with the daemon's log, where something did not hold

    @property
    def held(self) -> bool:
        """Whether everything held."""
        return all(line.held for line in self.lines)


Tell = Callable[[Rehearsal], None]
Enter = Callable[[Line], None]

_LAY_UP = Rehearsal(
    "set_up", "a station is set up and films", "The daemon runs, clips lie ready", lambda _: None
)


def run_drill(begin: Tell, enter: Enter, *, rehearsals: Sequence[Rehearsal] = REHEARSALS) -> Card:
    """Rehearse faults in a scratch folder.

    Args:
        begin: told what begins.
        enter: told how it ended.
        rehearsals: which ones.

    Raises:
        KeyboardInterrupt: it was broken off; nothing is left of it.
    """
    began_s = time.monotonic()
    lines: list[Line] = []
    folder = Path(tempfile.mkdtemp(prefix="spotter-drill-"))

    def note(line: Line) -> None:
        lines.append(line)
        enter(line)

    try:
        begin(_LAY_UP)
        with drill_ground(folder) as drill:
            note(_line(_LAY_UP, began_s))
            for rehearsal in (*rehearsals, _AFTERWARDS):
                begin(rehearsal)
                note(_rehearse(rehearsal, drill))
    except (NotHeld, AgentError, OSError) as error:
        note(_line(_LAY_UP, began_s, error))
    except KeyboardInterrupt:  # nothing came out that somebody would look into
        shutil.rmtree(folder)
        raise
    kept = None if all(line.held for line in lines) else folder
    if kept is None:
        shutil.rmtree(folder)
    return Card(lines=tuple(lines), seconds=time.monotonic() - began_s, folder=kept)


def _rehearse(rehearsal: Rehearsal, drill: DrillGround) -> Line:
    began_s = time.monotonic()
    try:
        rehearsal.run(drill)
    except (NotHeld, AgentError, OSError, subprocess.TimeoutExpired) as error:
        return _line(rehearsal, began_s, error)
    finally:
        drill.mend()
    return _line(rehearsal, began_s)


def _line(rehearsal: Rehearsal, began_s: float, error: Exception | None = None) -> Line:
    return Line(
        name=rehearsal.name,
        done=rehearsal.done,
        holds=rehearsal.holds,
        held=error is None,
        seconds=time.monotonic() - began_s,
        detail=None if error is None else str(error),
    )


def _audit(drill: DrillGround) -> None:
    """Compare the books of both sides."""
    sent = {EntryState.UPLOADED, EntryState.COMPLETED}
    delivered = Counter(entry.clip_sha256 for entry in drill.outbox.entries.in_states(sent))
    received = Counter(session.video_sha256 for session in drill.sandbox.book.sessions)
    by_the_server = sum(
        len(entry.remarks)
        for entry in drill.outbox.entries.in_states(sent)
        if any(remark.startswith("second_session:") for remark in entry.remarks)
    )
    hold(set(delivered) == set(received), "what was delivered is what was received")
    doubled = received.total() - len(received)
    hold(doubled == by_the_server, f"{doubled} doubled, {by_the_server} of them by the server")
    waiting = drill.outbox.listing.counts()["entries"]
    hold(not {"ready", "uploading", "uncertain"} & set(waiting), "nothing waits any more")


_AFTERWARDS = Rehearsal(
    "books", "the books of both sides are compared", "Every clip once, none lost", _audit
)
