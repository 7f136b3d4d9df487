"""What the analysis reports of a capture, as values of our own."""

from collections.abc import Mapping, Sequence

from agent.intake.child import number_in
from agent.outbox.capture import Take
from agent.station.recording_time import Inside, creation_s

_SHORTEST_PART_S = 0.5
_MOMENTS = ("start_s", "end_s", "active_start_s", "active_end_s", "decisive_s")


def inside_of(probed: Mapping[str, object]) -> Inside:
    """Return what a file says of itself."""
    which, fps = probed.get("creation_is"), probed.get("captured_fps")
    return Inside(
        length_s=number_in(probed, "duration_s"),
        created_at=creation_s(probed.get("creation_time")),
        creation_is="start" if which == "start" else "end" if which == "end" else None,
        frames=int(number_in(probed, "packets")),
        captured_fps=float(fps) if isinstance(fps, int | float) else None,
    )


def parts_shown(
    hidden: Sequence[tuple[float, float]], length_s: float
) -> list[tuple[float, float]]:
    """Return the stretches of a capture between those that nobody may see."""
    edges = [0.0, *(edge for stretch in hidden for edge in stretch), length_s]
    parts = zip(edges[::2], edges[1::2], strict=True)
    return [(from_s, to_s) for from_s, to_s in parts if to_s - from_s >= _SHORTEST_PART_S]


def report_of_parts(
    reports: Sequence[tuple[float, Mapping[str, object]]],
    shown: Sequence[tuple[float, float]],
    *,
    length_s: float,
) -> dict[str, object]:
    """Return the reports of a capture's parts as one, in the capture's own time.

    Args:
        reports: where each part begins, and what was found in it.
        shown: the parts.
        length_s: of the capture: an effort goes on into another one at its ends only.
    """
    takes: list[dict[str, object]] = []
    quality: list[dict[str, object]] = []
    for (begins_s, report), (_, to_s) in zip(reports, shown, strict=True):
        for take in _found(report, "takes") if report.get("verdict") != "skip" else ():
            moved = {name: _later(take.get(name), begins_s, most_s=to_s) for name in _MOMENTS}
            ends = {
                "begins_before": bool(take.get("begins_before")) and begins_s == 0,
                "goes_on": bool(take.get("goes_on")) and to_s >= length_s,
            }
            takes.append({**take, **moved, **ends})
        for remark in _found(report, "quality"):
            quality.append({**remark, "at_s": _later(remark.get("at_s"), begins_s, most_s=to_s)})
    verdicts = {report.get("verdict") for _, report in reports}
    verdict = next((word for word in ("hold", "upload") if word in verdicts), "skip")
    return {"verdict": verdict if takes else "skip", "takes": takes, "quality": quality}


def _found(report: Mapping[str, object], name: str) -> list[dict[str, object]]:
    found = report.get(name)
    return found if isinstance(found, list) else []


def _later(moment: object, by_s: float, *, most_s: float) -> float | None:
    return min(most_s, float(moment) + by_s) if isinstance(moment, int | float) else None


def takes_in(report: Mapping[str, object]) -> list[Take]:
    """Return the takes that a report names; none where its verdict is to skip."""
    found = report.get("takes")
    assert isinstance(found, list)  # the child is our own
    if report.get("verdict") == "skip":
        return []
    return [
        Take(
            number=number,
            start_s=number_in(take, "start_s"),
            end_s=number_in(take, "end_s"),
            active_start_s=number_in(take, "active_start_s"),
            active_end_s=number_in(take, "active_end_s"),
            reps=take.get("reps"),
            confidence=take.get("confidence"),
            decisive_s=take.get("decisive_s"),
            begins_before=bool(take.get("begins_before")),
            goes_on=bool(take.get("goes_on")),
        )
        for number, take in enumerate(found, start=1)
    ]
