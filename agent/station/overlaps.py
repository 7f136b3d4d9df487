"""Recordings of one camera that continue or repeat each other.  Pure.

Joining stays within one camera: what a name says without its date, time and counter, the folder
below the capture folder, and the camera that a recorder names in its sidecar.  Within it, times
decide.  Names that carry date and time are whole seconds; the station's own times of two
files are good to about a second.  A counter alone says nothing of a gap, so pictures must agree.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from itertools import zip_longest

from agent.outbox.models import Capture, ClipSource, Entry, Take
from agent.station.recording_time import named_time

FRAMES_S = 1.5  # frames by which timestamps that run on may be off
_NAMED_S = 1.1  # two names in whole seconds, each rounded down
_AT_ONCE_S = 0.3  # so exact a name's distance is no chance
_SEEN_S = 1.0  # a recorder writes late what it holds back
LONGEST_GAP_S = 3.0  # of a gap that stays in a clip: a longer one makes two takes
_COPIED_S = 2.0  # copied one after the other, files seem to end within so long
_CONTRADICTS_S = 60.0  # by clocks, where timestamps say that it runs on

_DATE = r"20\d\d[-_.]?[01]\d[-_.]?[0-3]\d"
_TIME = r"[0-2]\d[-_.:h]?[0-5]\d[-_.:m]?[0-6]\d"
_MOMENTS = (
    re.compile(rf"(?<!\d){_DATE}[-_.t ]*{_TIME}(\d{{3}})?s?(?!\d)"),
    re.compile(rf"(?<!\d)[0-3]\d[-_.][01]\d[-_.]20\d\d[-_.t ]*{_TIME}(?!\d)"),
    re.compile(r"(?<!\d)(1[4-9]\d{8}|2\d{9})(\.\d+|\d{3})?(?!\d)"),
    re.compile(rf"(?<!\d){_DATE}(?!\d)"),
    re.compile(r"(?<!\d)[0-2]\d[-_.:h][0-5]\d[-_.:m][0-6]\d(?!\d)"),
    re.compile(r"^[0-5]\d[-_.][0-5]\d$"),  # minute and second
)
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CHAPTER = re.compile(r"^g[hxlp](\d\d)(\d{4})$")  # GoPro: the part's number, the recording's
_FIRST_CHAPTER = re.compile(r"^gopr(\d{4})$")
_CHANCE = re.compile(r"^(?=.*\d)(?=.*[a-f])[0-9a-f]{6,}$")  # letters and digits drawn by lot
_WORD = re.compile(r"[a-z0-9]+")
_PARTS = re.compile(r"\d+|[^\d]+")


class Kinship(Enum):
    """Whether two recordings are of one camera, by their names."""

    SAME = auto()
    UNTOLD = auto()  # their names leave it open
    OTHER = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """The time from one recording's end to another's beginning; negative: they overlap."""

    least_s: float
    most_s: float
    is_sure: bool = True  # whether an overlap is more than what copying makes of file times
    is_named: bool = False  # whether the names decide, which no copying changes

    @property
    def middle_s(self) -> float:
        """The likeliest."""
        return (self.least_s + self.most_s) / 2

    @property
    def half_s(self) -> float:
        """How far it may be off."""
        return (self.most_s - self.least_s) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What the pictures of two recordings say; times are presentation times."""

    first_begins_s: float
    first_ends_s: float
    second_begins_s: float
    second_ends_s: float
    stamps_gap_s: float | None  # by timestamps that run on from one file to the next
    spacing_s: float  # of frames
    shift_s: float | None  # from the second's time to the first's, where they share moments
    is_continuous: bool | None  # whether the second begins with what the first ends with


@dataclass(frozen=True, slots=True, kw_only=True)
class Seam:
    """How the times of a second recording become those of the first."""

    shift_s: float  # to add to the second's
    overlap_s: float  # how long both show the same moments
    gap_s: float = 0.0  # between them, not filmed


def kinship(first: Capture, second: Capture) -> Kinship:
    """Tell whether two recordings are of one camera."""
    cameras = first.evidence.camera, second.evidence.camera
    if cameras[0] is not None and cameras[1] is not None:
        return Kinship.SAME if cameras[0] == cameras[1] else Kinship.OTHER
    return kinship_of_names(path_of(first), path_of(second))


