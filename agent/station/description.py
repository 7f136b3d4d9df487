"""Recordings, clips and athletes, found by code, name, hash or id, and described in full."""

import re
import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from agent.bandwidth_schedule import parse_timetable
from agent.clock import Instant, iso_utc
from agent.disk.state_folder import SMALL, STRIP, StateFolder, StateFolderLock
from agent.errors import RequestError
from agent.outbox.corrections import OPEN
from agent.outbox.history import cut_words, resend_words, story
from agent.outbox.models import Capture, Entry
from agent.outbox.outbox import Outbox
from agent.outbox.roster import GUEST_PREFIX, RosterAthlete
from agent.outbox.states import TO_BE_LOOKED_INTO, TO_BE_SENT, CaptureState, EntryState, Reason
from agent.settings import Settings
from agent.stage import StageName
from agent.station.assignments import api_host, assignment_status, state_folder
from agent.station.clip_actions import find, sha256_of
from agent.station.roster import athlete_of, fold, name_of, search_athletes, split_key
from agent.station.status import StatusContext, describe_location
from agent.text import counted, printable_file_name

MOST = 20  # clips of one athlete, or candidates for one name
_SHORTEST_HASH = 6
_SHORTEST_CODE = 4
_TAKE = re.compile(r"(c\d{1,18})/(\d{1,9})")
_HEX = frozenset(string.hexdigits)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundAthlete:
    """A person of the roster, or one whom only clips name."""

    key: str  # user_id, or guest:3
    name: str | None = field(repr=False)  # None: not in the roster
    clips: tuple[Entry, ...]  # the latest ones, the newest first


Found = Capture | Entry | FoundAthlete


def find_named(outbox: Outbox, wanted: str) -> list[Found]:
    """Return everything that a person may mean; several where a name is ambiguous.

    Names that fit exactly go before the beginning of a hash or a clip code and part of an
    athlete's name.

    Raises:
        RequestError: nothing fits.
    """
    known_as = printable_file_name(
        wanted
    )  # what is no text is stored under none of the names below
    found = _exactly(outbox, wanted, known_as) or _by_prefix(outbox, known_as.lower())
    if not found:
        found = [_found_athlete(outbox, one) for one in _by_part_of_name(outbox, known_as)]
    if not found:
        raise RequestError(
            f"no recording, clip, session or athlete named {known_as!r}",
            hint="list them: spotter outbox list --all, spotter sessions, spotter athletes; a copy "
            "of a known recording has the name of the first one",
        )
    return found


def find_all(outbox: Outbox, wanted: str) -> list[Capture | Entry]:
    """Return the recordings and clips that a person means, of an athlete the latest clips.

    A recording whose clips are cut is represented by its clips.

    Raises:
        RequestError: nothing fits.
    """
    return [subject for found in find_named(outbox, wanted) for subject in resolved(outbox, found)]


def resolved(outbox: Outbox, found: Found) -> list[Capture | Entry]:
    """Return the clips of an athlete or a recording, or the recording that has none."""
    if isinstance(found, FoundAthlete):
        return [*found.clips]
    if isinstance(found, Entry):
        return [found]
    return [*outbox.entries.of_capture(found.id)] or [found]


def _exactly(outbox: Outbox, wanted: str, known_as: str) -> list[Found]:
    found: list[Found] = [*_by_file(outbox, wanted), *outbox.listing.of_session(known_as)]
    person = _by_key(outbox, known_as)
    if person is not None:
        found.append(person)
    if found:
        return found
    take = _TAKE.fullmatch(known_as)
    try:
        if take is not None:
            return [*outbox.entries.of_takes(find(outbox, take[1]).id, [int(take[2])])]
        return [find(outbox, known_as)]
    except RequestError:
        folded = fold(known_as)
        same = [one for one in _by_part_of_name(outbox, known_as) if fold(one.name) == folded]
        return [_found_athlete(outbox, one) for one in same]


def _by_file(outbox: Outbox, wanted: str) -> list[Capture]:
    path = Path(wanted)
    digest = sha256_of(path)
    if digest is not None:
        found = outbox.captures.by_sha256(digest)
        if found is not None:
            return [found]
    return [*outbox.captures.by_file_name(path.name)]


