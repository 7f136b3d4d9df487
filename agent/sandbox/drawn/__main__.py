"""`python -m agent.sandbox.drawn --storyboard demo --out FILE`: film a drawn athlete."""

import argparse
from pathlib import Path

from agent.sandbox.drawn import Camera, draw_frame, storyboards


def main() -> None:
    """Film one storyboard, or save one of its frames as a PNG."""
    parser = argparse.ArgumentParser(prog="python -m agent.sandbox.drawn", description=main.__doc__)
    parser.add_argument("--storyboard", choices=sorted(storyboards.BY_NAME), default="demo")
    parser.add_argument("--out", type=Path, required=True, help="a video, or a .png for one frame")
    parser.add_argument(
        "--at", type=float, default=0.0, metavar="S", help="which moment a .png shows"
    )
    parser.add_argument("--realtime", action="store_true", help="take as long as a real recording")
    given = parser.parse_args()
    story = storyboards.by_name(given.storyboard)
    if given.out.suffix == ".png":
        import cv2

        frame = draw_frame(story, round(given.at * story.fps))
        cv2.imwrite(str(given.out), cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        return
    Camera(story).record(given.out, realtime=given.realtime)


if __name__ == "__main__":
    main()
