"""Who can be assigned: the account's athletes, and guests.

A person has a key: the user_id, or `guest:3` for a guest.  Names are for the page and for
`spotter athletes` alone: never for titles, logs, file names or metrics.
"""

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

import structlog

from agent.clock import Now
from agent.errors import ApiUnavailableError, RequestError
from agent.outbox.models import ClipTarget, Entry
from agent.outbox.outbox import Outbox
from agent.outbox.roster import (
    GUEST_PREFIX,
    ROSTER_ASKED_AT,
    ROSTER_SYNCED_AT,
    AccountAthlete,
    RosterAthlete,
)
from agent.outbox.states import EntryState, Reason, Recipient
from agent.stage import StageName

MOST_NAME = 120  # characters; what is longer is no name

_JOINERS = "\u200c\u200d"  # belong to the spelling of several scripts
_PLAIN = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ŧ": "t"}
)
_GERMAN = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})


def clean_name(name: str) -> str:
    """Return a name that can be shown: one line, no control or direction signs, bounded."""
    known = unicodedata.normalize("NFC", name[: 4 * MOST_NAME])
    shown = "".join(sign if _is_shown(sign) else " " for sign in known)
    return " ".join(shown.split())[:MOST_NAME].strip()


def fold(text: str) -> str:
    """Return text as it is searched: no case, no accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(sign for sign in decomposed if unicodedata.category(sign) != "Mn")
    return " ".join(plain.casefold().translate(_PLAIN).split())


def searchable(name: str) -> str:
    """Return everything under which a name is found: Müller as muller and as mueller."""
    folded = fold(name)
    composed = unicodedata.normalize("NFC", name.casefold())
    german = fold(composed.translate(_GERMAN))
    return folded if german == folded else f"{folded} {german}"


def _is_shown(sign: str) -> bool:
    return sign in _JOINERS or unicodedata.category(sign)[0] != "C"


MOST_OFFERED = 50
_MOST_ID = 128  # characters of a user_id; the API's are far shorter
_MOST_QUERY = 200


def search_athletes(
    outbox: Outbox,
    text: str = "",
    *,
    most: int = MOST_OFFERED,
    with_gone: bool = False,
    group_id: int | None = None,
) -> list[RosterAthlete]:
    """Return the people whose names hold every word of `text`, in any case, with any accents.

    Who was on the station last comes first; the members of a group come by name.  People who left
    the account are not offered.
    """
    words = fold(text[:_MOST_QUERY]).split()
    return outbox.roster.search(words, most=most, with_gone=with_gone, group_id=group_id)


def offered_athlete(outbox: Outbox, key: str) -> RosterAthlete:
    """Return the person of a key who can be assigned; a guest who was resolved is that athlete.

    Raises:
        RequestError: it is no key, or nobody whom the page would offer.
    """
    athlete = athlete_of(outbox, key)
    if athlete is not None and athlete.resolved_to is not None:
        athlete = outbox.roster.by_user_id(athlete.resolved_to)
    if athlete is None or athlete.gone_at is not None:
        raise RequestError(f"{key} is not in the roster", hint="list it: spotter athletes")
    return athlete


def find_athlete(outbox: Outbox, named: str) -> RosterAthlete:
    """Return the one person who can be assigned and has this key or, in full, this name.

    Raises:
        RequestError: nobody has, or several have that name.
    """
    try:
        return offered_athlete(outbox, named)
    except RequestError:
        namesake = _namesake(outbox, named)
    if namesake is None:
        raise RequestError(
            f"no athlete {named!r} in the roster", hint="list user ids and names: spotter athletes"
        )
    return namesake


def person_key(outbox: Outbox, named: str) -> str:
    """Return the key of the one person with this full name; else what was said, as a key.

    The roster need not know a key: who joined the account a minute ago may train before it does.

    Raises:
        RequestError: several have that name.
    """
    if athlete_of(outbox, named) is not None:
        return named
    namesake = _namesake(outbox, named)
    return named if namesake is None else namesake.key


def _namesake(outbox: Outbox, named: str) -> RosterAthlete | None:
    """Return the one person who can be assigned and has this name, in full; None: nobody has.

    Raises:
        RequestError: several have.
    """
    folded = fold(named)
    same = [one for one in search_athletes(outbox, named) if folded and fold(one.name) == folded]
    if len(same) > 1:
        keys = ", ".join(one.key for one in same)
        raise RequestError(f"several athletes are called {named!r}", hint=f"name one: {keys}")
    return same[0] if same else None


def athlete_of(outbox: Outbox, key: str) -> RosterAthlete | None:
    """Return the person of a key, or None where the roster does not know it."""
    user_id, guest_id = split_key(key)
    if guest_id is not None:  # which counts athletes too: none of them is meant by it
        guest = outbox.roster.by_id(guest_id)
        return guest if guest is not None and guest.is_guest else None
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


def for_person(outbox: Outbox, key: str, wanted: ClipTarget) -> ClipTarget:
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


def note_guest(outbox: Outbox, name: str, *, now_s: float) -> RosterAthlete:
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
    to be analysed goes to the athlete too.

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
        outbox.groups.rename(key, user_id, now_s=now_s)
        outbox.cards.rename(key, user_id, now_s=now_s)
        return _release_held(outbox, guest.id, user_id, now_s=now_s, due_at=now_s + send_delay_s)


def _release_held(
    outbox: Outbox, guest_id: int, user_id: str, *, now_s: float, due_at: float
) -> list[Entry]:
    released = []
    for entry in outbox.entries.in_states({EntryState.HELD}):
        if entry.guest_id != guest_id or entry.reason != Reason.GUEST:
            continue
        target = replace(entry.target, recipient=Recipient.ATHLETE, user_id=user_id, guest_id=None)
        moved = outbox.entries.assign(entry, target, now_s=now_s, changes={"due_at": due_at})
        if moved is not None:
            released.append(moved)
    return released


_EVERY_S = 4 * 3600.0
_AFTER_FAILURE_S = 600.0
_LOOK_AGAIN_S = 5.0  # whether the lane is open by now


class NamedAthlete(NamedTuple):
    """One athlete as the account names them."""

    user_id: str
    name: str
    lacks: tuple[str, ...] = ()  # body measures that the account does not have


Fetch = Callable[[], tuple[Iterable[NamedAthlete], bool]]  # who there is, and whether these are all

log = structlog.get_logger(stage=StageName.ROSTER)


def take_over(
    outbox: Outbox, named: Iterable[NamedAthlete], *, complete: bool, now_s: float
) -> int:
    """Take over what the account says of its athletes; return how many are offered now."""
    found = list(named)
    with outbox.transaction():  # nobody is forgotten meanwhile
        known = []
        for user_id, name, lacks in found:
            try:
                check_user_id(user_id)
            except RequestError:
                continue
            if outbox.forgettings.is_forgotten(user_id):
                continue
            shown = clean_name(name) or user_id
            known.append(
                AccountAthlete(
                    user_id=user_id, name=shown, folded=searchable(shown), lacks=tuple(lacks)
                )
            )
        outbox.roster.replace(known, complete=complete and bool(known), now_s=now_s)
        outbox.switches.set(ROSTER_SYNCED_AT, repr(now_s))
    return outbox.roster.count()


def request_roster(outbox: Outbox, *, now_s: float) -> None:
    """Ask the daemon to request the account's athletes at once; wake it afterwards."""
    outbox.switches.set(ROSTER_ASKED_AT, repr(now_s))