def kinship_of_names(first: str, second: str) -> Kinship:
    """Tell whether two files are of one camera, by their names below the capture folder."""
    *folders, name = first.split("/")
    *other_folders, other_name = second.split("/")
    found = [_kinship_of_folders(folders, other_folders), _kinship_of_files(name, other_name)]
    return max(found, key=lambda kin: kin.value)


def gap_between(first: Capture, second: Capture) -> Gap | None:
    """Return the time between two recordings by names and clocks; None where nothing decides.

    Args:
        first: a capture that was analysed.
        second: another one, analysed, with its recording time.
    """
    if first.duration_s is None or second.duration_s is None:
        return None
    named, seen = _named_gap(first, second), _seen_gap(first, second)
    if named is None or seen is None:
        return named or seen
    least_s, most_s = max(named.least_s, seen.least_s), min(named.most_s, seen.most_s)
    if least_s > most_s or abs(named.middle_s) <= _AT_ONCE_S:
        return named  # a recorder that writes late, or a copy
    return Gap(least_s=least_s, most_s=most_s, is_named=True)


def is_told_to_follow(first: Capture, second: Capture) -> bool:
    """Tell whether a recorder says that a second recording follows a first one without a gap.

    It counts unless the clocks contradict it: names can come again.
    """
    told = None if second.evidence.sidecar is None else second.evidence.sidecar.continues
    are_beside = first.evidence.folder == second.evidence.folder
    if told is None or told != first.file_name or not are_beside:
        return False
    gap = gap_between(first, second)
    return gap is None or (gap.least_s <= LONGEST_GAP_S and gap.most_s >= -LONGEST_GAP_S)


def seam_between(
    gap: Gap | None, compared: Compared, *, is_next: bool, is_told: bool = False
) -> Seam | str:
    """Return how a second recording follows a first one, or in words why it does not.

    Args:
        gap: between them, by names and clocks; None where these decide nothing.
        compared: what their packets and pictures say.
        is_next: whether the second's name counts on from the first's; asked where no clock decides.
        is_told: whether their recorder says so; pictures of a station at rest are all alike.
    """
    adjoining = Seam(shift_s=compared.first_ends_s - compared.second_begins_s, overlap_s=0.0)
    if is_told:
        return adjoining
    if compared.shift_s is not None:
        return _overlapping(compared)
    stamps_s = compared.stamps_gap_s
    if stamps_s is not None and not _contradicts(gap, stamps_s):
        is_whole = abs(stamps_s) <= FRAMES_S * compared.spacing_s
        if is_whole and compared.is_continuous:
            return adjoining
        if not is_whole and 0 < stamps_s <= LONGEST_GAP_S and _agrees(gap, stamps_s):
            return replace(adjoining, shift_s=adjoining.shift_s + stamps_s, gap_s=stamps_s)
    why = _why_apart(gap, is_next=is_next)
    if why is None and not compared.is_continuous:
        why = "the second does not begin where the first ends"
    return adjoining if why is None else why


def _why_apart(gap: Gap | None, *, is_next: bool) -> str | None:
    """Return in words why the clocks say that two recordings do not adjoin; None where they may."""
    if gap is None:
        return None if is_next else "no evidence that one follows the other"
    if gap.least_s > 0:
        return f"about {gap.middle_s:.1f} s between them were not recorded"
    if gap.most_s < 0:
        return f"their times contradict: they would overlap by about {-gap.middle_s:.1f} s"
    return None


def counts_on(first: str, second: str) -> bool:
    """Tell whether two names differ in one number, by one."""
    one, other = _chapter(first), _chapter(second)
    if one is not None and other is not None:
        return one[1] == other[1] and other[0] == one[0] + 1
    mine, theirs = (_PARTS.findall(name.casefold()) for name in (first, second))
    if len(mine) != len(theirs):
        return False
    differ = [(a, b) for a, b in zip(mine, theirs, strict=True) if a != b]
    if len(differ) != 1:
        return False
    (before, behind) = differ[0]
    return before.isdigit() and behind.isdigit() and int(behind) == int(before) + 1


