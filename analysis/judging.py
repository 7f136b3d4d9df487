"""All remarks on a capture, weighed as the settings say."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from analysis.glimpses import Glimpses
from analysis.image import Grey
from analysis.motion import Motion
from analysis.packets import Packets
from analysis.quality.framing import (
    judge_amount,
    judge_framing,
    judge_others,
    judge_uprightness,
    judge_view,
)
from analysis.quality.light import judge_light
from analysis.quality.remarks import Remark, remark, weighed
from analysis.quality.stance import judge_frozen, judge_stance
from analysis.quality.timing import judge_timing
from analysis.report import TakeReport
from analysis.takes import FoundTake, TakeOptions
from analysis.video import VideoFacts

_SURE = 0.6  # confidence from which a contradiction to the assignment is worth a remark


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known of a capture."""

    packets: Packets
    facts: VideoFacts
    glimpses: Glimpses
    motion: Motion
    takes: Sequence[FoundTake]
    named: Sequence[TakeReport]
    is_sure: bool  # who the athlete is
    damaged_at_s: Sequence[float]
    others: Sequence[tuple[float, float]]  # looks for somebody else, as `judge_others` wants them


def judge(evidence: Evidence, options: TakeOptions) -> Sequence[Remark]:
    """Return the remarks on a capture, the first of each kind."""
    return weighed(_all(evidence, options), options.severities)


def _all(evidence: Evidence, options: TakeOptions) -> Iterator[Remark]:
    looked = evidence.motion.looked
    active = [take.active for take in evidence.takes]
    activity = options.activity or next((named.looks_like for named in evidence.named), None)
    looks = [*looked.is_found, *(facts.found for facts in evidence.glimpses.facts)]
    yield from judge_timing(
        evidence.packets,
        activity=activity,
        damaged_at_s=evidence.damaged_at_s,
    )
    yield from judge_light(
        evidence.glimpses.facts, found_share=float(np.mean(looks)) if looks else 0.0
    )
    stored_px = (evidence.facts.height, evidence.facts.width)
    is_sideways = evidence.facts.rotation_deg % 180 != 0
    yield from judge_framing(looked, active, stored_height_px=stored_px[is_sideways])
    yield from judge_view(looked, active, activity=activity, stored_px=stored_px)
    yield from judge_amount(activity, [named.reps for named in evidence.named], active)
    yield from judge_others(evidence.others)
    yield from judge_uprightness(evidence.motion)
    pictures = [(glimpse.time_s, glimpse.grey) for glimpse in evidence.glimpses.pictures]
    yield from judge_frozen(pictures)
    yield from judge_stance(_reference(options.reference, pictures), pictures)
    if not evidence.is_sure:
        yield remark("athlete_undecided", at_s=active[0].start_s if active else None)
    yield from _edges(evidence.takes)
    yield from _contradictions(evidence.named, options.activity)


def _edges(takes: Sequence[FoundTake]) -> Iterator[Remark]:
    for take in takes:
        if take.begins_before:
            yield remark("begins_before", at_s=take.active.start_s)
        if take.goes_on:
            yield remark("goes_on", at_s=take.active.end_s)
        if take.is_limited:
            yield remark("take_limited", at_s=take.active.end_s)


def _contradictions(named: Sequence[TakeReport], assigned: str | None) -> Iterator[Remark]:
    for take in named:
        differs = assigned is not None and take.looks_like not in {assigned, "other"}
        if differs and take.confidence >= _SURE:
            sides = f"assigned: {assigned}, seen: {take.looks_like}"
            yield remark("activity_differs", at_s=take.active_start_s, detail=sides)


def _reference(path: str | None, pictures: Sequence[tuple[float, Grey]]) -> Grey | None:
    """Return the reference picture as large as the capture's small ones, or None without it."""
    if path is None or not pictures:
        return None
    stored = cv2.imread(str(Path(path)), cv2.IMREAD_GRAYSCALE)
    if stored is None:
        return None
    height, width = pictures[0][1].shape
    return cv2.resize(stored, (width, height), interpolation=cv2.INTER_AREA).astype(
        np.uint8, copy=False
    )
