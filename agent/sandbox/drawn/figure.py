"""Drawing a body: its parts, shaded, the far ones first."""

from collections.abc import Iterator

import numpy as np

from agent.sandbox.drawn.anatomy import CIRCLES, GROUPS, PARTS, RADII, Outfit, Part
from agent.sandbox.drawn.body import HEAD, POINTS, FloatArray
from agent.sandbox.drawn.brush import Blob, tinted
from agent.sandbox.drawn.lens import Lens

Depth = tuple[float, float]  # how near the camera, and the order among equals

_FAR_SHADE = 4.0  # loss of light for each body height that a limb is behind the body's middle
_DARKEST = 0.70
_FACING = 0.2 * HEAD  # how much nearer than the head's middle a feature that faces us is
_ROWS = np.cumsum([0, *(len(part.circles) for part in PARTS)])
_GROUP_ROWS = {
    group: np.repeat([part.group == group for part in PARTS], np.diff(_ROWS)) for group in GROUPS
}
_ROOTS = {"leg": "hip", "arm": "shoulder"}


def blobs_of(points: FloatArray, lens: Lens, outfit: Outfit) -> Iterator[tuple[Depth, Blob]]:
    """Yield the parts of a body to be drawn, and how near the camera each is.

    Args:
        points: body points in space, (len(POINTS), 3).
        lens: how the camera sees them.
        outfit: what the body looks like.
    """
    spots = CIRCLES @ points
    spots_px, radii_px, near = lens.project(spots), RADII * lens.scale_px(spots), lens.toward(spots)
    head = float(lens.toward(points[POINTS.index("head")]))
    group_near = {group: float(near[rows].mean()) for group, rows in _GROUP_ROWS.items()}
    group_shade = {group: _shade(group, points, lens) for group in GROUPS}
    for number, part in enumerate(PARTS):
        rows = slice(_ROWS[number], _ROWS[number + 1])
        part_near = float(near[rows].mean())
        if part.only_facing and part_near - head < _FACING:
            continue
        yield (
            (group_near[part.group] + GROUPS[part.group], _order(part, number, part_near)),
            Blob(
                spots_px[rows],
                radii_px[rows],
                tinted(getattr(outfit, part.wears), part.light),
                group_shade[part.group],
            ),
        )


def _order(part: Part, number: int, near: float) -> float:
    return near if part.group == "head" else float(number)


def _shade(group: str, points: FloatArray, lens: Lens) -> float:
    """Return how well lit a limb is: those on the far side of the body lie in its shade."""
    side, _, limb = group.partition("_")
    if limb not in _ROOTS:
        return 1.0
    pair = [POINTS.index(f"{s}_{_ROOTS[limb]}") for s in (side, "left", "right")]
    own, left, right = lens.toward(points[pair])
    behind = max(0.0, float((left + right) / 2 - own))
    return max(_DARKEST, 1.0 - _FAR_SHADE * behind)