def path_of(capture: Capture) -> str:
    """Return a capture's name below the capture folder."""
    folder = capture.evidence.folder
    return f"{folder}/{capture.file_name}" if folder else capture.file_name


def _overlapping(compared: Compared) -> Seam:
    assert compared.shift_s is not None  # the caller has checked
    begins_s = max(compared.first_begins_s, compared.second_begins_s + compared.shift_s)
    ends_s = min(compared.first_ends_s, compared.second_ends_s + compared.shift_s)
    return Seam(shift_s=compared.shift_s, overlap_s=max(0.0, ends_s - begins_s))


def _agrees(gap: Gap | None, stamps_s: float) -> bool:
    """Tell whether the clocks bear out a gap that timestamps tell of."""
    return gap is not None and gap.least_s - 0.5 <= stamps_s <= gap.most_s + 0.5


def _contradicts(gap: Gap | None, stamps_s: float) -> bool:
    return gap is not None and abs(gap.middle_s - stamps_s) > _CONTRADICTS_S


def _named_gap(first: Capture, second: Capture) -> Gap | None:
    assert first.duration_s is not None  # the caller has checked
    stems = [path_of(capture).rpartition(".")[0] for capture in (first, second)]
    if stems[0] == stems[1] and first.file_name != second.file_name:  # a recorder's second version
        begins_s = -first.duration_s
        return Gap(least_s=begins_s - _AT_ONCE_S, most_s=begins_s + _AT_ONCE_S, is_named=True)
    named = (named_time(one.file_name, folder=one.evidence.folder) for one in (first, second))
    begun_at = [found.readings[0] for found in named if found and found.precision_s <= 1]
    if len(begun_at) < 2:
        return None
    one, other = begun_at
    gap_s = other - one - first.duration_s
    exact = 0.2 if other % 1 or one % 1 else _NAMED_S
    return Gap(least_s=gap_s - exact, most_s=gap_s + exact, is_named=True)


def _seen_gap(first: Capture, second: Capture) -> Gap | None:
    if first.recorded_end_at is None or second.recorded_end_at is None:
        return None
    assert second.duration_s is not None and first.duration_s is not None  # the caller has checked
    gap_s = second.recorded_end_at - second.duration_s - first.recorded_end_at
    # Two that ended at one moment contradict each other, however short they are.
    within_s = min(_SEEN_S, second.duration_s / 2, first.duration_s / 2)
    return Gap(
        least_s=gap_s - within_s,
        most_s=gap_s + within_s,
        is_sure=abs(second.recorded_end_at - first.recorded_end_at) >= _COPIED_S,
    )


def _kinship_of_folders(folders: list[str], others: list[str]) -> Kinship:
    found = Kinship.SAME
    for mine, theirs in zip_longest(folders, others, fillvalue=""):
        one, other = (_without_moments(name).strip("-_. ") for name in (mine, theirs))
        if one == other:
            continue
        if not (one.isdigit() or not one) or not (other.isdigit() or not other):
            return Kinship.OTHER
        if len(one) != 2 or len(other) != 2:  # not an hour or a day
            found = Kinship.UNTOLD
    return found


def _kinship_of_files(first: str, second: str) -> Kinship:
    one, other = (name.rpartition(".")[0] or name for name in (first, second))
    if _chapter(one) is not None and _chapter(other) is not None:
        return Kinship.SAME
    plain = _without_moments(one), _without_moments(other)
    dated = plain[0] != one.casefold() or plain[1] != other.casefold()
    mine, theirs = (_WORD.findall(name) for name in plain)
    if len(mine) != len(theirs):
        longer, shorter = sorted((mine, theirs), key=len, reverse=True)
        is_copy = longer[:-1] == shorter and longer[-1].isdigit()
        return Kinship.UNTOLD if is_copy else Kinship.OTHER
    by_chance = [(a, b) for a, b in zip(mine, theirs, strict=True) if a != b and _both_chance(a, b)]
    differ = [
        (place, a, b)
        for place, (a, b) in enumerate(zip(mine, theirs, strict=True))
        if a != b and (a, b) not in by_chance
    ]
    if not differ:
        has_name = any(not word.isdigit() for word in mine if not _CHANCE.match(word))
        return Kinship.SAME if has_name or not by_chance else Kinship.UNTOLD
    if len(differ) > 1:
        all_numbers = all(a.isdigit() and b.isdigit() for _, a, b in differ)
        return Kinship.UNTOLD if dated and all_numbers else Kinship.OTHER
    return _kinship_of_numbers(*differ[0], words=mine, dated=dated)


