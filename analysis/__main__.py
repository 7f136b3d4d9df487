"""`python -m analysis FILE`: analyse one video without the agent."""

import argparse
import json
import sys
from pathlib import Path

from analysis.cut.clip import cut_clip
from analysis.inspection import inspect_video
from analysis.pictures import activity_svg, draw_filmstrip, draw_poster
from analysis.pose_model import PoseFinder
from analysis.report import Report
from analysis.takes import TakeOptions
from analysis.video import VideoError


def main() -> int:
    """Print the report of one video as JSON; cut its clips where a folder is given."""
    parser = argparse.ArgumentParser(prog="python -m analysis", description=main.__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--out", type=Path, metavar="DIR", help="clips and pictures go there")
    parser.add_argument("--activity", choices=["running", "jumping", "weightlifting"])
    given = parser.parse_args()
    options = TakeOptions(activity=given.activity)
    try:
        with PoseFinder() as finder:
            report = inspect_video(given.file, options, finder=finder)
            if given.out is not None:
                given.out.mkdir(parents=True, exist_ok=True)
                _write(given.file, report, given.out, finder)
    except VideoError as error:
        sys.stderr.write(f"{given.file}: {error}\n")
        return 1
    sys.stdout.write(json.dumps(report.to_json(), indent=2) + "\n")
    return 0


def _write(file: Path, report: Report, out: Path, finder: PoseFinder) -> None:
    """Write every take's clip, poster and filmstrip, and the activity of all."""
    (out / "activity.svg").write_text(activity_svg(report), encoding="utf-8")
    for number, take in enumerate(report.takes, start=1):
        clip = out / f"take-{number}.mp4"
        start_s, end_s = take.start_s, take.end_s
        cut_clip(file, start_s=start_s, end_s=end_s, out=clip, on_progress=_quiet)
        poster, strip = clip.with_suffix(".jpg"), out / f"take-{number}-strip.jpg"
        draw_poster(file, at_s=take.decisive_s, out=poster, finder=finder, on_progress=_quiet)
        draw_filmstrip(file, start_s=start_s, end_s=end_s, out=strip, on_progress=_quiet)


def _quiet(_done: float) -> None:
    """Nobody waits for it."""


if __name__ == "__main__":
    sys.exit(main())
