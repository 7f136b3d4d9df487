"""Putting the delivery stages together, as the station's settings say."""

import os
from collections.abc import Callable
from functools import partial

from agent.api.client import ApiClient, ApiKey
from agent.api.deadline import Timeouts
from agent.assembly.attendance import key_of_open_lane
from agent.assembly.videos import video_stage
from agent.clock import read_clock
from agent.daemon.loop import Bells
from agent.delivery.conclusion import FollowUpPolicy
from agent.delivery.first_send import FirstSendCheck
from agent.delivery.follow_up import FollowUpStage
from agent.delivery.gate import Gate, KeySettings
from agent.delivery.keeping import Keeper
from agent.delivery.lane import Lane
from agent.delivery.patience import Patience
from agent.delivery.reaction import Reaction
from agent.delivery.reconcile import Reconciler
from agent.delivery.throttle import Throttle
from agent.delivery.turn import Order
from agent.delivery.upload import Uploader
from agent.delivery.videos import VideoStage
from agent.intake.take import TakeFinder
from agent.outbox.backoff import Backoff
from agent.outbox.disk.folders import StateFolder
from agent.outbox.disk.space import Space
from agent.outbox.store import Outbox
from agent.settings import Settings, read_api_key
from agent.stage import Stage, StopFlag, Wake, ignore_wake
from agent.station.of_settings import api_host
from agent.timetable import parse_timetable


def api_client(settings: Settings, *, check: Callable[[], None]) -> ApiClient:
    """Return the way to the API; what `check` raises ends any exchange."""
    return ApiClient(
        settings.api.base_url,
        now=read_clock,
        timeouts=Timeouts(
            connect_s=settings.api.connect_timeout_s,
            min_rate_bytes_s=settings.delivery.min_rate_bytes_s,
            answer_s=settings.api.answer_timeout_s,
        ),
        ca_file=settings.api.ca_file,
        origin=settings.api.origin,
        check=check,
    )


DELIVERING = (Lane.name, FollowUpStage.name, VideoStage.name)


def delivery_stages(
    settings: Settings,
    folder: StateFolder,
    outbox: Outbox,
    client: ApiClient,
    bells: Bells,
    space: Space,
    *,
    stop: StopFlag,
) -> list[Stage]:
    """Return the stages named in `DELIVERING`."""
    key = key_of_open_lane(settings, outbox, api_host(settings))
    return [
        delivery_lane(
            settings,
            folder,
            outbox,
            client,
            stop=stop,
            wake_analysis=bells.ringer(TakeFinder.name),
            wake_next=bells.ringer(FollowUpStage.name),
        ),
        follow_up_stage(
            settings,
            folder,
            outbox,
            client,
            space,
            key=key,
            wake_next=bells.ringer(VideoStage.name),
        ),
        video_stage(settings, folder, outbox, client, space, key=key, stop=stop),
    ]


def delivery_lane(
    settings: Settings,
    folder: StateFolder,
    outbox: Outbox,
    client: ApiClient,
    *,
    stop: StopFlag,
    wake_analysis: Wake,
    wake_next: Wake,
) -> Lane:
    """Return the lane to the API and all that it needs."""
    delivery = settings.delivery
    timetable = parse_timetable(delivery.schedule)
    gate = _gate(settings, outbox, client)
    backoff = Backoff(base_s=delivery.backoff_base_s, longest_s=delivery.backoff_max_s)
    patience = Patience(outbox, backoff, now=read_clock)
    throttle = Throttle(timetable, now=read_clock, wait=stop.wait)
    reaction = Reaction(
        outbox,
        gate,
        patience,
        smaller_if_too_large=delivery.smaller_if_too_large,
        now=read_clock,
        wake_analysis=wake_analysis,
    )
    return Lane(
        outbox,
        gate,
        Uploader(outbox, client, clips=folder.clips, throttle=throttle, now=read_clock),
        _reconciler(settings, outbox, client, gate, patience),
        order=Order(outbox, timetable, now=read_clock),
        patience=patience,
        reaction=reaction,
        is_still_whole=FirstSendCheck(
            outbox, folder, capture_folder=settings.paths.capture, now=read_clock
        ),
        now=read_clock,
        wake_next=wake_next,
    )


def follow_up_stage(
    settings: Settings,
    folder: StateFolder,
    outbox: Outbox,
    client: ApiClient,
    space: Space,
    *,
    key: Callable[[], ApiKey | None],
    wake_next: Wake = ignore_wake,
) -> FollowUpStage:
    """Return the stage that follows sessions, for the daemon or for one look of a person's."""
    results = settings.results
    policy = FollowUpPolicy(
        follow=results.follow,
        first_look_s=results.first_look_s,
        longest_s=results.longest_s,
        give_up_s=results.give_up_days * 86_400,
    )
    return FollowUpStage(
        outbox,
        client,
        Keeper(outbox, folder, space, now=read_clock),
        policy=policy,
        key=key,
        now=read_clock,
        wake_next=wake_next,
    )


def _reconciler(
    settings: Settings, outbox: Outbox, client: ApiClient, gate: Gate, patience: Patience
) -> Reconciler:
    return Reconciler(
        outbox,
        client,
        patience,
        wait_s=settings.delivery.reconcile_wait_s,
        keeps_titles=gate.keeps_titles,
        now=read_clock,
    )


def _gate(settings: Settings, outbox: Outbox, client: ApiClient) -> Gate:
    return Gate(
        outbox,
        client,
        host=api_host(settings),
        settings=KeySettings(
            header=settings.api.key_header, role=settings.api.role, owner_id=settings.api.owner_id
        ),
        read_key=partial(read_api_key, settings.api, os.environ),
        now=read_clock,
        setbacks=Backoff(base_s=settings.delivery.backoff_base_s),
    )
