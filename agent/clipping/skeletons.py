"""Keeps the athlete's landmarks with each clip, cut from what the analysis saw of its recordings.

A file is JSON: `schema` (1), `bones` (pairs of joints), `times_ms` (of the clip, increasing) and
`points`, for each time x and y of every joint in 1/`scale` of the shown picture's width and height,
null for a joint that is not visible.  A later schema only adds to that.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.disk.state_folder import open_plain

_MOST_BYTES = 64 << 20
_MS = 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SkeletonPart:
    """What of one recording is in a clip."""

    path: Path  # of the recording's landmarks
    start_s: float  # in the recording's time
    end_s: float
    later_s: float  # what to add for the clip's time


def cut_skeleton(parts: Sequence[SkeletonPart]) -> bytes | None:
    """Return the landmarks of a clip as its file holds them; None where nothing is known.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file is none of ours.
    """
    head: dict[str, Any] = {}
    looks: list[tuple[int, object]] = []
    for part in parts:
        if not part.path.exists():  # analysed by an older version, or in hidden parts
            continue
        known = _read(part.path)
        head = head or {name: known[name] for name in ("schema", "bones", "scale")}
        for at_ms, points in _within(known, part):
            if not looks or at_ms > looks[-1][0]:
                looks.append((at_ms, points))
    if not looks:
        return None
    times_ms, points = zip(*looks, strict=True)
    document = {**head, "times_ms": times_ms, "points": points}
    return json.dumps(document, separators=(",", ":")).encode()


def _within(known: dict[str, Any], part: SkeletonPart) -> Iterator[tuple[int, object]]:
    for at_ms, points in zip(known["times_ms"], known["points"], strict=True):
        if part.start_s * _MS <= at_ms <= part.end_s * _MS:
            yield round(at_ms + part.later_s * _MS), points


def _read(path: Path) -> dict[str, Any]:
    with open_plain(path) as file:
        document = json.loads(file.read(_MOST_BYTES))
    wanted = {"schema", "bones", "scale", "times_ms", "points"}
    if not isinstance(document, dict) or not wanted <= document.keys():
        raise ValueError(f"{path.name} holds no landmarks")
    return document
