"""The camera: writes a storyboard as a real H.264 file that grows on the disk."""

import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from agent.synthetic.render import draw_frame
from agent.synthetic.storyboard import Storyboard

# Every packet goes to the disk at once, as with a camera that fears for its power.
_GROWING = {"flush_packets": "1"}
_FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
_CODEC = {"preset": "ultrafast", "crf": "20", "tune": "zerolatency"}


class SceneCamera:
    """Films one storyboard."""

    def __init__(
        self, story: Storyboard, *, fragmented: bool = False, keyframe_every_s: float = 1.0
    ) -> None:
        """Prepare to film.

        Args:
            story: what happens before the camera.
            fragmented: write an MP4 that can be read at any moment, as some recorders do; else
                its index comes at the end, and without it the file is lost.
            keyframe_every_s: more than the capture's length makes a single keyframe.
        """
        self._story = story
        self._options = _GROWING | (_FRAGMENTED if fragmented else {})
        self._keyframe_every = max(1, round(story.fps * keyframe_every_s))

    def record(
        self,
        path: Path,
        *,
        on_frame: Callable[[int], None] | None = None,
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
            stream = self._stream(target)
            for index in range(story.frame_count):
                frame = VideoFrame.from_ndarray(draw_frame(story, index), format="rgb24")
                frame.pts = index
                target.mux(stream.encode(frame))
                if on_frame is not None:
                    on_frame(index + 1)
                if realtime:
                    due_s = began_s + (index + 1) / story.fps
                    time.sleep(max(0.0, due_s - time.monotonic()))
            target.mux(stream.encode(None))

    def _stream(self, target: OutputContainer) -> VideoStream:
        stream = target.add_stream("libx264", rate=self._story.rate)
        stream.width, stream.height = self._story.width, self._story.height
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1) / self._story.rate
        stream.codec_context.gop_size = self._keyframe_every
        stream.codec_context.options = {**_CODEC, "keyint_min": str(self._keyframe_every)}
        return stream
