"""Recordings that overlap, adjoin, or only seem to: one session for every moment, none twice."""

import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import av
import pytest

from agent.outbox.outbox import Outbox
from agent.sandbox.server import Sandbox
from agent.synthetic import SceneCamera, Segment, Storyboard
from tests.station import Station, delivered, until

FPS = 15
QUIET = ("discarded", "uploaded", "held")  # of clips: nothing more will come of them


@dataclass(frozen=True)
class Scene:
    """What one camera saw in 11 s: somebody runs from 2 s to 8 s."""

    film: Path

    def part(self, path: Path, begins_s: float, ends_s: float, *, stamps_s: float = 0.0) -> Path:
        """Write what a recorder that copies packets writes of some seconds."""
        with av.open(str(self.film)) as source, av.open(str(path), "w") as target:
            stream = source.streams.video[0]
            copied = target.add_stream_from_template(stream)
            assert stream.time_base is not None
            shift = round((begins_s - stamps_s) / stream.time_base)
            for packet in source.demux(stream):
                if packet.pts is None or packet.dts is None:
                    continue
                if begins_s - 1e-3 <= packet.pts * stream.time_base < ends_s - 1e-3:
                    packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
                    packet.stream = copied
                    target.mux(packet)
        return path

    def encoded(self, path: Path, begins_s: float, ends_s: float, *options: str) -> Path:
        """Write what a recorder that encodes on its own writes of some seconds."""
        chosen = f"trim={begins_s}:{ends_s},setpts=PTS-STARTPTS"
        words = ["ffmpeg", "-y", "-v", "error", "-i", str(self.film), "-vf", chosen]
        subprocess.run([*words, *(options or ("-crf", "26")), str(path)], check=True)
        return path


def film(
    path: Path,
    *,
    view: Literal["front", "side"] = "front",
    seed: int = 1,
    stand_s: float = 2.0,
    run_s: float = 6.0,
) -> Scene:
    """Film the scene, with a keyframe a second and no frame that needs a later one."""
    story = Storyboard(
        [Segment("stand", stand_s), Segment("run", run_s), Segment("stand", 1.5 * stand_s)],
        width=160,
        height=240,
        fps=FPS,
        seed=seed,
        noise=2.0,
        view=view,
    )
    plain = path.with_suffix(".raw.mp4")
    SceneCamera(story).record(plain)
    words = ["ffmpeg", "-y", "-v", "error", "-i", str(plain), "-c:v", "libx264", "-crf", "20"]
    subprocess.run(
        [*words, "-bf", "0", "-g", str(FPS), "-sc_threshold", "0", str(path)], check=True
    )
    return Scene(film=path)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return film(tmp_path_factory.mktemp("scene") / "scene.mp4")


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """Somebody who runs from 1 s to 5 s."""
    return film(tmp_path_factory.mktemp("front") / "scene.mp4", stand_s=1.0, run_s=4.0)


