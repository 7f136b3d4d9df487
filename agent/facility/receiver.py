"""The hub as a receiver of the station's events and state.  Loads the broker's client."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import structlog

from agent.clock import Clock, Instant, Now
from agent.disk.state_folder import StateFolder
from agent.errors import RequestError
from agent.facility.broker import HubConnection, StoredMessage
from agent.facility.joining import connection_of
from agent.facility.membership import (
    DESIRED,
    EVENTS_STREAM,
    KEEP_EVENTS_S,
    STATES,
    Membership,
    Subjects,
)
from agent.facility.orders import AllowanceKeeper, PlanKeeper, ReleaseKeeper, SettingsKeeper
from agent.facility.remote import COMMANDS, CommandRunner
from agent.facility.state import HubInfluence, Poster, StateDocument
from agent.failpoints import crash_point
from agent.notifications.message import STATION_STATE, TEST, Interest, Notice
from agent.notifications.stage import Feed, NotificationStage
from agent.outbox.notification_cursors import HubConfirmation
from agent.outbox.outbox import Outbox
from agent.retry import Backoff
from agent.settings.model import EVENTS
from agent.stage import StageName

POSTER_OF = "Spotter-Clip"  # heads a poster
NOTICE_ID, EVENT_NUMBER = "Nats-Msg-Id", "Spotter-Event"
_SERVE_S = 0.02  # for commands of the hub, with each state
_PLAN_EVERY_S = 3.0
_BACKOFF = Backoff(base_s=1.0, longest_s=30.0)  # a hub that is back is known within a minute
_STATE_EVERY_S = 1.0  # at most; the stage's pace is slower unless events wait

log = structlog.get_logger(stage=StageName.HUB)


class HubFeed(Feed):
    """What the hub has still to receive; it notes where the hub has stored each event."""

    def __init__(self, outbox: Outbox, *, station: str) -> None:
        """Continue where the hub was.

        Args:
            outbox: with the feed and the cursors.
            station: the station's id.
        """
        super().__init__(outbox, StageName.HUB, station=station, wanted=EVENTS)
        self.offered = 0  # the event that was asked for last
        self.sequence = 0  # where the hub has stored it

    def next(self) -> tuple[int, Notice] | None:
        """Return the oldest unsettled notification, with its event; None: all are sent."""
        found = super().next()
        if found is not None:
            self.offered = found[0]
        return found

    def acknowledge(self, event_id: int, *, now_s: float) -> None:
        """Settle a notice that the hub has stored."""
        self._settled = event_id
        crash_point("notice-acknowledged")
        stored = HubConfirmation(event=event_id, sequence=self.sequence)
        self._outbox.channels.confirm(self.channel, stored, now_s=now_s)
        self._durable = event_id

    def compare(self, newest: StoredMessage | None, *, now_s: float) -> int:
        """Go back to what the hub still has, where that is less than it has confirmed.

        Args:
            newest: the latest of the station's messages in the hub's stream.
            now_s: Unix time.

        Returns:
            The event after which it continues; 0 where nothing is lost.
        """
        confirmed = self._outbox.channels.confirmed()
        if confirmed is None:
            return 0
        held = 0 if newest is None else _event_of(newest)
        is_whole = newest is not None and newest.sequence >= confirmed.sequence
        if is_whole and held >= confirmed.event:
            return 0
        # What is older than the hub would keep is not missed.
        begin = max(held, self._outbox.happenings.before(now_s - KEEP_EVENTS_S))
        if begin >= confirmed.event:
            return 0
        self._outbox.channels.rewind(self.channel, begin)
        self._settled = self._durable = begin
        return begin


def _event_of(message: StoredMessage) -> int:
    with suppress(ValueError):
        return int(message.headers.get(EVENT_NUMBER, ""))
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StationReports:
    """What a station reports repeatedly."""

    state: Callable[[], bytes]  # writes the state document
    poster: Callable[[], Poster | None] = lambda: None  # of the last take in it


@dataclass(frozen=True, slots=True, kw_only=True)
class HubOrders:
    """Who carries out what the hub wants."""

    plans: PlanKeeper
    allowance: AllowanceKeeper
    settings: SettingsKeeper
    release: ReleaseKeeper
    commands: CommandRunner | None = None


class HubReceiver:
    """The way to the hub."""

    interest = Interest.NUMBERS

    def __init__(
        self,
        connection: HubConnection,
        subjects: Subjects,
        feed: HubFeed,
        *,
        reports: StationReports,
        orders: HubOrders,
        now: Now,
    ) -> None:
        """Prepare the way; nothing is connected yet.

        Args:
            connection: of the station.
            subjects: its own.
            feed: what the hub has still to receive.
            reports: state and poster.
            orders: take over what the hub wants.
            now: the station's clock.
        """
        self._subjects = subjects
        self._connection = connection
        self._feed = feed
        self._reports = reports
        self._poster: Poster | None = None  # that the hub has
        self._orders = orders
        self._heard_at_s = 0.0
        self._now = now
        self._told_at_s = 0.0

    def keep_up(self) -> bool:
        """Connect where that is due, and send the state.

        Raises:
            NotifyError: the hub cannot be reached.
        """
        is_new = not self._connection.is_open
        if is_new:
            self._connection.open()
            self._hear_commands()
            self._compare()
        now_s = time.monotonic()
        if is_new or now_s - self._told_at_s >= _STATE_EVERY_S:
            self._connection.publish(self._subjects.state, self._reports.state())
            self._told_at_s = now_s
            self._show_poster(is_new=is_new)
            self._look_for_allowance()
            self._connection.serve(_SERVE_S)
        if is_new:
            self._compare_clocks()
        if is_new or now_s - self._heard_at_s >= _PLAN_EVERY_S:
            self._look_for_orders()
            self._heard_at_s = now_s
        return is_new

    def send(self, notice: Notice) -> None:
        """Let the hub store a notice, and note where.

        Raises:
            NotifyError: it has not.
        """
        subject = f"{self._subjects.events}.{notice.event}"
        headers = {NOTICE_ID: notice.id}
        if notice.event not in {TEST, STATION_STATE}:
            headers[EVENT_NUMBER] = str(self._feed.offered)
        sequence = self._connection.publish(subject, notice.body, headers)
        if EVENT_NUMBER in headers:
            self._feed.sequence = sequence

    def close(self) -> None:
        """Leave."""
        self._connection.close()
        if self._orders.commands is not None:
            self._orders.commands.close()

    def _hear_commands(self) -> None:
        """Answer the hub's commands, whenever the connection is in use."""
        if self._orders.commands is not None:
            for command in COMMANDS:
                subject = f"{self._subjects.do}.{command}"
                self._connection.answer(subject, self._orders.commands.handle)

    def _show_poster(self, *, is_new: bool) -> None:
        """Publish the last take's picture, or that there is none, where that is news to the hub."""
        poster = self._reports.poster()
        if is_new or poster != self._poster:
            body, code = (b"", "") if poster is None else (poster.jpeg, poster.clip_code)
            self._connection.publish(self._subjects.poster, body, {POSTER_OF: code})
            self._poster = poster

    def _compare_clocks(self) -> None:
        """Read when the hub has stored the state that was published a moment ago."""
        found = self._connection.stored(self._subjects.last(f"KV_{STATES}", self._subjects.state))
        with suppress(ValueError, KeyError):
            if found is not None:
                at = datetime.fromisoformat(found.headers["Nats-Time-Stamp"])
                self._orders.plans.note_hub_time(at.timestamp(), self._now())

    def _look_for_orders(self) -> None:
        """Take over what the hub wants of plan, settings and version."""
        orders = self._orders
        for what, hear in (
            ("plan", orders.plans.hear),
            ("settings", orders.settings.hear),
            ("release", orders.release.hear),
        ):
            subject = f"$KV.{DESIRED}.{self._subjects.place}.{what}"
            found = self._connection.stored(self._subjects.last(f"KV_{DESIRED}", subject))
            if found is not None:
                hear(found.body)

    def _look_for_allowance(self) -> None:
        subjects = self._subjects
        found = self._connection.stored(subjects.last(f"KV_{STATES}", subjects.allowance))
        try:
            self._orders.allowance.hear(None if found is None else found.body)
        except RequestError as error:
            log.warning("allowance rejected", reason=str(error))

    def _compare(self) -> None:
        """Find out whether the hub still has what it confirmed; send again what it lost."""
        newest: StoredMessage | None = None
        for event in EVENTS:
            subject = f"{self._subjects.events}.{event}"
            found = self._connection.stored(self._subjects.last(EVENTS_STREAM, subject))
            if found is not None and (newest is None or found.sequence > newest.sequence):
                newest = found
        begin = self._feed.compare(newest, now_s=self._now().utc_s)
        if begin:
            log.warning("events republished", after=begin)


