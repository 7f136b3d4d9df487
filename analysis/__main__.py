"""`python -m analysis FILE`: look into one video without any agent around."""

import argparse
import json
import sys
from pathlib import Path

from analysis.cut.clip import cut_clip
from analysis.errors import VideoError
from analysis.inspection import inspect_video
from analysis.pictures import draw_poster
from analysis.takes import TakeOptions


def main() -> int:
    """Print the report of one video as JSON; cut its clips where a folder is given."""
    parser = argparse.ArgumentParser(prog="python -m analysis", description=main.__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--out", type=Path, metavar="DIR", help="cut the clips into this folder")
    parser.add_argument("--activity", choices=["running", "jumping", "weightlifting"])
    given = parser.parse_args()
    options = TakeOptions(activity=given.activity)
    try:
        report = inspect_video(given.file, options, on_progress=lambda _done: None)
        if given.out is not None:
            given.out.mkdir(parents=True, exist_ok=True)
            for number, take in enumerate(report.takes, start=1):
                clip = given.out / f"take-{number}.mp4"
                cut_clip(
                    given.file,
                    start_s=take.start_s,
                    end_s=take.end_s,
                    out=clip,
                    on_progress=lambda _done: None,
                )
                middle_s = (take.active_start_s + take.active_end_s) / 2
                draw_poster(
                    given.file,
                    at_s=middle_s,
                    out=clip.with_suffix(".jpg"),
                    on_progress=lambda _done: None,
                )
    except VideoError as error:
        sys.stderr.write(f"{given.file}: {error}\n")
        return 1
    sys.stdout.write(json.dumps(report.to_json(), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
