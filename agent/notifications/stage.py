"""One receiver as a stage: sends it the station's status and every event, in order.

A channel that fails waits alone: every other one, and all delivery, continues.
"""

import os
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Protocol, TypeVar

import structlog

from agent.clock import Clock, read_clock
from agent.errors import NotifyError
from agent.failpoints import crash_point
from agent.notifications.message import (
    Interest,
    Notice,
    StationReport,
    Topics,
    discovery,
    is_news,
    name_of,
    notice_of,
    station_notice,
    trial_notice,
)
from agent.notifications.webhook import Webhook
from agent.outbox.notification_cursors import RefusedNotice
from agent.outbox.outbox import Outbox
from agent.outbox.queries import FeedEvent
from agent.retry import Backoff, BackoffTimer
from agent.settings import Settings
from agent.settings.model import (
    MqttSettings,
    WebhookSettings,
    read_mqtt_password,
    read_webhook_secret,
    why_no_mqtt_password,
    why_no_webhook_secret,
)
from agent.stage import StageName

_Channel = TypeVar("_Channel", WebhookSettings, MqttSettings)
_AT_ONCE = 50
_LEAST_SKIPPED = 200  # skipped events that are worth a commit, so that they are never read again


class Feed:
    """What one channel has still to send.

    The cursor is durable and moves on only behind a notice that the receiver has acknowledged:
    killed in between, the same notice is sent again, with the same id.
    """

    def __init__(
        self,
        outbox: Outbox,
        channel: str,
        *,
        station: str,
        wanted: Collection[str],
    ) -> None:
        """Go on from where the channel was.

        Args:
            outbox: with the feed and the cursors.
            channel: its name; one that is off begins with now.
            station: the station's id.
            wanted: the events that the receiver is to hear of.
        """
        self._outbox = outbox
        self.channel = channel
        self.station = station
        self._wanted = wanted
        state = outbox.channels.get(channel)
        begin = outbox.happenings.latest() if state is None else state.cursor
        self._settled = begin  # kept here too: a full disk must not make doubles without end
        self._durable = self._settled

    def next(self) -> tuple[int, Notice] | None:
        """Return the oldest unsettled notification, with its event; None: all are sent."""
        latest = self._outbox.happenings.latest()  # asked first: what comes later is seen later
        while happenings := self._outbox.happenings.after(self._settled, most=_AT_ONCE):
            for happening in happenings:
                if name_of(happening) in self._wanted:
                    return happening.event_id, self._notice_of(happening)
                self._settled = happening.event_id
        self._settled = max(self._settled, latest)
        self._skip()
        return None

    def acknowledge(self, event_id: int, *, now_s: float) -> None:
        """Settle a notice that the receiver has."""
        self._settled = event_id
        crash_point("notice-acknowledged")
        self._outbox.channels.advance(self.channel, event_id, now_s=now_s)
        self._durable = event_id

    def set_aside(self, event_id: int, notice: Notice, *, why: str, now_s: float) -> None:
        """Settle a notice that the receiver refuses, on record."""
        self._settled = event_id
        refused = RefusedNotice(notice=notice.id, at=now_s, why=why)
        self._outbox.channels.set_aside(self.channel, event_id, refused)
        self._durable = event_id

    def _notice_of(self, happening: FeedEvent) -> Notice:
        result = self._outbox.results.of_entry(happening.entry.id)
        numbers = {} if result is None else result.numbers
        return notice_of(happening, station=self.station, numbers=numbers)

    def _skip(self) -> None:
        """Make it durable that there is nothing to send, where checking again would cost much."""
        if self._settled - self._durable >= _LEAST_SKIPPED:
            self._outbox.channels.advance(self.channel, self._settled, now_s=None)
            self._durable = self._settled


LOOK_EVERY_S = 2.0
BACKOFF = Backoff(base_s=2.0, longest_s=300.0)
MOST_TRIES = 8  # of one notice, before it is found out whether it alone is refused

log = structlog.get_logger(stage=StageName.NOTIFICATIONS)


class Receiver(Protocol):
    """The connection to the receiver."""

    interest: Interest

    def keep_up(self) -> bool:
        """Keep the way open; True where it was opened again, and old news may be forgotten there.

        Raises:
            NotifyError: it is closed.
        """

    def send(self, notice: Notice) -> None:
        """Send a notice, and return once the receiver has acknowledged it.

        Raises:
            NotifyError: it has not.
        """

    def close(self) -> None:
        """Take leave."""