def stage_of_hub(
    outbox: Outbox,
    folder: StateFolder,
    member: Membership,
    state: StateDocument,
    influence: HubInfluence,
    *,
    clock: Clock,
    check: Callable[[], None],
) -> tuple[NotificationStage, Callable[[Instant], bool]]:
    """Return what sends a hub the station's state, and what carries out its plan at an instant.

    Args:
        outbox: of the station.
        folder: with the station's key, and where the hub's orders are kept.
        member: what the station knows of its facility.
        state: writes what the board shows.
        influence: what the hub decides.
        clock: the station's.
        check: what it raises ends whatever is under way.

    Raises:
        ConfigError: the station's key cannot be read.
    """
    connection = connection_of(folder, member, check=check)
    outbox.channels.begin(StageName.HUB)
    plans = PlanKeeper(outbox, folder, member, rules=influence.rules)
    allowance = AllowanceKeeper(folder, member, influence.share)
    settings = SettingsKeeper(folder, member, reload=influence.reload)
    release = ReleaseKeeper(folder, member)

    def shown() -> bytes:
        return state.write(
            {
                "plan": plans.report.document(),
                "settings": settings.report.document(),
                "release": release.document(),
                "uplink_bytes_s": allowance.document(),
            }
        )

    feed = HubFeed(outbox, station=member.station)
    receiver = HubReceiver(
        connection,
        member.subjects,
        feed,
        reports=StationReports(state=shown, poster=state.poster),
        orders=HubOrders(
            plans=plans,
            allowance=allowance,
            settings=settings,
            release=release,
            commands=CommandRunner(folder, member, now=clock.now),
        ),
        now=clock.now,
    )
    telling = NotificationStage(outbox, receiver, feed, look=None, clock=clock, backoff=_BACKOFF)
    return telling, plans.carry_out
