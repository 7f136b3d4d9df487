"""Checks whether recordings arrive and are admitted."""

import os
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from agent.doctor.check import CheckResult, StationUnderTest, broken, fine, warning
from agent.doctor.folders import may_take, service_user_of
from agent.errors import AgentError
from agent.intake.folder import watch_of
from agent.intake.stability import WriterState, writer_state
from agent.outbox.consistency import opened_as_it_is
from agent.station.camera import Camera, UnrecognisedFiles, camera_words, unrecognised_files
from agent.text import counted, printable_file_name

_QUIET_DAYS = 3
_DAY_S = 86400.0
_MUST_BE_IN_S = 120.0  # on top of the longest settling
_UNFINISHED = (".part", ".tmp")
_MOST = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingFile:
    """One file in the capture folder."""

    name: str
    quiet_s: float  # since it was last written
    is_video: bool  # by its name
    is_written: bool  # somebody has it open for writing
    may_be_taken: bool = True  # the daemon may read it and move it


def judge_pending(
    files: Collection[PendingFile], *, settle_s: float, suffixes: Collection[str]
) -> CheckResult:
    """Judge what is in the capture folder of a station that runs."""
    name = "files in the folder"
    closed = [f for f in files if f.is_video and not f.may_be_taken]
    if closed:
        return broken(
            name,
            f"{len(closed)} cannot be read and moved by the service, such as {closed[0].name}",
            f"spotter show {closed[0].name!r}",
        )
    stuck = [f for f in files if f.is_video and f.quiet_s > settle_s + _MUST_BE_IN_S]
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
    others = [f.name for f in files if not f.is_video]
    if others:
        left = UnrecognisedFiles(count=len(others), names=tuple(others[:3]))
        return judge_left(left, suffixes=suffixes)
    return fine(name, f"{len(files)} in progress" if files else "none")


def judge_left(left: UnrecognisedFiles, *, suffixes: Collection[str]) -> CheckResult:
    """Judge what is not taken in for its name."""
    remedy = f"capture.suffixes takes {' '.join(sorted(suffixes))}; move other files away"
    return warning("files in the folder", left.words(), remedy)


def judge_last(last_at: float | None, camera: Camera | None = None, *, now_s: float) -> CheckResult:
    """Judge when the camera last delivered anything, and whether it should have since.

    Args:
        last_at: when a capture was last taken in (Unix time).
        camera: what it does; None where nobody could look.
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
    suffixes = settings.capture.suffixes
    left = unrecognised_files(settings.paths.capture, suffixes, now_s=station.now.utc_s)
    if left.count:
        findings.append(judge_left(left, suffixes=suffixes))
    if station.runs:
        findings.append(
            judge_pending(
                [file for file in _pending_files(station) if file.is_video],
                settle_s=max(settings.capture.settle_s, settings.capture.settle_unseen_s),
                suffixes=settings.capture.suffixes,
            )
        )
    return findings


def _camera(station: StationUnderTest) -> tuple[float | None, Camera | None]:
    """Return when a capture was last taken in, and what the camera does."""
    try:
        with opened_as_it_is(station.folder.root) as outbox:
            if outbox is None:
                return None, None
            camera = watch_of(outbox, station.settings).look(station.now)
            return outbox.captures.last_admitted_at(), camera
    except (sqlite3.Error, AgentError):
        return None, None  # said by the check of the outbox


def files_in(station: StationUnderTest) -> Iterator[Path]:
    """Yield what lies in the capture folder, but for what its writer calls unfinished."""
    seen = 0
    for folder, subfolders, names in os.walk(station.settings.paths.capture):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in names:
            if name.startswith(".") or name.endswith(_UNFINISHED) or seen >= _MOST:
                continue
            seen += 1
            yield Path(folder, name)


def _pending_files(station: StationUnderTest) -> Iterator[PendingFile]:
    suffixes = station.settings.capture.suffixes
    daemon = service_user_of(station.folder.root)
    for path in files_in(station):
        with suppress(OSError):
            quiet_s = station.now.utc_s - path.lstat().st_mtime
            is_video = path.suffix.lower() in suffixes
            yield PendingFile(
                name=printable_file_name(path.name),
                quiet_s=quiet_s,
                is_video=is_video,
                is_written=is_video and writer_state(path) is WriterState.OPEN,
                may_be_taken=may_take(path, daemon),
            )
