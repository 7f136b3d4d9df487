"""From pictures to landmarks, by MediaPipe's pose model.

MediaPipe prints to standard output, wants strictly increasing timestamps, reads arrays as if they
were contiguous, and smooths visibility over all pictures that it ever saw; all of that stays in
here.
"""

import io
import os
import struct
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import resources
from pathlib import Path
from types import ModuleType

import numpy as np

from analysis.landmarks import ANKLES, COUNT, HIPS, SHOULDERS, FloatArray, torso_px
from analysis.primitives import Image

MODEL_NAME = "pose_landmarker_lite.task"
_APART_MS = 1000  # between two videos
_STEP_MS = 100
_BLACK: Image = np.zeros((64, 64, 3), dtype=np.uint8)  # nobody is in it
_NEW_SHARE = 0.1  # of a look in its smoothed visibility
_DECIMALS = 5  # MediaPipe's single precision gives no more back
_ON_ITS_HEAD = 0.7  # of the torso's length that the hips are above the shoulders
_LEGS_UP = 0.5  # the same that the feet are above the hips
_LEGS_UP_LOOKS = 3  # in a row: who jumps pulls them up for a moment
# Imported by MediaPipe for its drawings and its microphone: half of its start, 37 MB of memory, and
# 100 MB of the disk, for they are not installed at all (pyproject.toml).
_NEVER_USED = ("matplotlib", "matplotlib.pyplot", "sounddevice")


def shipped_model() -> Path:
    """Return the path of the pose model that comes with the package."""
    return Path(str(resources.files("analysis").joinpath("models", MODEL_NAME)))


class PoseFinder(AbstractContextManager["PoseFinder"]):
    """Finds one body in the successive frames of one video after another."""

    def __init__(self, model: Path | None = None) -> None:
        os.environ.setdefault("GLOG_minloglevel", "2")
        with _nothing_in_place_of(_NEVER_USED):
            # Only here, so that these stand-ins are not seen by anything else.
            from mediapipe import Image as MediaPipeImage
            from mediapipe import ImageFormat
            from mediapipe.tasks.python import BaseOptions, vision

        self._wrap: Callable[[Image], object] = lambda image: MediaPipeImage(
            image_format=ImageFormat.SRGB, data=image
        )
        self._began_ms = 0  # of this video, on the model's own clock
        self._last_ms = -1
        self._follows = False  # a body, so that it would be sought near its last place
        self._legs_up = 0  # looks in a row
        self._smoothed = _Smoothed()
        self.looks = 0  # pictures that the model has seen
        self._landmarker = vision.PoseLandmarker.create_from_options(
            vision.PoseLandmarkerOptions(
                base_options=BaseOptions(
                    model_asset_buffer=without_mask((model or shipped_model()).read_bytes())
                ),
                running_mode=vision.RunningMode.VIDEO,
            )
        )

    def begin(self) -> None:
        """Begin with another video."""
        self.forget()
        self.looks = 0

    def forget(self) -> None:
        """Forget the body that was followed; times may start again."""
        self._began_ms = self._last_ms + _APART_MS
        if self._follows:
            self.find(_BLACK, time_s=0.0)
            self._began_ms = self._last_ms + _APART_MS
        self._legs_up = 0
        self._smoothed.begin()

    def find(
        self, image: Image, *, time_s: float | None = None
    ) -> tuple[FloatArray, FloatArray] | None:
        """Return one body's landmarks in the next frame, or None where nobody is found.

        Args:
            image: upright, (height, width, 3), RGB, C-contiguous.
            time_s: its presentation time; None: a little after the last one.  The model wants
                whole, increasing milliseconds; a time that does not increase is moved on by one.

        Returns:
            Positions, (33, 2), x and y in px of this image; visibility, (33,), 0 to 1.
        """
        if not image.flags.c_contiguous:
            raise ValueError("MediaPipe needs a contiguous array")
        wanted_ms = self._last_ms + _STEP_MS
        if time_s is not None:
            wanted_ms = self._began_ms + round(1000 * time_s)
        self._last_ms = max(self._last_ms + 1, wanted_ms)
        self.looks += 1
        found = self._landmarker.detect_for_video(self._wrap(image), self._last_ms)
        self._follows = bool(found.pose_landmarks)
        if not self._follows:
            return None
        height, width = image.shape[:2]
        marks = found.pose_landmarks[0]
        points = np.array([(mark.x * width, mark.y * height) for mark in marks], dtype=np.float64)
        visibility = self._smoothed.next(np.array([mark.visibility for mark in marks], np.float64))
        assert points.shape == (COUNT, 2)  # the model's own count
        self._legs_up = self._legs_up + 1 if _has_legs_up(points) else 0
        if _stands_on_its_head(points) or self._legs_up >= _LEGS_UP_LOOKS:
            self._let_go()
        return points, visibility

    def _let_go(self) -> None:
        """Let the next look seek a body in the whole picture, at its own time.

        The model looks for a body as it lay in the look before.  Taken the wrong way up once, as a
        body is whose head is out of the picture, it would stay so.
        """
        self._last_ms += 1
        self.looks += 1
        self._landmarker.detect_for_video(self._wrap(_BLACK), self._last_ms)
        self._follows = False
        self._legs_up = 0

    def close(self) -> None:
        """Give the model's memory back."""
        self._landmarker.close()

    def __exit__(self, *_ended: object) -> None:
        self.close()


