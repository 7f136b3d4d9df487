"""One look at a capture: packets first, then keyframes, then only the frames that matter.

The method, step by step, each in a module of its own: `packets` and `screening` find the
stretches in which something may be happening; `looking` follows the body through them; `motion`
turns landmarks into curves, `efforts` finds the signs of effort in these; where much else moves,
or the body makes no effort but something moves `beside` it, others are looked for and `athlete`
decides between them; `takes` draws the clips' bounds; `reps` and `movement` say what it was;
`quality` says what is wrong with the picture.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from analysis.athlete import (
    Candidate,
    choose_athlete,
    only_in_zone,
    restless_elsewhere,
    zone_crop,
)
from analysis.beside import Moved, Whereabouts, moments_within, restless_beside
from analysis.crop import Crop
from analysis.display import Orientation
from analysis.efforts import efforts_of, signs_of
from analysis.glimpses import Glimpses, look_for_others, take_glimpses
from analysis.intervals import Interval, merged
from analysis.judging import Evidence, judge
from analysis.landmarker import PoseFinder
from analysis.looking import LookOptions, Track, follow_body
from analysis.motion import motion_of
from analysis.packets import Packets
from analysis.quality.remarks import Remark
from analysis.report import Cost, Curve, Report, TakeReport, Verdict
from analysis.reps import between_lifts
from analysis.screening import keys_to_glimpse, look_further, where_to_look
from analysis.stillness import stretches_of
from analysis.takes import FoundTake, TakeOptions, takes_of
from analysis.telling import take_report
from analysis.video import Progress, Reading, VideoFacts, read_packets, stored_facts

_FURTHER = 4  # times to look further, where an effort goes on beyond what was looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What was seen of a capture."""

    packets: Packets
    facts: VideoFacts
    glimpses: Glimpses
    candidate: Candidate
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
) -> Report:
    """Return what there is in a capture.

    Args:
        path: the capture.
        options: what the station says of it and wants.
        finder: a warm one; None: one is made for this capture.
        on_progress: told the share that is done.

    Raises:
        VideoError: the file cannot be used.
    """
    if finder is None:
        with PoseFinder(Path(options.model) if options.model else None) as own:
            return inspect_video(path, options, finder=own, on_progress=on_progress)
    began_s = time.monotonic()
    seen = _see(path, options, finder, on_progress)
    takes = _takes(seen, options)
    others: Sequence[tuple[float, float]] = ()
    if options.severities.get("others_in_picture") != "ignore":
        active = [take.active for take in takes]
        others = look_for_others(path, seen.packets, active, finder, on_progress=on_progress)
    cost = Cost(
        wall_s=time.monotonic() - began_s, decoded_frames=seen.decoded, pose_frames=finder.looks
    )
    return _report(seen, takes, others, options, cost)


def _takes(seen: _Seen, options: TakeOptions) -> list[FoundTake]:
    """Return what the clips are to hold."""
    motion, rules = seen.candidate.motion, options.rules_for(options.activity)
    efforts = seen.candidate.efforts
    divisions = [
        at_s
        for effort in merged(efforts, rest_s=rules.rest_s)
        if rules.one_lift_per_clip
        for at_s in between_lifts(motion, effort)
    ]
    return takes_of(efforts, rules, within=seen.packets.span, divisions=divisions)


def _report(
    seen: _Seen,
    takes: Sequence[FoundTake],
    others: Sequence[tuple[float, float]],
    options: TakeOptions,
    cost: Cost,
) -> Report:
    """Return what was seen as a report."""
    motion = seen.candidate.motion
    signs = signs_of(motion, count_busy=options.activity is None)
    reports = [take_report(take, motion, signs, options) for take in takes]
    evidence = Evidence(
        packets=seen.packets,
        facts=seen.facts,
        glimpses=seen.glimpses,
        motion=motion,
        takes=takes,
        named=reports,
        is_sure=seen.is_sure,
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


def _verdict(takes: Sequence[TakeReport], quality: Sequence[Remark]) -> Verdict:
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
    looker = _Looker(path, packets, stretches, finder, options, on_progress, orientation)
    readings = [glimpses.reading]
    track, crop = Track(), zone_crop(options.zone)
    if stretches:
        readings.append(looker.follow(track, crop))
    candidate, is_sure = looker.candidate(track), True
    for _ in range(_FURTHER):
        further = look_further(looker.stretches, candidate.efforts, within=packets.span)
        if not further:
            break
        readings.append(replace(looker, stretches=further).follow(track, crop))
        looker = replace(looker, stretches=merged([*looker.stretches, *further], rest_s=0.1))
        candidate = looker.candidate(track)
    for elsewhere, without in _elsewhere(candidate, track, looker):
        second = Track()
        readings.append(looker.follow(second, elsewhere, without=without))
        candidate, is_sure = choose_athlete(candidate, looker.candidate(second))
        if candidate.efforts:
            break
    return _Seen(
        packets=packets,
        facts=facts,
        glimpses=glimpses,
        candidate=candidate,
        is_sure=is_sure,
        decoded=sum(reading.frames for reading in readings),
        looks=finder.looks,
        damaged_at_s=sorted({at_s for reading in readings for at_s in reading.damaged_at_s}),
    )


@dataclass(frozen=True, slots=True)
class _Looker:
    """Follows bodies through the same stretches."""

    path: Path
    packets: Packets
    stretches: Sequence[Interval]
    finder: PoseFinder
    options: TakeOptions
    on_progress: Progress
    orientation: Orientation  # of the upright picture

    def follow(
        self, track: Track, crop: Crop | None, *, without: Whereabouts | None = None
    ) -> Reading:
        self.finder.forget()
        return follow_body(
            self.path,
            self.packets,
            self.stretches,
            self.finder,
            track,
            crop=crop,
            without=without,
            options=LookOptions.for_activity(self.options.activity),
            on_progress=self.on_progress,
        )

    def moves(self, track: Track) -> list[tuple[float, Moved]]:
        """Return when and where the upright picture moved."""
        return [
            (time_s, self.orientation.upright(moved)) for time_s, moved in track.stillness.moves
        ]

    def candidate(self, track: Track) -> Candidate:
        motion = motion_of(only_in_zone(track.poses(), self.options.zone))
        signs = signs_of(motion, count_busy=self.options.activity is None)
        efforts = efforts_of(
            motion,
            signs,
            rest_s=self.options.rules_for(self.options.activity).rest_s,
            within=self.packets.span,
            stirring=track.stillness.stirring,
            moving=stretches_of(moments_within(self.moves(track), track.poses())),
        )
        return Candidate(motion, efforts)


def _elsewhere(
    candidate: Candidate, track: Track, looker: _Looker
) -> Iterator[tuple[Crop, Whereabouts | None]]:
    """Yield where to look for somebody else, and whom to paint over, the likelier place first."""
    restless = track.stillness.restless
    if restless is None or looker.options.zone:
        return
    poses = track.poses()
    apart = restless_elsewhere(looker.orientation.upright(restless), poses)
    if apart is not None:
        yield apart, None
    if not candidate.efforts:
        there = Whereabouts.of(poses)
        beside = restless_beside(looker.moves(track), there)
        if beside is not None:
            yield beside, there
