"""Checks of what was recorded: whether it arrives and is admitted, and what is in the outbox."""

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from agent.clock import LocalTime
from agent.daemon.systemd import unit_of
from agent.disk.rights import may_take, service_user_of
from agent.disk.state_folder import walk
from agent.doctor.check import CheckResult, Severity, StationUnderTest, broken, fine, warning
from agent.errors import AgentError
from agent.intake.folder import watch_of
from agent.intake.left_behind import LeftReason, UnrecognisedFiles, left_behind
from agent.intake.stability import WriterState, writer_state
from agent.outbox.consistency import Audit, audit, opened_as_it_is
from agent.outbox.database_file import DATABASE_NAME, check_integrity, holds_history
from agent.outbox.outbox import RecoveryInfo
from agent.outbox.pauses import PLAN_LIMIT, LaneState
from agent.station.assignments import api_host
from agent.station.camera import Camera, camera_words
from agent.station.status import needs_person
from agent.text import counted, printable_file_name

_A_START = "a start repairs it and keeps the data"


def check_outbox(station: StationUnderTest) -> list[CheckResult]:
    """Check the outbox, without changing it."""
    root = station.folder.root
    path = root / DATABASE_NAME
    restart = f"sudo systemctl restart {unit_of(station.config)}; {_A_START}"
    if not path.exists():
        if root.is_dir() and holds_history(root):
            return [broken("outbox", f"{path} is missing, but its ledger exists", restart)]
        return [fine("outbox", "not created yet")]
    try:
        why = check_integrity(root)
        if why is not None:
            return [broken("outbox", f"damaged: {why}", restart)]
        found = audit(root)
    except (sqlite3.Error, OSError, AgentError) as error:
        return [broken("outbox", f"cannot be examined: {error}", _right_to_read(path))]
    return judge_audit(found, path, restart=restart)


def judge_audit(found: Audit, path: Path, *, restart: str) -> list[CheckResult]:
    """Judge what the check of the outbox has shown.

    Args:
        found: what it has shown.
        path: of the database.
        restart: what to say where the next start fixes it.
    """
    if found.newer:
        return [
            broken(
                "version",
                f"{path} was written by a newer Spotter ({', '.join(found.newer)})",
                "install that version again; nothing was changed",
            )
        ]
    if found.pending:
        return [fine("version", "the next start migrates the outbox, after a backup copy")]
    if found.busy:
        return [warning("outbox", "in use by another program for seconds", "spotter doctor")]
    return [*_ledger(found, restart), _rules(found), _files(found)]


def _ledger(found: Audit, restart: str) -> list[CheckResult]:
    if found.contradicts is not None:
        return [broken("outbox", f"differs from its ledger: {found.contradicts}", restart)]
    if found.behind or found.ledger_damaged:
        told = counted(found.behind, "commit is", "commits are") + " only in the ledger"
        if found.ledger_damaged:
            damaged = counted(found.ledger_damaged, "line")
            told = f"{damaged} of its ledger unreadable"
        return [warning("outbox", told, restart)]
    return [fine("outbox", "intact and consistent with its ledger")]


def _rules(found: Audit) -> CheckResult:
    if not found.broken_rules:
        return fine("database constraints", "intact")
    told = "; ".join(f"{rule}: {_some(ids)}" for rule, ids in found.broken_rules.items())
    return broken(
        "database constraints", told, "create a support bundle and send it to us: spotter support"
    )


def _files(found: Audit) -> CheckResult:
    if found.missing_files:
        return broken(
            "outbox files",
            f"missing: {_some(found.missing_files)}",
            "restore them if you have copies; to cut a lost clip again: "
            f"spotter outbox retry {found.missing_files[0]}",
        )
    if found.other_size:
        return broken(
            "outbox files",
            f"changed on disk: {_some(found.other_size)}",
            f"spotter show {found.other_size[0]}; check the disk: sudo dmesg",
        )
    return fine("outbox files", "all present")


