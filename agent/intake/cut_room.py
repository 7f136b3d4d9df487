"""Room for a cut: asked for before it, waited for where it lacks."""

from agent.errors import AnalysisError, AnalysisFault
from agent.outbox.capture import Take
from agent.outbox.disk.space import Space, megabytes
from agent.outbox.waiting import Waiting

_MARGIN_BYTES = 4_000_000  # a clip's index, its pictures, and what is written beside it
_PREROLL_S = 4.0  # a lossless cut begins at the keyframe before
_COSTLIEST = 2.0  # a clip that is encoded again may take more than it did; a joined one, twice
_ASKER = "clipping"


def cut_bytes(take: Take, *, capture_bytes: int, capture_s: float) -> int:
    """Return how much a cut may take at most: its share of the capture and more, or all of it."""
    share = (take.end_s - take.start_s + _PREROLL_S) / capture_s if capture_s > 0 else 1.0
    clip_bytes = round(capture_bytes * min(1.0, _COSTLIEST * share))
    return clip_bytes + min(_MARGIN_BYTES, capture_bytes)


class CutRoom:
    """Lets cuts begin, or says what they wait for."""

    def __init__(self, space: Space, waiting: Waiting) -> None:
        self._space = space
        self._waiting = waiting

    def ask(self, take: Take, *, capture_bytes: int, capture_s: float) -> None:
        """Ask for the room of one clip.

        Raises:
            AnalysisError: there is not enough.
        """
        need = cut_bytes(take, capture_bytes=capture_bytes, capture_s=capture_s)
        lacking = self._space.lacks_for_work(need)
        if lacking:
            self._space.wish(_ASKER, need)
            raise AnalysisError(
                f"the next clip needs {megabytes(lacking)} more", fault=AnalysisFault.NO_SPACE
            )

    def lacks(self, why: str) -> None:
        """Say that clips wait for room."""
        self._waiting.begin("disk_full", f"clips wait to be cut: {why}; make room on the disk")

    def is_enough(self) -> None:
        """Say that there was room after all."""
        self._space.wish(_ASKER, None)
        self._waiting.end()
