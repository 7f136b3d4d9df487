"""From a take that was found to what is told of it.  Pure."""

import numpy as np

from analysis.efforts import Signs
from analysis.motion import Motion
from analysis.movement import name_movement
from analysis.report import TakeReport
from analysis.reps import count_reps, jumps
from analysis.takes import FoundTake, TakeOptions


def take_report(take: FoundTake, motion: Motion, signs: Signs, options: TakeOptions) -> TakeReport:
    """Return what is told of a take.

    Repetitions are counted for what the station says is done; what the pictures look like is
    named beside it.
    """
    named = name_movement(motion, signs, take.active)
    counted_as = options.activity or named.activity
    return TakeReport(
        start_s=take.clip.start_s,
        end_s=take.clip.end_s,
        active_start_s=take.active.start_s,
        active_end_s=take.active.end_s,
        reps=count_reps(motion, counted_as, take.active),
        activity=counted_as,
        looks_like=named.activity,
        confidence=named.confidence,
        decisive_s=_decisive_s(motion, counted_as, take),
        begins_before=take.begins_before,
        goes_on=take.goes_on,
    )


def _decisive_s(motion: Motion, activity: str | None, take: FoundTake) -> float:
    """Return the moment worth a picture: a jump's top, a lift's highest hands or lowest hips."""
    active = take.active
    middle_s = (active.start_s + active.end_s) / 2
    inside = (motion.times_s >= active.start_s) & (motion.times_s < active.end_s) & motion.is_found
    if not inside.any() or activity == "running":
        return middle_s
    tops = jumps(motion, active) if activity == "jumping" else []
    if tops:
        return max(tops, key=lambda jump: jump.height).top_s
    at_s = motion.times_s[inside]
    hands, hips = motion.wrist_height[inside], motion.hip_height[inside]
    if np.nanmax(hands) > 0:
        return float(at_s[int(np.nanargmax(hands))])
    return float(at_s[int(np.nanargmin(hips))])
