"""Takes after the fact, before they are sent: another athlete, hold, send now.

What is under way is left alone: once a body may have gone out, nobody can say any more whose it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.errors import AgentError, BusyError, RequestError
from agent.outbox.capture import Capture
from agent.outbox.entry import Entry, Whose
from agent.outbox.states import EntryState, Reason, Recipient
from agent.outbox.store import Outbox
from agent.station.assigning import StationRules, complete
from agent.station.roster import for_person
from agent.station.steering import find

_UNDER_WAY = frozenset({EntryState.UPLOADING, EntryState.UNCERTAIN})
_UNSENT = frozenset({EntryState.READY, EntryState.HELD, EntryState.DEAD})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one of several clips."""

    id: str
    state: str | None  # None: it stayed as it was
    error: str | None = None


def give(
    outbox: Outbox,
    entry: Entry,
    key: str,
    wanted: Whose | None = None,
    *,
    rules: StationRules,
    now_s: float,
) -> Entry:
    """Give a clip that was not sent to the person of a key.

    What was held is released by that, unless it is given to a guest: then it waits for somebody to
    say who that is.  What counts down to be sent goes on counting.

    Args:
        outbox, entry, rules: as ever.
        key: a user_id, or `guest:3`.
        wanted: what the clip shows; None: what it was known to show, with this person's own last
            barbell mass.
        now_s: Unix time.

    Raises:
        BusyError: it is being sent.
        RequestError: it is sent or ended, or the API would refuse it.
    """
    _refuse_unless_unsent(entry)
    whose = whose_for(outbox, entry, key, wanted, rules=rules)
    due_at = max(now_s, entry.due_at) if entry.state is EntryState.READY else now_s
    to, reason = EntryState.READY, None
    if whose.recipient is Recipient.UNKNOWN:
        to, reason = EntryState.HELD, Reason.GUEST
    with outbox.transaction():
        if entry.state is EntryState.DEAD:
            entry = _unless_gone(outbox.entries.move(entry, EntryState.READY, now_s=now_s))
        return _unless_gone(
            outbox.entries.assign(entry, whose, now_s=now_s, to=to, reason=reason, due_at=due_at)
        )


def whose_for(
    outbox: Outbox, entry: Entry, key: str, wanted: Whose | None, *, rules: StationRules
) -> Whose:
    """Return for whom a clip is and what it shows, if it is the person's of a key.

    Raises:
        RequestError: there is no such guest, or the API would refuse it.
    """
    known = Whose(**{name: getattr(entry, name) for name in Whose.__slots__})
    movement = wanted or replace(known, barbell_mass_kg=None)
    whose = for_person(outbox, key, movement)
    if wanted is None and whose.user_id == known.user_id and whose.guest_id == known.guest_id:
        whose = replace(whose, barbell_mass_kg=known.barbell_mass_kg)
    return complete(outbox, whose, station=rules.default)


def give_all(
    outbox: Outbox,
    ids: Sequence[str],
    key: str,
    wanted: Whose | None = None,
    *,
    rules: StationRules,
    now_s: float,
) -> list[Outcome]:
    """Give several clips to one person, each by itself: one that cannot go stops no other."""
    outcomes = []
    for wanted_id in ids:
        try:
            entry = find(outbox, wanted_id)
            if isinstance(entry, Capture):
                raise RequestError(f"{entry.name} is a capture: name its clips, e1 and the like")
            given = give(outbox, entry, key, wanted, rules=rules, now_s=now_s)
            outcomes.append(Outcome(id=given.name, state=given.state))
        except AgentError as error:
            outcomes.append(Outcome(id=wanted_id, state=None, error=str(error)))
    return outcomes


def hold(outbox: Outbox, entry: Entry, *, now_s: float) -> Entry:
    """Let a clip wait until a person releases it.

    Raises:
        BusyError: it is being sent.
        RequestError: it is sent or ended.
    """
    _refuse_unless_unsent(entry)
    with outbox.transaction():
        if entry.state is EntryState.DEAD:
            entry = _unless_gone(outbox.entries.move(entry, EntryState.READY, now_s=now_s))
        if entry.state is EntryState.HELD:
            return entry
        return _unless_gone(
            outbox.entries.move(entry, EntryState.HELD, now_s=now_s, reason=Reason.HELD_BY_PERSON)
        )


def send_now(outbox: Outbox, entry: Entry, *, now_s: float) -> Entry:
    """Let a clip that counts down be sent at once.

    Raises:
        BusyError: it is being sent.
        RequestError: it is not waiting to be sent.
    """
    if entry.state is not EntryState.READY:
        _refuse_unless_unsent(entry)
        raise RequestError(f"{entry.name} is {entry.state}", hint="release it instead")
    return _unless_gone(outbox.entries.hasten(entry, now_s=now_s))


def _unless_gone(moved: Entry | None) -> Entry:
    if moved is None:
        raise BusyError("it moved at this very moment", hint="try again")
    return moved


def _refuse_unless_unsent(entry: Entry) -> None:
    if entry.state in _UNDER_WAY:
        raise BusyError(f"{entry.name} is {entry.state}", hint="try again in a few minutes")
    if entry.state not in _UNSENT:
        raise RequestError(
            f"{entry.name} is {entry.state}",
            hint=f"spotter outbox resend {entry.name} --user-id WHO"
            if entry.session_id
            else "spotter undo takes a discard back for 10 s",
        )
