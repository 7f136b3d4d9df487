"""Cutting a clip again whose file is missing or torn, from the capture that is still there."""

from dataclasses import replace
from pathlib import Path

import structlog

from agent.clock import Now
from agent.errors import AnalysisError, AnalysisFault
from agent.intake.child import AnalysisChild, number_in
from agent.intake.clip import ClipCutter
from agent.outbox.capture import Capture, Take
from agent.outbox.entry import ClipFile, Entry, Source
from agent.outbox.folders import StateFolder
from agent.outbox.store import Outbox

log = structlog.get_logger(stage="analysis")


class Mender:
    """Cuts damaged clips again, each once in the life of this process."""

    def __init__(
        self,
        outbox: Outbox,
        folder: StateFolder,
        child: AnalysisChild,
        cutter: ClipCutter,
        *,
        now: Now,
    ) -> None:
        self._outbox = outbox
        self._folder = folder
        self._child = child
        self._cutter = cutter
        self._now = now
        self._tried: set[int] = set()

    def mend_next(self) -> bool:
        """Cut the oldest damaged clip again; False where there is none that can be."""
        entry = next((e for e in self._outbox.files.damaged() if e.id not in self._tried), None)
        if entry is None:
            return False
        self._tried.add(entry.id)
        try:
            clip = self._cut(entry, self._outbox.files.sources(entry.id))
        except FileNotFoundError as error:
            log.error(
                "a clip cannot be cut again: its capture is gone",
                entry=entry.name,
                clip=entry.clip_code,
                capture=str(error.filename),
            )
        except AnalysisError as error:
            if error.fault is AnalysisFault.NO_SPACE:
                self._tried.discard(entry.id)
                return False
            log.error("a clip cannot be cut again", entry=entry.name, error=str(error))
        else:
            self._tried.discard(entry.id)
            mended = self._outbox.files.mend(entry, clip, now_s=self._now().utc_s)
            log.info("cut again", entry=entry.name, clip=entry.clip_code, done=mended is not None)
        return True

    def _cut(self, entry: Entry, sources: list[tuple[Source, Capture]]) -> ClipFile:
        paths = [self._folder.captures / capture.stored_name for _, capture in sources]
        for path, (_, capture) in zip(paths, sources, strict=True):
            if not path.exists() or path.stat().st_size < capture.facts.size_bytes:
                raise FileNotFoundError(2, "missing", capture.name)
        bounds = [source for source, _ in sources]
        if entry.cut_method == "whole":
            return self._cutter.keep_whole(
                paths[0], clip_code=entry.clip_code, seconds=entry.clip_seconds
            )
        if len(paths) == 1:
            return self._cutter.cut(paths[0], _take(bounds[0]), clip_code=entry.clip_code)
        return self._cut_joined(entry, paths, bounds)

    def _cut_joined(self, entry: Entry, paths: list[Path], bounds: list[Source]) -> ClipFile:
        """Cut a clip over two recordings, as it was cut before."""
        first, second = bounds
        joined = self._folder.tmp / f"{entry.clip_code}-joined.mp4"
        try:
            told = self._child.ask(
                "join",
                path=str(paths[0]),
                next=str(paths[1]),
                out=str(joined),
                from_s=first.start_s,
                until_s=second.end_s,
            )
            if not told["joined"]:
                raise AnalysisError(str(told["why"]), fault=AnalysisFault.INTERNAL)
            whole = replace(
                _take(first),
                start_s=first.start_s + number_in(told, "first_shift_s"),
                end_s=second.end_s + number_in(told, "second_shift_s"),
            )
            return self._cutter.cut(joined, whole, clip_code=entry.clip_code)
        finally:
            joined.unlink(missing_ok=True)


def _take(source: Source) -> Take:
    return Take(
        number=source.take_number,
        start_s=source.start_s,
        end_s=source.end_s,
        active_start_s=source.start_s,
        active_end_s=source.end_s,
    )
