"""Checks of the box: system libraries, one OpenCV, the pose model, a self-test of the analysis."""

import base64
import contextlib
import csv
import ctypes
import hashlib
import importlib.metadata
import importlib.util
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from agent.clipping.analysis_process import AnalysisProcess, ChildLimits
from agent.clock import LocalTime
from agent.disk.space import DiskUsage, intake_floor, measure, megabytes
from agent.doctor.check import CheckResult, StationUnderTest, broken, fine, warning
from agent.errors import AnalysisError
from agent.text import counted, read_json

LIBRARIES = {"libEGL.so.1": "libegl1", "libGLESv2.so.2": "libgles2"}
MODEL_SHA256 = "0b16a260649757d7854d78c499ebcbaa8acc6738a7edba860546e6f8dd1536ed"  # as in NOTICE
_OWN = ("agent/", "analysis/")
_MODEL = Path("models", "pose_landmarker_lite.task")
_AGAIN = (
    "install Spotter again: sudo apt reinstall ./spotter-agent_*.deb, or, in the folder of a "
    "release, sudo systemd/install.sh"
)


_UPDATES = Path("/opt/spotter/update")  # of spotter-update
_TIMER = Path("/etc/systemd/system/timers.target.wants/spotter-update.timer")  # where it is on
_SILENT_DAYS = 14


def check_update(
    *, now_s: float, folder: Path = _UPDATES, timer: Path = _TIMER
) -> list[CheckResult]:
    """Say that an update was undone, or that the ring has been silent; nothing otherwise.

    Args:
        now_s: Unix time.
        folder: where spotter-update keeps its records.
        timer: what is there while nightly updates are on.
    """
    found = _undone(folder / "reverted.json")
    with contextlib.suppress(OSError):
        asked_s = (folder / "asked").stat().st_mtime
        if timer.is_symlink() and now_s - asked_s > _SILENT_DAYS * 86400:
            found.append(
                warning(
                    "update",
                    f"the ring has not answered since {LocalTime(now_s).day(asked_s)}",
                    "sudo spotter-update --check says why; journalctl -u spotter-update",
                )
            )
    return found


def _undone(record: Path) -> list[CheckResult]:
    try:
        told = read_json(record.read_text())
        version, failed, reason = (str(told[name]) for name in ("from", "to", "reason"))
        at = str(told["at"])
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [
        warning(
            "update",
            f"{failed} did not work here on {at[:10]}, {version} runs again: {reason}",
            "report it, and wait for a later version; to try it again: sudo spotter-update --again",
        )
    ]


def can_load(library: str) -> bool:
    """Tell whether the system has a library."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def installed_distributions() -> list[str]:
    """Return the names of everything installed in this environment."""
    return [found.name for found in importlib.metadata.distributions() if found.name]


def installed_files() -> dict[Path, str]:
    """Return every file that was installed as part of Spotter, with its SHA-256 in base64.

    Empty where it runs from its source tree.
    """
    found = importlib.metadata.distribution("spotter-agent")
    # Not its `files`, which leave out those that are missing.
    rows = csv.reader((found.read_text("RECORD") or "").splitlines())
    return {
        Path(str(found.locate_file(name))): digest.removeprefix("sha256=")
        for name, digest, _ in rows
        if name.startswith(_OWN) and digest.startswith("sha256=")
    }


def shipped_model() -> Path:
    """Return the path of the pose model; the analysis itself is not loaded."""
    spec = importlib.util.find_spec("analysis")
    assert spec is not None and spec.submodule_search_locations  # it comes with the agent
    return Path(next(iter(spec.submodule_search_locations))) / _MODEL


def check_files(files: Mapping[Path, str]) -> CheckResult:
    """Compare Spotter's own files with what was installed."""
    missing: list[Path] = []
    changed: list[Path] = []
    for path, digest in files.items():
        try:
            with path.open("rb") as file:
                is_same = _in_base64(hashlib.file_digest(file, "sha256").digest()) == digest
        except OSError:
            missing.append(path)
            continue
        if not is_same:
            (changed if path.stat().st_size else missing).append(path)
    if missing:
        return broken("program files", f"{_some(missing)} missing or empty", _AGAIN)
    if changed:
        told = f"{_some(changed)} changed since the installation"
        return warning("program files", told, _AGAIN)
    return fine(
        "program files",
        f"all {len(files)} unchanged since the installation"
        if files
        else "a source checkout, not checked",
    )


def _some(paths: list[Path]) -> str:
    more = f" and {len(paths) - 1} more are" if len(paths) > 1 else " is"
    return f"{paths[0]}{more}"