def _right_to_read(path: Path) -> str:
    return f"as a user of the group of {path.parent} (sudo adduser NAME spotter), or with sudo"


def _some(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


_SHOWN = 5  # athletes by name of their ids
_LONG_S = 24 * 3600.0  # an analysis takes minutes


def check_life(station: StationUnderTest) -> list[CheckResult]:
    """Ask the outbox, where there is one that can be opened."""
    try:
        with opened_as_it_is(station.folder.root) as outbox:
            if outbox is None:
                return []
            here = LocalTime(station.now.utc_s)
            host = api_host(station.settings)
            lane = outbox.lanes.get(host)
            pauses = outbox.pauses.all() if station.runs else []
            pauses = [pause for pause in pauses if pause.part != "page"]  # has its own check
            return [
                *judge_rebuilt(outbox.rebuilt(), here),
                *judge_history(outbox.history_lost_at(), here),
                judge_titles(lane),
                *([judge_lane(lane)] if station.runs else []),
                *(
                    warning(
                        p.part, f"paused since {here.moment(p.since)}: {p.detail}", "spotter status"
                    )
                    for p in pauses
                ),
                judge_waiting(outbox.listing.counts()),
                *judge_measures(
                    [(one.user_id or "", one.lacks) for one in outbox.roster.lacking()]
                ),
                *judge_failing([str(row["id"]) for row in outbox.listing.failing_at_server()]),
                *judge_analyses(
                    outbox.follow_ups.counts(),
                    oldest_at=outbox.follow_ups.oldest_waiting_at(),
                    follows=station.settings.results.follow,
                    now_s=station.now.utc_s,
                ),
            ]
    except (sqlite3.Error, AgentError):
        return []  # said by the check of the outbox


def judge_measures(lacking: Sequence[tuple[str, Sequence[str]]]) -> list[CheckResult]:
    """Name the athletes whose forces and power the API cannot compute.

    Args:
        lacking: user ids, each with the body measures that the account does not have.
    """
    if not lacking:
        return []
    shown = "; ".join(f"{user_id}: {', '.join(lacks)}" for user_id, lacks in lacking[:_SHOWN])
    more = f"; and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
    return [
        warning(
            "body measures",
            f"the account lacks some of {counted(len(lacking), 'athlete')}, so the API "
            f"computes no forces for them: {shown}{more}",
            "add them in the account; list: spotter athletes",
        )
    ]


def judge_rebuilt(rebuilt: RecoveryInfo | None, here: LocalTime) -> list[CheckResult]:
    """Report a database that was damaged and rebuilt."""
    if rebuilt is None:
        return []
    told = f"rebuilt {here.moment(rebuilt.at)}: {rebuilt.why}"
    if rebuilt.history_lost:
        told += "; its ledger was damaged too: uncertain clips are looked up first"
    kept = rebuilt.set_aside
    remedy = "check the disk: sudo dmesg; sudo smartctl -a /dev/DISK"
    return [
        warning("database", told, remedy if kept is None else f"{remedy} (damaged copy: {kept})")
    ]


def judge_history(lost_at: float | None, here: LocalTime) -> list[CheckResult]:
    """Report a record that is incomplete, as after a backup was restored."""
    if lost_at is None:
        return []
    told = f"incomplete before {here.moment(lost_at)}: older clips are looked up first"
    return [fine("upload history", told)]


def judge_titles(lane: LaneState) -> CheckResult:
    """Report an API that changes titles: then it can never be proven that a clip is not there."""
    if lane.titles_altered:
        return warning(
            "session titles",
            f"{lane.host} changes the titles of sessions: after a lost response a clip is held "
            "instead of uploaded again",
            "tell the vendor; held clips: spotter outbox list --state held",
        )
    return fine("session titles", "unchanged by the API")


def judge_lane(lane: LaneState) -> CheckResult:
    """Tell whether uploads are enabled."""
    if lane.paused_reason is None:
        return fine("uploads", "enabled")
    if lane.paused_reason == PLAN_LIMIT:
        remedy = "delete sessions or upgrade the plan: uploads resume automatically"
        return warning("uploads", str(lane.paused_detail), remedy)
    return warning(
        "uploads", f"paused: {lane.paused_detail}", "see API below; uploads resume automatically"
    )


def judge_waiting(counts: dict[str, dict[str, int]]) -> CheckResult:
    """Report what only a person can move on."""
    needs = needs_person(counts)
    if not needs:
        return fine("action required", "nothing")
    return warning("action required", ", ".join(need.text for need in needs), needs[0].command)


def judge_failing(names: Sequence[str]) -> list[CheckResult]:
    """Report clips on which the API fails repeatedly while others pass."""
    if not names:
        return []
    count = counted(len(names), "clip")
    return [
        warning(
            "API and clips",
            f"the API fails on {count}, as {names[0]}, and accepts others: retried once a day",
            f"spotter show {names[0]}; report the API's response to the vendor",
        )
    ]


def judge_analyses(
    counts: Mapping[str, int], *, oldest_at: float | None, follows: bool, now_s: float
) -> list[CheckResult]:
    """Tell whether analyses come back; nothing where nothing was delivered yet."""
    if not counts:
        return []
    if not follows:
        return [fine("analyses", "not polled: results.follow = false")]
    lost = {state: counts[state] for state in ("failed", "not_seen") if counts.get(state)}
    if oldest_at is not None and now_s - oldest_at > _LONG_S:
        awaited = counted(counts["waiting"], "pending", "pending")
        told = f"{awaited}, the oldest since {LocalTime(now_s).moment(oldest_at)}"
        return [warning("analyses", told, "spotter sessions --state waiting")]
    if lost:
        told = ", ".join(f"{number} {state.replace('_', ' ')}" for state, number in lost.items())
        remedy = f"spotter sessions --state {next(iter(lost))}; spotter session ID --look"
        return [warning("analyses", told, remedy)]
    awaited = f", {counts['waiting']} pending" if counts.get("waiting") else ""
    there = counted(counts.get("completed", 0), "completed", "completed")
    return [fine("analyses", f"{there}{awaited}")]


_QUIET_DAYS = 3
_DAY_S = 86400.0
_MUST_BE_IN_S = 120.0  # on top of the longest settling
_UNFINISHED = (".part", ".tmp")
_PENDING = {LeftReason.FILE_CLOSED, LeftReason.HELD_OPEN}  # are among the files that wait
_MOST = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingFile:
    """One video in the capture folder."""

    name: str
    quiet_s: float  # since it was last written
    is_written: bool  # somebody has it open for writing
    may_be_taken: bool = True  # the daemon may read it and move it


def judge_pending(files: Collection[PendingFile], *, settle_s: float) -> CheckResult:
    """Judge the videos in the capture folder of a station that runs."""
    name = "files in the folder"
    closed = [f for f in files if not f.may_be_taken]
    if closed:
        return broken(
            name,
            f"{len(closed)} cannot be read and moved by the service, such as {closed[0].name}",
            f"spotter show {closed[0].name!r}",
        )
    stuck = [f for f in files if f.quiet_s > settle_s + _MUST_BE_IN_S]
    if stuck:
        open_ones = [f for f in stuck if f.is_written]
        first = (open_ones or stuck)[0]
        why = "a program still has it open for writing" if open_ones else "reason unknown"
        return warning(
            name,
            f"{counted(len(stuck), 'file')} not ingested, such as {first.name}: "
            f"no writes for {first.quiet_s / 60:.0f} min, {why}",
            f"spotter show {first.name!r}",
        )
    return fine(name, f"{len(files)} in progress" if files else "none")


def judge_left(left: UnrecognisedFiles, *, suffixes: Collection[str]) -> CheckResult:
    """Judge files that are not ingested because of their names."""
    remedy = f"capture.suffixes takes {' '.join(sorted(suffixes))}; move other files away"
    return warning("files in the folder", left.words(), remedy)


def judge_last(last_at: float | None, camera: Camera | None = None, *, now_s: float) -> CheckResult:
    """Judge when the camera last delivered anything, and whether it should have since.

    Args:
        last_at: when a capture was last ingested (Unix time).
        camera: what it does; None where it could not be checked.
        now_s: Unix time.
    """
    name = "last recording"
    if camera is not None and camera.detail is not None:
        return broken(
            name,
            f"the camera is {camera_words(camera, now_s=now_s)}",
            "spotter camera; sudo journalctl -u 'spotter-recorder@*' -n 20",
        )
    if camera is not None and camera.is_faulty:
        return broken(
            name,
            f"the camera is {camera_words(camera, now_s=now_s)}",
            "check the camera's power and picture, and that its program writes here; "
            "station.hours and station.camera_silent_min say when it must",
        )
    if last_at is None:
        return warning(
            name, "none yet", "check that the camera program writes into the capture folder"
        )
    days = (now_s - last_at) / _DAY_S
    if days > _QUIET_DAYS:
        return warning(
            name,
            f"{days:.0f} days ago",
            "check the camera's power, and that its program writes here",
        )
    ago = f"{days * 24:.0f} h ago" if days > 1 / 24 else f"{max(0.0, days * 1440):.0f} min ago"
    return fine(name, ago)


def check_camera(station: StationUnderTest) -> list[CheckResult]:
    """Check the capture folder and the last recording."""
    settings = station.settings
    if not settings.paths.capture.is_dir():
        return []  # said by the check of the folders
    last_at, camera = _camera(station)
    findings = [judge_last(last_at, camera, now_s=station.now.utc_s)]
    left = left_behind(settings, now_s=station.now.utc_s)
    if left.unrecognised.count:
        findings.append(judge_left(left.unrecognised, suffixes=settings.capture.suffixes))
    findings += [
        warning("files in the folder", one.words().rstrip("."), one.remedy)
        for one in left.footage
        if one.reason not in _PENDING
    ]
    if station.runs:
        pending = judge_pending(
            list(_pending_files(station)),
            settle_s=max(settings.capture.settle_s, settings.capture.settle_unseen_s),
        )
        is_told = pending.name in {found.name for found in findings}
        if pending.state is not Severity.FINE or not is_told:  # not "none" beside a file that stays
            findings.append(pending)
    return findings


def _camera(station: StationUnderTest) -> tuple[float | None, Camera | None]:
    """Return when a capture was last ingested, and what the camera does."""
    try:
        with opened_as_it_is(station.folder.root) as outbox:
            if outbox is None:
                return None, None
            camera = watch_of(outbox, station.settings).look(station.now)
            return outbox.captures.last_admitted_at(), camera
    except (sqlite3.Error, AgentError):
        return None, None  # said by the check of the outbox


def files_in(station: StationUnderTest) -> Iterator[Path]:
    """Yield the files of the capture folder, except those that their writer calls unfinished."""
    seen = 0
    for folder, names, _ in walk(station.settings.paths.capture, with_hidden=False):
        for name in names:
            if name.startswith(".") or name.endswith(_UNFINISHED) or seen >= _MOST:
                continue
            seen += 1
            yield folder / name


def _pending_files(station: StationUnderTest) -> Iterator[PendingFile]:
    suffixes = station.settings.capture.suffixes
    daemon = service_user_of(station.folder.root)
    for path in files_in(station):
        if path.suffix.lower() not in suffixes:
            continue
        with suppress(OSError):
            quiet_s = station.now.utc_s - path.lstat().st_mtime
            may_be_taken = may_take(path, daemon)
            yield PendingFile(
                name=printable_file_name(path.name),
                quiet_s=quiet_s,
                # Whoever may not read a file cannot ask whether somebody writes it, either.
                is_written=may_be_taken and writer_state(path) is WriterState.OPEN,
                may_be_taken=may_be_taken,
            )