class NotificationStage:
    """The stage of one receiver."""

    def __init__(
        self,
        outbox: Outbox,
        receiver: Receiver,
        feed: Feed,
        *,
        look: Callable[[], StationReport] | None,
        clock: Clock,
        backoff: Backoff = BACKOFF,
    ) -> None:
        """Prepare to send.

        Args:
            outbox: where it is kept how the channel fares.
            receiver: the connection to the receiver.
            feed: what happens to clips; it names the channel, and so the stage.
            look: gives the station's state; None where the receiver is not to get it.
            clock: the station's.
            backoff: how long to leave alone what failed.
        """
        self.name = feed.channel
        self._outbox = outbox
        self._receiver = receiver
        self._feed = feed
        self._look = look
        self._station = feed.station
        self._now = clock.now
        self._monotonic = clock.monotonic
        self._way = BackoffTimer(backoff, monotonic=clock.monotonic)
        self._state = BackoffTimer(backoff, monotonic=clock.monotonic)
        self._news = BackoffTimer(backoff, monotonic=clock.monotonic)
        self._told: StationReport | None = None
        self._told_at_s = 0.0
        self._is_failing: bool | None = None  # None: whatever the last run left on record

    def step(self) -> float:
        """Send the state, if it is new, and the next notice."""
        told = False
        if self._try(self._way, self._keep_up):
            self._try(self._state, self._tell_state)
            told = self._try(self._news, self._tell_next)
        self._note_well()
        return 0.0 if told else LOOK_EVERY_S

    def close(self) -> None:
        """Take leave of the receiver."""
        self._receiver.close()

    def _try(self, patience: BackoffTimer, act: Callable[[], bool]) -> bool:
        """Do something that may fail, unless it failed just now; return its outcome."""
        if patience.rest_s() > 0:
            return False
        try:
            done = act()
        except NotifyError as fault:
            self._note(fault, patience.note_failure(retry_after_s=fault.retry_after_s))
            return False
        patience.note_success()
        return done

    def _note_well(self) -> None:
        """Record that everything works again, once it does."""
        failing = any(one.failures for one in (self._way, self._state, self._news))
        if failing or self._is_failing is False:
            return
        if self._is_failing:
            log.info("notifications resumed", channel=self.name)
        self._outbox.channels.note_well(self.name)
        self._is_failing = False

    def _note(self, fault: NotifyError, delay_s: float) -> None:
        if not self._is_failing:
            log.warning("notifications paused", channel=self.name, detail=str(fault))
        self._is_failing = True
        now_s = self._now().utc_s
        self._outbox.channels.note_failure(
            self.name, str(fault), now_s=now_s, next_try_at=now_s + delay_s
        )

    def _keep_up(self) -> bool:
        if self._receiver.keep_up():
            self._told = None
        return True

    def _tell_state(self) -> bool:
        if self._look is None:
            return False
        report, now_s = self._look(), self._monotonic()
        interest = self._receiver.interest
        if not is_news(self._told, report, interest=interest, age_s=now_s - self._told_at_s):
            return False
        at = self._now().utc_s
        self._receiver.send(station_notice(report.document(), station=self._station, at=at))
        self._told, self._told_at_s = report, now_s
        return True

    def _tell_next(self) -> bool:
        found = self._feed.next()
        if found is None:
            return False
        event_id, notice = found
        why = self._send(notice)
        now_s = self._now().utc_s
        if why is None:
            self._feed.acknowledge(event_id, now_s=now_s)
        else:
            log.error("notification dropped", channel=self.name, notification=notice.id, detail=why)
            self._feed.set_aside(event_id, notice, why=why, now_s=now_s)
        return True

    def _send(self, notice: Notice) -> str | None:
        """Send a notice; return why it is given up, or None.

        It is given up only where its receiver takes others: after many tries it is sent once
        more, between two that are about nothing and are taken both.  So neither a receiver that
        comes back in this moment nor one that goes in it costs a notice.

        Raises:
            NotifyError: it was not taken, and is tried again later.
        """
        try:
            self._receiver.send(notice)
        except NotifyError as fault:
            is_asked_to_wait = fault.retry_after_s is not None
            if self._news.failures + 1 < MOST_TRIES or is_asked_to_wait:
                raise
            self._try_out()
            try:
                self._receiver.send(notice)
            except NotifyError as again:
                self._try_out()
                return str(again)
        return None

    def _try_out(self) -> None:
        """Send a notice that is about nothing; a broker may have shut the door on the last one."""
        self._keep_up()
        self._receiver.send(trial_notice(station=self._station, at=self._now().utc_s))


def receiver_of(
    name: str, settings: Settings, *, check: Callable[[], None], role: str | None = None
) -> Receiver:
    """Return the way to a channel's receiver.

    Args:
        name: webhook or mqtt.
        settings: of the station.
        check: what it raises ends whatever is under way.
        role: of a command that only tries the receiver out; None: it is the station itself.
    """
    if name == "mqtt":
        return _broker(settings, check=check, role=role)
    webhook = settings.webhook
    assert webhook.url is not None  # the channel is on
    return Webhook(
        webhook.url.get_secret_value(),
        read_secret=partial(_secret, webhook, read_webhook_secret, why_no_webhook_secret),
        ca_file=webhook.ca_file,
        timeout_s=webhook.timeout_s,
        now=read_clock,
        check=check,
    )


def _secret(
    channel: _Channel,
    read: Callable[[_Channel, Mapping[str, str]], str | None],
    why_none: Callable[[_Channel, Mapping[str, str]], str | None],
) -> str | None:
    """Return a channel's secret; None where there is none.

    Raises:
        NotifyError: its file holds something else.
    """
    secret = read(channel, os.environ)
    why = None if secret is not None else why_none(channel, os.environ)
    if why is not None:
        raise NotifyError(why)
    return secret


def _broker(settings: Settings, *, check: Callable[[], None], role: str | None) -> Receiver:
    # The MQTT library costs memory that a station without a broker need not spend.
    from agent.notifications.mqtt import Broker, BrokerSettings

    mqtt, station = settings.mqtt, settings.station.id
    topics = Topics(prefix=mqtt.prefix, station=station)
    host, port = mqtt.address
    return Broker(
        BrokerSettings(
            host=host,
            port=port,
            tls=mqtt.tls,
            ca_file=mqtt.ca_file,
            version=mqtt.version,
            user=mqtt.user,
            client_id=f"spotter-{station}" + ("" if role is None else f"-{role}"),
            is_station=role is None,
        ),
        topics=topics,
        greetings=tuple(discovery(topics, prefix=mqtt.discovery_prefix)) if mqtt.discovery else (),
        read_password=partial(_secret, mqtt, read_mqtt_password, why_no_mqtt_password),
        now=read_clock,
        check=check,
    )
