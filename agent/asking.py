"""Asking the API about one session because a person wishes it, daemon or not."""

import os

from agent.api.client import KEY_HEADERS, ApiKey
from agent.assembly_delivery import api_client, follow_up_stage
from agent.clock import read_clock
from agent.delivery.looking import Look
from agent.errors import RequestError, UnreachableError
from agent.outbox.entry import Entry
from agent.outbox.space import Space
from agent.outbox.store import Outbox
from agent.settings import Settings, read_api_key
from agent.stage import ignore_wake
from agent.station.of_settings import api_host, state_folder


def look_now(settings: Settings, outbox: Outbox, entry: Entry) -> Look:
    """Ask about a clip's session, and keep what comes back; from then on it is followed again.

    Raises:
        RequestError: there is no key, or the clip's athlete was forgotten.
        UnreachableError: no proper answer came.
    """
    key = _key(settings, outbox)
    outbox.follow_ups.resume(entry.id, now_s=read_clock().utc_s)
    follow_up = outbox.follow_ups.of_entry(entry.id)
    if follow_up is None or follow_up.state == "gone":
        raise RequestError(f"{entry.name} is nobody's any more: nothing is asked about it")
    folder = state_folder(settings)
    with api_client(settings, check=ignore_wake) as client:
        stage = follow_up_stage(
            settings, folder, outbox, client, Space(folder.root, min_free_mb=0), key=lambda: key
        )
        look = stage.look_now(follow_up, key)
    if look.fault is not None and look.analysis is None:
        raise UnreachableError(str(look.fault), hint="the daemon goes on asking")
    return look


def _key(settings: Settings, outbox: Outbox) -> ApiKey:
    token = read_api_key(settings.api, os.environ)
    if token is None:
        raise RequestError("there is no API key", hint=f"put it into {settings.api.key_file}")
    known = outbox.lanes.get(api_host(settings)).key_header
    wanted = known if settings.api.key_header == "auto" else settings.api.key_header
    return ApiKey(
        token=token, header=next((form for form in KEY_HEADERS if form == wanted), KEY_HEADERS[0])
    )