@pytest.fixture(scope="module")
def side(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    """The same, from the side."""
    path = tmp_path_factory.mktemp("side") / "scene.mp4"
    return film(path, view="side", seed=2, stand_s=1.0, run_s=4.0)


def put(
    part: Path, station: Station, *, ended_s_ago: float, folder: str = "", now_s: float = 0.0
) -> None:
    """Move a recording into the capture folder, as old as it would be."""
    moment = (now_s or time.time()) - ended_s_ago
    os.utime(part, (moment, moment))
    (station.capture / folder).mkdir(parents=True, exist_ok=True)
    part.rename(station.capture / folder / part.name)


def looked_into(station: Station, count: int) -> bool:
    """Tell whether so many captures were analysed and all clips are where they stay."""
    rows = station.rows()
    done = [row for row in rows if row["kind"] == "capture"]
    return (
        len(done) == count
        and all(row["state"] in {"analysed", "skipped"} for row in done)
        and all(row["state"] in QUIET for row in rows if row["kind"] == "entry")
    )


def shown(path: Path) -> list[tuple[float, bytes]]:
    """Return when each frame is shown, and a small picture of it."""
    with av.open(str(path)) as video:
        return [
            (float(frame.time or 0.0), frame.reformat(32, 48, "gray").to_ndarray().tobytes())
            for frame in video.decode(video=0)
        ]


def pictures(path: Path | None) -> set[bytes]:
    """Return all pictures of a video."""
    assert path is not None
    return {picture for _, picture in shown(path)}


def sessions_hold(sandbox: Sandbox, scene: Scene) -> list[tuple[float, float]]:
    """Return which seconds of the scene each session shows, frame by frame, none twice."""
    when = {picture: at_s for at_s, picture in shown(scene.film)}
    spans = []
    for session in sandbox.book.sessions:
        assert session.video_path is not None
        frames = shown(session.video_path)
        moments = [when[picture] for _, picture in frames]
        assert moments == sorted(set(moments)), "a frame is shown twice, or out of order"
        for (at_s, _), moment_s in zip(frames, moments, strict=True):
            assert at_s == pytest.approx(moment_s - moments[0], abs=0.005)
        spans.append((moments[0], moments[-1]))
    return spans


@pytest.mark.parametrize(
    ("second", "order"),
    [
        pytest.param((1.0, 11.0), (0, 1), marks=pytest.mark.soak),
        ((4.0, 11.0), (1, 0)),
        pytest.param((1.0, 11.0), (1, 0), marks=pytest.mark.soak),
        pytest.param((4.0, 11.0), (0, 1), marks=pytest.mark.soak),
    ],
    ids=["whole in both", "over both, the later first", "the later first", "over both"],
)
def test_event_files_that_overlap_make_one_session(
    station: Station,
    sandbox: Sandbox,
    scene: Scene,
    tmp_path: Path,
    order: tuple[int, int],
    second: tuple[float, float],
) -> None:
    ends_s = (9.0 if second[0] == 1.0 else 6.0, second[1])
    parts = [
        scene.part(tmp_path / "event-1.mkv", 0.0, ends_s[0]),
        scene.part(tmp_path / "event-2.mkv", *second),
    ]
    settings = station.config.read_text()  # both are to be there before anything is sent
    station.config.write_text(settings.replace("send_delay_s = 0", "send_delay_s = 8"))
    with station.running():
        for number in order:
            put(parts[number], station, ended_s_ago=ends_s[1] - ends_s[number])
        until(lambda: looked_into(station, 2))
        assert delivered(sandbox, 1)

    ((begins_s, ends_s_shown),) = sessions_hold(sandbox, scene)
    assert begins_s < 1.6 and ends_s_shown > 8.4


def test_three_in_a_chain_make_one_session(
    station: Station, sandbox: Sandbox, scene: Scene, tmp_path: Path
) -> None:
    spans = [(0.0, 4.0), (3.0, 6.0), (5.0, 11.0)]
    parts = [
        scene.part(tmp_path / f"event-{number}.mp4", *span) for number, span in enumerate(spans)
    ]
    for part, (_, ends_s) in zip(parts, spans, strict=True):
        put(part, station, ended_s_ago=11.0 - ends_s)

    with station.running():
        until(lambda: looked_into(station, 3))

    ((begins_s, ends_s),) = sessions_hold(sandbox, scene)
    assert begins_s < 1.6 and ends_s > 8.4
    joined = station.entries()[-1]
    assert "share 1.0 s" in station.spotter("outbox", "show", str(joined["id"]))


def test_what_was_sent_is_not_sent_again_by_what_overlaps_it_later(
    station: Station, sandbox: Sandbox, scene: Scene, tmp_path: Path
) -> None:
    first = scene.part(tmp_path / "event-1.mkv", 0.0, 9.0)
    with station.running():
        put(first, station, ended_s_ago=0.0)
        assert delivered(sandbox, 1)
    with station.running():
        put(scene.part(tmp_path / "event-2.mkv", 1.0, 11.0), station, ended_s_ago=-2.0)
        until(lambda: looked_into(station, 2))

    assert len(sandbox.book.sessions) == 1
    (entry,) = station.entries()
    assert f"same moment as e1 ({entry['clip_code']})" in station.spotter("why", "c2")


@pytest.mark.parametrize(
    "late_s", [pytest.param(0.0, marks=pytest.mark.soak), -20.0], ids=["true time", "copied late"]
)
def test_what_is_more_than_was_sent_waits_for_a_person(
    station: Station, sandbox: Sandbox, scene: Scene, tmp_path: Path, late_s: float
) -> None:
    now_s = time.time()
    with station.running():
        put(scene.part(tmp_path / "event-1.mkv", 0.0, 5.0), station, ended_s_ago=0.0)
        assert delivered(sandbox, 1)
        second = scene.part(tmp_path / "event-2.mkv", 3.0, 11.0)
        put(second, station, ended_s_ago=late_s - 6.0, now_s=now_s)
        until(lambda: looked_into(station, 2))

    assert len(sandbox.book.sessions) == 1
    held = station.entries()[-1]
    assert (held["state"], held["reason"]) == ("held", "same_moment")
    assert "2.0 s of the same moment as e1" in station.spotter("why", "e2")


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        pytest.param(".mp4", (), marks=pytest.mark.soak),
        pytest.param(".ts", (), marks=pytest.mark.soak),
        (".avi", ("-c:v", "mjpeg", "-q:v", "4", "-s", "120x180")),
    ],
    ids=["remuxed", "to a stream", "encoded and smaller"],
)
def test_a_recording_in_a_second_version_makes_no_second_session(
    station: Station,
    sandbox: Sandbox,
    scene: Scene,
    tmp_path: Path,
    suffix: str,
    options: tuple[str, ...],
) -> None:
    first = scene.part(tmp_path / "2026-03-01 18-00-00.mkv", 0.0, 10.0)
    again = tmp_path / f"2026-03-01 18-00-00{suffix}"
    if options:
        scene.encoded(again, 0.0, 10.0, *options)
    else:
        scene.part(again, 0.0, 10.0)
    put(first, station, ended_s_ago=2.0)
    put(again, station, ended_s_ago=0.0)

    with station.running():
        until(lambda: looked_into(station, 2))

    assert len(sandbox.book.sessions) == 1
    assert len(station.entries()) == 1


