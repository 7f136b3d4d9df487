"""The scenarios of a drill, each with what must hold."""

import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from agent.drill.environment import (
    OTHER_ATHLETE,
    TAKE_S,
    DrillEnvironment,
    ScenarioFailed,
    drill_ground,
    film_take,
    hold,
)
from agent.errors import AgentError
from agent.failpoints import VARIABLE
from agent.outbox.states import EntryState, Reason

Run = Callable[[DrillEnvironment], None]


class Scenario(NamedTuple):
    """One fault: what is done, what must hold, and how both are done."""

    name: str
    done: str
    holds: str
    run: Run


REHEARSALS: list[Scenario] = []


def _rehearsal(done: str) -> Callable[[Run], Run]:
    """Enter a rehearsal; its docstring says what must hold."""

    def enter(run: Run) -> Run:
        REHEARSALS.append(Scenario(run.__name__, done, (run.__doc__ or "").rstrip("."), run))
        return run

    return enter


@_rehearsal("a take is filmed")
def good_day(drill: DrillEnvironment) -> None:
    """Found, cut and delivered under the athlete on the station."""
    hold(drill.command("assign", OTHER_ATHLETE).returncode == 0, "the athlete is assigned")
    time.sleep(TAKE_S)  # what is filmed now began after that
    film_take(drill.folder / "film.mp4", seed=2).rename(drill.capture / "take.mp4")
    made = drill.sandbox.book.wait_for(lambda book: len(book.sessions) == 1, 60.0)
    hold(made, "a session is created")
    (session,) = drill.sandbox.book.sessions
    hold(session.user_id == OTHER_ATHLETE, "it is the athlete's")


