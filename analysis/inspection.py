"""Analyses a capture: packets first, then keyframes, then only the frames that matter.

The method, step by step, each in a module of its own: `packets` and `screening` find the
stretches in which something may be happening; `looking` follows the body through them; `motion`
turns landmarks into curves, `efforts` finds the signs of effort in these; where much else moves,
or the body makes no effort but something moves `beside` it, others are looked for and `athlete`
decides between them; `takes` draws the clips' bounds; `movement` says what it was;
`quality` says what is wrong with the picture.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from analysis.athlete import (
    TrackCandidate,
    choose_athlete,
    only_in_zone,
    restless_elsewhere,
    zone_crop,
)
from analysis.display import Orientation
from analysis.efforts import Evidence, efforts_of, surest
from analysis.landmarks import Poses
from analysis.motion import Motion, in_scene, motion_of
from analysis.movement import between_lifts
from analysis.packets import Packets
from analysis.pose_model import PoseFinder
from analysis.primitives import Crop, Grey, Interval, merged
from analysis.quality import (
    QualityWarning,
    is_under_way,
    judge_amount,
    judge_framing,
    judge_frozen,
    judge_light,
    judge_others,
    judge_stance,
    judge_timing,
    judge_uprightness,
    judge_view,
    remark,
    weighed,
)
from analysis.report import Cost, Curve, Report, TakeReport, Verdict
from analysis.screening import keys_to_glimpse, look_further, where_to_look
from analysis.signs import EffortSignals, signs_of
from analysis.stillness import stretches_of
from analysis.takes import FoundTake, TakeOptions, take_report, takes_of
from analysis.tracking import (
    BodyBoxes,
    KeyframeSamples,
    Moved,
    Track,
    TrackingOptions,
    follow_body,
    look_for_others,
    lost_bodies,
    moments_within,
    restless_beside,
    take_glimpses,
)
from analysis.video import Progress, VideoFacts, VideoReading, read_packets, stored_facts

_SURE = 0.6  # confidence from which a contradiction to the assignment is worth a remark


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureFacts:
    """All that is known of a capture."""

    packets: Packets
    facts: VideoFacts
    glimpses: KeyframeSamples
    motion: Motion
    signs: EffortSignals
    takes: Sequence[FoundTake]
    named: Sequence[TakeReport]
    is_sure: bool  # who the athlete is
    is_doubtful: bool  # whether there is any effort
    damaged_at_s: Sequence[float]
    others: Sequence[tuple[float, float]]  # looks for somebody else, as `judge_others` wants them


def judge(evidence: CaptureFacts, options: TakeOptions) -> Sequence[QualityWarning]:
    """Return the remarks on a capture, the first of each kind."""
    return weighed(_all(evidence, options), options.severities)


def _all(evidence: CaptureFacts, options: TakeOptions) -> Iterator[QualityWarning]:
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
    framing = judge_framing(looked, active, stored_height_px=stored_px[is_sideways])
    yield from framing
    yield from judge_view(looked, active, activity=activity, stored_px=stored_px)
    yield from judge_amount(activity, [named.reps for named in evidence.named], active)
    yield from judge_others(evidence.others)
    yield from judge_uprightness(evidence.motion)
    pictures = [(glimpse.time_s, glimpse.grey) for glimpse in evidence.glimpses.pictures]
    yield from judge_frozen(pictures)
    yield from judge_stance(_reference(options.reference, pictures), pictures)
    if not evidence.is_sure:
        yield remark("athlete_undecided", at_s=active[0].start_s if active else None)
    if evidence.is_doubtful:
        yield remark("effort_doubtful", at_s=active[0].start_s if active else None)
    # Of a body without a head in the picture the model guesses the whole height at any moment.
    if not any(one.code == "head_out_of_frame" for one in framing):
        yield from _edges(evidence)
    for take in evidence.takes:
        if take.is_limited:
            yield remark("take_limited", at_s=take.active.end_s)
    yield from _contradictions(evidence.named, options.activity)


def _edges(evidence: CaptureFacts) -> Iterator[QualityWarning]:
    motion, within = evidence.motion, evidence.packets.span
    for take, named in zip(evidence.takes, evidence.named, strict=True):
        signs = evidence.signs
        if named.looks_like == "weightlifting":  # in which legs may seem to run
            signs = replace(signs, running=np.zeros_like(signs.running))
        if take.begins_before and is_under_way(motion, signs, within.start_s):
            yield remark("begins_before", at_s=take.active.start_s)
        if take.goes_on and is_under_way(motion, signs, within.end_s):
            yield remark("goes_on", at_s=take.active.end_s)


def _contradictions(named: Sequence[TakeReport], assigned: str | None) -> Iterator[QualityWarning]:
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


_FOUND_S = 2.5  # before a body was lost: there the model finds it before it is bent or hidden
_FURTHER = 4  # times to look further, where an effort continues beyond what was looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What was seen of a capture."""

    packets: Packets
    facts: VideoFacts
    glimpses: KeyframeSamples
    scenes: Sequence[Interval]  # between the capture's cuts
    candidate: TrackCandidate
    is_sure: bool
    decoded: int
    looks: int
    damaged_at_s: Sequence[float]


