"""From efforts to takes: what a clip is to hold.  Pure.

Efforts with little rest between them are one take; how little depends on what is done.  The
clip holds some seconds before and after, which a setting decides for each activity.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Self

from analysis.intervals import Interval, merged


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeRules:
    """What decides how efforts of one activity become takes."""

    pad_before_s: float = 1.0  # that a clip holds before the movement
    pad_after_s: float = 1.0
    rest_s: float = 2.0  # less rest than that between two efforts: one take
    longest_s: float = 600.0  # a take goes on no longer than that

    def changed(self, stored: Mapping[str, object]) -> Self:
        """Return the rules with the given ones set.

        Raises:
            ValueError: a rule is unknown.
        """
        return replace(self, **_known(stored, self))  # type: ignore[arg-type]  # the agent's settings have checked them


RULES: Mapping[str | None, TakeRules] = {
    "running": TakeRules(rest_s=2.0, longest_s=120.0),
    "jumping": TakeRules(rest_s=1.5),
    "weightlifting": TakeRules(rest_s=3.0),  # a breath before the last repetition is no rest
    None: TakeRules(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeOptions:
    """What the station says of a capture and of what is wanted."""

    activity: str | None = None  # what is filmed, where it is known
    rules: Mapping[str, Mapping[str, float]] = field(default_factory=dict)  # by activity
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


def takes_of(efforts: Sequence[Interval], rules: TakeRules, *, within: Interval) -> list[FoundTake]:
    """Return the takes that efforts make, in order.

    Args:
        efforts: in order, without padding.
        rules: of the activity.
        within: the capture.
    """
    return [
        _take(effort, rules, within)
        for effort in merged(efforts, rest_s=rules.rest_s)
        if effort.seconds > 0
    ]


def _take(effort: Interval, rules: TakeRules, within: Interval) -> FoundTake:
    active = replace(effort, end_s=min(effort.end_s, effort.start_s + rules.longest_s))
    return FoundTake(
        active=active,
        clip=active.padded(rules.pad_before_s, rules.pad_after_s, within=within),
        begins_before=effort.start_s <= within.start_s,
        goes_on=effort.end_s >= within.end_s,
        is_limited=active != effort,
    )


def _known(stored: Mapping[str, object], like: object) -> dict[str, object]:
    names = {known.name for known in fields(like)}  # type: ignore[arg-type]  # a dataclass
    unknown = sorted(set(stored) - names)
    if unknown:
        raise ValueError(f"no option {unknown[0]!r}")
    return dict(stored)
