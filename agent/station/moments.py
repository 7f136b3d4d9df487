"""What becomes of a take whose moments other clips of the same camera show too.  Pure.

A recorder that splits its recordings, or begins each some seconds early, shows one effort in two
files or more.  It becomes one clip: over all of them while nothing was sent, else the first one
that was sent stands for it.  What a second file shows beyond that waits for a person: sent
as it is, moments would be sent twice; dropped, footage would be lost.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.outbox.capture import Take
from agent.outbox.entry import Entry, Source

_SAME_S = 0.7  # two looks at one movement find its ends so far apart
_SHARED_S = 0.3  # less than that in common is where one movement adjoins another
_LONGEST_S = 120.0  # of movement in a clip over several recordings: some never rest
_NEARLY_S = 0.05
_BRIDGED_S = 3.2  # the longest gap that stays in a clip, and a little


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """What one recording holds, in the time of the capture that is looked at."""

    capture_id: int
    take_number: int
    begins_s: float
    ends_s: float
    own_begins_s: float = 0.0  # the same moment as `begins_s`, in the recording's own time

    def own_s(self, at_s: float) -> float:
        """Return a moment in the recording's own time."""
        return at_s - self.begins_s + self.own_begins_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Nearby:
    """A clip of the same camera, in the time of the capture that is looked at."""

    entry: Entry
    take: Take  # all that it shows, with its times shifted
    stretches: tuple[Stretch, ...]  # what it was cut from
    adjoins: bool  # whether its capture only adjoins this one, without a moment in common
    is_open: bool  # not tried yet, nobody has decided on it, and its captures are there


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be made of a take."""

    take: Take  # as it goes into the clip; its bounds may lie beyond its own capture
    sources: tuple[Source, ...]  # what to cut it from, in order
    replaces: tuple[Entry, ...] = ()  # whose clips are parts of it
    same_as: Entry | None = None  # what shows the same moment: no clip is made
    question: str | None = None  # what a person has to decide
    own_take: Take | None = None  # what its own capture shows of it, where that is not all
    shared_s: float = 0.0  # how much of it a clip that it replaces shows, too


def alone(take: Take, capture_id: int) -> Plan:
    """Return the plan of a take that stands for itself."""
    source = Source(
        capture_id=capture_id, take_number=take.number, start_s=take.start_s, end_s=take.end_s
    )
    return Plan(take=take, sources=(source,))


def apart(plan: Plan, capture_id: int, *, why: str) -> Plan:
    """Return the plan of a take whose recordings cannot be joined.

    A movement that only goes on in the next recording becomes two clips; where both would show
    the same moments, a person decides.
    """
    own = next(source for source in plan.sources if source.capture_id == capture_id)
    question = None
    if plan.shared_s >= _SHARED_S:
        names = " and ".join(entry.name for entry in plan.replaces)
        question = (
            f"it shows {plan.shared_s:.1f} s of the same moment as {names}, and both cannot "
            f"become one clip: {why}"
        )
    return replace(alone(plan.own_take or plan.take, own.capture_id), question=question)


def plan_take(take: Take, own: Stretch, clips: Sequence[Nearby]) -> Plan:
    """Decide what to make of a take.

    Args:
        take: what the analysis found.
        own: its capture.
        clips: those of the same camera that may show some of it.
    """
    by_itself = alone(take, own.capture_id)
    near = [clip for clip in clips if _meet(take, clip)]
    same = next((clip for clip in near if _holds(clip.take, take)), None)
    if same is not None:
        return replace(by_itself, same_as=same.entry)
    ended = [clip for clip in near if not clip.is_open and _shared_s(take, clip) >= _SHARED_S]
    if ended:
        return replace(by_itself, question=_question(ended[0], take))
    open_ones = [clip for clip in near if clip.is_open]
    if not open_ones:
        return by_itself
    whole = _merged(take, own, open_ones)
    if whole.take.active_end_s - whole.take.active_start_s <= _LONGEST_S:
        return whole
    return apart(whole, own.capture_id, why=f"it would be longer than {_LONGEST_S:.0f} s")


def _merged(take: Take, own: Stretch, clips: Sequence[Nearby]) -> Plan:
    begins_s = min(take.start_s, *(clip.take.start_s for clip in clips))
    ends_s = max(take.end_s, *(clip.take.end_s for clip in clips))
    known = {s.capture_id: s for clip in clips for s in clip.stretches}
    path = _path([*known.values(), own], begins_s, ends_s)
    parts = [clip.take for clip in clips]
    first = min([take, *parts], key=lambda part: part.active_start_s)
    last = max([take, *parts], key=lambda part: part.active_end_s)
    whole = replace(
        take,
        start_s=max(begins_s, path[0].begins_s),
        end_s=min(ends_s, path[-1].ends_s),
        active_start_s=first.active_start_s,
        active_end_s=last.active_end_s,
        begins_before=first.begins_before,
        goes_on=last.goes_on,
    )
    if own not in path:
        return replace(alone(take, own.capture_id), question=_question(clips[0], take))
    bounds = [max(whole.start_s, path[0].begins_s)]
    bounds += [stretch.begins_s for stretch in path[1:]]
    bounds.append(whole.end_s)
    sources = [
        _source(stretch, start_s, end_s)
        for stretch, start_s, end_s in zip(path, bounds, bounds[1:], strict=False)
    ]
    entries = {clip.entry.id: clip.entry for clip in clips}
    return Plan(
        take=whole,
        sources=tuple(sources),
        replaces=tuple(entries.values()),
        own_take=take,
        shared_s=max(_shared_s(take, clip) for clip in clips),
    )


def _path(stretches: Sequence[Stretch], begins_s: float, ends_s: float) -> list[Stretch]:
    """Choose recordings, as few as possible, that show everything between two moments in order.

    One is entered at its beginning only: there a keyframe is for certain.
    """
    first = [s for s in stretches if s.begins_s <= begins_s + _NEARLY_S]
    path = [max(first or stretches, key=lambda s: s.ends_s if first else -s.begins_s)]
    while path[-1].ends_s < ends_s - _NEARLY_S:
        last = path[-1]
        further = [
            stretch
            for stretch in stretches
            if last.begins_s < stretch.begins_s <= last.ends_s + _BRIDGED_S
            and stretch.ends_s > last.ends_s + _NEARLY_S
        ]
        if not further:
            break
        seamless = [s for s in further if s.begins_s <= last.ends_s + _NEARLY_S]
        if seamless:
            path.append(max(seamless, key=lambda s: s.ends_s))
        else:  # nothing was filmed until then
            path.append(min(further, key=lambda s: s.begins_s))
    return path


def _source(stretch: Stretch, start_s: float, end_s: float) -> Source:
    return Source(
        capture_id=stretch.capture_id,
        take_number=stretch.take_number,
        start_s=stretch.own_s(start_s),
        end_s=stretch.own_s(end_s),
    )


def _meet(take: Take, clip: Nearby) -> bool:
    """Tell whether a take and a clip show one movement, or one that goes on in the other."""
    if not clip.adjoins:
        return take.overlaps(clip.take)
    other = clip.take
    if other.active_start_s < take.active_start_s:
        return other.goes_on and take.begins_before
    return take.goes_on and other.begins_before


def _holds(whole: Take, part: Take) -> bool:
    """Tell whether one take shows all of another's movement."""
    seconds = part.active_end_s - part.active_start_s
    return (
        whole.active_start_s <= part.active_start_s + _SAME_S
        and part.active_end_s <= whole.active_end_s + _SAME_S
        and _common_s(whole, part) >= min(_SHARED_S, seconds / 2)
    )


def _shared_s(take: Take, clip: Nearby) -> float:
    return _common_s(take, clip.take)


def _common_s(one: Take, other: Take) -> float:
    begins_s = max(one.active_start_s, other.active_start_s)
    return max(0.0, min(one.active_end_s, other.active_end_s) - begins_s)


def _question(clip: Nearby, take: Take) -> str:
    return (
        f"it shows {_shared_s(take, clip):.1f} s of the same moment as {clip.entry.name} "
        f"({clip.entry.clip_code}), and more"
    )