@_rehearsal("a non-video file, and a truncated video")
def broken_files(drill: DrillEnvironment) -> None:
    """Set aside with the reason."""
    (drill.capture / "notes.mp4").write_text("not a video", encoding="ascii")
    content = film_take(drill.folder / "film.mp4", seed=3).read_bytes()
    (drill.capture / "cut-short.mp4").write_bytes(content[: len(content) // 2])
    drill.until(
        lambda: drill.outbox.listing.counts()["captures"].get("quarantined") == 2,
        "both are quarantined",
    )
    drill.check_once(drill.release())


@_rehearsal("the connection breaks in the middle of a clip")
def connection_cut(drill: DrillEnvironment) -> None:
    """Sent again, delivered once."""
    drill.sandbox.add_fault("cut:at=50")
    drill.check_once(drill.release(large=True))


@_rehearsal("the connection is reset")
def connection_reset(drill: DrillEnvironment) -> None:
    """Sent again, delivered once."""
    drill.sandbox.add_fault("reset:at=20")
    drill.check_once(drill.release())


@_rehearsal("the response is lost, the session was created")
def answer_lost(drill: DrillEnvironment) -> None:
    """Found in the list, not sent twice."""
    drill.sandbox.add_fault("lost-answer")
    entry = drill.release()
    drill.check_once(entry)
    hold(drill.entry(entry).attempts == 1, "it was uploaded once")


@_rehearsal("503 after the whole clip, no session")
def server_error(drill: DrillEnvironment) -> None:
    """Looked up twice, then sent again."""
    drill.sandbox.add_fault("503")
    entry = drill.release()
    drill.check_once(entry)
    hold(drill.entry(entry).attempts == 2, "it was uploaded twice, made once")


@_rehearsal("the server never responds")
def no_answer(drill: DrillEnvironment) -> None:
    """Given up, looked up, delivered once."""
    drill.sandbox.add_fault("silent")
    drill.check_once(drill.release())


@_rehearsal("the list hides the session")
def list_hides(drill: DrillEnvironment) -> None:
    """Held for a person, not sent twice; found when it is back."""
    drill.sandbox.add_fault("lost-answer")
    drill.sandbox.add_fault("hide-list*always")
    entry = drill.release()
    drill.until_state(entry, EntryState.HELD)
    hold(drill.entry(entry).reason == Reason.OUTCOME_UNKNOWN, "it is held as unknown")
    drill.sandbox.clear_faults()
    hold(drill.command("outbox", "retry", entry.name).returncode == 0, "retry looks again")
    drill.check_once(entry)


@_rehearsal("the server makes two sessions of one clip")
def made_twice(drill: DrillEnvironment) -> None:
    """One adopted, the other reported."""
    drill.sandbox.add_fault("twice:lost")
    entry = drill.release()
    drill.until_state(entry, EntryState.UPLOADED)
    told = drill.entry(entry)
    known = {told.session_id, *(r.removeprefix("second_session:") for r in told.remarks)}
    hold(known >= set(drill.sessions_of(entry)), "both are on record")


@_rehearsal("429 asks for 2 s")
def asked_to_wait(drill: DrillEnvironment) -> None:
    """The lane waits, then goes on."""
    drill.sandbox.add_fault("429:retry-after=2")
    entry = drill.release()
    drill.until_paused("server_asks_to_wait")
    began_s = time.monotonic()
    drill.check_once(entry)
    hold(time.monotonic() - began_s > 1.5, "it waited")


@_rehearsal("413 while the clip is under way")
def too_large(drill: DrillEnvironment) -> None:
    """That clip is dead with its size, the next flows."""
    drill.sandbox.add_fault("413:early")
    entry = drill.release(large=True)
    drill.until_state(entry, EntryState.DEAD)
    hold("MB" in str(drill.entry(entry).detail), "its size is shown")
    drill.check_once(drill.release())


@_rehearsal("422 for one clip of three")
def one_refused(drill: DrillEnvironment) -> None:
    """One dead in the server's words, two delivered; revived."""
    drill.sandbox.add_fault("422:error=an odd video")
    entry, *others = drill.release(), drill.release(), drill.release()
    drill.until_state(entry, EntryState.DEAD)
    hold("an odd video" in str(drill.entry(entry).detail), "the server's words are kept")
    drill.check_once(*others)
    hold(drill.command("outbox", "retry", entry.name).returncode == 0, "retry revives it")
    drill.check_once(entry)


@_rehearsal("403 for one athlete")
def athlete_refused(drill: DrillEnvironment) -> None:
    """That athlete's clip is held, the other's delivered."""
    drill.sandbox.add_fault(f"403:user={OTHER_ATHLETE}*always")
    entry, other = drill.release(user_id=OTHER_ATHLETE), drill.release()
    drill.check_once(other)
    drill.until_state(entry, EntryState.HELD)
    drill.sandbox.clear_faults()
    hold(drill.command("outbox", "retry", entry.name).returncode == 0, "retry sends it")
    drill.check_once(entry)


@_rehearsal("the key is revoked, later renewed in its file")
def key_renewed(drill: DrillEnvironment) -> None:
    """No clip dead, no restart needed."""
    drill.sandbox.replace_key("renewed-key")
    entries = [drill.release(), drill.release()]
    drill.until_paused("key")
    for entry in entries:
        drill.until_state(entry, EntryState.READY)
    drill.key_file.write_text("renewed-key", encoding="ascii")
    drill.check_once(*entries)


@_rehearsal("a captive portal responds to everything")
def captive_portal(drill: DrillEnvironment) -> None:
    """The lane pauses, and no clip is lost to it."""
    drill.sandbox.add_fault("html@any*always")
    entry, other = drill.release(), drill.release()
    drill.until_paused("not_our_api")
    drill.until(lambda: drill.lane.probes > 1, "it keeps asking")
    hold(drill.outbox.listing.counts()["entries"].get("uploading") is None, "nothing is sent")
    drill.sandbox.clear_faults()
    drill.check_once(entry, other)


@_rehearsal("a strange certificate")
def strange_certificate(drill: DrillEnvironment) -> None:
    """The lane pauses and names it; the key is shown to nobody."""
    drill.sandbox.add_fault("tls-unknown-ca*always")
    asked = len(drill.sandbox.book.requests)
    entry = drill.release()
    drill.until_paused("tls")
    hold("does not know" in str(drill.lane.paused_detail), "the alert names the fault")
    hold(len(drill.sandbox.book.requests) == asked, "nothing was said to it")
    hold(drill.entry(entry).failures == 0, "nothing counts against the clip")
    drill.sandbox.clear_faults()
    drill.check_once(entry)


@_rehearsal("the API is down, connections are refused")
def api_gone(drill: DrillEnvironment) -> None:
    """The lane pauses and heals alone."""
    drill.sandbox.go_away()
    try:
        entry = drill.release()
        drill.until_paused("network")
        hold(drill.entry(entry).failures == 0, "nothing counts against the clip")
    finally:
        drill.sandbox.come_back()
    drill.check_once(entry)


@_rehearsal("kill -9 in the middle of an upload")
def killed_in_upload(drill: DrillEnvironment) -> None:
    """The next start delivers it once."""
    drill.sandbox.add_fault("slow:rate=300k")
    entry = drill.release(large=True)
    drill.until_state(entry, EntryState.UPLOADING)
    drill.kill()
    drill.sandbox.clear_faults()
    drill.start()
    drill.check_once(entry)


@_rehearsal("kill -9 after the session was created, before it is recorded")
def killed_before_record(drill: DrillEnvironment) -> None:
    """Not sent twice."""
    drill.end()
    drill.start({VARIABLE: "after-answer"})
    entry = drill.release()
    daemon = drill.daemon
    assert daemon is not None  # started above
    drill.until(lambda: daemon.poll() is not None, "the daemon dies")
    drill.start()
    drill.check_once(entry)


@_rehearsal("SIGTERM in the middle of an upload")
def ended_in_upload(drill: DrillEnvironment) -> None:
    """Ends within 10 s, the next start delivers once."""
    drill.sandbox.add_fault("slow:rate=300k")
    entry = drill.release(large=True)
    drill.until_state(entry, EntryState.UPLOADING)
    hold(drill.end(), "it ends within 10 s")
    drill.sandbox.clear_faults()
    drill.start()
    drill.check_once(entry)


@_rehearsal("a second daemon on the same folder")
def second_daemon(drill: DrillEnvironment) -> None:
    """It ends at once with 75, the first is undisturbed."""
    hold(drill.command("run").returncode == 75, "it exits with 75")
    drill.check_once(drill.release())


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioResult:
    """One line of the card."""

    name: str
    done: str
    holds: str  # what must hold
    held: bool
    seconds: float
    detail: str | None  # why it did not hold


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillReport:
    """What the drill came to."""

    lines: tuple[ScenarioResult, ...]
    seconds: float
    folder: Path | None  # kept, with the daemon's log, where something did not hold

    @property
    def held(self) -> bool:
        """Whether everything held."""
        return all(line.held for line in self.lines)


Tell = Callable[[Scenario], None]
Enter = Callable[[ScenarioResult], None]

_LAY_UP = Scenario(
    "set_up", "a station is set up and records", "The daemon runs, clips are ready", lambda _: None
)


def run_drill(
    begin: Tell, enter: Enter, *, rehearsals: Sequence[Scenario] = REHEARSALS
) -> DrillReport:
    """Rehearse faults in a scratch folder.

    Args:
        begin: told what begins.
        enter: told how it ended.
        rehearsals: which ones.

    Raises:
        KeyboardInterrupt: it was broken off; nothing is left of it.
    """
    began_s = time.monotonic()
    lines: list[ScenarioResult] = []
    folder = Path(tempfile.mkdtemp(prefix="spotter-drill-"))

    def note(line: ScenarioResult) -> None:
        lines.append(line)
        enter(line)

    try:
        begin(_LAY_UP)
        with drill_ground(folder) as drill:
            note(_line(_LAY_UP, began_s))
            for rehearsal in (*rehearsals, _AFTERWARDS):
                begin(rehearsal)
                note(_rehearse(rehearsal, drill))
    except (ScenarioFailed, AgentError, OSError) as error:
        note(_line(_LAY_UP, began_s, error))
    except KeyboardInterrupt:  # nothing came out that somebody would look into
        shutil.rmtree(folder)
        raise
    kept = None if all(line.held for line in lines) else folder
    if kept is None:
        shutil.rmtree(folder)
    return DrillReport(lines=tuple(lines), seconds=time.monotonic() - began_s, folder=kept)


def _rehearse(rehearsal: Scenario, drill: DrillEnvironment) -> ScenarioResult:
    began_s = time.monotonic()
    try:
        rehearsal.run(drill)
    except (ScenarioFailed, AgentError, OSError, subprocess.TimeoutExpired) as error:
        return _line(rehearsal, began_s, error)
    finally:
        drill.mend()
    return _line(rehearsal, began_s)


def _line(rehearsal: Scenario, began_s: float, error: Exception | None = None) -> ScenarioResult:
    return ScenarioResult(
        name=rehearsal.name,
        done=rehearsal.done,
        holds=rehearsal.holds,
        held=error is None,
        seconds=time.monotonic() - began_s,
        detail=None if error is None else str(error),
    )


def _audit(drill: DrillEnvironment) -> None:
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
    hold(doubled == by_the_server, f"{doubled} duplicated, {by_the_server} of them by the server")
    waiting = drill.outbox.listing.counts()["entries"]
    hold(not {"ready", "uploading", "uncertain"} & set(waiting), "nothing is waiting")


_AFTERWARDS = Scenario(
    "books", "the records of both sides are compared", "Every clip once, none lost", _audit
)
