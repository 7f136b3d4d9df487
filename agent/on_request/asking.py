"""Asking the API for something of one session because a person wishes it, daemon or not."""

import os
import tempfile
from pathlib import Path

from agent.api.analyses import export_path
from agent.api.answers import Answer
from agent.api.client import KEY_HEADERS, ApiKey
from agent.assembly.delivery import api_client, follow_up_stage
from agent.clock import read_clock
from agent.delivery.looking import Look
from agent.errors import LaneError, RequestError, UnreachableError
from agent.outbox.disk.space import Space
from agent.outbox.entry import Entry
from agent.outbox.store import Outbox
from agent.settings import Settings, read_api_key
from agent.stage import ignore_wake
from agent.station.of_settings import api_host, state_folder

_MOST_EXPORT_BYTES = 512 << 20
_EDGE_BYTES = 64


def look_now(settings: Settings, outbox: Outbox, entry: Entry) -> Look:
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
            settings, folder, outbox, client, Space(folder.root, min_free_mb=0), key=lambda: key
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
    except LaneError as fault:
        raise UnreachableError(str(fault), hint="try again later") from fault
    finally:
        unfinished.unlink(missing_ok=True)
    return target.stat().st_size


def _fault_of(answer: Answer, content: Path) -> str | None:
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
