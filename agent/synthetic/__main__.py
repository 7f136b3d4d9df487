"""`python -m agent.synthetic --storyboard demo --out FILE`: record a synthetic athlete.

The picture that a station's self-check analyses was made by
`python -m agent.synthetic --storyboard idle --view oblique --size 480x360
--out analysis/models/known_good_frame.png`.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import cv2

from agent.synthetic import SceneCamera, Storyboard, draw_frame, storyboard


def main() -> None:
    """Film one storyboard, or save one of its frames as a PNG."""
    parser = argparse.ArgumentParser(prog="python -m agent.synthetic", description=main.__doc__)
    parser.add_argument("--storyboard", choices=sorted(storyboard.BY_NAME), default="demo")
    parser.add_argument("--out", type=Path, required=True, help="a video, or a .png for one frame")
    parser.add_argument("--at", type=float, default=0.0, metavar="S", help="moment of a .png")
    parser.add_argument("--view", choices=["side", "front", "oblique"], help="from where")
    parser.add_argument("--size", metavar="WxH", type=_size, help="of the picture, in px")
    parser.add_argument("--fps", type=float, help="frames per second")
    given = parser.parse_args()
    changes = {name: getattr(given, name) for name in ("view", "fps") if getattr(given, name)}
    if given.size:
        changes["width"], changes["height"] = given.size
    story = replace(storyboard.by_name(given.storyboard), **changes)
    if given.out.suffix == ".png":
        _save_frame(story, given.out, at_s=given.at)
    else:
        SceneCamera(story).record(given.out)


def _save_frame(story: Storyboard, path: Path, *, at_s: float) -> None:
    picture = cv2.cvtColor(draw_frame(story, round(at_s * story.fps)), cv2.COLOR_RGB2BGR)
    if not cv2.imwrite(str(path), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9]):
        raise OSError(f"{path}: cannot be written")


def _size(text: str) -> tuple[int, int]:
    width, height = text.split("x")
    return int(width), int(height)


if __name__ == "__main__":
    main()
