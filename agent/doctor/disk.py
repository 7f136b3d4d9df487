"""The disk: enough room, and fast enough to make durable what is taken in."""

import os
import tempfile
import time
from pathlib import Path

from agent.doctor.finding import Finding, Patient, broken, fine, warning
from agent.outbox.disk.space import Room, intake_floor, measure, megabytes

_PROBE_BYTES = 8 << 20
_SLOW_BYTES_S = 4e6  # a camera at 1080p30 writes 1 to 3 MB/s, and Spotter copies some of it
_ROOM_FOR_PROBE = 10  # a disk that has not ten times as much is not written to for a test


def judge_room(room: Room, *, min_free_mb: float | None) -> Finding:
    """Judge the room that is left."""
    floor = intake_floor(room.total_bytes, min_free_mb)
    told = f"{megabytes(room.free_bytes)} free of {megabytes(room.total_bytes)}"
    if not room.has_names:
        return broken("disk space", "no more files can be made (inodes)", "df -i")
    if room.free_bytes < floor:
        return broken(
            "disk space",
            f"{told}: under {megabytes(floor)} nothing is taken in; delivery goes on",
            "make room on this disk, or set disk.min_free_mb",
        )
    if room.free_bytes < 2 * floor:
        return warning("disk space", f"{told}: soon short", "spotter status says what takes it")
    return fine("disk space", told)


def judge_speed(size_bytes: int, seconds: float) -> Finding:
    """Judge how fast a file became durable."""
    rate = size_bytes / max(seconds, 1e-6)
    told = f"{megabytes(round(rate))}/s, made durable"
    if rate < _SLOW_BYTES_S:
        return warning(
            "disk speed",
            f"{told}: slow, captures may come faster",
            "a worn card, a USB 2 disk or a busy box? Use an SSD for paths.state",
        )
    return fine("disk speed", told)


def check_disk(patient: Patient) -> list[Finding]:
    """Measure room and speed of the disk that holds the state folder."""
    root = patient.settings.paths.state
    if not root.is_dir():
        return []  # said by the check of the folders
    room = measure(root)
    findings = [judge_room(room, min_free_mb=patient.settings.disk.min_free_mb)]
    if room.free_bytes < _ROOM_FOR_PROBE * _PROBE_BYTES or not os.access(root, os.W_OK):
        return findings
    try:
        findings.append(judge_speed(_PROBE_BYTES, _write_s(root)))
    except OSError as error:
        findings.append(
            broken("disk speed", f"a test file cannot be written: {error.strerror}", f"df {root}")
        )
    return findings


def _write_s(folder: Path) -> float:
    """Return the seconds that a file takes to become durable; it has no name while it is there."""
    content = os.urandom(1 << 20)
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        began_s = time.monotonic()
        for _ in range(_PROBE_BYTES // len(content)):
            file.write(content)
        os.fsync(file.fileno())
        return time.monotonic() - began_s