class _Smoothed:
    """The visibility of landmarks, smoothed over one video.

    MediaPipe's low-pass filter (`visibility_smoothing` of its pose graphs, alpha 0.1) is never
    reset: what it says of a video depends on the ones before, for a dozen looks and more.
    """

    def __init__(self) -> None:
        self._told: FloatArray | None = None
        self.begin()

    def begin(self) -> None:
        """Begin with another video."""
        self._own: FloatArray | None = None

    def next(self, told: FloatArray) -> FloatArray:
        """Return the smoothed visibility, (33,), of a look, for what MediaPipe says of it."""
        last, self._told = self._told, told
        seen = told if last is None else (told - (1 - _NEW_SHARE) * last) / _NEW_SHARE
        seen = np.clip(np.round(seen, _DECIMALS), 0.0, 1.0)
        self._own = seen if self._own is None else self._own + _NEW_SHARE * (seen - self._own)
        return self._own


def _stands_on_its_head(points: FloatArray) -> bool:
    """Tell whether a body's hips are above its shoulders."""
    hips_y, shoulders_y = (points[list(pair), 1].mean() for pair in (HIPS, SHOULDERS))
    return float(shoulders_y - hips_y) > _ON_ITS_HEAD * float(torso_px(points))


def _has_legs_up(points: FloatArray) -> bool:
    """Tell whether a body's feet are above its hips."""
    feet_y, hips_y = (points[list(pair), 1].mean() for pair in (ANKLES, HIPS))
    return float(hips_y - feet_y) > _LEGS_UP * float(torso_px(points))


_LANDMARKS = "pose_landmarks_detector.tflite"
_LOCAL_HEADER = 30  # bytes of a zip member, before its name
# Fields of TensorFlow Lite's schema (model version 3).
_GRAPHS = 2  # of a model
_RESULTS, _OPERATORS = 2, 3  # of a graph
_INPUTS, _OUTPUTS = 1, 2  # of an operator
# Results of the graph, in the order in which MediaPipe reads them.
_PRESENCE, _MASK, _COUNT = 1, 2, 5


def without_mask(task: bytes) -> bytes:
    """Return a model that does not work out which pixels are the body.

    Nobody reads this mask, and MediaPipe leaves it out of its answer, but the network draws it
    all the same, which is a third of a look.  The landmarks are the same to the last bit.  What is
    built otherwise is returned as it is.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(task)) as archive:
            member = archive.getinfo(_LANDMARKS)
        name_bytes, extra_bytes = struct.unpack_from("<HH", task, member.header_offset + 26)
        begin = member.header_offset + _LOCAL_HEADER + name_bytes + extra_bytes
        end = begin + member.file_size
        if member.compress_type != zipfile.ZIP_STORED:
            return task
        return task[:begin] + _pruned(task[begin:end]) + task[end:]
    except (zipfile.BadZipFile, LookupError, ValueError, struct.error):
        return task


def _pruned(model: bytes) -> bytes:
    """Return a network without the operators of which only the mask is made."""
    table = _FlatBuffer(model)
    (graph,) = table.tables(table.root, _GRAPHS)
    results = table.numbers(graph, _RESULTS)
    operators = table.tables(graph, _OPERATORS)
    if len(results) != _COUNT:
        return model
    makers = {made: one for one in operators for made in table.numbers(one, _OUTPUTS)}
    # The count of results is read, so another one stands in the mask's place.
    results[_MASK] = table.numbers(makers[results[_PRESENCE]], _INPUTS)[0]
    needed: set[int] = set()
    waiting = [makers[result] for result in results]
    while waiting:
        operator = waiting.pop()
        if operator not in needed:
            needed.add(operator)
            inputs = table.numbers(operator, _INPUTS)
            waiting += [makers[used] for used in inputs if used in makers]
    table.put_number(graph, _RESULTS, _MASK, results[_MASK])
    table.put_tables(graph, _OPERATORS, [one for one in operators if one in needed])
    return bytes(table.content)


class _FlatBuffer:
    """The tables of a FlatBuffer, by their position in it (flatbuffers.dev/internals)."""

    def __init__(self, content: bytes) -> None:
        self.content = bytearray(content)
        self.root = self._number(0)

    def numbers(self, table: int, field: int) -> list[int]:
        """Return a vector of 32-bit numbers."""
        first, count = self._vector(table, field)
        return list(struct.unpack_from(f"<{count}i", self.content, first))

    def tables(self, table: int, field: int) -> list[int]:
        """Return where the tables of a vector are."""
        first, count = self._vector(table, field)
        return [at + self._number(at) for at in range(first, first + 4 * count, 4)]

    def put_number(self, table: int, field: int, index: int, number: int) -> None:
        """Replace one number of a vector."""
        first, _ = self._vector(table, field)
        struct.pack_into("<i", self.content, first + 4 * index, number)

    def put_tables(self, table: int, field: int, tables: list[int]) -> None:
        """Leave only some tables in a vector."""
        first, _ = self._vector(table, field)
        steps = [at - (first + 4 * number) for number, at in enumerate(tables)]
        struct.pack_into(f"<{len(steps) + 1}I", self.content, first - 4, len(steps), *steps)

    def _vector(self, table: int, field: int) -> tuple[int, int]:
        """Return where a vector's first element is, and how many it has."""
        fields = table - self._number(table)
        size, *_ = struct.unpack_from("<H", self.content, fields)
        place = 4 + 2 * field
        at = struct.unpack_from("<H", self.content, fields + place)[0] if place < size else 0
        if not at:
            return 0, 0
        vector = table + at + self._number(table + at)
        return vector + 4, self._number(vector)

    def _number(self, at: int) -> int:
        number: int = struct.unpack_from("<i", self.content, at)[0]
        return number


@contextmanager
def _nothing_in_place_of(names: tuple[str, ...]) -> Iterator[None]:
    """Let what imports these modules meanwhile have empty ones, where nobody has the real ones."""
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update({name: ModuleType(name) for name in absent})
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]