def inspect_video(
    path: Path,
    options: TakeOptions,
    *,
    finder: PoseFinder | None = None,
    on_progress: Progress = lambda _done: None,
    on_looked: Callable[[Poses], None] = lambda _poses: None,
) -> Report:
    """Return what there is in a capture.

    Args:
        path: the capture.
        options: what the station says of it and wants.
        finder: a warm one; None: one is made for this capture.
        on_progress: told the share that is done.
        on_looked: told the athlete's landmarks, where there is a take.

    Raises:
        VideoError: the file cannot be used.
    """
    if finder is None:
        with PoseFinder(Path(options.model) if options.model else None) as own:
            return inspect_video(
                path, options, finder=own, on_progress=on_progress, on_looked=on_looked
            )
    began_s = time.monotonic()
    seen = _see(path, options, finder, on_progress)
    takes = _takes(seen, options)
    if takes:
        on_looked(seen.candidate.motion.looked)
    others: Sequence[tuple[float, float]] = ()
    if options.severities.get("others_in_picture") != "ignore":
        active = [take.active for take in takes]
        others = look_for_others(
            path,
            seen.packets,
            active,
            seen.candidate.motion.looked,
            finder,
            on_progress=on_progress,
        )
    cost = Cost(
        wall_s=time.monotonic() - began_s, decoded_frames=seen.decoded, pose_frames=finder.looks
    )
    return _report(seen, takes, others, options, cost)


def _takes(seen: _Seen, options: TakeOptions) -> list[FoundTake]:
    """Return what the clips are to hold."""
    motion, rules = seen.candidate.motion, options.rules_for(options.activity)
    takes: list[FoundTake] = []
    for scene in seen.scenes:
        efforts = [effort for effort in seen.candidate.efforts if effort.overlap_s(scene) > 0]
        divisions = [
            at_s
            for effort in merged(efforts, rest_s=rules.rest_s)
            if rules.one_lift_per_clip
            for at_s in between_lifts(motion, effort)
        ]
        found = takes_of(efforts, rules, within=scene, divisions=divisions)
        takes += [take.in_capture(seen.packets.span, scene) for take in found]
    return takes


def _report(
    seen: _Seen,
    takes: Sequence[FoundTake],
    others: Sequence[tuple[float, float]],
    options: TakeOptions,
    cost: Cost,
) -> Report:
    """Return what was seen as a report."""
    motion, signs = seen.candidate.motion, seen.candidate.signs
    reports = [take_report(take, motion, signs, options) for take in takes]
    evidence = CaptureFacts(
        packets=seen.packets,
        facts=seen.facts,
        glimpses=seen.glimpses,
        motion=motion,
        signs=signs,
        takes=takes,
        named=reports,
        is_sure=seen.is_sure,
        is_doubtful=seen.candidate.evidence is Evidence.DOUBTFUL and options.activity is not None,
        damaged_at_s=seen.damaged_at_s,
        others=others,
    )
    quality = judge(evidence, options)
    return Report(
        video=seen.facts,
        takes=reports,
        quality=quality,
        verdict=_verdict(reports, quality),
        curve=Curve.of(motion),
        cost=cost,
    )