def test_overlapping_files_that_were_encoded_apart_are_not_sent_twice(
    station: Station, sandbox: Sandbox, scene: Scene, tmp_path: Path
) -> None:
    first = scene.encoded(tmp_path / "cam_20260301_180000.mp4", 0.0, 9.0)
    second = scene.encoded(tmp_path / "cam_20260301_180001.mp4", 1.0, 11.0)
    put(first, station, ended_s_ago=2.0)
    put(second, station, ended_s_ago=0.0)

    with station.running():
        until(lambda: looked_into(station, 2))

    assert len(sandbox.book.sessions) == 1


@pytest.mark.parametrize("base", ["running", pytest.param("from 0", marks=pytest.mark.soak)])
def test_segments_that_go_on_make_one_session(
    station: Station, sandbox: Sandbox, scene: Scene, tmp_path: Path, base: str
) -> None:
    stamps_s = 3600.0 if base == "running" else 0.0
    for number, (begins_s, ends_s) in enumerate([(0.0, 4.0), (4.0, 6.0), (6.0, 11.0)]):
        runs_on_s = stamps_s + begins_s if stamps_s else 0.0
        part = scene.part(tmp_path / f"cam-{number:03}.mkv", begins_s, ends_s, stamps_s=runs_on_s)
        put(part, station, ended_s_ago=11.0 - ends_s)

    with station.running():
        until(lambda: looked_into(station, 3))

    ((begins_s, ends_s),) = sessions_hold(sandbox, scene)
    assert begins_s < 1.6 and ends_s > 8.4


@pytest.mark.parametrize(
    "names",
    [
        ("cam1-0.mkv", "cam1-1.mkv", "cam2-0.mkv", "cam2-1.mkv"),
        pytest.param(
            (
                *("front_20260301_180000.mp4", "front_20260301_180003.mp4"),
                *("side_20260301_180000.mp4", "side_20260301_180003.mp4"),
            ),
            marks=pytest.mark.soak,
        ),
        pytest.param(("a/001.mp4", "a/002.mp4", "b/001.mp4", "b/002.mp4"), marks=pytest.mark.soak),
        pytest.param(  # they take turns
            ("rec_001.mp4", "rec_003.mp4", "rec_002.mp4", "rec_004.mp4"), marks=pytest.mark.soak
        ),
    ],
    ids=["counted", "dated", "folders", "one counter"],
)
def test_two_cameras_are_never_joined(
    station: Station,
    sandbox: Sandbox,
    front: Scene,
    side: Scene,
    tmp_path: Path,
    names: tuple[str, ...],
) -> None:
    scenes = (front, front, side, side)
    spans = ((0.0, 3.0), (3.0, 6.0)) * 2
    for name, seen, span in sorted(zip(names, scenes, spans, strict=True), key=lambda n: n[2]):
        folder, _, plain = name.rpartition("/")
        put(seen.part(tmp_path / plain, *span), station, ended_s_ago=6.0 - span[1], folder=folder)

    with station.running():
        until(lambda: looked_into(station, 4))

    known = {"front": pictures(front.film), "side": pictures(side.film)}
    held = [pictures(session.video_path) for session in sandbox.book.sessions]
    views = [{name for name, seen_there in known.items() if seen_there & one} for one in held]
    assert all(len(view) == 1 for view in views)
    if "003" not in names[1]:  # there the clock must tell, for the names do not count on
        assert sorted(next(iter(view)) for view in views) == ["front", "side"]


@pytest.mark.soak  # in the short form the rule alone is asked: unit/station/test_overlaps
def test_two_that_ended_at_one_moment_stay_two(
    station: Station, sandbox: Sandbox, front: Scene, side: Scene, tmp_path: Path
) -> None:
    put(front.part(tmp_path / "clip_001.mp4", 0.0, 3.0), station, ended_s_ago=0.0)
    put(side.part(tmp_path / "clip_002.mp4", 3.0, 6.0), station, ended_s_ago=0.0)

    with station.running():
        until(lambda: looked_into(station, 2))

    assert len(sandbox.book.sessions) == 2


