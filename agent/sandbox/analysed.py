"""What the sandbox tells of a session's analysis.  Pure."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping

from agent.api import contract
from agent.sandbox.book import Session
from agent.sandbox.faults import Fault
from agent.sandbox.processing import Progress

_FRAMES = 60
_FPS = 30.0
_KEYPOINTS = ("lknev", "ltoev", "relbv", "rtoey", "headv", "rearv", "rshox")
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
    told: dict[str, object] = {"analyzed_video_url": "", "metrics": {}}
    if whole:
        told |= _curves(session, 0)
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
    return {**told, **_curves(session, _FRAMES)} if whole else told


def exported(session: Session, document: Mapping[str, object]) -> dict[str, object]:
    """Return the export of a session whose document is `document`."""
    told = {name: value for name, value in document.items() if name != "whole_report_metrics"}
    times = document.get("all_timestamps")
    count = len(times) if isinstance(times, list) else 0
    curve = _wave(count)
    if session.activity == "running":
        told["angles"] = {"lkne_angle": curve}
        told["contact"] = [position % 2 == 0 for position in range(count)]
    return {**told, "keypoints": dict.fromkeys(_KEYPOINTS, curve)}


def _curves(session: Session, count: int) -> dict[str, object]:
    """Return what only a session's own document tells: angles and the times of its frames."""
    curve = _wave(count)
    times = [round(position / _FPS, 4) for position in range(count)]
    told: dict[str, object] = {"all_timestamps": times}
    if session.activity == "running":
        mean = round(sum(curve) / len(curve), 2) if curve else None
        return {**told, "angles": {} if mean is None else {"lkne_angle": mean}}
    if session.activity == "weightlifting":
        return {**told, "angles": {"lkne_angle": curve}, "report_metrics": {"bar": curve}}
    answer = contract.operation("session", "jumping").answer["properties"]
    return {
        **told,
        "angles": dict.fromkeys(answer["angles"]["required"], curve),
        "whole_report_metrics": dict.fromkeys(answer["whole_report_metrics"]["required"], curve),
        "end_frames": [count],
    }


def _wave(count: int) -> list[float]:
    return [round(90 + 60 * math.sin(position / 9), 2) for position in range(count)]


def metrics_of(session: Session, fault: Fault | None) -> dict[str, object]:
    """Return a session's numbers: its own, and the same whenever it is asked."""
    if fault is not None and fault.what == "odd-metrics":
        return _ODD
    digest = hashlib.sha256(session.video_sha256.encode()).digest()
    told: dict[str, object] = {
        name: round(low + (high - low) * digest[position] / 255, 3)
        for position, (name, (low, high)) in enumerate(_METRICS[session.activity].items())
    }
    if session.activity == "jumping":  # a value for each jump
        return {name: [value] for name, value in told.items()}
    return told


def told_link(fault: Fault) -> object:
    """Return what a fault says instead of a link: any address, or any value of JSON."""
    if "json" in fault.options:
        return json.loads(fault.options["json"])
    return fault.options.get("to", "")
