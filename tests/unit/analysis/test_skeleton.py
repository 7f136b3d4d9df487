"""The landmarks that are kept with a clip: of its time, and of all its recordings."""

import json
from pathlib import Path

import numpy as np

from agent.clipping.clips import SkeletonPart, cut_skeleton
from analysis.landmarks import COUNT, Poses, skeleton_document


def poses(times_s: list[float], *, hidden: int | None = None, nobody_at: int = -1) -> Poses:
    """A body that stands in the middle of the picture."""
    points = np.full((len(times_s), COUNT, 2), (320.0, 90.0))
    visibility = np.ones((len(times_s), COUNT))
    if hidden is not None:
        visibility[:, hidden] = 0.1
    if nobody_at >= 0:
        points[nobody_at] = np.nan
    return Poses(
        times_s=np.array(times_s),
        points_px=points,
        visibility=visibility,
        width_px=640,
        height_px=360,
    )


def test_a_body_becomes_points_and_bones() -> None:
    document = skeleton_document(poses([0.0, 0.1, 0.25], hidden=0, nobody_at=1))

    assert document["times_ms"] == [0, 250]
    points, scale = document["points"], document["scale"]
    assert isinstance(points, list) and isinstance(scale, int)
    joints = len(points[0]) // 2
    assert points[0][:2] == [None, None]  # the nose, which is not visible
    assert points[0][2:4] == [scale // 2, scale // 4]
    bones = document["bones"]
    assert isinstance(bones, list) and all(0 <= joint < joints for bone in bones for joint in bone)


def test_a_clip_has_the_landmarks_of_all_its_recordings_in_its_own_time(tmp_path: Path) -> None:
    first, second = tmp_path / "first.pose", tmp_path / "second.pose"
    first.write_text(json.dumps(skeleton_document(poses([2.0, 3.0, 3.9, 4.0]))))
    second.write_text(json.dumps(skeleton_document(poses([0.05, 0.5, 9.0]))))
    parts = [
        SkeletonPart(path=first, start_s=2.5, end_s=4.0, later_s=-2.5),
        SkeletonPart(path=second, start_s=0.0, end_s=1.0, later_s=1.5),
        SkeletonPart(path=tmp_path / "none.pose", start_s=0.0, end_s=9.0, later_s=9.0),
    ]

    content = cut_skeleton(parts)

    assert content is not None
    assert json.loads(content)["times_ms"] == [500, 1400, 1500, 1550, 2000]
    assert cut_skeleton(parts[2:]) is None