def _by_key(outbox: Outbox, key: str) -> FoundAthlete | None:
    try:
        athlete = athlete_of(outbox, key)
    except RequestError:
        return None  # it cannot be a user_id
    if athlete is not None:
        return _found_athlete(outbox, athlete)
    clips = tuple(outbox.listing.of_person(key, None, most=MOST))
    return FoundAthlete(key=key, name=None, clips=clips) if clips else None


def _found_athlete(outbox: Outbox, athlete: RosterAthlete) -> FoundAthlete:
    guest_id = athlete.id if athlete.user_id is None else None
    clips = outbox.listing.of_person(athlete.user_id, guest_id, most=MOST)
    return FoundAthlete(key=athlete.key, name=athlete.name, clips=tuple(clips))


def _by_part_of_name(outbox: Outbox, text: str) -> list[RosterAthlete]:
    return search_athletes(outbox, text, most=MOST, with_gone=True) if fold(text) else []


def _by_prefix(outbox: Outbox, text: str) -> list[Found]:
    """Return what begins with a text: a recording's hash, a clip code, or a stored file's name."""

    def fitting() -> Iterator[Found]:
        stem = Path(text).name.partition(".")[0]
        if len(stem) >= _SHORTEST_HASH and set(stem) <= _HEX:
            yield from outbox.captures.by_hash_prefix(stem, most=MOST)
        code = stem
        for end in (STRIP, SMALL, "-analysed", "-export"):
            code = code.removesuffix(end)
        if len(code) >= _SHORTEST_CODE and code.isascii() and code.isalnum():
            yield from outbox.entries.by_code_prefix(code, most=MOST)

    return [*fitting()]


Document = dict[str, object]

