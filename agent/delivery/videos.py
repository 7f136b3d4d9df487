"""The stage that brings analysed videos to the station: the wished for ones, one at a time.

What broke off goes on from there the next time, in this run or after a kill.  How long to leave a
host alone is known to this run only: a start may ask at once.
"""

from dataclasses import dataclass
from typing import Literal

import structlog

from agent.clock import Now
from agent.crashpoints import crash_point
from agent.delivery.download_pace import DownloadPace, GivesWayError, NoRoomError
from agent.delivery.fetching import VideoFetcher
from agent.delivery.part import drop_part
from agent.errors import FetchError, LinkExpiredError, NotNowError
from agent.outbox.backoff import Backoff
from agent.outbox.clearing.removal import Removal
from agent.outbox.disk.folders import StateFolder
from agent.outbox.disk.space import is_disk_full
from agent.outbox.results.videos import Wanted
from agent.outbox.store import Outbox
from agent.stage import WAKE_ONLY, StageName

_SETBACKS = Backoff(base_s=10.0, longest_s=3600.0)
_LOOK_FOR_ROOM_S = 600.0
_MOST_LOOKED_AT = 200
_DAY_S = 86_400.0

log = structlog.get_logger(stage=StageName.VIDEOS)


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoPolicy:
    """What the settings say about analysed videos."""

    when: Literal["on_demand", "always", "never"] = "on_demand"
    keep_days: float = 30.0  # what is older is not fetched by itself


class VideoStage:
    """Fetches the analysed videos that are wished for."""

    name = StageName.VIDEOS

    def __init__(
        self,
        outbox: Outbox,
        folder: StateFolder,
        fetcher: VideoFetcher,
        pace: DownloadPace,
        *,
        policy: VideoPolicy,
        now: Now,
    ) -> None:
        self._outbox = outbox
        self._folder = folder
        self._fetcher = fetcher
        self._pace = pace
        self._policy = policy
        self._now = now
        self._removal = Removal(outbox, folder, now=now)
        self._setbacks: dict[int, tuple[int, float]] = {}  # entry: failures in a row, not before

    def step(self) -> float:
        """Fetch one video, and say when there may be another."""
        self._outbox.videos.resume_interrupted()
        if self._policy.when == "never":
            return WAKE_ONLY
        now_s = self._now().utc_s
        if self._policy.when == "always":
            after_s = now_s - self._policy.keep_days * _DAY_S
            self._outbox.videos.want_all(got_after=after_s, now_s=now_s)
        wished = self._outbox.videos.wanted(most=_MOST_LOOKED_AT)
        if not wished:
            self._setbacks.clear()
            return WAKE_ONLY
        wanted = min(wished, key=lambda video: self._rest_s(video, now_s))
        rest_s = max(self._rest_s(wanted, now_s), self._pace.rest_s())
        if rest_s > 0:
            return rest_s
        if self._outbox.videos.begin(wanted.entry_id):
            self._fetch(wanted)
        return 0.0

    def close(self) -> None:
        """Nothing is held."""

    def _rest_s(self, wanted: Wanted, now_s: float) -> float:
        """Return the seconds for which a video is left alone; the clock may have jumped."""
        _, not_before_s = self._setbacks.get(wanted.entry_id, (0, now_s))
        rest_s = not_before_s - now_s
        return rest_s if 0 < rest_s <= _SETBACKS.longest_s else 0.0

    def _fetch(self, wanted: Wanted) -> None:
        final = self._folder.analysed_video(wanted.clip_code)
        crash_point("video-fetching")
        try:
            size_bytes = self._fetcher.fetch(wanted, final, pace=self._pace)
        except (NotNowError, LinkExpiredError) as error:
            self._put_back(wanted, error)
        except FetchError as error:
            self._setbacks.pop(wanted.entry_id, None)
            self._outbox.videos.fail(wanted.entry_id, str(error))
            log.warning("video download failed", entry=f"e{wanted.entry_id}", detail=str(error))
        except OSError as error:  # of this video's place: the others must not wait for it
            self._put_back(wanted, _refusal(error))
        else:
            self._record(wanted, size_bytes)

    def _record(self, wanted: Wanted, size_bytes: int) -> None:
        self._setbacks.pop(wanted.entry_id, None)
        is_kept = self._outbox.videos.place(wanted.entry_id, size_bytes, now_s=self._now().utc_s)
        if not is_kept:  # its athlete was forgotten meanwhile
            self._folder.analysed_video(wanted.clip_code).unlink(missing_ok=True)
            return
        log.info(
            "video downloaded",
            entry=f"e{wanted.entry_id}",
            clip=wanted.clip_code,
            bytes=size_bytes,
        )

    def _put_back(self, wanted: Wanted, error: FetchError) -> None:
        """Let a video come another time; on a full disk, what has come of it goes first."""
        lacks_room = isinstance(error, NoRoomError) and not self._make_room(wanted)
        if lacks_room or not isinstance(error, GivesWayError | NoRoomError):
            self._note_setback(wanted, error)
        is_kept = self._outbox.videos.put_back(wanted.entry_id, str(error))
        if lacks_room or not is_kept:
            drop_part(self._folder.analysed_video(wanted.clip_code))

    def _make_room(self, wanted: Wanted) -> bool:
        """Let the video of the oldest take go; for one that comes by itself, of an older take."""
        by_itself = self._policy.when == "always"
        oldest = self._outbox.videos.oldest_present(
            but=wanted.entry_id, older_than=wanted.entry_id if by_itself else None
        )
        if oldest is not None:
            self._removal.clear_results(oldest)
        return oldest is not None

    def _note_setback(self, wanted: Wanted, error: FetchError) -> None:
        failures = self._setbacks.get(wanted.entry_id, (0, 0.0))[0] + 1
        if isinstance(error, NoRoomError):
            delay_s = _LOOK_FOR_ROOM_S
        else:
            retry_after_s = getattr(error, "retry_after_s", None)
            delay_s = _SETBACKS.delay_s(failures, retry_after_s=retry_after_s)
        self._setbacks[wanted.entry_id] = (failures, self._now().utc_s + delay_s)
        if failures == 1:
            log.info("video download postponed", entry=f"e{wanted.entry_id}", detail=str(error))


def _refusal(error: OSError) -> NotNowError:
    """Return why a video cannot be written now."""
    if is_disk_full(error):
        return NoRoomError("the disk is full")
    place = error.filename2 or error.filename
    return NotNowError(f"the place of the video refuses: {error.strerror}: {place}")
