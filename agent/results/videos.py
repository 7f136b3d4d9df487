"""The stage that downloads analysed videos on request, one at a time.

An interrupted download is resumed, in this run or after a kill.  How long to leave a
host alone is known to this run only: a start may ask at once.
"""

import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import structlog

from agent.api.client import ApiClient, ApiKey
from agent.api.documents import link_path, read_analysis, read_link, session_path
from agent.api.downloads import DownloadProgress, Pace, RemoteFile, Storage, breaks_off
from agent.api.responses import lane_fault, requested_wait_s
from agent.bandwidth_schedule import UNLIMITED, Timetable
from agent.clock import Clock, Now
from agent.delivery.upload import BURST_S
from agent.disk.space import DiskSpace, is_disk_full, megabytes
from agent.disk.state_folder import (
    StateFolder,
    fsync_file,
    fsync_folder,
    move_durably,
    note_of,
    part_of,
)
from agent.errors import (
    ApiUnavailableError,
    DownloadError,
    HostUnreachableError,
    LinkExpiredError,
    RejectedDownloadError,
    TemporaryDownloadError,
)
from agent.failpoints import crash_point
from agent.heartbeat import during_io
from agent.outbox.entries import Entries
from agent.outbox.outbox import Outbox
from agent.outbox.removal import FileRemover
from agent.outbox.results import MOST_DOCUMENT_BYTES, WantedVideo
from agent.outbox.states import EntryState
from agent.retry import Backoff
from agent.stage import WAKE_ONLY, StageName
from agent.text import read_json
from agent.token_bucket import TokenBucket


class ResumableFile(AbstractContextManager["ResumableFile"]):
    """A file on its way into its place; open as long as its block continues."""

    def __init__(self, final: Path, *, now: Now) -> None:
        """Go on with what is there.

        Args:
            final: where the file will be once it is whole.
            now: the station's clock, which knows the boot.

        Raises:
            OSError: the folder cannot be written.
        """
        self.path = part_of(final)
        self._note = note_of(final)
        self._boot_id = now().boot_id
        self.origin: RemoteFile | None = None
        self.have_bytes = 0
        note = _read(self._note)
        if note is not None:
            self.origin = note[0]
        self._file: BinaryIO = os.fdopen(_opened(self.path, os.O_RDWR), "r+b")
        size = self._file.seek(0, os.SEEK_END)
        if note is None or note[0].validator is None:
            size = 0  # nobody can say of what it is a part
        elif note[2] is None or note[2] != self._boot_id:
            size = min(size, note[1])
        self._cut_to(size)

    @property
    def is_whole(self) -> bool:
        """Whether all that its host announced is here."""
        total = None if self.origin is None else self.origin.total_bytes
        return total is not None and 0 < total == self.have_bytes

    def begin(self, origin: RemoteFile) -> None:
        """Forget what is here: a file comes from its beginning."""
        self._cut_to(0)
        self.origin = origin
        self._write_note(durable_bytes=0)

    def write(self, part: bytes) -> None:
        """Add a part."""
        self._file.write(part)
        self.have_bytes += len(part)

    def rest(self) -> None:
        """Make durable what is here, and note it, so that the next time continues from here."""
        self._file.flush()
        with during_io(self.have_bytes):
            os.fsync(self._file.fileno())
        if self.origin is not None:
            self._write_note(durable_bytes=self.have_bytes)
            fsync_file(self._note)
        fsync_folder(self.path.parent)

    def __exit__(self, *_ended: object) -> None:
        self._file.close()

    def _cut_to(self, size_bytes: int) -> None:
        self._file.seek(size_bytes)
        self._file.truncate()
        self.have_bytes = size_bytes

    def _write_note(self, *, durable_bytes: int) -> None:
        assert self.origin is not None  # only what is known is noted
        note = {**asdict(self.origin), "durable_bytes": durable_bytes, "boot_id": self._boot_id}
        with os.fdopen(_opened(self._note, os.O_WRONLY | os.O_TRUNC), "w") as file:
            file.write(json.dumps(note))