_NOTHING = "nothing: it continues automatically"
_NEXT: dict[str, str] = {
    Reason.UNASSIGNED: "spotter outbox release {id} --user-id USER_ID",
    Reason.TWO_ATHLETES: "spotter outbox release {id} --user-id USER_ID",
    Reason.RECORDING_TIME_UNKNOWN: "spotter outbox release {id} --user-id USER_ID",
    Reason.GUEST: "spotter athletes --resolve {who} USER_ID",
    Reason.KEY_CANNOT_SEND: "use an admin's API key, then: spotter outbox retry {id}",
    Reason.ACTIVITY_NOT_IN_PLAN: "upgrade the account's plan, then: spotter outbox retry {id}",
    Reason.REFUSED_FOR_ATHLETE: "spotter outbox retry {id}, or: spotter outbox release {id} "
    "--user-id USER_ID",
    Reason.CLIP_DAMAGED: "spotter outbox retry {id}",
    Reason.CAPTURE_MISSING: "copy the same file into the capture folder again",
    Reason.CAPTURE_DAMAGED: "copy the complete file into the capture folder again",
    "unreadable": "if it is damaged, copy the complete file into the capture folder again; then: "
    "spotter outbox discard {id}",
    "incomplete": "if there is a complete copy, put it into the capture folder; then: "
    "spotter outbox discard {id}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StationData:
    """What a description is made from, besides the thing itself."""

    settings: Settings
    outbox: Outbox
    start: str  # how the daemon is started
    now: Instant

    @property
    def folder(self) -> StateFolder:
        """The places of the station's files."""
        return state_folder(self.settings)

    @property
    def runs(self) -> bool:
        """Whether a daemon runs."""
        return StateFolderLock(self.folder).is_taken()


def headline(scene: StationData, found: Found) -> Document:
    """Return what something is, where it is now and what it waits for: one line."""
    if isinstance(found, FoundAthlete):
        return _headline("athlete", found.key, _athlete_name(found), None, _person(scene, found))
    called = found.file_name if isinstance(found, Capture) else found.clip_code
    kind = "recording" if isinstance(found, Capture) else "clip"
    name = f"{found.name} ({called})"
    text = describe_location(found, _surroundings(scene, found)) + _resent(scene.outbox, found)
    return _headline(kind, found.name, name, str(found.state), text)


def describe(scene: StationData, found: Found) -> Document:
    """Return the whole description: where it is, what to do, its facts, files and story."""
    described = headline(scene, found)
    if isinstance(found, FoundAthlete):
        return {
            **described,
            "next": f"spotter sessions --athlete {found.key}" if found.clips else None,
            "clips": [headline(scene, entry) for entry in found.clips],
        }
    described |= {"next": _step(scene, found)}
    clock = _clock_fault(scene.outbox, found)
    described |= {"cause": clock}
    if isinstance(found, Capture):
        return described | _of_capture(scene, found)
    return described | _of_clip(scene, found)


def file_described(name: str, text: str, *, next_: str | None = None) -> Document:
    """Return the description of a file that is not ingested yet."""
    return {**_headline("file", None, name, None, text), "next": next_}


def next_step(subject: Capture | Entry, *, runs: bool, start: str) -> str | None:
    """Return what a person should do next; None where nothing is left to do."""
    if isinstance(subject, Capture):
        moves, text = subject.state in TO_BE_LOOKED_INTO, _next_of_capture(subject)
    else:
        moves, text = subject.state in TO_BE_SENT, _next_of_clip(subject)
    return f"start the daemon: {start}" if moves and not runs else text


def _step(scene: StationData, subject: Capture | Entry) -> str | None:
    return next_step(subject, runs=scene.runs, start=scene.start)


def _next_of_capture(capture: Capture) -> str | None:
    if capture.state in TO_BE_LOOKED_INTO:
        return _NOTHING
    if capture.state is CaptureState.SKIPPED and capture.reason != Reason.SAME_MOMENT:
        return f"if it holds a take: spotter takes add {capture.name} START END"
    if capture.state is CaptureState.QUARANTINED:
        return _NEXT.get(
            capture.reason or "", "spotter outbox retry {id}, or: spotter outbox discard {id}"
        ).format(id=capture.name)
    return None


def _next_of_clip(entry: Entry) -> str | None:
    name = entry.name
    if entry.state is EntryState.HELD:
        otherwise = "spotter outbox release {id}, or: spotter outbox discard {id}"
        who = f"{GUEST_PREFIX}{entry.guest_id}"
        return _NEXT.get(entry.reason or "", otherwise).format(id=name, who=who)
    return {
        EntryState.READY: _NOTHING,
        EntryState.UPLOADING: _NOTHING,
        EntryState.UNCERTAIN: f"{_NOTHING} (to check now: spotter outbox retry {name})",
        EntryState.UPLOADED: f"{_NOTHING} (to check now: spotter session {name} --look)",
        EntryState.COMPLETED: f"spotter session {name}",
        EntryState.DEAD: f"fix the cause, then: spotter outbox retry {name}; "
        f"or: spotter outbox discard {name}",
    }.get(entry.state)


def _of_capture(scene: StationData, capture: Capture) -> Document:
    history = story(scene.outbox, capture)
    return {
        "recording": _recording(scene, capture),
        "warnings": history["picture"],
        "clips": [
            headline(scene, entry) | {"next": _step(scene, entry)}
            for entry in scene.outbox.entries.of_capture(capture.id)
        ],
        "story": history["story"],
    }


def _of_clip(scene: StationData, entry: Entry) -> Document:
    outbox, folder = scene.outbox, scene.folder
    history, followed = story(outbox, entry), outbox.sessions.of(entry)
    captures = outbox.entries.captures_of(entry.id)
    poster, strip = folder.pictures_of(entry.clip_code)
    files = {
        "clip": folder.clips / entry.stored_name,
        "thumbnail": poster,
        "filmstrip": strip,
        "result": folder.result_document(entry.clip_code),
        "analysed_video": folder.analysed_video(entry.clip_code),
    }
    return {
        "clip_code": entry.clip_code,
        "athlete": {
            "user_id": entry.user_id,
            "guest": None if entry.guest_id is None else f"{GUEST_PREFIX}{entry.guest_id}",
            "name": name_of(outbox, entry.user_id, entry.guest_id),
        },
        "movement": {
            "activity": entry.activity,
            "exercise": entry.exercise,
            "barbell_mass": entry.barbell_mass_kg,
            "incline_degree": entry.incline_deg,
        },
        "recorded_at": iso_utc(entry.filmed_at),
        "recordings": [_recording(scene, capture) for capture in captures],
        "clip": {
            "seconds": round(entry.clip_seconds, 2),
            "bytes": entry.clip_bytes,
            "cut": cut_words(entry) or None,
        },
        "files": {name: str(path) for name, path in files.items() if path.is_file()},
        "uploads": history["tries"],
        "session": None
        if entry.session_id is None
        else {
            "session_id": entry.session_id,
            "title": entry.server_title or entry.title,
            "sent_at": iso_utc(entry.sent_at),
            "analysis": history["analysis"],
            "metrics": 0
            if followed is None or followed.result is None
            else len(followed.result.numbers),
        },
        "warnings": [*entry.remarks, *history["picture"]],
        "story": history["story"],
    }


def _recording(scene: StationData, capture: Capture) -> Document:
    path = scene.folder.captures / capture.stored_name
    return {
        "id": capture.name,
        "file_name": capture.file_name,
        "sha256": capture.sha256,
        "seconds": capture.duration_s,
        "bytes": capture.facts.size_bytes,
        "recorded_at": iso_utc(capture.recorded_start_at),
        "recorded_by": capture.recorded_detail or capture.recorded_by,
        "path": str(path) if path.is_file() else None,
    }


def _clock_fault(outbox: Outbox, subject: Capture | Entry) -> str | None:
    """Say where the station's own clock is why nobody knows who is in a clip."""
    if isinstance(subject, Capture) or subject.reason != Reason.RECORDING_TIME_UNKNOWN:
        return None
    seen = [capture.evidence for capture in outbox.entries.captures_of(subject.id)]
    if not all(one.appeared.trusted for one in seen):
        when = "when the recording arrived"
    elif not all(said.starts.trusted for said in outbox.assignments.all()):
        when = "when an athlete was assigned"
    else:
        return None
    return f"this station's clock was not synchronised (NTP) {when}: check it with timedatectl"


def _person(scene: StationData, person: FoundAthlete) -> str:
    said = assignment_status(scene.outbox, now=scene.now).assignment
    user_id, guest_id = split_key(person.key)
    is_present = said is not None and said.who == (user_id, guest_id)
    where = "is assigned to the station now" if is_present else "is not assigned now"
    if not person.clips:
        return f"{where}; no clips"
    states: dict[str, int] = {}
    for entry in person.clips:
        states[str(entry.state)] = states.get(str(entry.state), 0) + 1
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    return f"{where}; latest {counted(len(person.clips), 'clip')}: {counts}"


def _athlete_name(person: FoundAthlete) -> str:
    return person.key if person.name is None else f"{person.key} ({person.name})"


def _headline(kind: str, id_: str | None, name: str, state: str | None, text: str) -> Document:
    return {"kind": kind, "id": id_, "name": name, "state": state, "told": text}


def _surroundings(scene: StationData, subject: Capture | Entry) -> StatusContext:
    outbox, settings, now_s = scene.outbox, scene.settings, scene.now.utc_s
    is_clip = isinstance(subject, Entry)
    if isinstance(subject, Capture):
        ahead = outbox.listing.captures_ahead_of(subject.id)
    else:
        ahead = outbox.listing.clips_ahead_of(subject.due_at)
    waits = {pause.part: pause.detail for pause in outbox.pauses.all()}
    first = outbox.outcomes.settled_first()
    return StatusContext(
        now_s=now_s,
        follow_up=outbox.follow_ups.of_entry(subject.id) if is_clip else None,
        lane=outbox.lanes.get(api_host(settings)),
        runs=scene.runs,
        start=scene.start,
        ahead=ahead,
        waits=waits.get(StageName.CLIPPING),
        opens_at=parse_timetable(settings.delivery.schedule).closed_until(now_s),
        first=None if first is None else first.name,
    )


def _resent(outbox: Outbox, subject: Capture | Entry) -> str:
    """Return how far a clip is on its way to the right athlete; empty where it is on none."""
    resend = None if isinstance(subject, Capture) else outbox.resends.of_entry(subject.id)
    return "" if resend is None or resend.state not in OPEN else f"; {resend_words(resend)}"
