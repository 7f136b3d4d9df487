"""Recordings as a station gets them: what is true of them, and everything that may lie about it.

True time is seconds after the tests' own noon; no box and no camera has it.  What is generated
here is independent of how Spotter weighs it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from hypothesis import assume
from hypothesis import strategies as st

from agent.clock import Instant
from agent.outbox.models import CaptureEvidence
from agent.station.recording_time import CreationIs, Inside
from tests.factories import NOW_S

See = Callable[[float], Instant]  # what the box's clocks show at a true time

_FPS = 30
_SKEWS_S = (0.0, 0.0, 1.0, -2.0, 3600.0, -3600.0, 7200.0, -2220.0, -30_000.0, 5 * 86400.0)
_EPOCH_S = -NOW_S + 90.0  # a clock that counts from 1970


@dataclass(frozen=True, slots=True, kw_only=True)
class Filmed:
    """One recording: when it was filmed in truth, and what the station is told of it."""

    start_s: float
    end_s: float
    here_s: float  # when it was complete in the folder
    shown_s: float  # how long it plays
    evidence: CaptureEvidence
    inside: Inside
    name: str
    clock_offset_s: float | None  # what the settings say of the camera's clock

    @property
    def pace(self) -> float:
        """True seconds for each second that is shown."""
        return (self.end_s - self.start_s) / self.shown_s


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """How a file comes into the folder."""

    copied: bool
    delay_s: float = 0.0  # from the end of filming to the beginning of a copy
    speed: float = 1.0  # of a copy, times its content
    in_view: bool = True  # it grows in the folder; else it is moved in when it is whole
    keeps_time: bool = False


_WAYS = st.one_of(
    st.builds(_Way, copied=st.just(False), in_view=st.booleans()),
    st.builds(
        _Way,
        copied=st.just(True),
        delay_s=st.sampled_from([2.0, 31.0, 90.0, 400.0, 3600.0, 50_000.0]),
        speed=st.sampled_from([0.1, 0.4, 2.5, 20.0, 400.0]),
        in_view=st.booleans(),
        keeps_time=st.booleans(),
    ),
)


@st.composite
def recordings(draw: st.DrawFn, start_s: float, see: See) -> Filmed:
    """Draw a recording that begins at a true time."""
    shown_s = float(draw(st.sampled_from([8, 20, 45, 90])))
    slow = draw(st.sampled_from([1, 1, 1, 1, 4, 8]))  # times slower than it was filmed
    length_s = shown_s / slow
    end_s = start_s + length_s
    way = draw(_WAYS)
    took_s = length_s if not way.copied else shown_s / way.speed
    if way.copied:
        # Of what takes a moment, and of what is copied as fast as it was filmed, nothing tells.
        assume(not way.in_view or (length_s >= 8 and not 0.7 < took_s / length_s < 1.5))
    born_s = end_s + way.delay_s if way.copied else start_s
    late_s = draw(st.sampled_from([0.0, 0.3])) if not way.copied else 0.0
    here_s = born_s + took_s + late_s
    skew_s = draw(st.sampled_from(_SKEWS_S))
    # A clock that is wrong by just as much as the copy is late says "now" in every way.
    says_now = way.delay_s - 300 < skew_s < way.delay_s + took_s + 300
    assume(not (way.copied and skew_s > 300 and says_now))
    camera = _Camera(draw, start_s, end_s, skew_s)
    told = not camera.was_reset and (camera.created_at is not None or camera.tells_name)
    if way.copied and not way.in_view and not way.keeps_time:
        # Else it cannot be told from a recording that was made now, whose camera is wrong.
        assume(told and end_s + skew_s < here_s)
    written_s = here_s if not (way.copied and way.keeps_time) else end_s + skew_s
    vouched = draw(st.booleans()) and not camera.was_reset
    error_s = draw(st.sampled_from([0.0, 1.0, -1.0]))
    return Filmed(
        start_s=start_s,
        end_s=end_s,
        here_s=here_s,
        shown_s=shown_s,
        evidence=_evidence(way, born_s, took_s, here_s, written_s, see),
        inside=Inside(
            length_s=shown_s,
            created_at=camera.created_at,
            creation_is=camera.creation_is,
            frames=round(shown_s * _FPS),
            captured_fps=_FPS * slow if slow > 1 else None,
        ),
        name=camera.name,
        clock_offset_s=error_s - skew_s if vouched else None,
    )


class _Camera:
    """What a camera's clock writes into a file and into its name."""

    def __init__(self, draw: st.DrawFn, start_s: float, end_s: float, skew_s: float) -> None:
        self.was_reset = draw(st.sampled_from([False, False, False, True]))
        if self.was_reset:
            skew_s = _EPOCH_S - start_s
        which: CreationIs | None = draw(st.sampled_from(["start", "end", None]))
        says = draw(st.booleans())
        self.creation_is: CreationIs | None = which if says else None
        told_s = {"start": start_s, "end": end_s}.get(which or "")
        self.created_at = None if told_s is None else NOW_S + float(int(told_s + skew_s))
        form = draw(st.sampled_from(["%Y%m%d-%H%M%S.mkv", "VID_%Y%m%d_%H%M%S.mp4", "clip_07.mp4"]))
        self.tells_name = "%" in form and not self.was_reset
        self.name = datetime.fromtimestamp(NOW_S + start_s + skew_s).strftime(form)  # noqa: DTZ006  # local
        if self.was_reset:
            self.created_at = None if self.created_at is None else 90.0


def _evidence(
    way: _Way, born_s: float, took_s: float, here_s: float, written_s: float, see: See
) -> CaptureEvidence:
    growth = tuple((see(born_s + took_s * n / 9), 100_000 * n) for n in range(10))
    settled = see(here_s + 2)
    off_s = settled.utc_s - NOW_S - here_s - 2  # of the box's clock
    if way.in_view:
        return CaptureEvidence(
            grew_until=see(here_s),
            appeared=see(born_s),
            mtime_s=NOW_S + written_s + (0.0 if way.keeps_time else off_s),
            settled=settled,
            growth=growth,
            born_s=NOW_S + born_s + off_s,
        )
    return CaptureEvidence(
        grew_until=None,
        appeared=see(here_s),
        mtime_s=NOW_S + written_s + (0.0 if way.keeps_time else off_s),
        settled=settled,
        born_s=NOW_S + born_s + off_s,
    )
