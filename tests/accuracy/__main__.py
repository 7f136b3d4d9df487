"""`make accuracy`: how well takes are found in recordings whose truth is known."""

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import product
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np
from av.video.frame import VideoFrame

from analysis.inspection import CaptureFacts, inspect_video
from analysis.pose_model import PoseFinder
from analysis.primitives import Image
from analysis.takes import TakeOptions
from analysis.video import VideoError, VideoReading
from tests.accuracy.captures import ALL
from tests.accuracy.contact_sheets import moments, sheet, thumbnails
from tests.accuracy.footage import Agreement, Label, agreement, labels_in, table
from tests.accuracy.measure import Score, cache_folder, filmed, measure
from tests.accuracy.remembered import content_of, remembered, remembering
from tests.accuracy.variants import write_variants

_GRAIN = 2.0  # grey levels: nobody sees it


def main() -> int:
    """Measure labelled footage and drawn captures; 1 where a promise for these is broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.accuracy", description=__doc__)
    parser.add_argument("--footage", type=Path, help="a folder with labels.tsv and its videos")
    parser.add_argument(
        "--drawn", nargs="*", choices=list(ALL), default=list(ALL), help="which drawn captures"
    )
    parser.add_argument(
        "--grain",
        type=int,
        default=0,
        metavar="N",
        help="analyse the footage N more times, each with other grain in what the model sees: "
        "how well results hold that a single run shows",
    )
    parser.add_argument(
        "--variants",
        action="store_true",
        help="analyse the footage once more mirrored, brighter, faster, longer and so on",
    )
    chosen = parser.parse_args()
    if chosen.footage is None and (chosen.grain or chosen.variants):
        parser.error("--grain and --variants need --footage FOLDER")
    if chosen.grain < 0:
        parser.error("--grain needs a number that is not negative")
    with PoseFinder() as finder:
        if chosen.footage is not None:
            kept_in = cache_folder()
            measure_footage(chosen.footage, kept_in, finder, grains=chosen.grain)
            if chosen.variants:
                measure_footage(write_variants(chosen.footage, kept_in), kept_in, finder)
        return measure_drawn(chosen.drawn, finder) if chosen.drawn else 0


def measure_footage(
    folder: Path, kept_in: Path, finder: PoseFinder, *, grains: int = 0
) -> list[Agreement]:
    """Print a line for each video and the table of all; write the contact sheets.

    Args:
        folder: with labels.tsv and its videos.
        kept_in: where what was seen and the sheets are kept.
        finder: the model.
        grains: how often each video is analysed again, with other grain each time.
    """
    labels = labels_in(folder)
    seen, sheets = kept_in / "seen", kept_in / "sheets" / folder.resolve().name
    for made in (*(seen / str(grain) for grain in range(grains + 1)), sheets):
        made.mkdir(parents=True, exist_ok=True)
    print(f"{len(labels)} labelled videos; contact sheets in {sheets}")
    results = []
    for label in labels:
        for setting, grain in product(label.settings, range(grains + 1)):
            began_s = time.monotonic()
            with grained(grain):
                result = look_at(label, setting, finder, seen / str(grain), sheets)
            results += [] if result is None else [result]
            notes = "cannot be used" if result is None else "; ".join(result.notes)
            name = f"{label.path.name} as {setting}{f', grain {grain}' if grain else ''}"
            print(f"{name:56s} {time.monotonic() - began_s:5.1f} s  {notes}", flush=True)
    print("\n".join(table(results)), flush=True)
    return results


@contextmanager
def grained(number: int) -> Iterator[None]:
    """Let the model see pictures with a little grain, each number another one; 0: as they are.

    A threshold that a single run passes by luck is passed in some of these and not in others.
    """
    upright = VideoReading.upright

    def grainy(reading: VideoReading, frame: VideoFrame, *, longest_px: int) -> Image:
        image = upright(reading, frame, longest_px=longest_px)
        random = np.random.default_rng((number, frame.pts or 0))  # whichever thread asks first
        grain = random.normal(0.0, _GRAIN, image.shape)
        return np.clip(image + grain, 0, 255).astype(np.uint8)

    with patch.object(VideoReading, "upright", grainy) if number else nullcontext():
        yield


def look_at(
    label: Label, setting: str | None, finder: PoseFinder, seen: Path, sheets: Path
) -> Agreement | None:
    """Return how one video comes out, and draw its contact sheet; None: it cannot be used."""
    evidence: list[CaptureFacts] = []
    options = TakeOptions(activity=setting)
    try:
        with remembering(seen, evidence):
            report = inspect_video(label.path, options, finder=finder)
    except VideoError as error:
        print(f"{label.path}: {error}")
        return None
    result = agreement(label, setting, report)
    pictures = remembered(
        seen,
        lambda: thumbnails(label.path, moments(report.video.duration_s)),
        *("thumbnails", content_of(label.path)),
    )
    drawn = sheet(result, report, evidence[-1], pictures)
    name = f"{label.path.stem}-{setting or 'unknown'}.png"
    cv2.imwrite(str(sheets / name), cv2.cvtColor(drawn, cv2.COLOR_RGB2BGR))
    return result


def measure_drawn(chosen: list[str], finder: PoseFinder) -> int:
    """Print a line for each drawn capture and the summary; 1 where a promise is broken."""
    folder, scores = cache_folder(), []
    print(f"{len(chosen)} captures, kept in {folder}")
    for name in chosen:
        began_s = time.monotonic()
        path = filmed(name, ALL[name], folder)
        drawn_s = time.monotonic() - began_s
        score = measure(name, ALL[name], path, finder)
        scores.append(score)
        took_s = time.monotonic() - began_s - drawn_s
        print(
            f"{name:22s} efforts {score.inside}/{score.efforts}  excess {score.excess_s}  "
            f"reps {score.exact}/{score.counted}  {took_s:.1f} s  {'; '.join(score.notes)}",
            flush=True,
        )
    return summary(scores)


def summary(scores: list[Score]) -> int:
    """Print what all captures together show, and tell whether the promises hold."""
    efforts, inside = sum(s.efforts for s in scores), sum(s.inside for s in scores)
    excess = sorted(value for s in scores for value in s.excess_s) or [0.0]
    worst = excess[min(len(excess) - 1, int(0.95 * len(excess)))]
    counted, exact = sum(s.counted for s in scores), sum(s.exact for s in scores)
    surplus = sum(s.surplus for s in scores)
    median = statistics.median(excess)
    print(f"efforts inside a clip: {inside} of {efforts}")
    print(f"seconds beyond the padding: median {median:.2f}, 95th percentile {worst:.2f}")
    print(f"repetitions exact: {exact} of {counted}")
    print(f"clips without an effort: {surplus}")
    kept = inside == efforts and median < 0.5 and worst < 1.5 and exact >= 0.95 * counted
    return 0 if kept and not surplus else 1


if __name__ == "__main__":
    sys.exit(main())
