"""Everything about one recording, clip or athlete, as `spotter show` prints it."""

from collections.abc import Iterable
from dataclasses import dataclass

from agent.bandwidth_schedule import parse_timetable
from agent.clock import Instant, iso_utc
from agent.disk.state_folder import StateFolder, StateFolderLock
from agent.outbox.history import cut_words, resend_words, story
from agent.outbox.models import Capture, Entry
from agent.outbox.outbox import Outbox
from agent.outbox.resends import OPEN
from agent.outbox.roster import GUEST_PREFIX
from agent.outbox.states import TO_BE_LOOKED_INTO, TO_BE_SENT, CaptureState, EntryState, Reason
from agent.settings import Settings
from agent.stage import StageName
from agent.station.assignments import api_host, state_folder
from agent.station.expiry import assignment_status
from agent.station.lookup import Found, FoundAthlete
from agent.station.roster import name_of, split_key
from agent.station.status import StatusContext, describe_location
from agent.text import counted

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
    described |= {"next": next_step(found, runs=scene.runs, start=scene.start)}
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
        "clips": [headline(scene, e) for e in scene.outbox.entries.of_capture(capture.id)],
        "story": history["story"],
    }


def _of_clip(scene: StationData, entry: Entry) -> Document:
    outbox, folder = scene.outbox, scene.folder
    history, followed = story(outbox, entry), outbox.sessions.of(entry)
    captures = [outbox.captures.by_id(number) for number in outbox.entries.captures_of(entry.id)]
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
        "recordings": [_recording(scene, one) for one in captures if one is not None],
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
        "warnings": [*entry.remarks, *_texts(history["picture"])],
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
    captures = _known(outbox.captures.by_id(n) for n in outbox.entries.captures_of(subject.id))
    seen = [capture.evidence for capture in captures]
    if not all(one.appeared.trusted for one in seen):
        when = "when the recording arrived"
    elif not all(said.starts.trusted for said in outbox.assignments.all()):
        when = "when an athlete was assigned"
    else:
        return None
    return f"this station's clock was not synchronised (NTP) {when}: check it with timedatectl"


def _known(captures: Iterable[Capture | None]) -> list[Capture]:
    return [capture for capture in captures if capture is not None]


def _texts(warnings: object) -> list[str]:
    assert isinstance(warnings, list)  # a story's own
    return [str(one) for one in warnings]


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
