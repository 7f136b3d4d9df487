"""Putting together the stages that carry out what is said at the station."""

import os
from collections.abc import Callable
from zoneinfo import ZoneInfo

from agent.api.client import KEY_HEADERS, ApiClient, ApiKey
from agent.api.users import Users, fetch_users
from agent.clock import read_clock
from agent.daemon.loop import Bells
from agent.delivery.dating import Dating
from agent.delivery.erasure import Erasure, SessionDeleter
from agent.delivery.lane import Lane
from agent.delivery.resending import Resending
from agent.errors import LaneError
from agent.intake.watch import CaptureFolder
from agent.outbox.backoff import Backoff
from agent.outbox.disk.folders import StateFolder
from agent.outbox.store import Outbox
from agent.settings import Settings, read_api_key
from agent.stage import Stage
from agent.station.refreshing import Named, RosterRefresh
from agent.station.timekeeper import Timekeeper

ATTENDING = (Timekeeper.name, RosterRefresh.name, Resending.name, Erasure.name, Dating.name)


def attending_stages(
    settings: Settings,
    outbox: Outbox,
    client: ApiClient,
    captures: CaptureFolder,
    bells: Bells,
    *,
    host: str,
) -> list[Stage]:
    """Return the stages named in `ATTENDING`."""
    key = key_of_open_lane(settings, outbox, host)
    folder = StateFolder(settings.paths.state)

    delivery = settings.delivery
    deleter = SessionDeleter(client, key=key, now=read_clock)
    backoff = Backoff(
        base_s=settings.delivery.backoff_base_s, longest_s=settings.delivery.backoff_max_s
    )

    def fetch() -> tuple[list[Named], bool]:
        opened = key()
        if opened is None:
            raise LaneError("the lane was closed", reason="closed")
        return named(_fetch(client, opened))

    return [
        Timekeeper(outbox, folder, still_comes=captures.holds_any, now=read_clock),
        RosterRefresh(outbox, fetch=fetch, is_open=lambda: key() is not None, now=read_clock),
        Resending(
            outbox,
            folder,
            deleter,
            backoff=backoff,
            now=read_clock,
            wake_lane=bells.ringer(Lane.name),
        ),
        Erasure(outbox, deleter, backoff=backoff, now=read_clock),
        Dating(
            outbox,
            client,
            zone=ZoneInfo(delivery.date_zone) if delivery.date_sessions else None,
            key=key,
            backoff=backoff,
            now=read_clock,
        ),
    ]


def key_of_open_lane(settings: Settings, outbox: Outbox, host: str) -> Callable[[], ApiKey | None]:
    """Return what gives the key while the lane is open: it answered for a key, in some header."""

    def key() -> ApiKey | None:
        lane = outbox.lanes.get(host)
        header = next((form for form in KEY_HEADERS if form == lane.key_header), None)
        if not lane.answers or lane.answered_at is None or header is None:
            return None
        token = read_api_key(settings.api, os.environ)
        return None if token is None else ApiKey(token=token, header=header)

    return key


def fetch_roster(settings: Settings, outbox: Outbox, client: ApiClient, *, host: str) -> Users:
    """Return the account's athletes, whatever the lane's state: a person asks.

    Raises:
        LaneError: no answer, or a refusal.
    """
    token = read_api_key(settings.api, os.environ)
    if token is None:
        raise LaneError("there is no API key", reason="no_key")
    remembered = outbox.lanes.get(host).key_header
    forms = sorted(KEY_HEADERS, key=lambda form: form != remembered)
    if settings.api.key_header != "auto":
        forms = [settings.api.key_header]
    for form in forms[:-1]:
        try:
            return _fetch(client, ApiKey(token=token, header=form))
        except LaneError as fault:
            if fault.status not in {401, 403}:
                raise
    return _fetch(client, ApiKey(token=token, header=forms[-1]))


def named(users: Users) -> tuple[list[Named], bool]:
    """Return the account's athletes as the roster takes them over."""
    return [Named(user.user_id, user.name, user.lacks) for user in users.users], users.complete


def _fetch(client: ApiClient, key: ApiKey) -> Users:
    return fetch_users(lambda path: client.ask("GET", path, key), now_s=read_clock().utc_s)
