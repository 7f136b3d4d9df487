"""The analysis process: one request a line on standard input, answers on standard output.

Requests: check, codecs, probe, inspect, plot, compare, join, cut, poster, thumbnail, filmstrip,
framing.
Answers are JSON lines: any number of `{"progress": 0.4}`, then one `{"result": ...}` or
`{"error": {"kind", "message", "cause"}}`, the last of an unforeseen error alone, for the log.
Native libraries print wherever they like, so the real standard output is put away first.
"""

import ctypes
import errno
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from typing import IO

import cv2

from analysis.comparison import Clocks, compare_recordings
from analysis.cut.clip import cut_clip
from analysis.cut.copy import COPY_ERRORS
from analysis.cut.join import JoinPart, join_recordings
from analysis.cut.target import CutOptions
from analysis.framing import FramingRules, judge_picture
from analysis.inspection import inspect_video
from analysis.landmarks import Poses, skeleton_document
from analysis.pictures import activity_svg, draw_filmstrip, draw_poster, draw_thumbnail
from analysis.pose_model import PoseFinder, shipped_model
from analysis.primitives import Image
from analysis.report import Report
from analysis.takes import TakeOptions
from analysis.video import LARGE_PIXELS, VideoError, VideoFault, missing_codecs, probe

Request = dict[str, object]
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_PROGRESS_EVERY_S = 0.5
_CHECKS = 5  # poses of the known picture; the first warms up


def _unforeseen(error: Exception) -> Request:
    """Return an error that is no video's fault: in words for people, with its kind for the log."""
    kind, words = VideoFault.INTERNAL, getattr(error, "strerror", None) or str(error)
    if getattr(error, "errno", None) in _DISK_FULL:  # FFmpeg's errors have it too
        kind, words = VideoFault.NO_SPACE, "the disk is full"
    elif isinstance(error, MemoryError):
        words = "out of memory"
    told = words if kind is VideoFault.NO_SPACE else f"unexpected error in the analysis: {words}"
    return {"kind": kind, "message": told, "cause": f"{type(error).__name__}: {error}"}


