"""spotter status."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.cli.attention_status import attention_documents, attention_lines
from agent.cli.common import (
    config_option,
    json_option,
    opened_outbox,
    print_json,
    settings_of,
)
from agent.cli.disk_status import disk_documents, disk_lines
from agent.cli.line_status import line_document, line_lines
from agent.cli.needs_status import needs_document, needs_lines
from agent.cli.notice_status import notice_lines, notices_document
from agent.cli.results_status import results_document, results_lines

if TYPE_CHECKING:
    from agent.local_time import LocalTime
    from agent.outbox.lanes import LaneState
    from agent.outbox.store import Outbox
    from agent.settings import Settings
    from agent.station.camera import Camera
    from agent.station.running_out import Standing


@click.command()
@config_option
@json_option
def status(config: Path | None, as_json: bool) -> None:
    """Show what the station is doing."""
    from agent.settings.place import find_config
    from agent.unit import start_command

    settings = settings_of(config)
    start = start_command(find_config(config, os.environ))
    with opened_outbox(settings) as outbox:
        document = _status(settings, outbox, start=start)
    if as_json:
        print_json(document)
    else:
        _print(document)


def _status(settings: "Settings", outbox: "Outbox", *, start: str) -> dict[str, object]:
    from agent import __version__
    from agent.cli.words import filming_document
    from agent.clock import iso_utc, read_clock
    from agent.intake.watch import watch_of
    from agent.outbox.disk.owner import OwnerLock
    from agent.station.filming import filming
    from agent.station.of_settings import api_host, state_folder
    from agent.station.running_out import standing

    now = read_clock()
    lane = outbox.lanes.get(api_host(settings))
    running, counts = OwnerLock(state_folder(settings)).is_taken(), outbox.listing.counts()
    camera = watch_of(outbox, settings).look(now)
    return {
        "at": iso_utc(now.utc_s),
        "station": settings.station.id,
        "version": __version__,
        "running": running,
        "assignment": _assignment(standing(outbox, now=now)),
        "filming": filming_document(filming(outbox, now=now)),
        **counts,
        "needs_you": needs_document(
            settings, counts, lane, start=None if running else start, camera=camera, now_s=now.utc_s
        ),
        "camera": camera_document(camera, now_s=now.utc_s),
        **attention_documents(outbox),
        "rebuilt": _rebuilt(outbox),
        "oldest_waiting_at": iso_utc(outbox.listing.oldest_waiting_at()),
        "last_upload_at": iso_utc(outbox.listing.last_sent_at()),
        "last_error": lane.last_error,
        "last_error_at": iso_utc(lane.last_error_at),
        "delivery": line_document(settings, outbox, now_s=now.utc_s),
        "analyses": results_document(settings, outbox),
        **disk_documents(settings, outbox, running=running, now_s=now.utc_s),
        "notices": notices_document(settings, outbox),
        "capture_folder": _capture_folder(settings, now_s=now.utc_s),
        "api": {**_api_document(lane, now_s=now.utc_s), "limit": _limit(outbox, lane)},
    }


def camera_document(camera: "Camera", *, now_s: float) -> dict[str, object]:
    """Return what the camera does, and when it last recorded."""
    from agent.clock import iso_utc

    age_s = camera.age_s(now_s)
    return {
        "state": str(camera.state),
        "last_recording_at": iso_utc(camera.last_at),
        "last_recording_age_s": None if age_s is None else round(age_s),
    }


def _limit(outbox: "Outbox", lane: "LaneState") -> dict[str, object] | None:
    """Return what waits because sessions are used up, or None."""
    from agent.clock import iso_utc

    limited = outbox.limits.limited(lane.uid)
    if limited is None:
        return None
    of_all = lane.paused_reason == "plan_limit"
    return {
        "clips": outbox.traffic.backlog().clips if of_all else limited.clips,
        "athletes": limited.athletes,
        "since": iso_utc(limited.since),
        "next_try_at": iso_utc(lane.next_probe_at if of_all else limited.next_try_at),
        "detail": limited.detail,
    }


def _api_document(lane: "LaneState", *, now_s: float) -> dict[str, object]:
    from agent.api.jwt import expires_soon
    from agent.clock import iso_utc

    return {
        "host": lane.host,
        "reachable": _reachable(lane.paused_reason, lane.answered_at),
        "paused": lane.paused_reason,
        "detail": lane.paused_detail,
        "next_probe_at": iso_utc(lane.next_probe_at),
        "last_answer_at": iso_utc(lane.answered_at),
        "role": lane.role,
        "plan": lane.plan,
        "key_expires_at": iso_utc(lane.key_expires_at),
        "key_expires_soon": expires_soon(lane.key_expires_at, now_s=now_s),
    }


def _capture_folder(settings: "Settings", *, now_s: float) -> dict[str, object]:
    from agent.station.left_alone import left_alone

    path = settings.paths.capture
    left = left_alone(path, settings.capture.suffixes, now_s=now_s)
    return {
        "path": str(path),
        "present": path.is_dir(),
        "left_alone": {"count": left.count, "names": list(left.names), "told": left.words()},
    }


def _rebuilt(outbox: "Outbox") -> dict[str, object] | None:
    """Return that the database was damaged and made anew, if it ever was."""
    from agent.clock import iso_utc

    rebuilt = outbox.rebuilt()
    if rebuilt is None:
        return None
    return {
        "at": iso_utc(rebuilt.at),
        "why": rebuilt.why,
        "damaged_kept_as": rebuilt.set_aside,
        "history_lost": rebuilt.history_lost,
    }


def _assignment(stands: "Standing") -> dict[str, object]:
    from agent.cli.words import assignment_document

    rest_s = None if stands.left_s is None else round(stands.left_s)
    return {**assignment_document(stands.assignment), "runs_out_in_s": rest_s}


def _reachable(paused: str | None, answered_at: float | None) -> bool | None:
    """Return whether the API answers; None where it was never asked."""
    if paused is None:
        return None if answered_at is None else True
    return paused in {"server_asks_to_wait", "plan_limit"}


def _print(document: dict[str, object]) -> None:
    from agent.local_time import LocalTime, seconds_of

    assignment, api = document["assignment"], document["api"]
    assert isinstance(assignment, dict) and isinstance(api, dict)  # made above
    running = "running" if document["running"] else "NOT running"
    here = LocalTime(seconds_of(document["at"]))
    lines = [
        ("station", f"{document['station']}, {running}"),
        ("time here", here.full(here.now_s)),
        *needs_lines(document["needs_you"]),
        ("athlete", _athlete(assignment)),
        ("capture", _filming(document)),
        ("camera", _last_recording(document["camera"])),
        ("recordings", _counts(document["captures"])),
        ("clips", _counts(document["entries"])),
        *attention_lines(document),
        ("waiting since", here.moment_or(document["oldest_waiting_at"], "nothing is waiting")),
        ("last upload", here.moment_or(document["last_upload_at"], "none yet")),
        *line_lines(document, here),
        *results_lines(document),
        ("API", _api(api, here)),
        *_limit_lines(api, here),
        ("last error", _last_error(document, here)),
        *_folder_lines(document["capture_folder"]),
        *disk_lines(document, here),
        *notice_lines(document, here),
        *_database_lines(document["rebuilt"], here),
    ]
    for name, words in lines:
        click.echo(f"{name:15} {words}")


def _database_lines(rebuilt: Any, here: "LocalTime") -> list[tuple[str, str]]:
    """Return what to say of a database that was made anew; nothing of one that never was."""
    if rebuilt is None:
        return []
    kept = rebuilt["damaged_kept_as"]
    told = f"rebuilt {here.moment_or(rebuilt['at'])}, because {rebuilt['why']}"
    return [("database", told + (f"; damaged copy: {kept}" if kept else ""))]


def _athlete(assignment: dict[str, Any]) -> str:
    from agent.cli.words import duration_words

    who = assignment["user_id"] or assignment.get("guest")
    if who is None:
        return "none assigned"
    movement = assignment["exercise"] or assignment["activity"]
    mass = assignment["barbell_mass"]
    rest_s = assignment["runs_out_in_s"]
    rest = "" if rest_s is None else f", expires in {duration_words(rest_s)}"
    return f"{who}, {movement}" + (f", {mass:g} kg" if mass else "") + rest


def _filming(document: dict[str, object]) -> str:
    from agent.cli.words import duration_words

    filming, camera = document["filming"], document["camera"]
    assert isinstance(filming, dict) and isinstance(camera, dict)  # made above
    age_s = camera["last_recording_age_s"]
    last = "no recording yet" if age_s is None else f"last recording {duration_words(age_s)} ago"
    if not filming["stopped"]:
        return f"enabled ({last})"
    rest_s = filming["ends_in_s"]
    until = "resume with: spotter filming start"
    if rest_s is not None:
        until = f"resumes in {duration_words(rest_s)}"
    return f"PAUSED, {until}; deleted unseen: {filming['removed_unseen']} ({last})"


def _last_recording(camera: object) -> str:
    assert isinstance(camera, dict)  # made above
    return "SILENT" if camera["state"] == "silent" else str(camera["state"])


def _counts(counts: object) -> str:
    assert isinstance(counts, dict)  # made above
    return ", ".join(f"{number} {state}" for state, number in counts.items()) or "none yet"


def _api(api: dict[str, object], here: "LocalTime") -> str:
    if api["paused"] is not None:
        asked = here.moment_or(api["next_probe_at"], "at once")
        return f"{api['host']}: uploads PAUSED, {api['detail']} (next try {asked})"
    if api["last_answer_at"] is None:
        return f"{api['host']}: not contacted yet"
    return f"{api['host']}: uploads enabled, last response {here.moment_or(api['last_answer_at'])}"


def _limit_lines(api: dict[str, Any], here: "LocalTime") -> list[tuple[str, str]]:
    """Return what to say of used-up sessions and a key that expires; nothing where all is well."""
    from agent.plurals import counted

    lines = []
    if api["limit"] is not None:
        clips = counted(api["limit"]["clips"], "clip waiting", "clips waiting")
        tried = here.moment_or(api["limit"]["next_try_at"], "at once")
        told = f"session limit REACHED: {clips}; next try {tried} ({api['limit']['detail']})"
        lines.append(("plan", told))
    if api["key_expires_soon"]:
        lines.append(("API key", f"EXPIRES {here.moment_or(api['key_expires_at'])}: get a new one"))
    return lines


def _last_error(document: dict[str, object], here: "LocalTime") -> str:
    if document["last_error"] is None:
        return "none"
    return f"{document['last_error']} ({here.moment_or(document['last_error_at'])})"


def _folder_lines(folder: object) -> list[tuple[str, str]]:
    assert isinstance(folder, dict)  # made above
    missing = "" if folder["present"] else " is MISSING: intake paused"
    left = folder["left_alone"]["told"]
    return [
        ("capture folder", f"{folder['path']}{missing}"),
        *([("ignored", f"{left} (capture.suffixes)")] if left else []),
    ]
