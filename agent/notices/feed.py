"""One channel's way through the feed: in order, at least once, on from where it was."""

from collections.abc import Collection

from agent.crashpoints import crash_point
from agent.notices.notice import Notice, name_of, notice_of
from agent.outbox.channels import RefusedNotice
from agent.outbox.store import Outbox
from agent.outbox.views.happenings import Happening

_AT_ONCE = 50
_LEAST_SKIPPED = 200  # events that are nobody's news and worth a commit, to be passed for good


class Feed:
    """What one channel has still to tell.

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
        self._channel = channel
        self._station = station
        self._wanted = wanted
        state = outbox.channels.get(channel)
        begin = outbox.happenings.latest() if state is None else state.cursor
        self._settled = begin  # kept here too: a full disk must not make doubles without end
        self._durable = self._settled

    def next(self) -> tuple[int, Notice] | None:
        """Return the oldest notice that is not settled, with its event; None: all is told."""
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
        self._outbox.channels.advance(self._channel, event_id, now_s=now_s)
        self._durable = event_id

    def set_aside(self, event_id: int, notice: Notice, *, why: str, now_s: float) -> None:
        """Settle a notice that the receiver refuses, on record."""
        self._settled = event_id
        refused = RefusedNotice(notice=notice.id, at=now_s, why=why)
        self._outbox.channels.set_aside(self._channel, event_id, refused)
        self._durable = event_id

    def _notice_of(self, happening: Happening) -> Notice:
        result = self._outbox.results.of_entry(happening.entry.id)
        numbers = {} if result is None else result.numbers
        return notice_of(happening, station=self._station, numbers=numbers)

    def _skip(self) -> None:
        """Make it durable that there is nothing to tell, where looking again would cost much."""
        if self._settled - self._durable >= _LEAST_SKIPPED:
            self._outbox.channels.advance(self._channel, self._settled, now_s=None)
            self._durable = self._settled


def count_waiting(outbox: Outbox, cursor: int, *, wanted: Collection[str] | None, most: int) -> int:
    """Return how many notices wait behind a cursor, as far as `most` changes tell.

    Args:
        outbox: with the feed.
        cursor: of the channel.
        wanted: the events that its receiver is to hear of; None: all.
        most: no more changes are looked at.
    """
    names = [name_of(happening) for happening in outbox.happenings.after(cursor, most=most)]
    return sum(name is not None and (wanted is None or name in wanted) for name in names)
