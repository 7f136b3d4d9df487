"""A take's analysed video, for a person: copied if it is on this box, fetched if it is not."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from agent.api.client import ApiKey
from agent.api.taking import Pace, Progress
from agent.assembly.delivery import api_client
from agent.assembly.videos import video_fetcher
from agent.errors import (
    AgentError,
    BusyError,
    FetchError,
    HostUnreachableError,
    RequestError,
    UnfitError,
    UnreachableError,
)
from agent.outbox.disk.folders import move_durably, open_plain, part_of
from agent.outbox.entry import Entry
from agent.outbox.results.follow_ups import FollowUpState
from agent.outbox.results.videos import VideoState
from agent.outbox.store import Outbox
from agent.settings import Settings
from agent.stage import ignore_wake
from agent.station.of_settings import state_folder

_NEVER_SEEN = frozenset({FollowUpState.FAILED, FollowUpState.GONE})
_PART_BYTES = 1 << 20


def download_video(
    settings: Settings,
    outbox: Outbox,
    entry: Entry,
    target: Path,
    *,
    key: Callable[[], ApiKey | None],
    pace: Pace,
) -> int:
    """Bring a clip's analysed video into a file; return its size.

    Raises:
        BusyError: it is not there yet, or does not come now; the same again goes on from there.
        UnreachableError: its host cannot be reached.
        RequestError: it is no video, or the file cannot be written.
    """
    video = outbox.videos.of_entry(entry.id)
    if video is None:
        raise _missing(outbox, entry)
    here = state_folder(settings).analysed_video(entry.clip_code)
    try:
        if outbox.videos.state(entry.id) is VideoState.PRESENT:
            return _copy(here, target, pace)
        with api_client(settings, check=ignore_wake) as client:
            fetcher = video_fetcher(settings, outbox, client, key=key, check=ignore_wake)
            return fetcher.fetch(video, target, pace=pace)
    except FetchError as error:
        raise _told(error, entry) from error
    except OSError as error:
        raise RequestError(f"{target.parent}: {error.strerror}") from error


def _missing(outbox: Outbox, entry: Entry) -> AgentError:
    """Return why no analysed video of a clip is known."""
    hint = f"ask the API now: spotter session {entry.clip_code} --look"
    follow_up = outbox.follow_ups.of_entry(entry.id)
    if follow_up is None or follow_up.state not in _NEVER_SEEN:
        return BusyError(f"the analysis of {entry.clip_code} is not complete yet", hint=hint)
    told = f"no analysed video of {entry.clip_code}: {follow_up.words}"
    return RequestError(told, hint=hint)


def _told(error: FetchError, entry: Entry) -> AgentError:
    """Return an error as a command ends with it."""
    words = f"no analysed video of {entry.clip_code}: {error}"
    if isinstance(error, UnfitError):
        return RequestError(words)
    hint = "run the same command again: the download resumes"
    if isinstance(error, HostUnreachableError):
        return UnreachableError(words, hint=hint)
    return BusyError(words, hint=hint)


def _copy(source: Path, target: Path, pace: Pace) -> int:
    """Copy a file of this box, so that it is there whole or not at all."""
    with open_plain(source) as video:
        size_bytes = os.fstat(video.fileno()).st_size
        with _new(part_of(target)) as part:
            have_bytes = 0
            while chunk := video.read(_PART_BYTES):
                part.write(chunk)
                have_bytes += len(chunk)
                pace(
                    Progress(
                        part_bytes=len(chunk),
                        have_bytes=have_bytes,
                        total_bytes=size_bytes,
                        can_resume=False,
                    )
                )
            part.flush()
            os.fsync(part.fileno())
    move_durably(part_of(target), target)
    return size_bytes


def _new(path: Path) -> BinaryIO:
    """Open a file for writing that was not there before, whatever lies in its place."""
    path.unlink(missing_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o660), "wb")
