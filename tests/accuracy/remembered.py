"""What was seen of a video, kept from one run to the next.

Decoding and the pose model take nearly all the time, and changes to what is decided of the
landmarks leave them as they are.  So the calls that read a video are remembered by everything that
they are given and by the sources of all modules that they may use.
"""

import hashlib
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import analysis
from analysis import inspection
from analysis.inspection import CaptureFacts
from analysis.pose_model import PoseFinder, shipped_model
from analysis.takes import TakeOptions
from analysis.tracking import Track
from analysis.video import VideoReading

_READING = ("take_glimpses", "follow_body", "look_for_others")  # the calls of `inspection` that do
# What decides of landmarks, and never reads a video.
_DECIDING = {
    *("athlete", "comparison", "efforts", "inspection", "motion", "movement", "report", "reps"),
    *("signs", "swings", "takes"),
}
_JUDGING = _DECIDING | {"quality"}  # but `take_glimpses` gathers the facts of the light there


@contextmanager
def remembering(folder: Path, evidence: list[CaptureFacts]) -> Iterator[None]:
    """Let `inspect_video` remember what it sees, and add to `evidence` what it judges by."""
    before = {name: getattr(inspection, name) for name in (*_READING, "judge")}

    def judge(facts: CaptureFacts, options: TakeOptions) -> Any:
        evidence.append(facts)
        return before["judge"](facts, options)

    instead = {name: partial(_call, folder, before[name]) for name in _READING}
    try:
        for name, call in (*instead.items(), ("judge", judge)):
            setattr(inspection, name, call)
        yield
    finally:
        for name, call in before.items():
            setattr(inspection, name, call)


def remembered(folder: Path, make: Callable[[], Any], *key: object) -> Any:
    """Return what a call made when it was first asked for with this key."""
    path = folder / f"{hashlib.sha256(pickle.dumps(key)).hexdigest()[:24]}.seen"
    if path.exists():
        return pickle.loads(path.read_bytes())  # noqa: S301  # our own, from our own folder
    made = make()
    partial_file = path.with_suffix(".part")
    partial_file.write_bytes(pickle.dumps(made))
    partial_file.replace(path)
    return made


def _call(folder: Path, call: Callable[..., Any], *args: Any, **named: Any) -> Any:
    tracks = [value for value in args if isinstance(value, Track)]
    left_out = _DECIDING if call.__name__ == "take_glimpses" else _JUDGING
    given = [_key(value) for value in (*args, *sorted(named.items()))]

    def look() -> tuple[Any, list[Track]]:
        result = call(*args, **named)
        return _closed(result), tracks

    key = (call.__name__, _sources(frozenset(left_out)), given)
    result, grown = remembered(folder, look, *key)
    for track, seen in zip(tracks, grown, strict=True):
        for name in Track.__slots__:
            setattr(track, name, getattr(seen, name))
    return result


def _key(value: Any) -> object:
    """Return what a call's result depends on, of one of its arguments."""
    if isinstance(value, Path):
        return content_of(value)
    if isinstance(value, PoseFinder) or (isinstance(value, tuple) and value[0] == "on_progress"):
        return None
    return pickle.dumps(value)


@cache
def content_of(path: Path) -> str:
    """Return what tells a file from all others."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@cache
def _sources(left_out: frozenset[str]) -> str:
    sources = sorted(Path(next(iter(analysis.__path__))).glob("*.py"))
    kept = [source.read_bytes() for source in sources if source.stem not in left_out]
    return hashlib.sha256(b"".join([*kept, content_of(shipped_model()).encode()])).hexdigest()


def _closed(result: Any) -> Any:
    """Return a result without what belongs to an open file."""
    if isinstance(result, VideoReading):
        return _facts_of(result)
    if isinstance(getattr(result, "reading", None), VideoReading):
        return type(result)(result.pictures, result.facts, _facts_of(result.reading))
    return result


def _facts_of(reading: VideoReading) -> VideoReading:
    facts = VideoReading.__new__(VideoReading)
    for name, value in vars(reading).items():
        if name not in {"container", "stream", "index"} and not name.startswith("_"):
            setattr(facts, name, value)
    return facts
