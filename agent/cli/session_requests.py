"""On-demand API requests for one session, with or without a running daemon."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from agent.api.client import KEY_HEADERS, ApiKey
from agent.api.downloads import DownloadProgress, Pace
from agent.api.responses import ApiResponse
from agent.api.sessions import export_path
from agent.clock import read_clock
from agent.daemon.wiring import api_client, follow_up_stage, video_fetcher
from agent.disk.space import DiskSpace
from agent.disk.state_folder import move_durably, open_plain, part_of
from agent.errors import (
    AgentError,
    ApiUnavailableError,
    BusyError,
    DownloadError,
    HostUnreachableError,
    RejectedDownloadError,
    RequestError,
    UnreachableError,
)
from agent.outbox.follow_ups import FollowUpState
from agent.outbox.models import Entry
from agent.outbox.outbox import Outbox
from agent.outbox.results import VideoState
from agent.results.polling import PollResult
from agent.settings import Settings, read_api_key
from agent.stage import ignore_wake
from agent.station.assignments import api_host, state_folder

_MOST_EXPORT_BYTES = 512 << 20
_EDGE_BYTES = 64


def look_now(settings: Settings, outbox: Outbox, entry: Entry) -> PollResult:
    """Ask about a clip's session, and keep what comes back; from then on it is followed again.

    Raises:
        RequestError: there is no key, the API refuses it, or the clip's athlete was forgotten.
        UnreachableError: no proper answer came.
    """
    key = key_for_asking(settings, outbox)
    outbox.follow_ups.resume(entry.id, now_s=read_clock().utc_s)
    follow_up = outbox.follow_ups.of_entry(entry.id)
    if follow_up is None or follow_up.state == "gone":
        raise RequestError(f"{entry.name} has no athlete any more: nothing to look up")
    folder = state_folder(settings)
    with api_client(settings, check=ignore_wake) as client:
        stage = follow_up_stage(
            settings, folder, outbox, client, DiskSpace(folder.root, min_free_mb=0), key=lambda: key
        )
        look = stage.look_now(follow_up, key)
    if look.fault is not None and look.analysis is None:
        if look.fault.reason == "key":
            hint = f"put the right key into {settings.api.key_file}"
            raise RequestError(str(look.fault), hint=hint)
        raise UnreachableError(str(look.fault), hint="the daemon keeps trying")
    return look


def fetch_export(settings: Settings, outbox: Outbox, entry: Entry, target: Path) -> int:
    """Fetch key points, angles and timestamps of a clip's session into a file; return its size.

    Raises:
        RequestError: there is no key, the API refuses, what came is no document of its, or the
            file cannot be written.
        UnreachableError: no proper answer came.
    """
    key = key_for_asking(settings, outbox)
    path = export_path(entry.activity, entry.session_id or "")
    try:
        fd, name = tempfile.mkstemp(dir=target.parent, prefix=".spotter-", suffix=".part")
    except OSError as error:
        hint = "choose another folder"
        raise RequestError(f"{target}: {error.strerror}", hint=hint) from error
    unfinished = Path(name)
    try:
        with (
            os.fdopen(fd, "wb") as file,
            api_client(settings, check=ignore_wake) as client,
        ):
            answer = client.save(path, key, file, most_bytes=_MOST_EXPORT_BYTES)
        told = _fault_of(answer, unfinished)
        if told is not None:
            raise RequestError(f"no export of {entry.name}: {told}")
        unfinished.replace(target)
    except ApiUnavailableError as fault:
        raise UnreachableError(str(fault), hint="try again later") from fault
    finally:
        unfinished.unlink(missing_ok=True)
    return target.stat().st_size


def _fault_of(answer: ApiResponse, content: Path) -> str | None:
    """Return why what came is no export; None where it is one."""
    if answer.is_cut:
        return f"larger than {_MOST_EXPORT_BYTES >> 20} MB"
    if answer.status != 200:
        words = answer.error_words()
        return f"HTTP {answer.status}" + (f": {words}" if words else ", not a response of the API")
    with content.open("rb") as file:
        begins = file.read(_EDGE_BYTES).lstrip()[:1]
        file.seek(-min(_EDGE_BYTES, content.stat().st_size), os.SEEK_END)
        ends = file.read().rstrip()[-1:]
    is_document = (begins, ends) in {(b"{", b"}"), (b"[", b"]")}
    return None if is_document else "the response is not JSON: a captive portal?"


def key_for_asking(settings: Settings, outbox: Outbox) -> ApiKey:
    """Return the key, in the header that the API took the last time.

    Raises:
        RequestError: there is none.
    """
    token = read_api_key(settings.api, os.environ)
    if token is None:
        raise RequestError("no API key", hint=f"put it into {settings.api.key_file}")
    known = outbox.lanes.get(api_host(settings)).key_header
    wanted = known if settings.api.key_header == "auto" else settings.api.key_header
    return ApiKey(
        token=token, header=next((form for form in KEY_HEADERS if form == wanted), KEY_HEADERS[0])
    )


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
    except DownloadError as error:
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


def _told(error: DownloadError, entry: Entry) -> AgentError:
    """Return an error as a command ends with it."""
    words = f"no analysed video of {entry.clip_code}: {error}"
    if isinstance(error, RejectedDownloadError):
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
                    DownloadProgress(
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
