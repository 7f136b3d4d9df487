"""What the analysis is measured on: drawn captures, stored as a recorder stores them."""

from fractions import Fraction
from pathlib import Path

import av
from av.video.frame import VideoFrame

from agent.synthetic import Segment, Storyboard
from agent.synthetic.render import draw_frame
from tests.accuracy.measure import cache_folder

FPS = 30
_SENSOR_NOISE = 3.0  # grey levels
_RECORDER = {"preset": "veryfast", "crf": "20"}
_AT_A_RATE = {"preset": "veryfast", "b": "3000k", "maxrate": "3500k", "bufsize": "3000k"}
_STORIES: dict[str, list[tuple[str, float | None]]] = {
    "ten": [("stand", 25.0), ("run", 10.0), ("stand", 25.0)],
    "all": [("run", 60.0)],
    "empty": [("nobody", 60.0)],
}


def capture(name: str) -> Path:
    """Return a capture of 60 s, 1920x1080, 30 fps; drawn once.

    `ten` has a take of 10 s, `single` is the same with one keyframe, `rate` the same at a
    constant rate, which makes packets tell nothing; in `all` all is one take, in `empty` nothing;
    `live` is `all` as an IP camera sends it, without B-frames; `long` is ten minutes with five
    takes.
    """
    path = cache_folder() / f"bench-{name}.mp4"
    if not path.exists():
        print(f"drawing {path} (once; minutes) ...", flush=True)
        unfinished = _part(path)
        if name == "single":
            one_key = {**_RECORDER, "x264-params": "keyint=infinite:scenecut=0"}
            _encode_again(capture("ten"), unfinished, one_key)
        elif name == "rate":
            _encode_again(capture("ten"), unfinished, {**_AT_A_RATE, "g": str(2 * FPS)})
        elif name == "live":
            _encode_again(capture("all"), unfinished, {**_RECORDER, "bf": "0", "g": str(2 * FPS)})
        elif name == "long":
            _concatenate([capture("ten"), capture("empty")] * 5, unfinished)
        else:
            draw(_story(_STORIES[name], 1920, 1080), unfinished)
        unfinished.replace(path)
    return path


def capture_4k() -> Path:
    """Return a short capture of 3840x2160 with a take in it."""
    path = cache_folder() / "bench-4k.mp4"
    if not path.exists():
        draw(_story([("stand", 2.0), ("run", 3.0), ("stand", 1.0)], 3840, 2160), _part(path))
        _part(path).replace(path)
    return path


def draw(story: Storyboard, path: Path) -> None:
    """Film a storyboard with a recorder's encoder: a keyframe every two seconds, B-frames."""
    with av.open(str(path), "w", format="mp4") as target:
        stream = target.add_stream("libx264", rate=FPS, options=dict(_RECORDER))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = story.width, story.height, "yuv420p"
        stream.codec_context.gop_size = 2 * FPS
        for number in range(story.frame_count):
            frame = VideoFrame.from_ndarray(draw_frame(story, number), format="rgb24")
            frame.pts = number
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))


def _story(segments: list[tuple[str, float | None]], width: int, height: int) -> Storyboard:
    return Storyboard(
        [Segment(what, seconds) for what, seconds in segments],
        width=width,
        height=height,
        fps=FPS,
        noise=_SENSOR_NOISE,
    )


def _part(path: Path) -> Path:
    return path.with_suffix(".part")


def _encode_again(source: Path, path: Path, options: dict[str, str]) -> None:
    with av.open(str(source)) as whole, av.open(str(path), "w", format="mp4") as target:
        stream = target.add_stream("libx264", rate=FPS, options=options)
        assert isinstance(stream, av.VideoStream)
        first = whole.streams.video[0]
        stream.width, stream.height, stream.pix_fmt = first.width, first.height, "yuv420p"
        for number, frame in enumerate(whole.decode(video=0)):
            plain = frame.reformat(format="yuv420p")
            plain.pts, plain.time_base, plain.pict_type = number, Fraction(1, FPS), 0
            target.mux(stream.encode(plain))
        target.mux(stream.encode(None))


def _concatenate(sources: list[Path], path: Path) -> None:
    """Copy packets one capture behind the other: all were stored alike."""
    with av.open(str(path), "w", format="mp4") as target:
        stream = None
        for number, source in enumerate(sources):
            with av.open(str(source)) as part:
                video = part.streams.video[0]
                stream = stream or target.add_stream_from_template(video)
                shift = round(number * 60 / (video.time_base or Fraction(1)))
                for packet in part.demux(video):
                    if packet.pts is not None and packet.dts is not None:
                        packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                        packet.stream = stream
                        target.mux(packet)
