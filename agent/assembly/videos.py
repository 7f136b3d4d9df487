"""Putting together what fetches analysed videos, for the daemon and for a person's command."""

from collections.abc import Callable

from agent.api.client import ApiClient, ApiKey
from agent.api.deadline import Timeouts
from agent.api.storage import Storage
from agent.clock import read_clock
from agent.delivery.download_pace import DownloadPace
from agent.delivery.fetching import VideoFetcher
from agent.delivery.videos import VideoPolicy, VideoStage
from agent.outbox.disk.folders import StateFolder
from agent.outbox.disk.space import Space
from agent.outbox.store import Outbox
from agent.settings import Settings
from agent.stage import StopFlag
from agent.timetable import parse_timetable

_MB = 1_000_000


def video_fetcher(
    settings: Settings,
    outbox: Outbox,
    client: ApiClient,
    *,
    key: Callable[[], ApiKey | None],
    check: Callable[[], None],
) -> VideoFetcher:
    """Return what fetches single videos; what `check` raises ends it."""
    storage = Storage(
        settings.api.base_url,
        now=read_clock,
        timeouts=Timeouts(
            connect_s=settings.api.connect_timeout_s,
            min_rate_bytes_s=settings.delivery.min_rate_bytes_s,
        ),
        ca_file=settings.api.ca_file,
        check=check,
    )

    def note_link(entry_id: int, link: str) -> None:
        outbox.results.note_link(entry_id, link, now_s=read_clock().utc_s)

    return VideoFetcher(
        storage,
        client,
        key=key,
        note_link=note_link,
        most_bytes=round(settings.results.max_video_mb * _MB),
        now=read_clock,
    )


def video_stage(
    settings: Settings,
    folder: StateFolder,
    outbox: Outbox,
    client: ApiClient,
    space: Space,
    *,
    key: Callable[[], ApiKey | None],
    stop: StopFlag,
) -> VideoStage:
    """Return the stage that brings analysed videos to the station."""
    results = settings.results
    pace = DownloadPace(
        parse_timetable(settings.delivery.schedule),
        outbox.entries,
        space,
        gives_way=results.video == "always",
        now=read_clock,
        wait=stop.wait,
    )
    return VideoStage(
        outbox,
        folder,
        video_fetcher(settings, outbox, client, key=key, check=stop.check),
        pace,
        policy=VideoPolicy(when=results.video, keep_days=results.keep_days),
        now=read_clock,
    )
