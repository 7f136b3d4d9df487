"""From efforts to takes: what a clip must contain.  Pure.

Efforts with little rest between them are one take; how little depends on what is done.  The
clip holds some seconds before and after, which a setting decides for each activity.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from typing import Self

import numpy as np

from analysis.motion import Motion
from analysis.movement import count_reps, jumps, name_movement
from analysis.primitives import Interval, merged
from analysis.report import TakeReport
from analysis.signs import EffortSignals


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeRules:
    """What decides how efforts of one activity become takes."""

    pad_before_s: float = 1.0  # that a clip holds before the movement
    pad_after_s: float = 1.0
    rest_s: float = 2.0  # less rest than that between two efforts: one take
    longest_s: float = 600.0  # a take continues no longer than that
    further_clips: bool = False  # what is longer continues in further takes, else it is left out
    one_lift_per_clip: bool = False  # a take ends where the bar is down between two lifts

    def changed(self, stored: Mapping[str, object]) -> Self:
        """Return the rules with the given ones set.

        Raises:
            ValueError: a rule is unknown.
        """
        return replace(self, **_known(stored, self))  # type: ignore[arg-type]  # the agent's settings have checked them


RULES: Mapping[str | None, TakeRules] = {
    "running": TakeRules(rest_s=2.0, longest_s=60.0, further_clips=True),
    "jumping": TakeRules(rest_s=1.5),
    # a breath before the last repetition is no rest
    "weightlifting": TakeRules(rest_s=3.0, one_lift_per_clip=True),
    None: TakeRules(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeOptions:
    """What the station says of a capture and of what is wanted."""

    activity: str | None = None  # what is filmed, where it is known
    rules: Mapping[str, Mapping[str, float | bool]] = field(default_factory=dict)  # by activity
    model: str | None = None  # another pose model
    zone: Sequence[tuple[float, float]] = ()  # where athletes stand: a polygon, 0 to 1
    severities: Mapping[str, str] = field(default_factory=dict)  # ignore, warn, hold; by code
    reference: str | None = None  # a picture of what the camera saw when it was set up

    @classmethod
    def from_json(cls, stored: Mapping[str, object]) -> Self:
        """Return options with the given ones set.

        Raises:
            ValueError: an option is unknown.
        """
        options = cls(**_known(stored, cls()))  # type: ignore[arg-type]  # as above
        zone = [(float(x), float(y)) for x, y in options.zone]
        return replace(options, zone=zone)

    def rules_for(self, activity: str | None) -> TakeRules:
        """Return what holds for an activity."""
        rules = RULES.get(activity, RULES[None])
        return rules.changed(self.rules.get(activity or "other", {}))


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTake:
    """One take: the movement, and the clip around it."""

    active: Interval
    clip: Interval
    begins_before: bool  # the movement was under way when the capture began
    goes_on: bool  # it was not over when the capture ended
    is_limited: bool  # it was longer than a take may be

    def in_capture(self, capture: Interval, scene: Interval) -> Self:
        """Return the take as one of a capture: another scene neither begins nor continues it."""
        return replace(
            self,
            begins_before=self.begins_before and scene.start_s <= capture.start_s,
            goes_on=self.goes_on and scene.end_s >= capture.end_s,
        )


def takes_of(
    efforts: Sequence[Interval],
    rules: TakeRules,
    *,
    within: Interval,
    divisions: Sequence[float] = (),
) -> list[FoundTake]:
    """Return the takes that efforts make, in order.

    Args:
        efforts: in order, without padding.
        rules: of the activity.
        within: the capture.
        divisions: moments at which one take ends and the next begins, though there is no rest.
    """
    return [
        take
        for effort in merged(efforts, rest_s=rules.rest_s)
        if effort.seconds > 0
        for take in _takes(effort, rules, within, divisions)
    ]


def _takes(
    effort: Interval, rules: TakeRules, within: Interval, divisions: Sequence[float]
) -> list[FoundTake]:
    """Return the takes of one effort; two that adjoin share no frame."""
    parts = _parts(effort, rules, divisions)
    takes = []
    for number, part in enumerate(parts):
        is_first, is_last = number == 0, number == len(parts) - 1
        active = replace(part, end_s=min(part.end_s, part.start_s + rules.longest_s))
        bounds = Interval(
            start_s=within.start_s if is_first else part.start_s,
            end_s=within.end_s if is_last else part.end_s,
        )
        take = FoundTake(
            active=active,
            clip=active.padded(rules.pad_before_s, rules.pad_after_s, within=bounds),
            begins_before=is_first and effort.start_s <= within.start_s,
            goes_on=is_last and effort.end_s >= within.end_s,
            is_limited=active != part,
        )
        takes.append(take)
    return takes


def _parts(effort: Interval, rules: TakeRules, divisions: Sequence[float]) -> list[Interval]:
    """Return an effort divided at some moments and, where the rules say so, by its length."""
    inside = sorted(at_s for at_s in divisions if effort.start_s < at_s < effort.end_s)
    edges = [effort.start_s, *inside, effort.end_s]
    parts = []
    for start_s, end_s in pairwise(edges):
        count = math.ceil((end_s - start_s) / rules.longest_s) if rules.further_clips else 1
        step_s = (end_s - start_s) / max(1, count)
        marks = [start_s + number * step_s for number in range(max(1, count))] + [end_s]
        parts += [Interval(start_s=first, end_s=last) for first, last in pairwise(marks)]
    return parts


def _known(stored: Mapping[str, object], like: object) -> dict[str, object]:
    names = {known.name for known in fields(like)}  # type: ignore[arg-type]  # a dataclass
    unknown = sorted(set(stored) - names)
    if unknown:
        raise ValueError(f"no option {unknown[0]!r}")
    return dict(stored)


def take_report(
    take: FoundTake, motion: Motion, signs: EffortSignals, options: TakeOptions
) -> TakeReport:
    """Return what is told of a take.

    Repetitions are counted for what the station says is done; what the pictures look like is
    named beside it.
    """
    named = name_movement(motion, signs, take.active, expected=options.activity)
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