class Worker:
    """Answers requests, one at a time."""

    def __init__(self, answers: IO[str]) -> None:
        self._answers = answers
        self._told_s = 0.0
        self._finders: dict[Path | None, PoseFinder] = {}  # warm ones, by model
        self._operations: dict[str, Callable[[Request], object]] = {
            "check": self._check,
            "codecs": self._codecs,
            "probe": self._probe,
            "inspect": self._inspect,
            "plot": self._plot,
            "compare": self._compare,
            "join": self._join,
            "cut": self._cut,
            "poster": self._poster,
            "thumbnail": self._thumbnail,
            "filmstrip": self._filmstrip,
            "framing": self._framing,
        }

    def answer(self, line: str) -> None:
        """Carry one request out and answer it, whatever comes of it."""
        try:
            request = json.loads(line)
            self._say({"result": self._operations[request["op"]](request)})
        except VideoError as error:
            self._say({"error": {"kind": error.fault, "message": str(error)}})
        except Exception as error:  # noqa: BLE001  # the agent decides what it means
            self._say({"error": _unforeseen(error)})

    def _say(self, message: Request) -> None:
        self._answers.write(json.dumps(message) + "\n")
        self._answers.flush()

    def _progress(self, done: float) -> None:
        """Say that work continues; called as often as anybody likes, said twice a second."""
        now_s = time.monotonic()
        if now_s - self._told_s >= _PROGRESS_EVERY_S:
            self._told_s = now_s
            self._say({"progress": round(done, 3)})

    def _check(self, request: Request) -> object:
        """Find the athlete in the picture known to hold one: proof that this box can."""
        picture = cv2.imread(str(shipped_model().with_name("known_good_frame.png")))
        assert picture is not None  # it comes with the package
        image: Image = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).astype("uint8")
        model = request.get("model")
        finder = self._finder(Path(str(model)) if model else None)
        finder.begin()
        found = finder.find(image, time_s=0.0)
        began_s = time.monotonic()
        for number in range(1, _CHECKS + 1):
            finder.find(image, time_s=number / 10)
        pose_ms = (time.monotonic() - began_s) * 1000 / _CHECKS
        return {"pose_ms": round(pose_ms, 2), "found": found is not None}

    def _codecs(self, _request: Request) -> object:
        return {"missing": missing_codecs()}

    def _probe(self, request: Request) -> object:
        found = probe(_path(request))
        return {
            **asdict(found.facts),
            "packets": found.packets,
            "creation_time": found.creation_time,
            "creation_is": found.creation_is,
            "captured_fps": found.captured_fps,
        }

    def _inspect(self, request: Request) -> object:
        wanted = TakeOptions.from_json(_object(request, "options"))

        def keep(poses: Poses) -> None:
            if request.get("skeleton"):
                text = json.dumps(skeleton_document(poses), separators=(",", ":"))
                _path(request, "skeleton").write_text(text, encoding="utf-8")

        report = inspect_video(
            _path(request),
            wanted,
            finder=self._finder(Path(wanted.model) if wanted.model else None),
            on_progress=self._progress,
            on_looked=keep,
        )
        if request.get("plot"):
            _path(request, "plot").write_text(activity_svg(report), encoding="utf-8")
        if report.video.width * report.video.height > LARGE_PIXELS:
            self._close_finders()  # copying, too, may want the memory
        return report.to_json()

    def _plot(self, request: Request) -> object:
        """Draw what a report says that was made elsewhere."""
        text = activity_svg(Report.from_json(_object(request, "report")))
        _path(request, "out").write_text(text, encoding="utf-8")
        return {}

    def _compare(self, request: Request) -> object:
        compared = compare_recordings(
            _path(request),
            _path(request, "next"),
            Clocks(**_object(request, "clocks")),  # type: ignore[arg-type]  # the agent is ours
            on_progress=self._progress,
        )
        return asdict(compared)

    def _join(self, request: Request) -> object:
        try:
            shifts_s = join_recordings(
                [
                    JoinPart(
                        path=_path(part),
                        start_s=_number(part, "start_s"),
                        end_s=_number(part, "end_s"),
                    )
                    for part in _objects(request, "parts")
                ],
                _path(request, "out"),
                on_progress=self._progress,
            )
        except COPY_ERRORS as reason:
            return {"joined": False, "why": str(reason)}
        return {"joined": True, "shifts_s": shifts_s}

    def _cut(self, request: Request) -> object:
        cut = cut_clip(
            _path(request),
            start_s=_number(request, "start_s"),
            end_s=_number(request, "end_s"),
            out=_path(request, "out"),
            on_progress=self._progress,
            options=CutOptions.from_json(_object(request, "options")),
            before_encoding=self._close_finders,  # opening one again takes a moment
        )
        return asdict(cut)

    def _poster(self, request: Request) -> object:
        width, height = draw_poster(
            _path(request),
            at_s=_number(request, "at_s"),
            out=_path(request, "out"),
            finder=self._finder(None),
            on_progress=self._progress,
        )
        return {"width": width, "height": height}

    def _thumbnail(self, request: Request) -> object:
        width, height = draw_thumbnail(_path(request), out=_path(request, "out"))
        return {"width": width, "height": height}

    def _filmstrip(self, request: Request) -> object:
        width, height = draw_filmstrip(
            _path(request),
            start_s=_number(request, "start_s"),
            end_s=_number(request, "end_s"),
            out=_path(request, "out"),
            on_progress=self._progress,
        )
        return {"width": width, "height": height}

    def _framing(self, request: Request) -> object:
        model, out, empty = (request.get(name) for name in ("model", "out", "empty"))
        return judge_picture(
            _path(request),
            FramingRules.from_json(_object(request, "rules")),
            finder=self._finder(Path(str(model)) if model else None),
            out=Path(str(out)) if out else None,
            empty=Path(str(empty)) if empty else None,
        )

    def _finder(self, model: Path | None) -> PoseFinder:
        """Return a finder, made once: its creation costs as much as a dozen looks."""
        if model not in self._finders:
            self._finders[model] = PoseFinder(model)
        return self._finders[model]

    def _close_finders(self) -> None:
        while self._finders:
            self._finders.popitem()[1].close()
        ctypes.CDLL(None).malloc_trim(0)  # else the heap keeps what was freed in its middle


def _path(request: Request, name: str = "path") -> Path:
    return Path(str(request[name]))


def _number(request: Request, name: str) -> float:
    value = request[name]
    if not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number")
    return float(value)


def _object(request: Request, name: str) -> dict[str, object]:
    value = request.get(name) or {}
    if not isinstance(value, dict):
        raise TypeError(f"{name} must be an object")
    return value


def _objects(request: Request, name: str) -> list[Request]:
    value = request[name]
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise TypeError(f"{name} must be a list of objects")
    return value


def _requests(source: IO[str]) -> Iterator[str]:
    """Yield requests; when the parent is gone, end the process whatever it is doing."""
    lines: SimpleQueue[str] = SimpleQueue()

    def listen() -> None:
        for line in source:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        yield lines.get()


def main() -> None:
    """Answer requests until the parent closes the pipe."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    worker = Worker(answers)
    for line in _requests(sys.stdin):
        worker.answer(line)


if __name__ == "__main__":
    main()
