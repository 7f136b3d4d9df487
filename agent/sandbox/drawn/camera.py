"""The camera program: writes a storyboard as a real H.264 file that grows on the disk."""

import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
from av.video.frame import VideoFrame

from agent.sandbox.drawn.scene import draw_frame
from agent.sandbox.drawn.storyboard import Storyboard

_KEYFRAME_EVERY_S = 1.0
_FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}


class Camera:
    """Films one storyboard."""

    def __init__(self, story: Storyboard, *, fragmented: bool = False) -> None:
        """Prepare to film.

        Args:
            story: what happens before the camera.
            fragmented: write an MP4 that can be read at any moment, as some recorders do.
        """
        self._story = story
        self._options = {"flush_packets": "1", **(_FRAGMENTED if fragmented else {})}

    def record(
        self,
        path: Path,
        *,
        on_frame: Callable[[int], None] = lambda _done: None,
        realtime: bool = False,
    ) -> None:
        """Write the capture straight to `path`, frame by frame.

        Args:
            path: its suffix says the container: .mp4, .mkv, .mov, .avi.
            on_frame: called with the number of frames written so far.
            realtime: take as long as a real recording would.
        """
        story = self._story
        began_s = time.monotonic()
        with av.open(str(path), "w", options=dict(self._options)) as target:
            stream = target.add_stream("libx264", rate=story.rate)
            stream.width, stream.height = story.width, story.height
            stream.pix_fmt = "yuv420p"
            stream.codec_context.gop_size = max(1, round(story.fps * _KEYFRAME_EVERY_S))
            stream.codec_context.time_base = Fraction(1) / story.rate
            stream.codec_context.options = {
                "preset": "ultrafast",
                "crf": "20",
                "tune": "zerolatency",
            }
            for index in range(story.frame_count):
                frame = VideoFrame.from_ndarray(draw_frame(story, index), format="rgb24")
                frame.pts = index
                target.mux(stream.encode(frame))
                on_frame(index + 1)
                if realtime:
                    time.sleep(max(0.0, began_s + index / story.fps - time.monotonic()))
            target.mux(stream.encode(None))