def _verdict(takes: Sequence[TakeReport], quality: Sequence[QualityWarning]) -> Verdict:
    if not takes:
        return "skip"
    return "hold" if any(remark.severity == "hold" for remark in quality) else "upload"


def _see(path: Path, options: TakeOptions, finder: PoseFinder, on_progress: Progress) -> _Seen:
    """Read, screen, and follow whoever is the athlete."""
    packets = read_packets(path, on_progress=on_progress)
    finder.begin()
    glimpses = take_glimpses(
        path, packets, keys_to_glimpse(packets), finder, on_progress=on_progress
    )
    facts = stored_facts(packets, glimpses.reading)
    stretches = where_to_look(packets, glimpses.pictures)
    orientation = glimpses.reading.orientation
    follower = _BodyFollower(path, packets, stretches, finder, options, on_progress, orientation)
    readings = [glimpses.reading]
    track, crop = Track(), zone_crop(options.zone)
    if stretches:
        readings.append(follower.follow(track, crop))
    candidate, is_sure = follower.candidate(track), True
    for _ in range(_FURTHER):
        further = look_further(follower.stretches, candidate.under_way, within=packets.span)
        if not further:
            break
        readings.append(replace(follower, stretches=further).follow(track, crop))
        follower = replace(follower, stretches=merged([*follower.stretches, *further], rest_s=0.1))
        candidate = follower.candidate(track)
    track, candidate = _looked_closer(track, candidate, follower, crop, readings)
    for lost in lost_bodies(track.poses(), follower.moves(track), track.stillness.cuts_s):
        again, begun = Track(), lost.during.padded(_FOUND_S, 0.0, within=packets.span)
        readings.append(replace(follower, stretches=[begun]).follow(again, lost.place))
        kept = track.replaced(lost.during, again)
        better = follower.candidate(kept)
        if _is_more(better, candidate):
            track, candidate = kept, better
    for elsewhere, without in _elsewhere(candidate, track, follower):
        second = Track()
        readings.append(follower.follow(second, elsewhere, without=without))
        candidate, is_sure = choose_athlete(candidate, follower.candidate(second))
        if candidate.evidence is Evidence.SURE:
            break
    return _Seen(
        packets=packets,
        facts=facts,
        glimpses=glimpses,
        scenes=follower.scenes(track),
        candidate=candidate,
        is_sure=is_sure,
        decoded=sum(reading.frames for reading in readings),
        looks=finder.looks,
        damaged_at_s=sorted({at_s for reading in readings for at_s in reading.damaged_at_s}),
    )


def _looked_closer(
    track: Track,
    candidate: TrackCandidate,
    follower: "_BodyFollower",
    crop: Crop | None,
    readings: list[VideoReading],
) -> tuple[Track, TrackCandidate]:
    """Return who was seen, after more looks at where he may run, if those show no less.

    The looks at somebody who runs are as far apart as his rhythm allows: steps of a sprint, or in a
    recording with few frames, may be over between two of them.

    Args:
        track: of the looks so far.
        candidate: who was seen in them.
        follower: of bodies.
        crop: the part of the picture that was looked at.
        readings: grow by one for every stretch that is looked at again.
    """
    if follower.options.activity != "running":
        return track, candidate
    unclear_runs = candidate.unclear_runs(follower.moving(track), within=follower.packets.span)
    if not unclear_runs:
        return track, candidate
    closer = track
    for unclear in unclear_runs:
        again = Track()
        readings.append(replace(follower, stretches=[unclear]).follow(again, crop, often=True))
        closer = closer.replaced(unclear, again)
    seen = follower.candidate(closer)
    is_better = seen.evidence > candidate.evidence or _is_more(seen, candidate)
    return (closer, seen) if is_better else (track, candidate)


