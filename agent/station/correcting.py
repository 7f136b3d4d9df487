"""Takes after the fact, before they are sent: another athlete, hold, send now.

What is under way is left alone: once a body may have gone out, nobody can say any more whose it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.activities import check_movement
from agent.errors import AgentError, BusyError, RequestError
from agent.outbox.capture import Capture
from agent.outbox.entry import Entry, Whose
from agent.outbox.states import EntryState, Reason, Recipient
from agent.outbox.store import Outbox
from agent.station.assigning import StationRules
from agent.station.steering import (
    due_after_correction,
    find,
    known_of,
    remarks_for,
    whose_for,
)

_UNDER_WAY = frozenset({EntryState.UPLOADING, EntryState.UNCERTAIN})
_UNSENT = frozenset({EntryState.READY, EntryState.HELD, EntryState.DEAD})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one of several clips."""

    id: str
    state: str | None  # None: it stayed as it was
    error: str | None = None
    change: tuple[Entry, Entry] | None = None  # as it was, and as it is


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
    say who that is.  It can be corrected for `rules.send_delay_s` before it goes, like a fresh one.

    Args:
        outbox, entry, rules: as ever.
        key: a user_id, or `guest:3`.
        wanted: what the clip shows; what it leaves open stays as it was known to be.
        now_s: Unix time.

    Raises:
        BusyError: it is being sent.
        RequestError: it is sent or ended, or the API would refuse it.
    """
    _refuse_unless_unsent(entry)
    whose = whose_for(outbox, entry, key, wanted, station=rules.default)
    to, reason = EntryState.READY, None
    if whose.recipient is Recipient.UNKNOWN:
        to, reason = EntryState.HELD, Reason.GUEST
    with outbox.transaction():
        due_at = due_after_correction(entry, rules.send_delay_s, now_s=now_s)
        if entry.state is EntryState.DEAD:
            entry = _unless_gone(outbox.entries.move(entry, EntryState.READY, now_s=now_s))
        changes = {"due_at": due_at, "remarks": remarks_for(entry, whose)}
        return _unless_gone(
            outbox.entries.assign(entry, whose, now_s=now_s, to=to, reason=reason, changes=changes)
        )


def edit(outbox: Outbox, entry: Entry, shows: Whose, *, rules: StationRules, now_s: float) -> Entry:
    """Correct what an unsent clip shows; whose it is and whether it is held stay as they are.

    Args:
        outbox, entry, rules, now_s: as for `give`.
        shows: activity, exercise, barbell mass and incline, all of them; its person is ignored.

    Raises:
        BusyError: it is being sent.
        RequestError: it is sent or ended, or the API would refuse it.
    """
    _refuse_unless_unsent(entry)
    check_movement(
        shows.activity,
        shows.exercise,
        barbell_mass_kg=shows.barbell_mass_kg,
        incline_deg=shows.incline_deg,
    )
    known = known_of(entry)
    whose = replace(
        shows, recipient=known.recipient, user_id=known.user_id, guest_id=known.guest_id
    )
    with outbox.transaction():
        changes: dict[str, object] = {
            "due_at": due_after_correction(entry, rules.send_delay_s, now_s=now_s),
            "remarks": remarks_for(entry, whose),
        }
        if entry.state is EntryState.DEAD:  # the API may take it as it is now
            entry = _unless_gone(outbox.entries.move(entry, EntryState.READY, now_s=now_s))
        elif entry.state is EntryState.HELD:
            changes["detail"] = entry.detail
        return _unless_gone(
            outbox.entries.assign(
                entry, whose, now_s=now_s, to=entry.state, reason=entry.reason, changes=changes
            )
        )


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
                raise RequestError(
                    f"{entry.name} is a recording, not a clip",
                    hint=f"its clips: spotter show {entry.name}",
                )
            given = give(outbox, entry, key, wanted, rules=rules, now_s=now_s)
            outcomes.append(Outcome(id=given.name, state=given.state, change=(entry, given)))
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
        raise BusyError("its state changed just now", hint="try again")
    return moved


def _refuse_unless_unsent(entry: Entry) -> None:
    if entry.state in _UNDER_WAY:
        raise BusyError(f"{entry.name} is {entry.state}", hint="try again in a few minutes")
    if entry.state not in _UNSENT:
        raise RequestError(
            f"{entry.name} is {entry.state}",
            hint=f"spotter outbox resend {entry.name} --user-id WHO"
            if entry.session_id
            else "spotter undo reverts a discard for 10 s",
        )