def _in_base64(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def check_libraries(loads: Callable[[str], bool] = can_load) -> CheckResult:
    """Look for the libraries that the pose model needs from the system."""
    missing = {name: package for name, package in LIBRARIES.items() if not loads(name)}
    if not missing:
        return fine("system libraries", f"{', '.join(LIBRARIES)} available")
    return broken(
        "system libraries",
        f"missing: {', '.join(missing)}; without them pose estimation fails",
        f"sudo apt install {' '.join(missing.values())}",
    )


def check_opencv(names: Iterable[str]) -> CheckResult:
    """See that there is one OpenCV: two write over each other's files."""
    found = sorted({name.lower() for name in names if name.lower().startswith("opencv-")})
    if len(found) == 1:
        return fine("OpenCV", f"{found[0]}")
    told = "none is installed" if not found else f"{len(found)} are installed: {', '.join(found)}"
    return broken("OpenCV", told, _AGAIN)


def check_model(path: Path, own: Path | None) -> CheckResult:
    """Compare the shipped pose model with the one that was tested."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return broken("pose model", f"{path}: {error.strerror}", _AGAIN)
    if digest != MODEL_SHA256:
        return broken("pose model", f"{path} differs from the shipped file", _AGAIN)
    if own is not None:
        return warning("pose model", f"custom model: {own} (analysis.model)")
    return fine("pose model", "unchanged")


_SLOW_MS = 150.0  # ten times the machine on which the analysis was measured
# A take in a minute of 1080p30, its clip included, costs as much as so many frames in which
# the model detects a pose (tests/systems/weak_box.sh).
_LOOKS_A_TAKE = 500
_BUSY_TAKES_H = 30  # of a station with a take every two minutes


def check_sight(model: Path | None) -> list[CheckResult]:
    """Let the analysis itself analyse the picture, in its child process."""
    child = AnalysisProcess(limits=ChildLimits(), check=lambda: None, model=model)
    try:
        told = child.ask("check", model=None if model is None else str(model))
        codecs = child.ask("codecs")
    except AnalysisError as error:
        return [
            broken(
                "analysis self-test",
                f"the analysis fails: {error}",
                "fix the failures above first; otherwise reinstall Spotter",
            )
        ]
    finally:
        child.close()
    return [judge_pose(told), judge_codecs(codecs)]


def judge_pose(told: Mapping[str, object]) -> CheckResult:
    """Judge what the analysis found in the test picture."""
    pose_ms = told.get("pose_ms")
    if not told.get("found") or not isinstance(pose_ms, int | float):
        return broken(
            "analysis self-test",
            "no athlete found in the test picture",
            "remove analysis.model from the settings, or reinstall Spotter",
        )
    takes_h = int(float(f"{3.6e6 / (_LOOKS_A_TAKE * max(pose_ms, 1.0)):.2g}"))
    speed = f"{pose_ms:.0f} ms per frame, enough for about {counted(takes_h, 'take')} an hour"
    if takes_h < _BUSY_TAKES_H:
        return warning(
            "analysis self-test",
            f"works, but too slow for a take every two minutes: {speed}",
            "check temperature and load; or let workers analyse: analysis.offload",
        )
    if pose_ms > _SLOW_MS:
        return warning(
            "analysis self-test", f"works, but slow: {speed}", "check temperature and load"
        )
    return fine("analysis self-test", f"athlete found in the test picture, {speed}")


def judge_codecs(told: Mapping[str, object]) -> CheckResult:
    """Judge which codecs the analysis lacks."""
    missing = told.get("missing")
    if isinstance(missing, list) and not missing:
        return fine("codecs", "all required codecs available")
    names = ", ".join(map(str, missing)) if isinstance(missing, list) else "unknown"
    return broken("codecs", f"missing: {names}", "reinstall Spotter from its lock file")


_PROBE_BYTES = 8 << 20
_SLOW_BYTES_S = 4e6  # a camera at 1080p30 writes 1 to 3 MB/s, and Spotter copies some of it
_ROOM_FOR_PROBE = 10  # a disk that has not ten times as much is not written to for a test


def judge_room(room: DiskUsage, *, min_free_mb: float | None) -> CheckResult:
    """Judge the room that is left."""
    floor = intake_floor(room.total_bytes, min_free_mb)
    told = f"{megabytes(room.free_bytes)} free of {megabytes(room.total_bytes)}"
    if not room.has_names:
        return broken("disk space", "no free inodes: no more files can be created", "df -i")
    if room.free_bytes < floor:
        return broken(
            "disk space",
            f"{told}: below {megabytes(floor)} intake pauses; uploads continue",
            "free space on this disk, or lower disk.min_free_mb",
        )
    if room.free_bytes < 2 * floor:
        return warning("disk space", f"{told}: almost low", "see what uses it: spotter status")
    return fine("disk space", told)


def judge_speed(size_bytes: int, seconds: float) -> CheckResult:
    """Judge how fast a file became durable."""
    rate = size_bytes / max(seconds, 1e-6)
    told = f"{megabytes(round(rate))}/s, synced to disk"
    if rate < _SLOW_BYTES_S:
        return warning(
            "disk speed",
            f"{told}: slow, recordings may arrive faster",
            "use an SSD for paths.state; suspect a worn card, a USB 2 disk or a busy device",
        )
    return fine("disk speed", told)


def check_disk(station: StationUnderTest) -> list[CheckResult]:
    """Measure room and speed of the disk that holds the state folder."""
    root = station.settings.paths.state
    if not root.is_dir():
        return []  # said by the check of the folders
    room = measure(root)
    findings = [judge_room(room, min_free_mb=station.settings.disk.min_free_mb)]
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
