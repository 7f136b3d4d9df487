"""Fetching one analysed video, for the daemon or for a person: link, download, judgement, place."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from agent.api.analyses import link_path, read_analysis, read_link, session_path
from agent.api.answers import lane_fault, wished_wait_s
from agent.api.client import ApiClient, ApiKey
from agent.api.containers import breaks_off
from agent.api.storage import Storage
from agent.api.taking import Pace
from agent.clock import Now
from agent.crashpoints import crash_point
from agent.delivery.part import PartFile, drop_part
from agent.errors import HostUnreachableError, LaneError, LinkExpiredError, NotNowError, UnfitError
from agent.outbox.disk.folders import move_durably, part_of
from agent.outbox.results.documents import MOST_DOCUMENT_BYTES
from agent.outbox.results.videos import Wanted

_ABSENT = frozenset({404, 410})

NoteLink = Callable[[int, str], None]  # entry id and the link that the API tells now


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

    def fetch(self, wanted: Wanted, final: Path, *, pace: Pace) -> int:
        """Fetch a video to its place, from where it broke off the last time; return its size.

        Raises:
            NotNowError, LinkExpiredError: it may come later; what has come stays.
            UnfitError: it is not kept, and nothing is left of it.
            OSError: the disk refuses.
        """
        try:
            self._fetch_part(wanted, final, pace)
            size_bytes = part_of(final).stat().st_size
            self._judge(part_of(final), size_bytes)
            crash_point("video-arrived")
            move_durably(part_of(final), final)
        except UnfitError:
            drop_part(final)
            raise
        except FileNotFoundError:
            raise NotNowError("what had come was taken away meanwhile") from None
        crash_point("video-moved")
        drop_part(final)
        return size_bytes

    def _fetch_part(self, wanted: Wanted, final: Path, pace: Pace) -> None:
        """Fetch what is missing, and make it durable."""
        with PartFile(final, now=self._now) as part:
            if not part.is_whole:
                self._download(wanted, part, pace)
            part.rest()

    def _download(self, wanted: Wanted, part: PartFile, pace: Pace) -> None:
        """Ask by the link that is known; where it opens nothing any more, once by a fresh one."""

        def ask_by(link: str) -> None:
            self._storage.fetch(link, part, most_bytes=self._most_bytes, pace=pace)

        try:
            if wanted.link is not None:
                with suppress(LinkExpiredError):
                    ask_by(wanted.link)
                    return
            ask_by(self._fresh_link(wanted))
        except (NotNowError, LinkExpiredError):
            part.rest()  # so that even a power cut costs no more
            raise

    def _fresh_link(self, wanted: Wanted) -> str:
        """Ask the API where the video is now.

        Raises:
            NotNowError: it cannot be asked, or does not say.
            UnfitError: it knows no such session.
        """
        key = self._key()
        if key is None:
            raise NotNowError("the link is old, and the API cannot be asked for a fresh one now")
        told = self._ask(session_path(wanted.activity, wanted.session_id), key)
        analysis = read_analysis(told, wanted.session_id)
        link = None if analysis is None else analysis.link
        if link is None:
            link = read_link(self._ask(link_path(wanted.activity, wanted.session_id), key))
        if link is None:
            raise NotNowError("the API tells no link to the analysed video")
        self._note_link(wanted.entry_id, link)
        return link

    def _ask(self, path: str, key: ApiKey) -> object:
        try:
            answer = self._client.ask("GET", path, key, most_bytes=MOST_DOCUMENT_BYTES)
        except LaneError as fault:
            kind = HostUnreachableError if fault.status is None else NotNowError
            raise kind(str(fault), retry_after_s=fault.retry_after_s) from fault
        if answer.status in _ABSENT and answer.error_words() is not None:
            raise UnfitError(f"the API knows no such session ({answer.error_words()})")
        if answer.status != 200:
            now_s = self._now().utc_s
            told = str(lane_fault(answer, now_s=now_s))
            raise NotNowError(told, retry_after_s=wished_wait_s(answer, now_s=now_s))
        return answer.json()

    def _judge(self, path: Path, size_bytes: int) -> None:
        with path.open("rb") as video:
            if breaks_off(video, size_bytes):
                raise UnfitError("the video breaks off: the storage host told a wrong length")