@pytest.mark.parametrize(
    "names",
    [
        ("clip_001.mp4", "clip_002.mp4"),
        pytest.param(
            ("front_20260301_180000.mp4", "front_20260301_180005.mp4"), marks=pytest.mark.soak
        ),
    ],
)
def test_a_gap_does_not_vanish(
    station: Station, sandbox: Sandbox, scene: Scene, tmp_path: Path, names: tuple[str, str]
) -> None:
    put(scene.part(tmp_path / names[0], 0.0, 4.0), station, ended_s_ago=7.0)
    second = scene.encoded(tmp_path / names[1], 5.3, 11.0)
    put(second, station, ended_s_ago=0.0)

    with station.running():
        until(lambda: looked_into(station, 2))

    assert len(sandbox.book.sessions) == 2


def test_a_gap_in_time_stamps_that_run_on_stays_in_the_clip(
    station: Station, sandbox: Sandbox, scene: Scene, tmp_path: Path
) -> None:
    put(scene.part(tmp_path / "seg-1.mkv", 0.0, 4.0, stamps_s=600.0), station, ended_s_ago=7.0)
    put(scene.part(tmp_path / "seg-2.mkv", 5.0, 11.0, stamps_s=605.0), station, ended_s_ago=0.0)

    with station.running():
        until(lambda: looked_into(station, 2))

    (session,) = sandbox.book.sessions
    assert session.video_path is not None
    times_s = [at_s for at_s, _ in shown(session.video_path)]
    steps_s = [later - earlier for earlier, later in pairwise(times_s)]
    assert max(steps_s) == pytest.approx(1.0 + 1 / FPS, abs=0.01)
    joined = station.entries()[-1]
    assert "1.0 s between them were not filmed" in station.spotter(
        "outbox", "show", str(joined["id"])
    )


def test_a_clip_waits_for_the_recording_in_which_it_goes_on_and_says_so(
    station: Station, sandbox: Sandbox, scene: Scene, tmp_path: Path
) -> None:
    """The next one is still being written, and nothing else holds the first part back."""
    whole = scene.part(tmp_path / "cam-2.mkv", 4.0, 11.0)
    growing = station.capture / ".cam-2.mkv.part"
    growing.write_bytes(b"")
    filmed_s = time.time()
    put(scene.part(tmp_path / "cam-1.mkv", 0.0, 4.0), station, ended_s_ago=7.0)
    with station.running():
        until(lambda: station.states() == ["ready"])
        waits_since_s = time.monotonic()
        assert "waiting for the next recording" in station.spotter("why", "e1")
        until(lambda: time.monotonic() - waits_since_s > 14.0)  # longer than without a file
        assert station.states() == ["ready"]
    with station.running():  # it is known after a restart, too
        assert station.states() == ["ready"]
        shutil.copyfile(whole, growing)
        os.utime(growing, (filmed_s, filmed_s))
        growing.rename(station.capture / "cam-2.mkv")
        until(lambda: looked_into(station, 2))

    ((begins_s, ends_s),) = sessions_hold(sandbox, scene)
    assert begins_s < 1.6 and ends_s > 8.4


@pytest.mark.parametrize(
    "next_one", ["nothing", pytest.param("no video", marks=pytest.mark.soak), "another camera's"]
)
def test_a_clip_does_not_wait_for_ever(
    station: Station, sandbox: Sandbox, scene: Scene, tmp_path: Path, next_one: str
) -> None:
    put(scene.part(tmp_path / "cam-1.mkv", 0.0, 4.0), station, ended_s_ago=0.0)
    if next_one == "no video":
        (station.capture / "cam-2.mkv").write_text("not a video")
    if next_one == "another camera's":
        (station.capture / ".side-9.mkv.part").write_bytes(b"1")

    with station.running():
        assert delivered(sandbox, 1)


def test_a_person_need_not_wait(
    station: Station, sandbox: Sandbox, scene: Scene, tmp_path: Path
) -> None:
    (station.capture / ".cam-2.mkv.part").write_bytes(b"1")
    put(scene.part(tmp_path / "cam-1.mkv", 0.0, 4.0), station, ended_s_ago=0.0)
    with station.running():
        until(lambda: station.states() == ["ready"])
        station.spotter("outbox", "retry", "e1")
        assert delivered(sandbox, 1)

    with Outbox.open(station.state) as outbox:
        assert outbox.joins.waiting() == []
