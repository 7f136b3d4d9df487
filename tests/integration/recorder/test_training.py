"""A training that is filmed live: every effort becomes one clip, seconds after its end."""

import math
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

import tests.drawn_movements  # noqa: F401  # its movements join the repertoire
from agent.disk.state_folder import StateFolder
from agent.outbox.outbox import Outbox
from agent.outbox.states import EntryState
from agent.sandbox.server import Sandbox
from agent.synthetic import SceneCamera, Segment, Storyboard
from tests.recorder import RecorderUnderTest
from tests.station import ATHLETE, KEY, PATIENCE_S, Station, until

_EDGE_S = 0.3  # of a true effort, which begins and ends slowly
_WITHIN_S = 10.0
_LIFTS = ("snatch", "squats", "clean_and_jerk")


@dataclass(frozen=True, slots=True)
class Training:
    """A recording of many efforts, and when each was done, in seconds of the recording."""

    video: Path
    efforts: Sequence[tuple[float, float]]


def film(folder: Path, *, efforts: int, every_s: float, size: tuple[int, int]) -> Training:
    """Draw a training: each lift is drawn once, and repeated as it is stored."""
    parts, truths = [], []
    for number, lift in enumerate(_LIFTS):
        story = Storyboard(
            [Segment("stand", 9.0 + 3 * number), Segment(lift), Segment("stand", every_s)],
            view="oblique",
            width=size[0],
            height=size[1],
        )
        (truth,) = story.truth().efforts
        path = folder / f"{lift}.mkv"
        SceneCamera(story).record(path)
        parts.append(path)
        truths.append((truth.active_start_s, truth.active_end_s))
    order = [number % len(_LIFTS) for number in range(efforts)]
    listed = folder / "parts.txt"
    listed.write_text("".join(f"file {parts[n]}\noutpoint {every_s}\n" for n in order))
    video = folder / "training.mkv"
    words = ["-f", "concat", "-safe", "0", "-i", str(listed), "-c", "copy", str(video)]
    subprocess.run(["/usr/bin/ffmpeg", "-v", "error", "-y", *words], check=True, timeout=600)
    done = [
        (place * every_s + truths[n][0], place * every_s + truths[n][1])
        for place, n in enumerate(order)
    ]
    return Training(video, done)


def train(root: Path, *, efforts: int, every_s: float, size: tuple[int, int]) -> list[float]:
    """Film a training with the real recorder and daemon, and look at every clip of it.

    Returns how many seconds after its effort's end each clip's poster was there, in order.
    """
    training = film(root, efforts=efforts, every_s=every_s, size=size)
    with Sandbox(key=KEY) as sandbox:
        station = Station(
            root,
            sandbox.base_url,
            settings={
                "station": {"activity": "weightlifting", "exercise": "snatch", "user_id": None},
                "analysis": {"poster": True},
                "quality": {"others_in_picture": "warn"},
            },
        )
        recorder = RecorderUnderTest(root, str(training.video), arm="assigned")
        recorder.connect_to(station.state / "recorder.sock")
        shown_s: dict[str, float] = {}
        with station.running(), Outbox.open(station.state) as outbox:
            station.spotter("assign", ATHLETE)
            with recorder.running():
                until(lambda: outbox.captures.by_id(1))
                begun_s = _start_s(outbox)
                done = [(begun_s + start_s, begun_s + end_s) for start_s, end_s in training.efforts]
                until(
                    lambda: _look(station, outbox, shown_s) > done[-1][1] + 3 * _WITHIN_S,
                    timeout_s=efforts * every_s + PATIENCE_S,
                )
            clips = [_filmed_s(outbox, code) for code in shown_s]
    late_s = []
    for start_s, end_s in done:
        of_it = [
            code
            for code, (first_s, last_s) in zip(shown_s, clips, strict=True)
            if first_s <= start_s + _EDGE_S and last_s >= end_s - _EDGE_S
        ]
        assert len(of_it) == 1, (start_s - begun_s, end_s - begun_s, of_it)
        late_s.append(shown_s[of_it[0]] - end_s)
    assert len(clips) == efforts, [(first - begun_s, last - begun_s) for first, last in clips]
    return sorted(late_s)


def _start_s(outbox: Outbox) -> float:
    """Return when the first file begins, in Unix time."""
    first = outbox.captures.by_id(1)
    assert first is not None and first.evidence.sidecar is not None
    return first.evidence.sidecar.start.utc_s


def _look(station: Station, outbox: Outbox, shown_s: dict[str, float]) -> float:
    """Note which clips have a poster by now; return the time."""
    now_s = time.time()
    for entry in outbox.entries.in_states(set(EntryState)):
        poster, _ = StateFolder(station.state).pictures_of(entry.clip_code)
        if poster.exists():
            shown_s.setdefault(entry.clip_code, now_s)
    return now_s


def _filmed_s(outbox: Outbox, code: str) -> tuple[float, float]:
    """Return when a clip was filmed, from its first picture to its last, in Unix time."""
    entry = outbox.entries.by_code(code)
    assert entry is not None
    times_s: list[float] = []
    for source, capture in outbox.entries.sources(entry.id):
        sidecar = capture.evidence.sidecar
        assert sidecar is not None
        times_s += [sidecar.start.utc_s + at_s for at_s in (source.start_s, source.end_s)]
    return min(times_s), max(times_s)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_thirty_efforts_are_thirty_clips_ten_seconds_after_each(tmp_path: Path) -> None:
    efforts = 30
    late_s = train(tmp_path, efforts=efforts, every_s=45.0, size=(1920, 1080))
    assert late_s[math.ceil(0.95 * efforts) - 1] <= _WITHIN_S, late_s