def drop_part(final: Path) -> None:
    """Remove what is here of a file that is not whole; first what would vouch for it."""
    note_of(final).unlink(missing_ok=True)
    part_of(final).unlink(missing_ok=True)


def progress(final: Path) -> tuple[int, int | None]:
    """Return how much of a file is here in part, and of how much, if its host announced it."""
    note = _read(note_of(final))
    try:
        have_bytes = part_of(final).stat().st_size
    except OSError:
        return 0, None
    return have_bytes, None if note is None else note[0].total_bytes


def _opened(path: Path, flags: int) -> int:
    """Open or make a file in a folder that may be anybody's: no link leads out of it."""
    return os.open(path, flags | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o660)


def _read(note: Path) -> tuple[RemoteFile, int, str | None] | None:
    """Return of what a part is, how much is durable, and since which boot; None: not known."""
    try:
        saved = read_json(note.read_text(encoding="ascii"))
        origin = RemoteFile(validator=saved["validator"], total_bytes=saved["total_bytes"])
        return origin, int(saved["durable_bytes"]), saved["boot_id"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


_ABSENT = frozenset({404, 410})

NoteLink = Callable[[int, str], None]  # entry id and the link that the API gives now


class VideoFetcher:
    """Fetches videos, one at a time, into any folder."""

    def __init__(
        self,
        storage: Storage,
        client: ApiClient,
        *,
        key: Callable[[], ApiKey | None],
        note_link: NoteLink,
        most_bytes: int,
        now: Now,
    ) -> None:
        """Prepare to fetch.

        Args:
            storage: the way to the hosts of videos.
            client: the way to the API, for a fresh link.
            key: gives the API's key where it may be asked.
            note_link: keeps a fresh link.
            most_bytes: a larger video is not wanted.
            now: the station's clock.
        """
        self._storage = storage
        self._client = client
        self._key = key
        self._note_link = note_link
        self._most_bytes = most_bytes
        self._now = now

    def fetch(self, wanted: WantedVideo, final: Path, *, pace: Pace) -> int:
        """Fetch a video to its place, from where it broke off the last time; return its size.

        Raises:
            TemporaryDownloadError, LinkExpiredError: it may come later; what has come stays.
            RejectedDownloadError: it is not kept, and nothing is left of it.
            OSError: the disk refuses.
        """
        try:
            self._fetch_part(wanted, final, pace)
            size_bytes = part_of(final).stat().st_size
            self._judge(part_of(final), size_bytes)
            crash_point("video-arrived")
            move_durably(part_of(final), final)
        except RejectedDownloadError:
            drop_part(final)
            raise
        except FileNotFoundError:
            raise TemporaryDownloadError("the partial file was removed meanwhile") from None
        crash_point("video-moved")
        drop_part(final)
        return size_bytes

    def _fetch_part(self, wanted: WantedVideo, final: Path, pace: Pace) -> None:
        """Fetch what is missing, and make it durable."""
        with ResumableFile(final, now=self._now) as part:
            if not part.is_whole:
                self._download(wanted, part, pace)
            part.rest()

    def _download(self, wanted: WantedVideo, part: ResumableFile, pace: Pace) -> None:
        """Ask by the link that is known; where it opens nothing any more, once by a fresh one."""

        def ask_by(link: str) -> None:
            self._storage.fetch(link, part, most_bytes=self._most_bytes, pace=pace)

        try:
            if wanted.link is not None:
                with suppress(LinkExpiredError):
                    ask_by(wanted.link)
                    return
            ask_by(self._fresh_link(wanted))
        except (TemporaryDownloadError, LinkExpiredError):
            part.rest()  # so that even a power cut costs no more
            raise

    def _fresh_link(self, wanted: WantedVideo) -> str:
        """Ask the API where the video is now.

        Raises:
            TemporaryDownloadError: it cannot be asked, or does not say.
            RejectedDownloadError: it knows no such session.
        """
        key = self._key()
        if key is None:
            raise TemporaryDownloadError(
                "the link is old, and the API cannot be asked for a new one now"
            )
        document = self._ask(session_path(wanted.activity, wanted.session_id), key)
        analysis = read_analysis(document, wanted.session_id)
        link = None if analysis is None else analysis.link
        if link is None:
            link = read_link(self._ask(link_path(wanted.activity, wanted.session_id), key))
        if link is None:
            raise TemporaryDownloadError("the API gives no link to the analysed video")
        self._note_link(wanted.entry_id, link)
        return link

    def _ask(self, path: str, key: ApiKey) -> object:
        try:
            answer = self._client.ask("GET", path, key, most_bytes=MOST_DOCUMENT_BYTES)
        except ApiUnavailableError as fault:
            kind = HostUnreachableError if fault.status is None else TemporaryDownloadError
            raise kind(str(fault), retry_after_s=fault.retry_after_s) from fault
        if answer.status in _ABSENT and answer.error_words() is not None:
            raise RejectedDownloadError(
                f"the API does not know the session ({answer.error_words()})"
            )
        if answer.status != 200:
            now_s = self._now().utc_s
            text = str(lane_fault(answer, now_s=now_s))
            raise TemporaryDownloadError(text, retry_after_s=requested_wait_s(answer, now_s=now_s))
        return answer.json()

    def _judge(self, path: Path, size_bytes: int) -> None:
        with path.open("rb") as video:
            if breaks_off(video, size_bytes):
                raise RejectedDownloadError(
                    "the video is incomplete: the storage host gave a wrong length"
                )


_LOOK_EVERY_S = 1.0
_CLIPS_ARE_DUE_S = 5.0  # then it is checked again whether they are gone
_LONGEST_WAIT_S = 60.0
_LONGEST_PAUSE_S = 0.2


class NoRoomError(TemporaryDownloadError):
    """The disk has no room for a video now."""


class GivesWayError(TemporaryDownloadError):
    """A video lets clips go first: no fault of anybody's."""


class DownloadPace:
    """The pace of the station's downloads."""

    def __init__(
        self,
        timetable: Timetable,
        entries: Entries,
        space: DiskSpace,
        *,
        gives_way: bool,
        clock: Clock,
    ) -> None:
        """Keep a pace.

        Args:
            timetable: of uploads, by the wall clock.
            entries: the clips that may want to go out.
            space: the disk's room.
            gives_way: whether clips and closed hours go first.
            clock: the station's; what its wait raises ends the download.
        """
        self._timetable = timetable
        self._entries = entries
        self._space = space
        self._gives_way = gives_way
        self._now = clock.now
        self._wait = clock.wait
        self._monotonic = clock.monotonic
        self._bucket = TokenBucket(capacity_s=BURST_S)
        self._looked_at_s = float("-inf")

    def rest_s(self) -> float:
        """Return the seconds until it is worth checking whether a download may begin; 0: now."""
        if not self._gives_way:
            return 0.0
        now_s = self._now().utc_s
        opens_at = self._timetable.opens_at(now_s)
        if opens_at is None or opens_at > now_s:
            return _LONGEST_WAIT_S if opens_at is None else min(opens_at - now_s, _LONGEST_WAIT_S)
        return _CLIPS_ARE_DUE_S if self._clips_are_due(now_s) else 0.0

    def __call__(self, progress: DownloadProgress) -> None:
        """Check a running download, and let it wait for its turn.

        Raises:
            NoRoomError: the disk is too full for the rest.
            GivesWayError: a clip goes first, or uploads have closed.
        """
        now_s = self._monotonic()
        if progress.part_bytes == 0 or now_s - self._looked_at_s >= _LOOK_EVERY_S:
            self._looked_at_s = now_s
            self._look(progress)
        rate = self._timetable.rate_at(self._now().utc_s)
        if 0 < rate < UNLIMITED:
            self._bucket.take(progress.part_bytes / rate, self._monotonic())
            while (wait_s := self._bucket.wait_s(self._monotonic())) > 0:
                self._wait(min(wait_s, _LONGEST_PAUSE_S))

    def _look(self, progress: DownloadProgress) -> None:
        need_bytes = max((progress.total_bytes or 0) - progress.have_bytes, 0)
        lacks_bytes = self._space.lacks_for_intake(need_bytes)
        if lacks_bytes:
            raise NoRoomError(f"the disk lacks {megabytes(lacks_bytes)} for it")
        if progress.can_resume and progress.part_bytes and self.rest_s() > 0:
            raise GivesWayError("uploads have priority; it continues afterwards")

    def _clips_are_due(self, now_s: float) -> bool:
        due_at = self._entries.next_due_at(EntryState.READY, EntryState.UPLOADING)
        return due_at is not None and due_at <= now_s


_SETBACKS = Backoff(base_s=10.0, longest_s=3600.0)
_LOOK_FOR_ROOM_S = 600.0
_MOST_LOOKED_AT = 200
_DAY_S = 86_400.0

log = structlog.get_logger(stage=StageName.VIDEOS)


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoPolicy:
    """What the settings say about analysed videos."""

    when: Literal["on_demand", "always", "never"] = "on_demand"
    keep_days: float = 30.0  # what is older is not fetched automatically


class VideoStage:
    """Fetches the analysed videos that are requested."""

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
        self._removal = FileRemover(outbox, folder, now=now)
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

    def _rest_s(self, wanted: WantedVideo, now_s: float) -> float:
        """Return the seconds for which a video is left alone; the clock may have jumped."""
        _, not_before_s = self._setbacks.get(wanted.entry_id, (0, now_s))
        rest_s = not_before_s - now_s
        return rest_s if 0 < rest_s <= _SETBACKS.longest_s else 0.0

    def _fetch(self, wanted: WantedVideo) -> None:
        final = self._folder.analysed_video(wanted.clip_code)
        crash_point("video-fetching")
        try:
            size_bytes = self._fetcher.fetch(wanted, final, pace=self._pace)
        except (TemporaryDownloadError, LinkExpiredError) as error:
            self._put_back(wanted, error)
        except DownloadError as error:
            self._setbacks.pop(wanted.entry_id, None)
            self._outbox.videos.fail(wanted.entry_id, str(error))
            log.warning("video download failed", entry=f"e{wanted.entry_id}", detail=str(error))
        except OSError as error:  # of this video's place: the others must not wait for it
            self._put_back(wanted, _refusal(error))
        else:
            self._record(wanted, size_bytes)

    def _record(self, wanted: WantedVideo, size_bytes: int) -> None:
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

    def _put_back(self, wanted: WantedVideo, error: DownloadError) -> None:
        """Let a video come another time; on a full disk, what has come of it goes first."""
        lacks_room = isinstance(error, NoRoomError) and not self._make_room(wanted)
        if lacks_room or not isinstance(error, GivesWayError | NoRoomError):
            self._note_setback(wanted, error)
        is_kept = self._outbox.videos.put_back(wanted.entry_id, str(error))
        if lacks_room or not is_kept:
            drop_part(self._folder.analysed_video(wanted.clip_code))

    def _make_room(self, wanted: WantedVideo) -> bool:
        """Let the video of the oldest take go; for one that comes by itself, of an older take."""
        by_itself = self._policy.when == "always"
        oldest = self._outbox.videos.oldest_present(
            but=wanted.entry_id, older_than=wanted.entry_id if by_itself else None
        )
        if oldest is not None:
            self._removal.clear_results(oldest)
        return oldest is not None

    def _note_setback(self, wanted: WantedVideo, error: DownloadError) -> None:
        failures = self._setbacks.get(wanted.entry_id, (0, 0.0))[0] + 1
        if isinstance(error, NoRoomError):
            delay_s = _LOOK_FOR_ROOM_S
        else:
            retry_after_s = getattr(error, "retry_after_s", None)
            delay_s = _SETBACKS.delay_s(failures, retry_after_s=retry_after_s)
        self._setbacks[wanted.entry_id] = (failures, self._now().utc_s + delay_s)
        if failures == 1:
            log.info("video download postponed", entry=f"e{wanted.entry_id}", detail=str(error))


def _refusal(error: OSError) -> TemporaryDownloadError:
    """Return why a video cannot be written now."""
    if is_disk_full(error):
        return NoRoomError("the disk is full")
    place = error.filename2 or error.filename
    return TemporaryDownloadError(f"the video cannot be written: {error.strerror}: {place}")