def _is_more(one: TrackCandidate, other: TrackCandidate) -> bool:
    """Tell whether a track shows more effort than another, and none that is less sure."""
    return one.evidence >= other.evidence and one.effort_s > other.effort_s


@dataclass(frozen=True, slots=True)
class _BodyFollower:
    """Follows bodies through the same stretches."""

    path: Path
    packets: Packets
    stretches: Sequence[Interval]
    finder: PoseFinder
    options: TakeOptions
    on_progress: Progress
    orientation: Orientation  # of the upright picture

    def follow(
        self,
        track: Track,
        crop: Crop | None,
        *,
        without: BodyBoxes | None = None,
        often: bool = False,
    ) -> VideoReading:
        """Follow a body; `often`: as often throughout as around the edges of a movement."""
        options = TrackingOptions.for_activity(self.options.activity)
        self.finder.forget()
        return follow_body(
            self.path,
            self.packets,
            self.stretches,
            self.finder,
            track,
            crop=crop,
            without=without,
            options=replace(options, steady_fps=options.active_fps) if often else options,
            on_progress=self.on_progress,
        )

    def moves(self, track: Track) -> list[tuple[float, Moved]]:
        """Return when and where the upright picture moved."""
        return [
            (time_s, self.orientation.upright(moved)) for time_s, moved in track.stillness.moves
        ]

    def moving(self, track: Track) -> list[Interval]:
        """Return when anything moves where the body is, or where it may be."""
        return stretches_of(moments_within(self.moves(track), track.poses()))

    def candidate(self, track: Track) -> TrackCandidate:
        poses = only_in_zone(track.poses(), self.options.zone)
        moving = self.moving(track)
        scenes = self.scenes(track)
        if len(scenes) == 1:
            return self._in_scene(self.packets.span, poses, track, moving)
        joined = TrackCandidate.joined(
            [self._in_scene(scene, in_scene(poses, scene), track, moving) for scene in scenes],
            poses,
        )
        if joined.evidence is not Evidence.SURE:
            return joined
        # What is cut off is believed more where a whole effort is seen: somebody trains.
        return replace(joined, evidence=max(Evidence.DOUBTFUL, self._surest(joined)))

    def _surest(self, candidate: TrackCandidate) -> Evidence:
        """Return how sure an effort is for which no cut in the capture makes up."""
        return surest(
            candidate.motion,
            candidate.signs,
            candidate.efforts,
            activity=self.options.activity,
            within=self.packets.span,
        )

    def scenes(self, track: Track) -> list[Interval]:
        """Return the parts of the capture between its cuts, in order."""
        return track.stillness.scenes(self.packets.span)

    def _in_scene(
        self, scene: Interval, poses: Poses, track: Track, moving: Sequence[Interval]
    ) -> TrackCandidate:
        """Return who is seen in a part of the capture, as if it were a capture of its own."""
        motion = motion_of(poses)
        signs = signs_of(motion, activity=self.options.activity, within=scene)
        efforts, evidence = efforts_of(
            motion,
            signs,
            rest_s=self.options.rules_for(self.options.activity).rest_s,
            within=scene,
            stirring=track.stillness.stirring,
            moving=moving,
            activity=self.options.activity,
        )
        return TrackCandidate(motion, signs, efforts, evidence)


def _elsewhere(
    candidate: TrackCandidate, track: Track, follower: _BodyFollower
) -> Iterator[tuple[Crop, BodyBoxes | None]]:
    """Yield where to look for somebody else, and whom to paint over, the likelier place first."""
    restless = track.stillness.restless
    if restless is None or follower.options.zone:
        return
    poses = track.poses()
    apart = restless_elsewhere(follower.orientation.upright(restless), poses)
    if apart is not None:
        yield apart, None
    if candidate.evidence is not Evidence.SURE:
        there = BodyBoxes.of(poses)
        beside = restless_beside(follower.moves(track), there)
        if beside is not None:
            yield beside, there
