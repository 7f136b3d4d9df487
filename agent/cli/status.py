"""The command `status`."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from agent import __version__
from agent.cli.common import config_option, json_option, opened_outbox, print_json, settings_of
from agent.cli.formatting import assignment_document, duration_words, filming_document, size_words
from agent.clock import LocalTime, iso_utc, read_clock, seconds_of
from agent.daemon.systemd import start_command, unit_of
from agent.delivery.scheduling import read_uplink_status
from agent.disk.space import DiskSpace
from agent.disk.state_folder import StateFolderLock
from agent.intake.folder import watch_of
from agent.intake.left_behind import LeftBehind, left_behind
from agent.notifications.message import count_waiting
from agent.outbox.disk import read_disk
from agent.outbox.outbox import Outbox
from agent.outbox.pauses import FOLDER_MISSING, LaneState
from agent.secret_files import key_expires_soon
from agent.settings import Settings
from agent.settings.load import find_config, how_to_edit
from agent.settings.model import NO_KEY
from agent.stage import StageName
from agent.station.assignments import AssignmentStatus, api_host, assignment_status, state_folder
from agent.station.camera import Camera, camera_words
from agent.station.network import page_remedy
from agent.station.recording_pause import filming
from agent.station.status import needs_person
from agent.text import counted

_MOST = 3  # named in a line; the others are counted


def attention_documents(outbox: Outbox) -> dict[str, Any]:
    """Return the parts `set_aside` and `fails_at_server` of the status."""
    return {
        "set_aside": outbox.listing.set_aside(),
        "fails_at_server": outbox.listing.failing_at_server(),
    }


def attention_lines(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the same for people; nothing where there is nothing."""
    aside, failing = document["set_aside"], document["fails_at_server"]
    lines = []
    if aside:
        named = [f"{row['id']} {row['capture']} ({row['reason']})" for row in aside[:_MOST]]
        lines.append(("quarantined", f"{_listed(named, len(aside))}: spotter show ID"))
    if failing:
        named = [str(row["id"]) for row in failing[:_MOST]]
        lines.append(
            ("API fails on", f"{_listed(named, len(failing))}: retried once a day; spotter show ID")
        )
    return lines


def _listed(named: list[str], count: int) -> str:
    rest = count - len(named)
    return ", ".join(named) + (f" and {rest} more" if rest else "")


Lines = list[tuple[str, str]]


def disk_documents(
    settings: Settings, outbox: Outbox, *, running: bool, now_s: float
) -> dict[str, Any]:
    """Return the parts `disk`, `intake` and `pauses` of the status."""
    space = DiskSpace(settings.paths.state, min_free_mb=settings.disk.min_free_mb)
    disk = read_disk(outbox.rooms, space, now_s=now_s)
    weights = outbox.rooms.weights()
    pauses = [
        {"part": p.part, "reason": p.reason, "detail": p.detail, "since": iso_utc(p.since)}
        for p in (outbox.pauses.all() if running else [])  # another run's are over
    ]
    intake = next((pause for pause in pauses if pause["part"] == "intake"), None)
    return {
        "disk": {
            "free_bytes": disk.room.free_bytes,
            "total_bytes": disk.room.total_bytes,
            "min_free_bytes": disk.floor_bytes,
            "captures_bytes": weights.captures,
            "quarantined_bytes": weights.quarantined,
            "clips_waiting_bytes": weights.clips_waiting,
            "clips_delivered_bytes": weights.clips_delivered,
            "may_go_bytes": disk.may_go_bytes,
            "set_aside_bytes": _set_aside_bytes(settings),
            "forecast_known": disk.ahead.known,
            "full_in_s": _whole(disk.ahead.full_in_s),
        },
        "intake": intake or {"part": "intake", "reason": None, "detail": None, "since": None},
        "pauses": pauses,
    }


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds)


