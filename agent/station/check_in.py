"""Groups of athletes, and cards by which athletes put themselves on the station.

What a card says is stored nowhere: only a digest of it, by a secret of the station that is not in
the database.  So a copy of the database does not help anybody to make a card, and even the short
numbers of door cards cannot be found by trying them all.
"""

import csv
import hmac
import io
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from agent.clock import Instant
from agent.disk.state_folder import OF_CARDS, StateFolder, load_secret
from agent.errors import RequestError
from agent.outbox.assignments import Assignment, AssignmentLayer
from agent.outbox.outbox import Outbox
from agent.outbox.roster import AthleteGroup, LinkedCard, RosterAthlete, key_of
from agent.station.assignments import (
    StationRules,
    assign_person,
    assignment_status,
    enqueue,
    keep,
    record_run_out_now,
    set_rotate,
)
from agent.station.attribution import present_of
from agent.station.roster import (
    clean_name,
    find_athlete,
    fold,
    offered_athlete,
    search_athletes,
)

MOST_GROUPS = 100
MOST_MEMBERS = 500
MOST_GROUP_NAME = 60  # characters
_FAULTS_TOLD = 20  # lines of a file
_COLUMNS = ("group", "athlete")


def find_group(outbox: Outbox, named: str) -> AthleteGroup | None:
    """Return the group of this name, in any case, with any accents."""
    folded = fold(clean_name(named))
    return next((one for one in outbox.groups.all() if fold(one.name) == folded), None)


def group_of(outbox: Outbox, named: str | int) -> AthleteGroup:
    """Return the group of a name, or of an id.

    Raises:
        RequestError: there is none.
    """
    if isinstance(named, str):
        found = find_group(outbox, named)
    else:
        found = next((one for one in outbox.groups.all() if one.id == named), None)
    if found is None:
        raise RequestError(f"no group {named!r}", hint="list them: spotter groups")
    return found


def new_group(outbox: Outbox, name: str, *, now_s: float) -> AthleteGroup:
    """Make a group without members.

    Raises:
        RequestError: that is no name, a group has it already, or there are too many.
    """
    with outbox.transaction():
        if find_group(outbox, name) is not None:
            raise RequestError(f"there is a group {name!r} already")
        return set_group(outbox, name, (), now_s=now_s)


def set_group(outbox: Outbox, name: str, keys: Iterable[str], *, now_s: float) -> AthleteGroup:
    """Let exactly these people be in the group of a name, which is made where there is none.

    Raises:
        RequestError: that is no name, somebody cannot be assigned, or there are too many.
    """
    shown = _shown_name(name)
    with outbox.transaction():
        members = list(dict.fromkeys(offered_athlete(outbox, key).key for key in keys))
        if len(members) > MOST_MEMBERS:
            raise RequestError(f"a group has at most {MOST_MEMBERS} athletes")
        group = find_group(outbox, shown)
        if group is None:
            if len(outbox.groups.all()) >= MOST_GROUPS:
                raise RequestError(f"there are at most {MOST_GROUPS} groups")
            return outbox.groups.add(shown, members, now_s=now_s)
        outbox.groups.set_members(group.id, members, now_s=now_s)
        return AthleteGroup(id=group.id, name=group.name, members=tuple(members))


def _shown_name(name: str) -> str:
    """Return a group's name as it is kept: one that is cut short would be another group's."""
    shown = clean_name(name)
    if not fold(shown):
        raise RequestError("a group needs a name")
    if len(shown) > MOST_GROUP_NAME:
        raise RequestError(f"a group's name has at most {MOST_GROUP_NAME} characters")
    return shown


