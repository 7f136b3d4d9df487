"""Labelled footage of any origin: its labels, and how well what is found agrees with them.

A folder holds videos and `labels.tsv`, which names them: `file`, `activity` (`weightlifting
(back squat)`, `running`, `none ...`), `efforts` and `outer` (`8.6-11.5;15.1-18.3`; what must be
inside a clip, and what may be), `reps`, and, where somebody has judged the picture, `remarks`.
One effort may stand in `active_start_s` and `active_end_s` instead.
"""

import csv
import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from analysis.primitives import Interval, merged
from analysis.report import Report
from analysis.takes import RULES

ACTIVITIES = ("weightlifting", "jumping", "running")
NOBODY = "nobody trains"
# The first word that stands in what is said of a video decides.
_GROUPS = (
    ("deadlifts", ("deadlift",)),
    ("Olympic lifts, kettlebell", ("clean", "snatch", "jerk", "kettlebell", "olympic")),
    ("squats, lunges", ("squat", "lunge")),
    ("press, curl, pull-up, push-up", ("press", "curl", "pull", "push", "row", "dip")),
)
_BY_EYE_S = 0.1  # how exact labels are
_AT_EDGE_S = 0.15  # a movement that far from the recording's edge is cut off by it
_JUDGED = frozenset(
    {"begins_before", "goes_on"}
)  # what the times of the efforts tell by themselves


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What a person says of a video."""

    path: Path
    activity: str | None  # weightlifting, jumping or running; None: none of these
    group: str
    efforts: Sequence[Interval]
    outer: Sequence[Interval]  # what of the video may be in a clip, without padding
    reps: int | None  # of all efforts; None: not counted
    remarks: frozenset[str] | None  # which hold, of all remarks; None: nobody has judged that

    @property
    def settings(self) -> Sequence[str | None]:
        """Which activities a station is set to that films this: any, where nobody trains."""
        return ACTIVITIES if self.group == NOBODY else (self.activity,)


def labels_in(folder: Path) -> list[Label]:
    """Return the labels of all videos in a folder and the folders in it.

    Raises:
        ValueError: there is no label, or one cannot be read.
    """
    found = [label for path in sorted(folder.rglob("labels.?sv")) for label in _labels(path)]
    if not found:
        raise ValueError(f"{folder}: no labels.tsv that names videos")
    return found


def _labels(path: Path) -> Iterable[Label]:
    lines = [row for row in path.read_text(encoding="utf-8-sig").splitlines() if row.strip()]
    delimiter = "\t" if lines and "\t" in lines[0] else ","
    for row in csv.DictReader(lines, delimiter=delimiter):
        cells = {name.strip().lower(): (cell or "").strip() for name, cell in row.items() if name}
        video = path.parent / cells.get("file", "")
        if not video.is_file():
            print(f"no such video: {video}")
            continue
        try:
            yield _label(video, cells)
        except ValueError as error:
            raise ValueError(f"{path}, {cells['file']}: {error}") from error


def _label(video: Path, cells: dict[str, str]) -> Label:
    efforts = _intervals(cells.get("efforts", ""))
    if not efforts and cells.get("active_start_s") and cells.get("active_end_s"):
        start_s, end_s = float(cells["active_start_s"]), float(cells["active_end_s"])
        efforts = [Interval(start_s=start_s, end_s=end_s)]
    said = cells.get("activity", "").lower()
    activity = next((name for name in ACTIVITIES if said.startswith(name)), None)
    reps = re.match(r"\d+$", cells.get("reps", ""))
    return Label(
        path=video,
        activity=activity,
        group=_group(said, activity, f"{said} {cells.get('shows', '')}".lower(), bool(efforts)),
        efforts=efforts,
        outer=_intervals(cells.get("outer", "")) or efforts,
        reps=int(reps[0]) if reps else None,
        remarks=frozenset(cells["remarks"].replace(",", " ").split())
        if "remarks" in cells
        else None,
    )


def _intervals(cell: str) -> list[Interval]:
    pairs = re.findall(r"(\d+(?:\.\d+)?)\s*[-–]\s*(\d+(?:\.\d+)?)", cell)
    return [Interval(start_s=float(start_s), end_s=float(end_s)) for start_s, end_s in pairs]


def _group(said: str, activity: str | None, told: str, trains: bool) -> str:
    if said.startswith(("none", "no ")) or not trains:
        return NOBODY
    if activity == "weightlifting":
        texts = (said, told)  # the activity's own words before what else is in the picture
        kinds = [name for text in texts for name, words in _GROUPS if any(w in text for w in words)]
        return kinds[0] if kinds else "other lifts"
    return activity or "other"


@dataclass(slots=True, kw_only=True)
class Agreement:
    """How what was found in one video agrees with its label."""

    label: Label
    setting: str | None  # what the station is set to
    inside: int = 0  # labelled efforts that lie inside a clip
    counted: int | None = None  # repetitions in all clips with an effort
    is_named: bool = False
    beyond_s: list[float] = field(default_factory=list)  # of each clip, beyond outer and padding
    surplus: int = 0  # clips without any of the labelled movement
    verdict: str = "skip"
    wrong: list[str] = field(default_factory=list)  # remarks that do not hold
    missed: list[str] = field(default_factory=list)  # remarks that should have been made
    notes: list[str] = field(default_factory=list)


def agreement(label: Label, setting: str | None, report: Report) -> Agreement:
    """Compare a report with the label."""
    result = Agreement(label=label, setting=setting, verdict=report.verdict)
    clips = [Interval(start_s=take.start_s, end_s=take.end_s) for take in report.takes]
    joined = merged(clips, rest_s=0.001)
    for effort in label.efforts:
        inside = any(_holds(clip, effort) for clip in joined)
        result.inside += inside
        if not inside:
            result.notes.append(f"missed {effort.start_s:.2f}-{effort.end_s:.2f}")
    with_effort = []
    for clip, take in zip(clips, report.takes, strict=True):
        if any(clip.overlap_s(stretch) > 0 for stretch in (*label.efforts, *label.outer)):
            with_effort.append(take)
            result.beyond_s.append(_beyond_s(clip, label, setting))
        else:
            result.surplus += 1
            result.notes.append(f"surplus {clip.start_s:.2f}-{clip.end_s:.2f}")
    if with_effort:
        result.counted = sum(take.reps or 0 for take in with_effort)
        names = {take.looks_like for take in with_effort}
        result.is_named = names == {label.activity}
        if not result.is_named and label.activity:
            result.notes.append(f"named {', '.join(sorted(names))}")
    if label.reps is not None and result.counted != label.reps:
        result.notes.append(f"{result.counted} repetitions of {label.reps}")
    _compare_remarks(result, report)
    return result


def _holds(clip: Interval, effort: Interval) -> bool:
    return clip.start_s <= effort.start_s + _BY_EYE_S and clip.end_s >= effort.end_s - _BY_EYE_S


def _beyond_s(clip: Interval, label: Label, setting: str | None) -> float:
    rules = RULES.get(setting, RULES[None])
    allowed = [
        Interval(start_s=o.start_s - rules.pad_before_s, end_s=o.end_s + rules.pad_after_s)
        for o in label.outer or label.efforts
    ]
    covered_s = sum(clip.overlap_s(stretch) for stretch in merged(allowed, rest_s=0.0))
    return round(max(0.0, clip.seconds - covered_s), 2)


def _compare_remarks(result: Agreement, report: Report) -> None:
    """Note which remarks are wrong and which were not made, of those that somebody has judged."""
    label, said = result.label, {remark.code for remark in report.quality}
    if label.remarks is not None:
        result.wrong, result.missed = sorted(said - label.remarks), sorted(label.remarks - said)
    elif label.efforts:
        ends_s = report.video.duration_s - _AT_EDGE_S
        may = {"begins_before"} if label.outer[0].start_s <= _AT_EDGE_S else set()
        may |= {"goes_on"} if label.outer[-1].end_s >= ends_s else set()
        must = {"begins_before"} if label.efforts[0].start_s <= 0.0 else set()
        must |= {"goes_on"} if label.efforts[-1].end_s >= report.video.duration_s else set()
        result.wrong = sorted((said & _JUDGED) - may)
        result.missed = sorted(must - said)
    result.notes += [f"wrong: {code}" for code in result.wrong]
    result.notes += [f"not said: {code}" for code in result.missed]


def table(results: Sequence[Agreement]) -> list[str]:
    """Return what all videos together show, in lines: a row for each group and one for all."""
    trained = [result for result in results if result.label.group != NOBODY]
    idle = [result for result in results if result.label.group == NOBODY]
    groups = [name for name, _ in _GROUPS] + ["other lifts", "jumping", "running", "other"]
    columns = ("inside a clip", "repetitions exact", "within one", "movement named")
    lines = [
        f"| {'':40s} | {' | '.join(f'{name:24s}' for name in columns)} | beyond the movement and "
        "padding (median, 90th percentile, worst) |",
        "| --- " * (len(columns) + 2) + "|",
    ]
    for group in groups:
        members = [result for result in trained if result.label.group == group]
        lines += [_row(group, members)] if members else []
    lines += [_row("all", trained)] if trained else []
    for setting in ACTIVITIES:
        lines += _idle_lines(setting, [result for result in idle if result.setting == setting])
    surplus = sum(result.surplus for result in trained)
    lines.append(f"clips without any movement that is labelled, where somebody trains: {surplus}")
    wrong = sorted(code for result in results for code in set(result.wrong))
    videos = {result.label.path for result in results if result.wrong}
    everything = {result.label.path for result in results}
    lines.append(
        f"videos with a wrong remark: {share(len(videos), len(everything))} {_counts(wrong)}"
    )
    missed = sorted(code for result in results for code in set(result.missed))
    lines.append(f"remarks not made: {len(missed)} {_counts(missed)}")
    return lines


def _row(name: str, members: Sequence[Agreement]) -> str:
    efforts = sum(len(result.label.efforts) for result in members)
    apart = [
        abs((result.counted or 0) - result.label.reps)
        for result in members
        if result.label.reps is not None
    ]
    named = [result.is_named for result in members if result.label.activity]
    cells = (
        share(sum(result.inside for result in members), efforts),
        share(sum(by == 0 for by in apart), len(apart)),
        share(sum(by <= 1 for by in apart), len(apart)),
        share(sum(named), len(named)),
    )
    beyond = sorted(value for result in members for value in result.beyond_s) or [0.0]
    ninth = beyond[min(len(beyond) - 1, int(0.9 * len(beyond)))]
    spread = f"{statistics.median(beyond):.1f}, {ninth:.1f}, {beyond[-1]:.1f} s"
    label = f"{name} ({len(members)})"
    return f"| {label:40s} | {' | '.join(f'{cell:24s}' for cell in cells)} | {spread} |"


def _idle_lines(setting: str, members: Sequence[Agreement]) -> list[str]:
    """Return what becomes of videos in which nobody trains, with one setting of the station."""
    if not members:
        return []
    sent = sum(result.surplus > 0 and result.verdict == "upload" for result in members)
    held = sum(result.surplus > 0 and result.verdict == "hold" for result in members)
    return [f"{NOBODY}, set to {setting}: sent {share(sent, len(members))}, held {held}"]


def _counts(codes: Sequence[str]) -> str:
    counted = ", ".join(f"{code} {codes.count(code)}" for code in dict.fromkeys(codes))
    return f"({counted})" if counted else ""


def share(part: int, whole: int) -> str:
    """Return a share with the interval in which the true one lies with 95 %."""
    if not whole:
        return "-"
    low, high = wilson(part, whole)
    return f"{part} of {whole} ({100 * low:.0f}-{100 * high:.0f} %)"


def wilson(part: int, whole: int, *, z: float = 1.96) -> tuple[float, float]:
    """Return the score interval of a share.

    Source: E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical Inference",
    1927.
    """
    share_of = part / whole
    middle = (share_of + z**2 / (2 * whole)) / (1 + z**2 / whole)
    half = z / (1 + z**2 / whole)
    half *= (share_of * (1 - share_of) / whole + z**2 / (4 * whole**2)) ** 0.5
    return max(0.0, middle - half), min(1.0, middle + half)
