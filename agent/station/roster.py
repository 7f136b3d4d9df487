"""Who can be put on the station: the account's athletes, and guests.

A person has a key: the user_id, or `guest:3` for a guest.  Names are for the page and for
`spotter athletes` alone: never for titles, logs, file names or metrics.
"""

from dataclasses import replace

from agent.errors import RequestError
from agent.outbox.entry import Entry, Whose
from agent.outbox.people.roster import GUEST_PREFIX, Athlete
from agent.outbox.states import EntryState, Reason, Recipient
from agent.outbox.store import Outbox
from agent.station.names import clean_name, fold, searchable

MOST_OFFERED = 50
_MOST_ID = 128  # characters of a user_id; the API's are far shorter
_MOST_QUERY = 200


def search_athletes(
    outbox: Outbox, text: str = "", *, most: int = MOST_OFFERED, with_gone: bool = False
) -> list[Athlete]:
    """Return the people whose names hold every word of `text`, in any case, with any accents.

    Who was on the station last comes first.  People who left the account are not offered.
    """
    words = fold(text[:_MOST_QUERY]).split()
    return outbox.roster.search(words, most=most, with_gone=with_gone)


def athlete_of(outbox: Outbox, key: str) -> Athlete | None:
    """Return the person of a key, or None where the roster does not know it."""
    user_id, guest_id = split_key(key)
    if guest_id is not None:
        return outbox.roster.by_id(guest_id)
    return None if user_id is None else outbox.roster.by_user_id(user_id)


def name_of(outbox: Outbox, user_id: str | None, guest_id: int | None = None) -> str | None:
    """Return a person's name for the page; the user_id where the roster does not know it."""
    if guest_id is not None:
        guest = outbox.roster.by_id(guest_id)
        return None if guest is None else guest.name
    known = None if user_id is None else outbox.roster.by_user_id(user_id)
    return user_id if known is None else known.name


def split_key(key: str) -> tuple[str | None, int | None]:
    """Return user_id and guest of a person's key; one of them is None.

    Raises:
        RequestError: it is neither.
    """
    number = key.removeprefix(GUEST_PREFIX)
    if number != key and number.isascii() and number.isdigit() and len(number) < 18:
        return None, int(number)
    return check_user_id(key), None


def for_person(outbox: Outbox, key: str, wanted: Whose) -> Whose:
    """Return `wanted` for the person of a key; a guest who was resolved is that athlete.

    Raises:
        RequestError: it is no key, or there is no such guest.
    """
    user_id, guest_id = split_key(key)
    if guest_id is not None:
        guest = outbox.roster.by_id(guest_id)
        if guest is None or not guest.is_guest:
            raise RequestError(f"no athlete {key}", hint="list them: spotter athletes")
        user_id = guest.resolved_to
        guest_id = None if user_id is not None else guest_id
    recipient = Recipient.UNKNOWN if user_id is None else Recipient.ATHLETE
    return replace(wanted, recipient=recipient, user_id=user_id, guest_id=guest_id)


def check_user_id(user_id: str | None) -> str:
    """Return a user id that can go into a form.

    Raises:
        RequestError: it is empty, too long, not printable, or looks like a guest's key.
    """
    if (
        not user_id
        or len(user_id) > _MOST_ID
        or not user_id.isprintable()
        or user_id.startswith(GUEST_PREFIX)
    ):
        raise RequestError(f"{user_id!r} is not a valid user_id")
    return user_id


def note_guest(outbox: Outbox, name: str, *, now_s: float) -> Athlete:
    """Note a person who is not in the account; their clips will be held until they are.

    Raises:
        RequestError: that is no name.
    """
    shown = clean_name(name)
    if not shown:
        raise RequestError("a guest needs a name")
    return outbox.roster.add_guest(shown, searchable(shown), now_s=now_s)


def resolve_guest(
    outbox: Outbox, key: str, user_id: str, *, now_s: float, send_delay_s: float = 0.0
) -> list[Entry]:
    """Say who a guest is: everything held for the guest is released to that athlete.

    It can be corrected for `send_delay_s` before it goes.  What was filmed of the guest and is yet
    to be looked into goes to the athlete too.

    Raises:
        RequestError: there is no such guest, or it was said already.
    """
    check_user_id(user_id)
    guest = athlete_of(outbox, key)
    if guest is None or not guest.is_guest:
        raise RequestError(f"no guest {key}", hint="list the guests: spotter athletes")
    with outbox.transaction():
        if not outbox.roster.resolve(guest, user_id, now_s=now_s):
            raise RequestError(f"{key} is already linked to {guest.resolved_to}")
        outbox.queue.rename_guest(guest.id, user_id)
        return _release_held(outbox, guest.id, user_id, now_s=now_s, due_at=now_s + send_delay_s)


def _release_held(
    outbox: Outbox, guest_id: int, user_id: str, *, now_s: float, due_at: float
) -> list[Entry]:
    released = []
    for entry in outbox.entries.in_states({EntryState.HELD}):
        if entry.guest_id != guest_id or entry.reason != Reason.GUEST:
            continue
        known = Whose(**{name: getattr(entry, name) for name in Whose.__slots__})
        whose = replace(known, recipient=Recipient.ATHLETE, user_id=user_id, guest_id=None)
        moved = outbox.entries.assign(entry, whose, now_s=now_s, changes={"due_at": due_at})
        if moved is not None:
            released.append(moved)
    return released
