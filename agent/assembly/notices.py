"""Putting together the stages that tell others what happens, as the settings say."""

from agent.clock import read_clock
from agent.intake.watch import CaptureFolder
from agent.notices.channel import Channel
from agent.notices.feed import Feed
from agent.notices.look import StationLook
from agent.notices.notice import STATION_STATE
from agent.notices.receivers import receiver_of
from agent.outbox.store import Outbox
from agent.settings import Settings
from agent.settings.notifying import EVENTS, channels_of
from agent.stage import Stage, StageName, StopFlag
from agent.station.camera import CameraWatch
from agent.station.of_settings import api_host

NOTICES = (StageName.WEBHOOK, StageName.MQTT)


def begin_channels(outbox: Outbox, settings: Settings) -> None:
    """Let the channels be on that the settings name: from before anything happens."""
    outbox.channels.keep(channels_of(settings.webhook, settings.mqtt))


def notice_stages(
    settings: Settings, outbox: Outbox, captures: CaptureFolder, *, stop: StopFlag
) -> list[Stage]:
    """Return a stage for every channel that is on."""
    return [
        _stage(name, settings, outbox, captures, stop=stop)
        for name in channels_of(settings.webhook, settings.mqtt)
    ]


def _stage(
    name: str, settings: Settings, outbox: Outbox, captures: CaptureFolder, *, stop: StopFlag
) -> Channel:
    station = settings.station.id
    wanted = settings.webhook.events if name == "webhook" else EVENTS
    look = StationLook(
        outbox,
        host=api_host(settings),
        capture_folder=settings.paths.capture,
        state_folder=settings.paths.state,
        is_filming=captures.is_growing,
        camera=CameraWatch(outbox, settings, captures.written_at),
        now=read_clock,
    )
    return Channel(
        name,
        outbox,
        receiver_of(name, settings, check=stop.check),
        feed=Feed(outbox, name, station=station, wanted=wanted),
        look=look.standing if STATION_STATE in wanted else None,
        station=station,
        now=read_clock,
    )