def disk_lines(document: dict[str, Any], here: LocalTime) -> Lines:
    """Return the same for people."""

    disk, pauses = document["disk"], document["pauses"]
    lines = [
        (f"{pause['part']} PAUSED", f"{pause['detail']} (since {here.moment_or(pause['since'])})")
        for pause in pauses
        if pause["part"] != StageName.PAGE  # it is among what must be done
    ]
    free, total = size_words(disk["free_bytes"]), size_words(disk["total_bytes"])
    lines.append(("disk", f"{free} free of {total}; {_outlook(disk)}"))
    kept = {
        "recordings": disk["captures_bytes"],
        "clips not uploaded yet": disk["clips_waiting_bytes"],
        "clips uploaded": disk["clips_delivered_bytes"],
    }
    parts = [f"{size_words(size)} {name}" for name, size in kept.items() if size]
    lines.append(("disk usage", ", ".join(parts) or "nothing yet"))
    aside = disk["quarantined_bytes"] + disk["set_aside_bytes"]
    if aside:
        lines.append(("quarantined", f"{size_words(aside)}; kept until discarded"))
    return lines


def _outlook(disk: dict[str, Any]) -> str:
    full_in_s = disk["full_in_s"]
    if isinstance(full_in_s, int):
        if full_in_s == 0:
            return "LOW on space"
        return f"full in about {duration_words(full_in_s)} at the current rate"
    return "not filling up" if disk["forecast_known"] else "not enough data for a forecast"


def _set_aside_bytes(settings: Settings) -> int:
    aside = state_folder(settings).set_aside
    return sum(path.stat().st_size for path in aside.rglob("*") if path.is_file())


def line_document(settings: Settings, outbox: Outbox, *, now_s: float) -> dict[str, Any]:
    """Return the part `delivery` of the status."""

    line = read_uplink_status(outbox, schedule=settings.delivery.schedule, now_s=now_s)
    backlog, timetable, sent_at = line.backlog, line.timetable, line.sent_at
    rate = timetable.rate_at(now_s)
    return {
        "backlog": {"clips": backlog.clips, "bytes": backlog.size_bytes},
        "goodput_bytes_s": None if line.goodput is None else round(line.goodput.bytes_s),
        "until_sent_s": None if sent_at is None else round(sent_at - now_s),
        "unknown_first": None
        if line.unsettled is None
        else {"id": line.unsettled.name, "looked_for_at": iso_utc(line.unsettled.due_at)},
        "sent_by": iso_utc(sent_at) if backlog.clips else None,
        "hours": {
            "schedule": settings.delivery.schedule,
            "open": rate > 0,
            "cap_bytes_s": round(rate) if timetable.is_cap(rate) else None,
            "changes_at": iso_utc(timetable.changes_at(now_s)),
            "opens_at": iso_utc(timetable.closed_until(now_s)),
        },
    }


def line_lines(document: dict[str, Any], here: LocalTime) -> list[tuple[str, str]]:
    """Return the same for people."""
    line = document["delivery"]
    backlog = _backlog(line, _standstill(document, here), here)
    return [("to upload", backlog), ("uplink", f"{_speed(line)}; {_hours(line['hours'], here)}")]


def _standstill(document: dict[str, Any], here: LocalTime) -> str | None:
    """Return what keeps everything from being sent, or None: then a time can be estimated."""
    if not document["running"]:
        return "when the daemon runs"
    if document["api"]["paused"] is not None:
        return "when uploads are enabled again"
    first = document["delivery"]["unknown_first"]
    if first is None:
        return None
    looked = here.moment_or(first["looked_for_at"])
    return f"after {first['id']} has been looked up at the API ({looked})"