def change_members(
    outbox: Outbox,
    group: str | int,
    *,
    add: Sequence[str] = (),
    leave: Sequence[str] = (),
    now_s: float,
) -> AthleteGroup:
    """Let people join a group, and others leave it; by their keys.

    Raises:
        RequestError: there is no such group, somebody who joins cannot be assigned, or somebody
            who leaves is no member.
    """
    with outbox.transaction():
        known = group_of(outbox, group)
        strangers = [key for key in leave if key not in known.members]
        if strangers:
            raise RequestError(f"{strangers[0]} is not in the group {known.name!r}")
        joining = [offered_athlete(outbox, key).key for key in add]
        members = dict.fromkeys([*(key for key in known.members if key not in leave), *joining])
        if len(members) > MOST_MEMBERS:
            raise RequestError(f"a group has at most {MOST_MEMBERS} athletes")
        outbox.groups.set_members(known.id, list(members), now_s=now_s)
        return AthleteGroup(id=known.id, name=known.name, members=tuple(members))


def remove_group(outbox: Outbox, group: str | int, *, now_s: float) -> AthleteGroup:
    """Remove a group; the athletes stay.

    Raises:
        RequestError: there is no such group.
    """
    with outbox.transaction():
        known = group_of(outbox, group)
        outbox.groups.remove(known.id, now_s=now_s)
    return known


def import_groups(outbox: Outbox, content: bytes, *, now_s: float) -> list[AthleteGroup]:
    """Take groups over from a CSV file with the columns `group` and `athlete`: all, or nothing.

    Each group that the file names has exactly the members that it names; other groups stay.  An
    athlete is a user_id, `guest:3` or a full name that only one has.

    Raises:
        RequestError: the file is not such a table, or names somebody who is not known for sure;
            such lines are listed.
    """
    faults: list[str] = []
    names: dict[str, str] = {}
    members: dict[str, list[str]] = {}
    known: dict[str, str] = {}  # keys by what the file calls somebody: a class has many lines
    for number, group, athlete in _lines(content):  # before the transaction: others write meanwhile
        try:
            shown = _shown_name(group)
            names.setdefault(fold(shown), shown)
            if athlete not in known:
                known[athlete] = find_athlete(outbox, athlete).key
            members.setdefault(fold(shown), []).append(known[athlete])
        except RequestError as fault:
            faults.append(f"line {number}: {fault}")
    if faults:
        told, more = faults[:_FAULTS_TOLD], len(faults) - _FAULTS_TOLD
        told += [f"and {more} more lines"] if more > 0 else []
        raise RequestError("; ".join(told), hint="nothing was imported; correct the file")
    with outbox.transaction():
        return [set_group(outbox, names[one], keys, now_s=now_s) for one, keys in members.items()]


