"""Cutting a clip again: one whose file is missing or torn, or that is too large for the API."""

from collections.abc import Callable

import structlog

from agent.clock import Now
from agent.errors import AnalysisError, AnalysisFault
from agent.intake.child import AnalysisChild
from agent.intake.clip import ClipCutter, nothing_hidden
from agent.intake.join import join_sources
from agent.outbox.capture import Capture, Take
from agent.outbox.disk.folders import StateFolder
from agent.outbox.entry import ClipFile, Entry, Source
from agent.outbox.states import Reason
from agent.outbox.store import Outbox
from agent.stage import StageName

_SMALLER_PX = 720
_SMALLER_KBIT_S = (100, 2500)  # of the rate; half of what the clip has, within these

log = structlog.get_logger(stage=StageName.CLIPPING)

Mend = Callable[[Entry], Entry | None]


class Mender:
    """Cuts clips again that cannot be sent as they are, each once in the life of this process."""

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
        """Cut one clip again, damaged ones first; False where there is none that can be."""
        for waiting, mend in (
            (self._outbox.files.damaged, self._replace),
            (self._large, self._shrink),
        ):
            entry = next((e for e in waiting() if e.id not in self._tried), None)
            if entry is not None:
                return self._try(entry, mend)
        return False

    def _large(self) -> list[Entry]:
        """Return the clips that wait for a smaller rendition; a damaged one was tried before."""
        return self._outbox.outcomes.held_because({Reason.TOO_LARGE})

    def _try(self, entry: Entry, mend: Mend) -> bool:
        self._tried.add(entry.id)
        try:
            mended = mend(entry)
        except FileNotFoundError as error:
            log.error(
                "clip recut failed",
                entry=entry.name,
                clip=entry.clip_code,
                error="the file is missing",
                file=str(error.filename),
            )
        except AnalysisError as error:
            if error.fault is AnalysisFault.NO_SPACE:
                self._tried.discard(entry.id)
                return False
            log.error("clip recut failed", entry=entry.name, error=str(error))
        else:
            self._tried.discard(entry.id)
            log.info("clip recut", entry=entry.name, clip=entry.clip_code, done=mended is not None)
        return True

    def _replace(self, entry: Entry) -> Entry | None:
        """Cut a clip whose file is damaged from its capture."""
        clip = self._cut(entry, self._outbox.files.sources(entry.id))
        return self._outbox.files.mend(entry, clip, now_s=self._now().utc_s)

    def _shrink(self, entry: Entry) -> Entry | None:
        """Make a clip's smaller rendition from the clip itself.

        Cut off between file and row, its size is not what the row says: that is damage, and
        it is cut from its capture in its full size before it is made smaller anew.
        """
        path = self._folder.clips / entry.stored_name
        if not path.exists():
            raise FileNotFoundError(2, "missing", str(path))
        clip = self._cutter.cut(
            path,
            _take(0.0, entry.clip_seconds + 1.0),
            clip_code=entry.clip_code,
            rendition=smaller_rendition(entry),
        )
        return self._outbox.files.make_smaller(entry, clip, now_s=self._now().utc_s)

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
            whole = _take(bounds[0].start_s, bounds[0].end_s)
            rendition = nothing_hidden(sources[0][1], whole.start_s, whole.end_s)
            return self._cutter.cut(paths[0], whole, clip_code=entry.clip_code, rendition=rendition)
        return self._cut_joined(entry, bounds)

    def _cut_joined(self, entry: Entry, bounds: list[Source]) -> ClipFile:
        """Cut a clip over several recordings, as it was cut before."""
        joined = self._folder.tmp / f"{entry.clip_code}-joined.mp4"
        try:
            told = join_sources(self._child, self._folder, self._outbox, bounds, joined)
            if isinstance(told, str):
                raise AnalysisError(told, fault=AnalysisFault.INTERNAL)
            whole = _take(bounds[0].start_s + told[0], bounds[-1].end_s + told[-1])
            return self._cutter.cut(joined, whole, clip_code=entry.clip_code)
        finally:
            joined.unlink(missing_ok=True)


def smaller_rendition(entry: Entry) -> dict[str, object]:
    """Return how a clip is cut that is to have half its rate or less, at no more than 720 px."""
    least, most = _SMALLER_KBIT_S
    half_kbit_s = round(entry.clip_bytes * 8 / 1000 / max(0.1, entry.clip_seconds) / 2)
    return {
        "method": "encode",
        "rendition_height": _SMALLER_PX,
        "rendition_kbit_s": min(most, max(least, half_kbit_s)),
    }


def _take(start_s: float, end_s: float) -> Take:
    """Return what is cut again: its bounds are known, and nothing else is asked for."""
    return Take(number=1, start_s=start_s, end_s=end_s, active_start_s=start_s, active_end_s=end_s)