def _backlog(line: dict[str, Any], standstill: str | None, here: LocalTime) -> str:
    clips, size_bytes = line["backlog"]["clips"], line["backlog"]["bytes"]
    if not clips:
        return "nothing"
    text = f"{counted(clips, 'clip')}, {size_words(size_bytes)}"
    if standstill is not None:
        return f"{text}: {standstill}"
    if line["until_sent_s"] is not None:
        soon = duration_words(max(line["until_sent_s"], 1))
        return f"{text}: done in about {soon}, by {_hour(line['sent_by'], here)}"
    known = line["goodput_bytes_s"] is not None
    return (
        f"{text}: {'more than a year at this speed' if known else 'upload speed not measured yet'}"
    )


def _speed(line: dict[str, Any]) -> str:
    rate = line["goodput_bytes_s"]
    return "speed not measured yet" if rate is None else f"{size_words(rate)}/s"


def _hours(hours: dict[str, Any], here: LocalTime) -> str:
    if not hours["open"]:
        return f"uploads PAUSED until {_hour(hours['opens_at'], here)} (delivery.schedule)"
    cap = hours["cap_bytes_s"]
    text = "no limit" if cap is None else f"limited to {size_words(cap)}/s"
    changes_at = hours["changes_at"]
    return text if changes_at is None else f"{text} until {_hour(changes_at, here)}"


def _hour(moment: str, here: LocalTime) -> str:
    """Return an hour by the box's own clock, which upload hours go by."""

    return here.hour(seconds_of(moment))


def page_document(
    settings: Settings, pauses: list[dict[str, Any]], *, running: bool
) -> dict[str, Any]:
    """Return the part `page` of the status: whether the coach's page is served."""
    pause = next((pause for pause in pauses if pause["part"] == StageName.PAGE), None)
    listen = settings.web.listen
    return {
        "listen": listen or None,
        "open": running and bool(listen) and pause is None,
        "reason": pause and pause["reason"],
        "detail": pause and pause["detail"],
    }


def _page_needs(page: dict[str, Any], unit: str) -> list[dict[str, str]]:
    if page["reason"] is None:
        return []
    text = f"the coach's page is not open: {page['detail']}"
    remedy = page_remedy(str(page["listen"]), str(page["reason"]), unit=unit)
    return [{"what": "page", "told": text, "do": remedy}]


def _pause_needs(pauses: list[dict[str, Any]], capture: Path) -> list[dict[str, str]]:
    """Return the paused parts, of which a line of its own has the details; the page has its own."""
    is_said = {FOLDER_MISSING} if not capture.is_dir() else set()
    return [
        {"what": "paused", "told": f"{pause['part']} is paused", "do": "spotter doctor"}
        for pause in pauses
        if pause["part"] != StageName.PAGE and pause["reason"] not in is_said
    ]


def _footage_needs(left: LeftBehind) -> list[dict[str, str]]:
    """Return what must be done about footage that stays in the capture folder."""
    return [
        {"what": "not_ingested", "told": one.words().rstrip("."), "do": one.remedy}
        for one in left.footage
    ]


_KEYS = {
    "no_key": "no API key: uploads are paused",
    "key": "the API rejects the key: uploads are paused",
}


def needs_document(
    settings: Settings,
    counts: dict[str, dict[str, int]],
    lane: LaneState,
    *,
    start: str | None,
    camera: Camera,
    stopped: Sequence[dict[str, str]],
    now_s: float,
) -> list[dict[str, str]]:
    """Return what must be done, the most urgent first.

    Args:
        settings: of the station.
        counts: of captures and entries by state.
        lane: the way to the API.
        start: how the daemon is started; None: it runs.
        camera: what it does.
        stopped: what must be done for the page and other parts that are paused, and for footage
            that is not ingested.
        now_s: Unix time.
    """

    needs = []
    if start is not None:
        needs.append({"what": "daemon", "told": "the daemon is not running", "do": start})
    text = _KEYS.get(lane.paused_reason or "")
    if lane.paused_reason == "no_key" and lane.paused_detail not in {None, NO_KEY}:
        text = f"{lane.paused_detail}; uploads are paused"
    if text is not None:
        needs.append({"what": "key", "told": text, "do": how_to_edit(settings.api.key_file)})
    if lane.paused_reason == "plan_limit":
        text = "the plan's session limit is reached: uploads resume automatically after that"
        needs.append(
            {"what": "plan_limit", "told": text, "do": "delete sessions or upgrade the plan"}
        )
    if not settings.paths.capture.is_dir():
        text = f"the capture folder {settings.paths.capture} is missing: nothing is ingested"
        needs.append({"what": "capture_folder", "told": text, "do": "spotter doctor"})
    needs += stopped
    if camera.is_faulty:
        text = f"the camera is {camera_words(camera, now_s=now_s)}"
        needs.append({"what": "camera", "told": text, "do": "spotter doctor"})
    return needs + [
        {"what": need.state, "told": need.text, "do": need.command} for need in needs_person(counts)
    ]


