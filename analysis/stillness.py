"""Whether and where something moves between two small grey pictures.  Pure.

A frame is compared with the one before it, which shows fast movements, and with one half a
second older, which shows slow ones and lets sway pass.  Where only the first differs, a movement
may repeat itself twice a second, as steps do; then one a third of a second old tells.  Grain and a
change of all light touch every part of a picture alike; a body touches some.  Where the whole
picture is another one from one moment to the next, a recording was put together of several, and
each is a scene of its own.
"""

from collections import deque
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from analysis.primitives import Grey, Interval, merged
from analysis.screening import block_means, changed_blocks, moved_blocks

_OLDER_S = 0.5
_LINGER_S = 0.6  # after the last movement that was seen
_SUSTAINED_S = 3.0
_EARLY = 0.1  # of a step
_AT_ONCE_S = 0.3  # between two pictures: further apart they may differ without a cut
_OTHER_SCENE = 0.4  # share of the blocks: 0.56 and more at cuts, 0.25 where a camera pans fast
_OTHER = 0.5  # of the picture's contrast, that a block is brighter or darker than before
_BACK_S = 1.0  # a scene that is back so soon was only disturbed
_BLACK = 20  # grey levels: of limited range black is 16
_SHOWS = 4.0  # grey levels, standard deviation of the blocks: in the dark grain alone differs
_ALIKE = _OTHER_SCENE * _OTHER * _SHOWS  # grey levels, mean over all pixels: less is no cut


class Stillness:
    """Watches the pictures of a capture; remembers when and where something moved."""

    def __init__(self) -> None:
        self._pictures: deque[tuple[float, Grey]] = deque()
        self._moved_s: list[float] = []
        self._cuts: list[tuple[float, Grey]] = []  # when, and the last picture before it
        self.moves: list[tuple[float, NDArray[np.bool_]]] = []  # when, and in which blocks

    def begin(self) -> None:
        """Forget the last pictures: what comes is not the next moment."""
        self._pictures.clear()

    def is_moving(self, time_s: float, grey: Grey) -> bool:
        """Tell whether this picture differs from those before it; a first one counts as moving.

        Args:
            time_s: its presentation time, increasing.
            grey: the picture, (height, width), as large as those before.
        """
        moving = not self._pictures
        if self._pictures:
            older, last = self._pictures[0][1], self._pictures[-1][1]
            moved = moved_blocks(older, grey)  # a camera that shakes moves nothing
            changed = changed_blocks(last, grey)
            if (changed & ~moved).any():  # legs that run may be back where they were
                moved |= moved_blocks(self._pictures[len(self._pictures) // 3][1], grey)
            moving = bool((moved | changed).any())
            self._note_cut(time_s, grey)
            if moving:
                self._moved_s.append(time_s)
                self.moves.append((time_s, moved))
        self._pictures.append((time_s, grey))
        while len(self._pictures) > 1 and self._pictures[1][0] <= time_s - _OLDER_S:
            self._pictures.popleft()
        return moving

    def _note_cut(self, time_s: float, grey: Grey) -> None:
        last_s, last = self._pictures[-1]
        if time_s - last_s > _AT_ONCE_S or not _is_other_scene(last, grey):
            return
        is_soon = bool(self._cuts) and time_s - self._cuts[-1][0] < _BACK_S
        if is_soon and not _is_other_scene(self._cuts[-1][1], grey):
            self._cuts.pop()  # a damaged picture, or a flash
            return
        self._cuts.append(((last_s + time_s) / 2, last))

    @property
    def cuts_s(self) -> list[float]:
        """When the whole picture became another one from one moment to the next, in order."""
        return sorted(time_s for time_s, _ in self._cuts)

    def scenes(self, within: Interval) -> list[Interval]:
        """Return the parts of a capture between its cuts, in order."""
        inside = [cut_s for cut_s in self.cuts_s if within.start_s < cut_s < within.end_s]
        edges = pairwise([within.start_s, *inside, within.end_s])
        return [Interval(start_s=start_s, end_s=end_s) for start_s, end_s in edges]

    @property
    def stirring(self) -> list[Interval]:
        """When anything moved, in order."""
        return stretches_of(self._moved_s)

    @property
    def restless(self) -> NDArray[np.int64] | None:
        """How often something moved in each block, (rows, columns); None: never."""
        if not self.moves:
            return None
        often: NDArray[np.int64] = np.sum([moved for _, moved in self.moves], axis=0)
        return often


def _is_other_scene(before: Grey, after: Grey) -> bool:
    """Tell whether two pictures have hardly anything in common.

    Their blocks are compared by how much brighter than the usual one each is, which a change of
    all light leaves alike.  Black bars beside both pictures are no part of them.
    """
    if (np.maximum(before, after) - np.minimum(before, after)).mean() < _ALIKE:  # mostly enough
        return False
    both = [block_means(picture) for picture in (before, after)]
    rows, columns = np.nonzero(np.maximum(*both) > _BLACK)
    if not len(rows):
        return False
    shown = slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)
    blocks = [means[shown] for means in both]
    if min(float(means.std()) for means in blocks) < _SHOWS:
        return False
    one, other = ((means - means.mean()) / means.std() for means in blocks)
    return bool((np.abs(one - other) > _OTHER).mean() > _OTHER_SCENE)


def stretches_of(moved_s: Sequence[float]) -> list[Interval]:
    """Return the stretches of movement around the moments at which some was seen, in order."""
    moments = [Interval(start_s=time_s - _OLDER_S / 2, end_s=time_s) for time_s in moved_s]
    return merged(moments, rest_s=_LINGER_S)


class SamplingRate:
    """Decides which frames the model looks at: few while nothing moves, many while it does."""

    def __init__(self, *, active_fps: float, steady_fps: float, idle_fps: float) -> None:
        self._active_s, self._steady_s, self._idle_s = 1 / active_fps, 1 / steady_fps, 1 / idle_fps
        self.begin()

    def begin(self) -> None:
        """Start again: what comes is not the next moment."""
        self._due_s = float("-inf")
        self._moved_s = float("-inf")
        self._rested_s: float | None = None  # when nothing moved last
        self.is_resting = True  # whether nothing moves, or has for a moment

    def wants(self, time_s: float, *, moving: bool) -> bool:
        """Tell whether the model is to look at a frame.

        Around the edges of a movement it looks most often; in the middle of a long one less.
        """
        if moving:
            self._moved_s = time_s
        was_resting, self.is_resting = self.is_resting, time_s - self._moved_s > _LINGER_S
        if was_resting and not self.is_resting:
            self._due_s = min(self._due_s, time_s)
        if self.is_resting or self._rested_s is None:
            self._rested_s = time_s
        if self.is_resting:
            step_s = self._idle_s
        elif time_s - self._rested_s > _SUSTAINED_S:
            step_s = self._steady_s
        else:
            step_s = self._active_s
        if time_s < self._due_s - _EARLY * step_s:
            return False
        # frames come on a grid of their own: the mean rate is kept, not each single step
        self._due_s = max(min(self._due_s, time_s) + step_s, time_s + step_s / 2)
        return True
