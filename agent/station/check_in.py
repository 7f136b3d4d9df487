"""Groups of athletes: classes or teams, by which the page's list is narrowed and a queue begun."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from agent.clock import Instant
from agent.errors import RequestError
from agent.outbox.check_in import AthleteGroup
from agent.outbox.outbox import Outbox
from agent.outbox.roster import key_of
from agent.station.assignments import StationRules
from agent.station.expiry import assignment_status
from agent.station.queue import enqueue, set_rotate
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
_COLUMNS = ("group", "athlete")


def find_group(outbox: Outbox, named: str) -> AthleteGroup | None:
    """Return the group of this name, in any case, with any accents."""
    folded = fold(named)
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


def set_group(outbox: Outbox, name: str, keys: Iterable[str], *, now_s: float) -> AthleteGroup:
    """Let exactly these people be in the group of a name, which is made where there is none.

    Raises:
        RequestError: that is no name, somebody cannot be assigned, or there are too many.
    """
    shown = clean_name(name)[:MOST_GROUP_NAME].strip()
    if not fold(shown):
        raise RequestError("a group needs a name")
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
            every such line is listed.
    """
    faults: list[str] = []
    names: dict[str, str] = {}
    members: dict[str, list[str]] = {}
    with outbox.transaction():
        for number, group, athlete in _lines(content):
            names.setdefault(fold(group), group)
            try:
                members.setdefault(fold(group), []).append(find_athlete(outbox, athlete).key)
            except RequestError as fault:
                faults.append(f"line {number}: {fault}")
        if faults:
            raise RequestError("; ".join(faults), hint="nothing was imported; correct the file")
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
        raise RequestError(f"line {reader.line_num}: {fault}") from None


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