def _kinship_of_numbers(
    place: int, first: str, second: str, *, words: list[str], dated: bool
) -> Kinship:
    """Tell whether one word that differs is a counter, or a camera's number."""
    one, other = (re.fullmatch(r"([a-z]*)(\d+)", word) for word in (first, second))
    if one is None or other is None or one[1] != other[1]:
        return Kinship.OTHER
    if any(word[-1:].isdigit() or word.isdigit() for word in words[place + 1 :]):
        return Kinship.UNTOLD if dated and not one[1] else Kinship.OTHER  # another one counts
    if not one[1]:
        return Kinship.UNTOLD if dated else Kinship.SAME
    if dated:
        return Kinship.OTHER  # the date counts, so this is a name
    return Kinship.SAME if len(one[2]) >= 3 else Kinship.UNTOLD


def _both_chance(first: str, second: str) -> bool:
    return bool(_CHANCE.match(first) and _CHANCE.match(second))


def _chapter(name: str) -> tuple[int, str] | None:
    """Return which part of which recording a GoPro's file is; None where it is no such file."""
    plain = name.casefold().partition(".")[0]
    found = _CHAPTER.match(plain)
    if found is not None:
        return int(found[1]), found[2]
    found = _FIRST_CHAPTER.match(plain)
    return None if found is None else (0, found[1])


def _without_moments(name: str) -> str:
    """Return a name without dates and times."""
    plain = _UUID.sub(lambda found: found[0].replace("-", ""), name.casefold())
    for moment in _MOMENTS:
        plain = moment.sub(" ", plain)
    return plain


_SAME_S = 0.7  # two analyses of one movement find its ends so far apart
_SHARED_S = 0.3  # less than that in common is where one movement adjoins another
_LONGEST_S = 120.0  # of movement in a clip over several recordings: some never rest
_NEARLY_S = 0.05
_BRIDGED_S = 3.2  # the longest gap that stays in a clip, and a little


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """What one recording holds, in the time of the capture that is analysed."""

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
    """A clip of the same camera, in the time of the capture that is analysed."""

    entry: Entry
    take: Take  # all that it shows, with its times shifted
    stretches: tuple[Stretch, ...]  # what it was cut from
    adjoins: bool  # whether its capture only adjoins this one, without a moment in common
    is_open: bool  # not tried yet, nobody has decided on it, and its captures are there


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be made of a take."""

    take: Take  # as it goes into the clip; its bounds may be beyond its own capture
    sources: tuple[ClipSource, ...]  # what to cut it from, in order
    replaces: tuple[Entry, ...] = ()  # whose clips are parts of it
    same_as: Entry | None = None  # what shows the same moment: no clip is made
    question: str | None = None  # what a person has to decide
    own_take: Take | None = None  # what its own capture shows of it, where that is not all
    shared_s: float = 0.0  # how much of it a clip that it replaces shows, too


def alone(take: Take, capture_id: int) -> Plan:
    """Return the plan of a take that stands for itself."""
    source = ClipSource(
        capture_id=capture_id, take_number=take.number, start_s=take.start_s, end_s=take.end_s
    )
    return Plan(take=take, sources=(source,))


def apart(plan: Plan, capture_id: int, *, why: str) -> Plan:
    """Return the plan of a take whose recordings cannot be joined.

    A movement that only continues in the next recording becomes two clips; where both would show
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


def _source(stretch: Stretch, start_s: float, end_s: float) -> ClipSource:
    return ClipSource(
        capture_id=stretch.capture_id,
        take_number=stretch.take_number,
        start_s=stretch.own_s(start_s),
        end_s=stretch.own_s(end_s),
    )


def _meet(take: Take, clip: Nearby) -> bool:
    """Tell whether a take and a clip show one movement, or one that continues in the other."""
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
