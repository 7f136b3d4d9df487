"""One clip: cut by the analysis, made durable, and named by its code."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import structlog

from agent.crashpoints import crash_point
from agent.errors import AnalysisError
from agent.intake.child import AnalysisChild, number_in
from agent.outbox.capture import Capture, Take
from agent.outbox.disk.folders import StateFolder, fsync_file, move_durably
from agent.outbox.disk.linking import link_or_copy
from agent.outbox.entry import ClipFile
from agent.pulse import moving
from agent.stage import StageName

_NEXT_FRAMES_S = 1.0  # which a frame before them may be made of

log = structlog.get_logger(stage=StageName.CLIPPING)


class ClipCutter:
    """Cuts the clips of a capture into the work folder."""

    def __init__(
        self, child: AnalysisChild, folder: StateFolder, *, options: Mapping[str, object]
    ) -> None:
        self._child = child
        self._folder = folder
        self._options = dict(options)  # how clips are cut

    def cut(
        self,
        capture: Path,
        take: Take,
        *,
        clip_code: str,
        rendition: Mapping[str, object] | None = None,
    ) -> ClipFile:
        """Cut one take's clip; doing it again gives the same file its place again.

        Args:
            capture, take: what to cut, and from what.
            clip_code: the clip's name.
            rendition: other options than the station's.

        Raises:
            AnalysisError: the cut failed.
            OSError: the disk refused.
        """
        with _dropped_on_error(self._folder.tmp / f"{clip_code}.mp4") as unfinished:
            result = self._child.ask(
                "cut",
                path=str(capture),
                start_s=take.start_s,
                end_s=take.end_s,
                out=str(unfinished),
                options={**self._options, **(rendition or {})},
            )
            log.info("clip cut", clip=clip_code, method=result["method"], why=result["why"])
            crash_point("clip-cut")
            return self._keep(
                unfinished,
                seconds=number_in(result, "clip_seconds"),
                method=str(result["method"]),
                why=str(result["why"]),
            )

    def keep_whole(self, capture: Path, *, clip_code: str, seconds: float) -> ClipFile:
        """Make a capture's whole file its clip, without looking into it."""
        unfinished = self._folder.tmp / f"{clip_code}{capture.suffix}"
        unfinished.unlink(missing_ok=True)
        with moving(3 * capture.stat().st_size):
            link_or_copy(capture, unfinished)
        return self._keep(unfinished, seconds=seconds)

    def draw_pictures(self, capture: Path, take: Take, *, clip_code: str) -> None:
        """Draw a take's poster and filmstrip; a clip is as good without them."""
        middle_s = (take.active_start_s + take.active_end_s) / 2
        poster_at_s = middle_s if take.decisive_s is None else take.decisive_s
        stretch = {"start_s": take.start_s, "end_s": take.end_s}
        poster, strip = self._folder.pictures_of(clip_code)
        self._draw("poster", poster.name, path=str(capture), at_s=poster_at_s)
        self._draw("filmstrip", strip.name, path=str(capture), **stretch)

    @contextmanager
    def plot(self, stored_name: str) -> Iterator[str]:
        """Give a path to draw a capture's activity to, and keep what was drawn there."""
        with _dropped_on_error((self._folder.tmp / stored_name).with_suffix(".svg")) as unfinished:
            yield str(unfinished)
            if unfinished.exists():
                fsync_file(unfinished)
                move_durably(unfinished, self._folder.pictures / unfinished.name)

    def _draw(self, operation: str, name: str, **fields: object) -> None:
        try:
            with _dropped_on_error(self._folder.tmp / name) as unfinished:
                self._child.ask(operation, out=str(unfinished), **fields)
                fsync_file(unfinished)
                move_durably(unfinished, self._folder.pictures / name)
        except (AnalysisError, OSError) as error:
            log.warning("picture drawing failed", picture=name, error=str(error))

    def _keep(
        self, unfinished: Path, *, seconds: float, method: str = "whole", why: str | None = None
    ) -> ClipFile:
        size_bytes = unfinished.stat().st_size
        with moving(2 * size_bytes):
            fsync_file(unfinished)
            with unfinished.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        move_durably(unfinished, self._folder.clips / unfinished.name)
        crash_point("clip-kept")
        return ClipFile(
            stored_name=unfinished.name,
            sha256=sha256,
            size_bytes=size_bytes,
            seconds=seconds,
            cut_method=method,
            cut_why=why,
        )


def nothing_hidden(capture: Capture, start_s: float, end_s: float) -> dict[str, object] | None:
    """Return how a clip is cut beside what nobody may see of its capture; None: as ever.

    Copied packets may hold what was filmed before the clip, or just after, though no player
    shows it.
    """
    beside = capture.hides(0.0, start_s) or capture.hides(end_s, end_s + _NEXT_FRAMES_S)
    return {"method": "encode"} if beside else None


@contextmanager
def _dropped_on_error(unfinished: Path) -> Iterator[Path]:
    """Remove a file that was not finished: on a full disk every byte counts.

    A file whose fsync failed is never trusted again either: the system may have dropped what it
    could not write, and says nothing the second time.  It is made anew.
    """
    try:
        yield unfinished
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