class RosterStage:
    """Requests the account's athletes at the start, every few hours, and when asked."""

    name = StageName.ROSTER

    def __init__(
        self, outbox: Outbox, *, fetch: Fetch, is_open: Callable[[], bool], now: Now
    ) -> None:
        self._outbox = outbox
        self._fetch = fetch
        self._is_open = is_open
        self._now = now
        self._not_before_s = 0.0  # after a failure
        self._answered_ask = outbox.switches.get(ROSTER_ASKED_AT)  # a start requests them anyway

    def step(self) -> float:
        """Fetch the roster if it is time and the lane is open."""
        now_s = self._now().utc_s
        rest_s = self._rest_s(now_s)
        if rest_s > 0:
            return rest_s
        if not self._is_open():
            return _LOOK_AGAIN_S
        self._answered_ask = self._outbox.switches.get(ROSTER_ASKED_AT)
        try:
            named, complete = self._fetch()
        except ApiUnavailableError as fault:
            log.warning("roster sync failed", detail=str(fault))
            self._not_before_s = now_s + _AFTER_FAILURE_S
            return _AFTER_FAILURE_S
        count = take_over(self._outbox, named, complete=complete, now_s=now_s)
        log.info("roster synced", athletes=count, complete=complete)
        return _EVERY_S

    def close(self) -> None:
        """Nothing is held."""

    def _rest_s(self, now_s: float) -> float:
        """Return the seconds until the roster is to be fetched."""
        synced_at = self._outbox.switches.moment(ROSTER_SYNCED_AT)
        if self._answered_ask != self._outbox.switches.get(ROSTER_ASKED_AT):
            return 0.0
        wait_s = self._not_before_s - now_s
        if not 0 < wait_s <= _AFTER_FAILURE_S:  # no failure, or the clock jumped
            wait_s = 0.0
        if synced_at is None or synced_at > now_s:  # never, or the clock was set back
            return wait_s
        return max(synced_at + _EVERY_S - now_s, wait_s)