def needs_lines(needs: list[dict[str, str]]) -> list[tuple[str, str]]:
    """Return the same for people, a line each."""
    lines = [f"{need['told']} ({need['do']})" for need in needs] or ["none"]
    return [("" if number else "action required", line) for number, line in enumerate(lines)]


_MOST_COUNTED = 1000


def notices_document(settings: Settings, outbox: Outbox) -> dict[str, Any]:
    """Return the part `notices` of the status: a part for every channel that is on."""
    channels = outbox.channels.all()
    if not channels:
        return {}

    document: dict[str, Any] = {}
    for channel in channels:
        wanted = settings.webhook.events if channel.name == "webhook" else None
        refused, last = outbox.channels.refused(channel.name)
        document[channel.name] = {
            "waiting": count_waiting(outbox, channel.cursor, wanted=wanted, most=_MOST_COUNTED),
            "last_acknowledged_at": iso_utc(channel.acknowledged_at),
            "failing_since": iso_utc(channel.failing_since),
            "failures": channel.failures,
            "next_try_at": iso_utc(channel.next_try_at),
            "last_error": channel.last_error,
            "refused": refused,
            "last_refused": None if last is None else {"notice": last.notice, "why": last.why},
        }
    return document


def notice_lines(document: dict[str, Any], here: LocalTime) -> list[tuple[str, str]]:
    """Return the same for people."""
    notices = document["notices"]
    return [(name, _words(channel, here)) for name, channel in notices.items()]


def _words(channel: dict[str, Any], here: LocalTime) -> str:
    waiting = f"{channel['waiting']} waiting"
    if channel["failing_since"] is not None:
        since = here.moment_or(channel["failing_since"])
        return f"FAILING since {since}, {waiting}: {channel['last_error']}"
    heard = channel["last_acknowledged_at"]
    text = "no event sent yet" if heard is None else f"last event received {here.moment_or(heard)}"
    if channel["waiting"]:
        text += f", {waiting}"
    if channel["refused"]:
        text += f"; {channel['refused']} rejected, last {channel['last_refused']['notice']}"
    return text


_WORDS = {
    "waiting": "pending",
    "completed": "completed",
    "failed": "failed",
    "gone": "deleted at the API",
    "not_seen": "not completed in time",
}


def results_document(settings: Settings, outbox: Outbox) -> dict[str, Any]:
    """Return the part `analyses` of the status."""

    return {
        "followed": settings.results.follow,
        "counts": outbox.follow_ups.counts(),
        "oldest_awaited_since": iso_utc(outbox.follow_ups.oldest_waiting_at()),
        "kept_bytes": outbox.result_clearing.weight_bytes(),
    }


