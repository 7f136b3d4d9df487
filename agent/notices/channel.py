"""One channel as a stage: tells its receiver the station's state, and what happens, in order.

A channel that fails waits by itself: every other one, and all delivery, goes on.
"""

import time
from collections.abc import Callable
from typing import Protocol

import structlog

from agent.clock import Now
from agent.errors import NotifyError
from agent.notices.feed import Feed
from agent.notices.notice import Notice, station_notice, trial_notice
from agent.notices.patience import Patience
from agent.notices.standing import Interest, Standing, is_news
from agent.outbox.backoff import Backoff
from agent.outbox.store import Outbox
from agent.stage import StageName

LOOK_EVERY_S = 2.0
BACKOFF = Backoff(base_s=2.0, longest_s=300.0)
MOST_TRIES = 8  # of one notice, before it is found out whether it alone is refused

log = structlog.get_logger(stage=StageName.NOTIFICATIONS)


class Receiver(Protocol):
    """The way to whoever is told."""

    interest: Interest

    def keep_up(self) -> bool:
        """Keep the way open; True where it was opened anew, and old news may be forgotten there.

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


class Channel:
    """The stage of one receiver."""

    def __init__(
        self,
        name: str,
        outbox: Outbox,
        receiver: Receiver,
        *,
        feed: Feed,
        look: Callable[[], Standing] | None,
        station: str,
        now: Now,
        monotonic: Callable[[], float] = time.monotonic,
        backoff: Backoff = BACKOFF,
    ) -> None:
        """Prepare to tell.

        Args:
            name: of the channel, and of the stage.
            outbox: where it is kept how the channel fares.
            receiver: the way to whoever is told.
            feed: what happens to clips.
            look: gives the station's state; None where the receiver is not to hear of it.
            station: the station's id.
            now: the station's clock.
            monotonic: the clock of waits.
            backoff: how long to leave alone what failed.
        """
        self.name = name
        self._outbox = outbox
        self._receiver = receiver
        self._feed = feed
        self._look = look
        self._station = station
        self._now = now
        self._monotonic = monotonic
        self._way = Patience(backoff, monotonic=monotonic)
        self._state = Patience(backoff, monotonic=monotonic)
        self._news = Patience(backoff, monotonic=monotonic)
        self._told: Standing | None = None
        self._told_at_s = 0.0
        self._is_failing: bool | None = None  # None: whatever the last run left on record

    def step(self) -> float:
        """Tell the state, if it is news, and the next notice."""
        told = False
        if self._try(self._way, self._keep_up):
            self._try(self._state, self._tell_state)
            told = self._try(self._news, self._tell_next)
        self._note_well()
        return 0.0 if told else LOOK_EVERY_S

    def close(self) -> None:
        """Take leave of the receiver."""
        self._receiver.close()

    def _try(self, patience: Patience, act: Callable[[], bool]) -> bool:
        """Do something that may fail, unless it failed just now; tell what came of it."""
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
        standing, now_s = self._look(), self._monotonic()
        interest = self._receiver.interest
        if not is_news(self._told, standing, interest=interest, age_s=now_s - self._told_at_s):
            return False
        at = self._now().utc_s
        self._receiver.send(station_notice(standing.document(), station=self._station, at=at))
        self._told, self._told_at_s = standing, now_s
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
