"""What the sandbox tells of a session's analysis.  Pure."""

import hashlib
import json
import math
from collections.abc import Callable

from agent.sandbox.book import Session
from agent.sandbox.faults import Fault
from agent.sandbox.processing import Progress

_FRAMES = 60
_FPS = 30.0
_METRICS: dict[str, dict[str, tuple[float, float]]] = {
    "weightlifting": {
        "peak_velocity": (1.5, 2.3),
        "peak_power": (1800.0, 3200.0),
        "bar_height": (0.9, 1.3),
    },
    "running": {
        "cadence": (150.0, 190.0),
        "ground_contact_time": (0.2, 0.3),
        "knee_angle_max": (90.0, 130.0),
    },
    "jumping": {
        "jump_height": (0.2, 0.6),
        "flight_time": (0.4, 0.7),
        "contact_time": (0.15, 0.4),
    },
}
_ODD: dict[str, object] = {
    "peak": {"velocity": {"value": 1.92, "unit": "m/s"}, "power": None},
    "reps": [{"name": "rep one", "value": 1.8}, {"height": 0.9, "curve": [1, 2, 3]}],
    "valid": True,
    "grade": "=2+3",
    "": "nameless",
    "note": "https://127.0.0.1/signed?secret=1",
    "huge": 1e300,
    "text\u2028with a line": "a\nb",
}


def analysis_of(
    session: Session,
    progress: Progress,
    *,
    link: Callable[[str], str],
    fault: Fault | None,
    whole: bool,
) -> dict[str, object]:
    """Return the part of a session's document that comes with time.

    Args:
        session: the session.
        progress: how far it is.
        link: makes a link to a file of the storage host.
        fault: what goes wrong with it.
        whole: with angles and timestamps, which the list does not tell.
    """
    told: dict[str, object] = {"analyzed_video_url": None, "metrics": {}}
    if progress is Progress.FAILED:
        words = (
            "no person found" if fault is None else fault.options.get("error", "no person found")
        )
        return {**told, "status": "failed", "error": words}
    if progress not in {Progress.MEASURED, Progress.READY}:
        return told
    told["metrics"] = metrics_of(session, fault)
    if progress is Progress.READY:
        told["analyzed_video_url"] = link(f"/media/{session.session_id}/analyzed.mp4")
    if whole:
        told["angles"] = {"knee": [round(90 + 60 * math.sin(i / 9), 2) for i in range(_FRAMES)]}
        told["timestamps"] = [round(i / _FPS, 4) for i in range(_FRAMES)]
    return told


def metrics_of(session: Session, fault: Fault | None) -> dict[str, object]:
    """Return a session's numbers: its own, and the same whenever it is asked."""
    if fault is not None and fault.what == "odd-metrics":
        return _ODD
    digest = hashlib.sha256(session.video_sha256.encode()).digest()
    told: dict[str, object] = {
        name: round(low + (high - low) * digest[position] / 255, 3)
        for position, (name, (low, high)) in enumerate(_METRICS[session.activity].items())
    }
    return {**told, "bar_path": "good"} if session.activity == "weightlifting" else told


def told_link(fault: Fault) -> object:
    """Return what a fault says instead of a link: any address, or any value of JSON."""
    if "json" in fault.options:
        return json.loads(fault.options["json"])
    return fault.options.get("to", "")