def results_lines(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the same for people; nothing where nothing was delivered yet."""

    results = document["analyses"]
    counts = results["counts"]
    if not counts:
        return []
    text = ", ".join(
        f"{counts[state]} {words}" for state, words in _WORDS.items() if state in counts
    )
    if results["kept_bytes"]:
        text += f"; {size_words(results['kept_bytes'])} stored"
    return [("analyses", text if results["followed"] else f"{text}; NOT polled (results.follow)")]


@click.command()
@config_option
@json_option
def status(config: Path | None, as_json: bool) -> None:
    """Show what the station is doing."""

    settings = settings_of(config)
    file = find_config(config, os.environ)
    with opened_outbox(settings) as outbox:
        document = _status(settings, outbox, config=file)
    if as_json:
        print_json(document)
    else:
        _print(document)


def _status(settings: Settings, outbox: Outbox, *, config: Path) -> dict[str, Any]:
    now = read_clock()
    lane = outbox.lanes.get(api_host(settings))
    running, counts = StateFolderLock(state_folder(settings)).is_taken(), outbox.listing.counts()
    camera = watch_of(outbox, settings).look(now)
    disk = disk_documents(settings, outbox, running=running, now_s=now.utc_s)
    page = page_document(settings, disk["pauses"], running=running)
    left = left_behind(settings, now_s=now.utc_s)
    paused = [
        *_page_needs(page, unit_of(config)),
        *_pause_needs(disk["pauses"], settings.paths.capture),
    ]
    return {
        "at": iso_utc(now.utc_s),
        "station": settings.station.id,
        "version": __version__,
        "running": running,
        "assignment": _assignment(assignment_status(outbox, now=now)),
        "filming": filming_document(filming(outbox, now=now)),
        **counts,
        "needs_you": needs_document(
            settings,
            counts,
            lane,
            start=None if running else start_command(config),
            camera=camera,
            stopped=[*paused, *_footage_needs(left)],
            now_s=now.utc_s,
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
        **disk,
        "page": page,
        "notices": notices_document(settings, outbox),
        "capture_folder": _capture_folder(settings.paths.capture, left),
        "api": {**_api_document(lane, now_s=now.utc_s), "limit": _limit(outbox, lane)},
    }


def camera_document(camera: Camera, *, now_s: float) -> dict[str, Any]:
    """Return what the camera does, and when it last recorded."""

    age_s = camera.age_s(now_s)
    return {
        "state": str(camera.state),
        "last_recording_at": iso_utc(camera.last_at),
        "last_recording_age_s": None if age_s is None else round(age_s),
    }


def _limit(outbox: Outbox, lane: LaneState) -> dict[str, Any] | None:
    """Return what waits because sessions are used up, or None."""

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


def _api_document(lane: LaneState, *, now_s: float) -> dict[str, Any]:
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
        "key_expires_soon": key_expires_soon(lane.key_expires_at, now_s=now_s),
    }


def _capture_folder(path: Path, left: LeftBehind) -> dict[str, Any]:
    others = left.unrecognised
    return {
        "path": str(path),
        "present": path.is_dir(),
        "not_ingested": [
            {"reason": str(one.reason), "count": one.count, "name": one.name}
            for one in left.footage
        ],
        "left_alone": {"count": others.count, "names": list(others.names), "told": others.words()},
    }


def _rebuilt(outbox: Outbox) -> dict[str, Any] | None:
    """Return that the database was damaged and rebuilt, if it ever was."""

    rebuilt = outbox.rebuilt()
    if rebuilt is None:
        return None
    return {
        "at": iso_utc(rebuilt.at),
        "why": rebuilt.why,
        "damaged_kept_as": rebuilt.set_aside,
        "history_lost": rebuilt.history_lost,
    }


def _assignment(stands: AssignmentStatus) -> dict[str, Any]:
    rest_s = None if stands.left_s is None else round(stands.left_s)
    return {**assignment_document(stands.assignment), "runs_out_in_s": rest_s}


def _reachable(paused: str | None, answered_at: float | None) -> bool | None:
    """Return whether the API answers; None where it was never asked."""
    if paused is None:
        return None if answered_at is None else True
    return paused in {"server_asks_to_wait", "plan_limit"}


def _print(document: dict[str, Any]) -> None:
    assignment, api = document["assignment"], document["api"]
    running = "running" if document["running"] else "NOT running"
    here = LocalTime(seconds_of(document["at"]))
    lines = [
        ("station", f"{document['station']}, {running}"),
        ("time here", here.full(here.now_s)),
        *needs_lines(document["needs_you"]),
        ("athlete", _athlete(assignment)),
        ("recording", _filming(document)),
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


def _database_lines(rebuilt: Any, here: LocalTime) -> list[tuple[str, str]]:
    """Return what to say of a database that was rebuilt; nothing of one that never was."""
    if rebuilt is None:
        return []
    kept = rebuilt["damaged_kept_as"]
    text = f"rebuilt {here.moment_or(rebuilt['at'])}, because {rebuilt['why']}"
    return [("database", text + (f"; damaged copy: {kept}" if kept else ""))]


def _athlete(assignment: dict[str, Any]) -> str:
    who = assignment["user_id"] or assignment.get("guest")
    if who is None:
        return "none assigned"
    movement = assignment["exercise"] or assignment["activity"]
    mass = assignment["barbell_mass"]
    rest_s = assignment["runs_out_in_s"]
    rest = "" if rest_s is None else f", expires in {duration_words(rest_s)}"
    return f"{who}, {movement}" + (f", {mass:g} kg" if mass else "") + rest


def _filming(document: dict[str, Any]) -> str:
    filming, camera = document["filming"], document["camera"]
    age_s = camera["last_recording_age_s"]
    last = "no recording yet" if age_s is None else f"last recording {duration_words(age_s)} ago"
    if not filming["stopped"]:
        return f"enabled ({last})"
    rest_s = filming["ends_in_s"]
    until = "resume with: spotter filming start"
    if rest_s is not None:
        until = f"resumes in {duration_words(rest_s)}"
    return f"PAUSED, {until}; recordings deleted: {filming['removed_unseen']} ({last})"


def _last_recording(camera: dict[str, Any]) -> str:
    return "SILENT" if camera["state"] == "silent" else str(camera["state"])


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {state}" for state, number in counts.items()) or "none yet"


def _api(api: dict[str, Any], here: LocalTime) -> str:
    if api["paused"] is not None:
        asked = here.moment_or(api["next_probe_at"], "at once")
        return f"{api['host']}: uploads PAUSED, {api['detail']} (next try {asked})"
    if api["last_answer_at"] is None:
        return f"{api['host']}: not contacted yet"
    return f"{api['host']}: uploads enabled, last response {here.moment_or(api['last_answer_at'])}"


def _limit_lines(api: dict[str, Any], here: LocalTime) -> list[tuple[str, str]]:
    """Return what to say of used-up sessions and a key that expires; nothing where all is well."""

    lines = []
    if api["limit"] is not None:
        clips = counted(api["limit"]["clips"], "clip waiting", "clips waiting")
        tried = here.moment_or(api["limit"]["next_try_at"], "at once")
        text = f"session limit REACHED: {clips}; next try {tried} ({api['limit']['detail']})"
        lines.append(("plan", text))
    if api["key_expires_soon"]:
        lines.append(("API key", f"EXPIRES {here.moment_or(api['key_expires_at'])}: get a new one"))
    return lines


def _last_error(document: dict[str, Any], here: LocalTime) -> str:
    if document["last_error"] is None:
        return "none"
    return f"{document['last_error']} ({here.moment_or(document['last_error_at'])})"


def _folder_lines(folder: dict[str, Any]) -> list[tuple[str, str]]:
    missing = "" if folder["present"] else " is MISSING: intake paused"
    left = folder["left_alone"]["told"]
    return [
        ("capture folder", f"{folder['path']}{missing}"),
        *([("ignored", f"{left} (capture.suffixes)")] if left else []),
    ]
