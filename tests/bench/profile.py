"""Where the analysis's time goes, part by part."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from analysis import inspection, sampling, tracking
from analysis.pose_model import PoseFinder
from analysis.stillness import Stillness
from analysis.takes import TakeOptions
from analysis.video import VideoReading

# What is timed: where it is looked up when it is called, and what it is called in the print.
PARTS: tuple[tuple[object, str, str], ...] = (
    (inspection, "read_packets", "reading packets"),
    (sampling, "_decoded", "decoding"),
    (sampling, "_rest", "decoding"),
    (VideoReading, "upright", "scaling"),
    (tracking, "grey_thumbnail", "watching for movement"),
    (Stillness, "is_moving", "watching for movement"),
    (inspection, "where_to_look", "watching for movement"),
    (tracking, "picture_facts", "judging light"),
    (PoseFinder, "find", "looking"),
    (inspection, "_takes", "concluding"),
    (inspection, "_report", "concluding"),
)

_noting = threading.Lock()


def print_profile(path: Path, options: TakeOptions, finder: PoseFinder) -> None:
    """Print the seconds of each part; decoding and looking go on side by side."""
    began_s = time.perf_counter()
    with _timed() as seconds:
        inspection.inspect_video(path, options, finder=finder)
    wall_s = time.perf_counter() - began_s
    told = ", ".join(
        f"{part} {spent_s:.2f} s"
        for part, spent_s in sorted(seconds.items(), key=lambda item: -item[1])
    )
    print(f"  what remains, of {wall_s:.2f} s (decoding and looking side by side): {told}")


@contextmanager
def _timed() -> Iterator[dict[str, float]]:
    """Time every part while the context lasts."""
    seconds: dict[str, float] = defaultdict(float)
    with ExitStack() as patches:
        for owner, name, part in PARTS:
            stopwatch = _stopwatch(getattr(owner, name), seconds, part)
            patches.enter_context(patch.object(owner, name, stopwatch))
        yield seconds


def _stopwatch(
    function: Callable[..., Any], seconds: dict[str, float], part: str
) -> Callable[..., Any]:
    """Return a function that also notes how long it took, in whichever thread."""

    def timed(*given: Any, **named: Any) -> Any:
        began_s = time.perf_counter()
        try:
            return function(*given, **named)
        finally:
            took_s = time.perf_counter() - began_s
            with _noting:
                seconds[part] += took_s

    return timed