def _lines(content: bytes) -> Iterator[tuple[int, str, str]]:
    """Yield the number, the group and the athlete of each line of a table."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", "replace")  # as Excel writes CSV
    head = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text), delimiter=";" if ";" in head else ",")
    try:
        columns = [name.strip().lower() for name in next(reader, [])]
        if not set(_COLUMNS) <= set(columns):
            raise RequestError(
                "the first line does not name the columns `group` and `athlete`",
                hint="as in: group,athlete",
            )
        places = [columns.index(name) for name in _COLUMNS]
        for row in reader:
            cells = [row[place].strip() if place < len(row) else "" for place in places]
            if any(cells):
                yield reader.line_num, cells[0], cells[1]
    except csv.Error as fault:
        told = str(fault).partition(" - ")[0]  # behind it stands what a program should do
        raise RequestError(
            f"line {reader.line_num + 1} cannot be read: {told}",
            hint="save the table as CSV, in UTF-8, one group and one athlete a line",
        ) from None


def queue_group(
    outbox: Outbox, group: str | int, *, rules: StationRules, now: Instant
) -> tuple[AthleteGroup, int]:
    """Let a group take turns: queue who does not wait or train already, and turn rotation on.

    Returns:
        The group, and how many were queued.

    Raises:
        RequestError: there is no such group, nobody in it can be assigned, or the queue is full.
    """
    with outbox.transaction():
        known = group_of(outbox, group)
        people = search_athletes(outbox, most=MOST_MEMBERS, group_id=known.id)
        if not people:
            raise RequestError(f"the group {known.name!r} has no athletes")
        order = {key: place for place, key in enumerate(known.members)}
        present = assignment_status(outbox, now=now).assignment
        busy = {
            key_of(queued.target.user_id, queued.target.guest_id) for queued in outbox.queue.all()
        }
        if present is not None:
            busy.add(key_of(*present.who))
        joining = [one.key for one in people if one.key not in busy]
        for key in sorted(joining, key=order.__getitem__):
            enqueue(outbox, key, rules=rules)
        set_rotate(outbox, on=True)
    return known, len(joining)


SET_BY_CARD = "card"
UNKNOWN_CARD = "unknown_card"  # the switch with the last card that put nobody on the station
_SHOWN_S = 600.0  # for so long the page offers to link it
_FEWEST, _MOST = 4, 128  # characters of a card
_SHORTEST_ID = 8  # characters of a digest that name a card
# The number of a chip, as readers write it: two digits a byte, perhaps apart, in either case.
_CHIP = re.compile(r"(?:[0-9a-f]{2}){4,10}|[0-9a-f]{2}([: -])[0-9a-f]{2}(?:\1[0-9a-f]{2}){2,8}")


class TapOutcome(StrEnum):
    """What a card brought about."""

    ASSIGNED = "assigned"  # its athlete is on the station now
    KEPT = "kept"  # was already, and the assignment's time begins again
    UNKNOWN = "unknown"  # it is linked to nobody: nothing was changed
    REFUSED = "refused"  # its athlete cannot be assigned (any longer): nothing was changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Tap:
    """A card that was held to a reader."""

    outcome: TapOutcome
    athlete: RosterAthlete | None = None  # None: of nobody who can be assigned
    assignment: Assignment | None = None  # who is on the station now; None: nothing was changed


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingCard:
    """The last card that put nobody on the station."""

    digest: str
    is_refused: bool  # it is linked, to somebody who cannot be assigned
    at: float  # Unix time


class CheckIn:
    """The cards of one station."""

    def __init__(self, outbox: Outbox, folder: StateFolder) -> None:
        self._outbox = outbox
        self._folder = folder

    def tap(self, said: str, *, rules: StationRules, now: Instant, set_by: str) -> Tap:
        """Put the athlete of a card on the station, with what they did last.

        Args:
            said: by the card.
            rules, now, set_by: as for `assign_person`.

        Raises:
            RequestError: that is no card, or the API would refuse what the athlete did last.
        """
        outbox = self._outbox
        with outbox.transaction():
            digest = self._digest(said)
            card = outbox.cards.get(digest)
            if card is None:
                return self._note(TapOutcome.UNKNOWN, digest, now=now)
            try:
                athlete = offered_athlete(outbox, card.athlete)
            except RequestError:
                return self._note(TapOutcome.REFUSED, digest, now=now)
            self.dismiss()
            return _put(outbox, athlete, rules=rules, now=now, set_by=set_by)

    def link(self, said: str, key: str, *, now_s: float) -> LinkedCard:
        """Let a card belong to the person of a key.

        Raises:
            RequestError: that is no card, it belongs to somebody else, or the person cannot be
                assigned.
        """
        with self._outbox.transaction():
            return self._link(self._digest(said), key, now_s=now_s)

    def link_waiting(self, digest: str, key: str, *, now_s: float) -> LinkedCard:
        """Let the card that waits belong to the person of a key, if it is still this one.

        Raises:
            RequestError: another card was tapped since, or as for `link`.
        """
        with self._outbox.transaction():
            waiting = self.waiting(now_s=now_s)
            if waiting is None or waiting.is_refused or waiting.digest != digest:
                raise RequestError("this card no longer waits for a link", hint="tap it again")
            return self._link(digest, key, now_s=now_s)

    def unlink(self, named: str, *, now_s: float) -> LinkedCard:
        """Let a card, named by what it says or by its id, belong to nobody.

        Raises:
            RequestError: no card is linked that is named so, or several are.
        """
        with self._outbox.transaction():
            known = self._outbox.cards.all()
            digest = self._digest(named)
            found = [one for one in known if one.digest == digest]
            if not found and len(named) >= _SHORTEST_ID:
                found = [one for one in known if one.digest.startswith(named)]
            if len(found) != 1:
                raise RequestError("no such card is linked", hint="list them: spotter cards list")
            self._outbox.cards.link(found[0].digest, None, now_s=now_s)
            return found[0]

    def waiting(self, *, now_s: float) -> WaitingCard | None:
        """Return the last card that put nobody on the station, for some minutes."""
        noted = json.loads(self._outbox.switches.get(UNKNOWN_CARD) or "null")
        if noted is None or not 0 <= now_s - noted["at"] < _SHOWN_S:
            return None
        return WaitingCard(**noted)

    def dismiss(self) -> None:
        """Let no card wait."""
        if self._outbox.switches.get(UNKNOWN_CARD) not in {None, "null"}:
            self._outbox.switches.set(UNKNOWN_CARD, "null")

    def _link(self, digest: str, key: str, *, now_s: float) -> LinkedCard:
        outbox = self._outbox
        athlete = offered_athlete(outbox, key)
        card = outbox.cards.get(digest)
        if card is not None and card.athlete != athlete.key:
            raise RequestError(
                f"this card is linked to {card.athlete}", hint="unlink it first: spotter cards"
            )
        outbox.cards.link(digest, athlete.key, now_s=now_s)
        self.dismiss()
        return LinkedCard(digest=digest, athlete=athlete.key, changed_at=now_s)

    def _note(self, outcome: TapOutcome, digest: str, *, now: Instant) -> Tap:
        """Let the page show a card that put nobody on the station."""
        waits = WaitingCard(digest=digest, is_refused=outcome is TapOutcome.REFUSED, at=now.utc_s)
        self._outbox.switches.set(UNKNOWN_CARD, json.dumps(asdict(waits)))
        return Tap(outcome=outcome)

    def _digest(self, said: str) -> str:
        """Return what stands for a card; inside a transaction, so that one secret is made."""
        secret = load_secret(self._folder, OF_CARDS)
        return hmac.new(secret, _canonical(said).encode(), "sha256").hexdigest()


def put_member(
    outbox: Outbox,
    key: str,
    *,
    group_id: int,
    rules: StationRules,
    now: Instant,
    set_by: str,
) -> Tap:
    """Put a member of a group on the station, as by a card.

    Raises:
        RequestError: there is no such group, the person is no member or cannot be assigned, or the
            API would refuse what they did last.
    """
    with outbox.transaction():
        group = group_of(outbox, group_id)
        if key not in group.members:
            raise RequestError(f"{key} is not in the group {group.name!r}")
        athlete = offered_athlete(outbox, key)
        return _put(outbox, athlete, rules=rules, now=now, set_by=set_by)


def _put(
    outbox: Outbox, athlete: RosterAthlete, *, rules: StationRules, now: Instant, set_by: str
) -> Tap:
    """Put an athlete on the station, or let who is there already stay."""
    record_run_out_now(outbox, now=now)
    present = present_of(outbox, now=now).at(now).assignment
    if present is not None and key_of(*present.who) == athlete.key:
        if present.layer is AssignmentLayer.COACH:
            present = keep(outbox, now=now, set_by=set_by)
        return Tap(outcome=TapOutcome.KEPT, athlete=athlete, assignment=present)
    put = assign_person(outbox, athlete.key, rules=rules, now=now, set_by=set_by)
    return Tap(outcome=TapOutcome.ASSIGNED, athlete=athlete, assignment=put)


def _canonical(said: str) -> str:
    """Return what a card says, the same for every reader that reads it.

    Raises:
        RequestError: that is no card; it is not repeated.
    """
    text = unicodedata.normalize("NFC", said.strip())
    if not _FEWEST <= len(text) <= _MOST or not text.isprintable():
        raise RequestError(f"a card has {_FEWEST} to {_MOST} printable characters")
    chip = text.lower()
    return re.sub("[: -]", "", chip) if _CHIP.fullmatch(chip) else text
